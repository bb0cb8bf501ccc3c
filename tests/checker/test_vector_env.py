"""Each promise that the checker looks at can be broken, and the message says which one was."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from sim2real.checker import CheckFailed, check_vector_env


class Counter(VectorEnv):
    """Counts steps beside a random number; ends every row after 7 steps. ``fault`` breaks one promise."""

    def __init__(self, threads, fault=None):
        self.fault = fault
        self.num_envs, self.threads = 3, threads
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = spaces.Box(0, 1, (2,), np.float32)
        self.single_action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, 3)
        self.action_space = batch_space(self.single_action_space, 3)
        self.state = np.zeros((3, 2), np.float32)
        self.reward = np.zeros(3)
        self.ended = np.zeros(3, dtype=bool)
        if fault == "no mode":
            self.metadata = {}
        if fault == "space of one row":
            self.observation_space = self.single_observation_space

    def begin(self, rows):
        self.state[rows, 0] = 0
        self.state[rows, 1] = self.rng.random(len(rows))

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(None if self.fault == "unseeded" else seed)
        if self.fault == "one seed for all":
            self.rng = np.random.default_rng(0)
        self.begin(np.arange(3))
        if self.fault == "rows alike":
            self.state[:, 1] = self.state[0, 1]
        observation = self.state.astype(np.float64) if self.fault == "float64" else self.state.copy()
        observation = observation + 9 if self.fault == "starts outside" else observation
        return observation, None if self.fault == "no info" else {}

    def step(self, actions):
        self.state[:, 0] += 0.1
        self.state[:, 1] = 0.5 * self.state[:, 1] + 0.1 * np.abs(actions[:, 0])
        if self.fault == "threads" and self.threads == 2:
            self.state[:, 1] += 1e-7
        self.reward[:] = self.state[:, 1]
        self.ended[:] = self.state[:, 0] > 0.65
        truncated = self.ended.copy()
        terminated = truncated.copy() if self.fault == "both ends" else np.zeros(3, dtype=bool)
        info = self.end(truncated)
        return self.returned(terminated, truncated, info)

    def end(self, done):
        info = {}
        if self.fault == "always final":
            info["final_obs"] = self.state.copy()
        if done.any() and self.fault != "no final":
            info["final_obs"], info["_final_obs"] = self.state.copy(), done.copy()
        if done.any() and self.fault == "wrong mask":
            info["_final_obs"] = ~done
        if done.any() and self.fault == "final outside":
            info["final_obs"] += 5
        if self.fault not in ("no reset", "final outside"):
            self.begin(np.flatnonzero(done))
        return info

    def returned(self, terminated, truncated, info):
        observation, reward = self.state.copy(), self.reward.copy()
        if self.fault == "steps outside":
            observation = observation + 9
        if self.fault == "observations aliased":
            observation = self.state
        if self.fault == "rewards aliased":
            reward = self.reward
        if self.fault == "whole rewards":
            reward = np.ones(3, dtype=int)
        if self.fault == "reward of one row":
            reward = reward[:1]
        if self.fault == "ends as numbers":
            truncated = truncated.astype(int)
        return observation, reward, terminated, truncated, info


def test_a_sound_env_passes():
    check_vector_env(Counter)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no info", r"reset\(\) must return \(observation, dict\)"),
        ("space of one row", "observation_space is not the batch of single_observation_space"),
        ("float64", "observations are float64, not float32"),
        ("starts outside", "the first observation is outside observation_space"),
        ("steps outside", "an observation is outside observation_space"),
        ("reward of one row", r"reward has shape \(1,\), not \(3,\)"),
        ("whole rewards", "rewards are int64, not floats"),
        ("ends as numbers", "terminated and truncated must be bool"),
        ("observations aliased", "observations returned by one step change with the next: they alias"),
        ("rewards aliased", "rewards returned by one step change with the next: they alias"),
        ("unseeded", "reset with the same seed starts differently"),
        ("one seed for all", "reset with another seed starts alike"),
        ("rows alike", "all rows start alike from one seed"),
        ("no mode", r"metadata\['autoreset_mode'\] is not an AutoresetMode"),
        ("both ends", "a row is both terminated and truncated"),
        ("always final", "final_obs is given although no row ended"),
        ("no final", "rows ended without final_obs in info"),
        ("wrong mask", "_final_obs is not the mask of ended rows"),
        ("final outside", "a final_obs is outside its space"),
        ("no reset", "the observation after an end is the final one: the row was not begun again"),
        ("threads", "1 and 2 threads differ from step 0 on"),
    ],
)
def test_each_broken_promise_is_named(fault, said):
    with pytest.raises(CheckFailed, match=said):
        check_vector_env(lambda threads: Counter(threads, fault))


def test_gymnasiums_own_vector_env_passes():
    def make(threads):
        return gym.vector.SyncVectorEnv(
            [lambda: gym.make("CartPole-v1", max_episode_steps=9)] * 3, autoreset_mode=AutoresetMode.SAME_STEP
        )

    check_vector_env(make)
