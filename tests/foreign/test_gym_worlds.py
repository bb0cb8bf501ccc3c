"""Policies of others in anyone's env: in its own units, checked against its bounds."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from sim2real.cli import main
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.errors import PolicyError
from sim2real.foreign import load_policy
from sim2real.policy import Policy

WORLD = "gym:Pendulum-v1"


def test_a_zip_scores_as_in_a_plain_loop_and_so_does_what_is_made_of_it(strangers, tmp_path):
    spec = f"sb3:{strangers / 'sb3' / 'a2c_pendulum.zip'}"
    foreign, env = load_policy(spec), Sim2RealVectorEnv(WORLD, 2, autoreset=False)
    found = run_episodes(foreign.fitted(env), env, seed=0).returns
    seeds, bare, returns = env.simulator.seeds.tolist(), gym.make("Pendulum-v1"), []
    for seed in seeds:
        observation, _ = bare.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action, _ = foreign.act(observation[None])
            observation, reward, _, over, _ = bare.step(action[0])
            total += float(reward)
        returns.append(total)
    np.testing.assert_allclose(found, returns, rtol=1e-3)
    assert main(["import", spec, "--world", WORLD, "--out", str(tmp_path / "ours")]) == 0
    ours = Policy.load(tmp_path / "ours")
    np.testing.assert_allclose(run_episodes(ours.fitted(env), env, seed=0).returns, found, rtol=1e-3)


def test_a_function_acts_in_the_envs_own_units():
    env = Sim2RealVectorEnv(WORLD, 3)
    seen, _ = env.reset(seed=0)
    actor = load_policy(lambda seen: np.array([[-2.0], [0.5], [2.0]])).fitted(env)
    np.testing.assert_array_equal(actor.act(seen)[0], [[-1.0], [0.25], [1.0]])


def test_other_bounds_are_told(strangers):
    policy = load_policy(f"sb3:{strangers / 'sb3' / 'ppo_hopper.zip'}")
    with pytest.raises(PolicyError, match="observations: 11 against 3; actions: 3 against 1"):
        policy.fitted(Sim2RealVectorEnv(WORLD, 1))
    policy = load_policy(f"sb3:{strangers / 'sb3' / 'a2c_pendulum.zip'}")
    env = Sim2RealVectorEnv("gym:MountainCarContinuous-v0", 1)
    with pytest.raises(PolicyError, match="observations: 3 against 2"):
        policy.fitted(env)
    spec = "actions between \\[-2, 2\\] against \\[-1, 1\\]"

    narrow = dataclasses.replace(env.task, observation=env.task.observation * 2)
    env.task = dataclasses.replace(narrow, observation=narrow.observation[:3])
    with pytest.raises(PolicyError, match=spec):
        policy.fitted(env)
