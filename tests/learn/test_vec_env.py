"""The adapter for Stable-Baselines3 says what the env says, in that library's words."""

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from sim2real.env import Sim2RealVectorEnv
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.world import World


@pytest.fixture
def hopper():
    return World.load("hopper")


def make(world, steps=30):
    return Sim2RealVectorEnv(world, 4, "training", steps)


def test_step_by_step_the_same(hopper):
    env, adapter = make(hopper), SB3VecEnv(make(hopper))
    adapter.seed(5)
    np.testing.assert_array_equal(adapter.reset(), env.reset(seed=5, options={"staggered": True})[0])
    rng = np.random.default_rng(0)
    ends = np.zeros(2, dtype=int)
    for _ in range(120):
        actions = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(actions)
        ours = adapter.step(actions)
        np.testing.assert_array_equal(ours[0], observation)
        np.testing.assert_array_equal(ours[1], reward.astype(np.float32))
        np.testing.assert_array_equal(ours[2], terminated | truncated)
        for row, told in enumerate(ours[3]):
            if not (terminated | truncated)[row]:
                assert told == {}
                continue
            np.testing.assert_array_equal(told["terminal_observation"], info["final_obs"][row])
            assert told["TimeLimit.truncated"] == truncated[row]
            assert told["is_success"] == info["success"][row]
        ends += [terminated.sum(), truncated.sum()]
    assert (ends > 0).all(), "both kinds of end should show"


def test_a_seed_is_used_once(hopper):
    adapter = SB3VecEnv(make(hopper))
    adapter.seed(5)
    first, second = adapter.reset(), adapter.reset()
    assert not np.array_equal(first, second)
    adapter.seed(5)
    np.testing.assert_array_equal(adapter.reset(), first)


def test_wrappers_leave_quiet_rows_quiet(hopper):
    adapter = SB3VecEnv(make(hopper))
    wrapped = VecNormalize(VecMonitor(adapter), norm_reward=False)
    wrapped.seed(0)
    wrapped.reset()
    lengths = []
    for _ in range(70):
        *_, infos = wrapped.step(np.zeros((4, 3), np.float32))
        lengths += [info["episode"]["l"] for info in infos if "episode" in info]
    assert len(lengths) >= 8
    assert max(lengths) <= 30
    assert adapter._quiet == [{}] * 4


def test_attributes_and_methods_are_those_of_the_env(hopper):
    adapter = SB3VecEnv(make(hopper))
    assert adapter.get_attr("num_envs") == [4] * 4
    assert adapter.get_attr("world_name", indices=[0, 2]) == ["hopper"] * 2
    assert adapter.env_method("physics", 1, indices=0) == [hopper.nominal]
    adapter.set_attr("mark", 7)
    assert adapter.env.mark == 7
    assert adapter.env_is_wrapped(VecMonitor) == [False] * 4
    adapter.close()


def test_rows_are_not_in_step_so_that_a_rollout_has_all_parts_of_an_episode():
    """Without a fall, rows that begin together would end together for ever."""
    adapter = SB3VecEnv(Sim2RealVectorEnv("cartpole", 4, max_episode_steps=40))
    adapter.seed(0)
    adapter.reset()
    ended = [np.flatnonzero(adapter.step(np.zeros((4, 1), np.float32))[2]).tolist() for _ in range(120)]
    every = [(step, rows) for step, rows in enumerate(ended, 1) if rows]
    assert every == [(10 * k, [(k - 1) % 4]) for k in range(1, 13)]
