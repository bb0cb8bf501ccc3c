"""How large an error the sensors alone make."""

from __future__ import annotations

import numpy as np

from sim2real.doctor.noise import white_noise
from sim2real.identify.problem import Problem
from sim2real.identify.space import FloatArray

NOISES = 1.5
"""Errors up to this many times the noise of the measurements lack nothing."""

_FINEST = 5e-5  # rad or m, or share of what joints of unlike units move: no sensor of a robot shows less
_MOVES = 20.0  # times the sensors' floor, below which a joint's motion shows nothing


def noise_of(problem: Problem) -> FloatArray:
    """Standard deviation of the white noise of each measured signal, in its unit. Shape (k,)."""
    return np.array([white_noise(pieces) for pieces in zip(*(m.T for m in problem.measured), strict=True)])


def sensor_floor(problem: Problem) -> FloatArray:
    """What the sensors' own noise and steps come to in the scaled errors of every joint. Shape (k,)."""
    return np.maximum(noise_of(problem) / problem.scale, _FINEST)


def visible_error(problem: Problem) -> float:
    """Mean error that sensors can show, scaled; 0 where joints hardly move, which shows nothing."""
    floor = float(sensor_floor(problem).mean())
    moved = np.mean([m.std(axis=0) for m in problem.measured], axis=0) / problem.scale
    return floor * NOISES if moved.mean() > _MOVES * floor else 0.0
