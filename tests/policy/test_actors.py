"""Whatever acts does so by one protocol, and what it remembers begins anew with each episode."""

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor, run_episodes
from sim2real.errors import InvalidValue
from sim2real.gather import Excited, gather
from sim2real.policy import Policy, as_actor
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import World


class Counting:
    """Tells in its first action how many steps ago the episode of each row began."""

    def start(self, rows, state=None):
        return np.zeros(rows) if state is None else np.where(rows, 0.0, state)

    def act(self, observation, state):
        action = np.random.default_rng(int(state.sum())).uniform(-1, 1, (len(observation), 3))
        action[:, 0] = state / 1000
        return action.astype(np.float32), state + 1


@pytest.mark.parametrize("shaken", [False, True])
def test_memory_begins_anew_in_the_rows_that_begin_anew(shaken):
    world = World.load("hopper")
    target = TargetEnv(world, world.variant("combined_a"), Budget(steps=400), num_envs=4)
    actor = Excited(Counting(), noise=0.0, seed=0) if shaken else Counting()
    episodes = gather(target, actor, 100, seed=0).episodes
    assert target.spent.falls > 1, "the example needs episodes that end while others go on"
    for episode in episodes:
        np.testing.assert_allclose(episode.action[:, 0], np.arange(episode.steps) / 1000, atol=1e-7)


def test_memory_lasts_as_long_as_the_episode():
    env, seen = Sim2RealVectorEnv("hopper", 3, autoreset=False), []

    class Watched(Counting):
        def act(self, observation, state):
            seen.append(state.copy())
            return super().act(observation, state)

    outcomes = run_episodes(Watched(), env, seed=0)
    np.testing.assert_array_equal(seen, np.arange(outcomes.lengths.max())[:, None].repeat(3, axis=1))


def test_a_function_is_an_actor_without_memory():
    policy, env = Policy.load("furuta-nominal-0"), Sim2RealVectorEnv("furuta", 4, None, 20, False)
    told = run_episodes(lambda observation: policy.act(observation)[0].tolist(), env, seed=0)
    np.testing.assert_array_equal(told.returns, run_episodes(policy, env, seed=0).returns)
    action, state = as_actor(np.sin).act(np.ones((2, 1)), None)
    assert state is as_actor(np.sin).start(2) is None
    assert action.dtype == np.float32
    assert as_actor(policy) is policy


@pytest.mark.parametrize("given", [3, RandomActor, Policy])
def test_what_does_not_act_is_refused(given):
    with pytest.raises(InvalidValue, match=r"does not act; give a policy, a function from observations"):
        run_episodes(given, Sim2RealVectorEnv("furuta", 1, autoreset=False), seed=0)
