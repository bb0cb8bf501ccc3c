"""Gymnasium envs as an engine; the model under one, which `sim2real.wrappers` writes as well."""

from sim2real.simulators.gym.simulator import GymSimulator as GymSimulator
