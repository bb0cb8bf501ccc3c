"""SAC begins with a policy's own actions, moves what it may, and stops where a budget does."""

import dataclasses

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.learn.hooks import Average, Hooks, critic_first
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.regularizers import anchor_to
from sim2real.learn.sac import PolicySAC, SACSettings
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.policy import Policy
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

TINY = SACSettings(total_steps=96, warmup=64, batch_size=32, hidden=(16,))


@pytest.fixture
def world(write_world):
    return World.load(write_world())


@pytest.fixture
def policy(world):
    return fresh_policy(Sim2RealVectorEnv(world), PPOSettings(hidden=(16, 8)), seed=1)


def moved(policy, learnt):
    return {name for name, array in policy.weights.items() if not np.array_equal(array, learnt.weights[name])}


def test_it_begins_with_the_actions_of_the_policy():
    """But for those at their limits, which tanh does not reach."""
    policy = Policy.load("furuta-nominal-0")
    model = PolicySAC(policy, SB3VecEnv(Sim2RealVectorEnv("furuta", 4)), TINY)
    observation = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    wanted, _ = policy.act(observation)
    found, _ = model.predict(observation, deterministic=True)
    np.testing.assert_allclose(found, np.clip(wanted, -0.99, 0.99), atol=1e-5)
    explored = np.stack([model.predict(observation)[0] for _ in range(60)])
    middle = np.abs(wanted[:, 0]) < 0.3
    assert middle.sum() > 5
    spread = np.arctanh(np.clip(explored, -0.999999, 0.999999)).std(axis=0)[middle]
    np.testing.assert_allclose(spread, TINY.initial_std, rtol=0.3)


@pytest.mark.slow
def test_what_is_free_moves_in_one_env_and_in_two(world, policy):
    envs = [Sim2RealVectorEnv(world, rows) for rows in (4, 4)]
    learnt = learn(envs[0], policy, TINY)
    actor = {name for name in policy.weights if name.startswith("actor")}
    assert moved(policy, learnt.policy) == actor | {"log_std"}
    assert learnt.steps == (96,)
    part = learn(envs, policy, TINY, hooks=Hooks(free=["actor.2"]))
    assert moved(policy, part.policy) == {"actor.2.weight", "actor.2.bias", "log_std"}, "its start is new"
    assert part.steps == (96, 96)
    late = learn(envs[0], policy, TINY, hooks=Hooks(critic_first(policy.network, 1.0)))
    assert moved(policy, late.policy) == {"log_std"}


@pytest.mark.slow
def test_it_learns_to_push_where_that_is_what_pays(world, policy):
    """A slide that is paid for its position: the mean action rises."""
    env = Sim2RealVectorEnv(world, 4)

    class Paid:
        num_envs = 4
        single_observation_space = env.single_observation_space
        single_action_space = env.single_action_space

        def reset(self, **given):
            return env.reset(**given)

        def step(self, actions):
            observation, _, *others = env.step(actions)
            return (observation, np.asarray(actions[:, 0], np.float64), *others)

    settings = dataclasses.replace(TINY, total_steps=500, learning_rate=1e-2, entropy=0.01)
    learnt = learn(Paid(), policy, settings).policy
    observation = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32) * 0.2
    before, after = (p.act(observation)[0].mean() for p in (policy, learnt))
    assert abs(before) < 0.2
    assert after > 0.5


@pytest.mark.slow
def test_an_anchor_holds_the_actor(world, policy):
    """The stronger, the closer it stays to what it did in the anchor's states."""
    observation = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    settings = dataclasses.replace(TINY, total_steps=300, learning_rate=1e-2)
    before, _ = policy.act(observation)

    def strayed(strength):
        hooks = Hooks(anchors=[anchor_to(policy, observation, strength)] if strength else [])
        learnt = learn(Sim2RealVectorEnv(world, 4), policy, settings, hooks=hooks).policy
        return np.abs(learnt.act(observation)[0] - before).mean()

    free, held, tight = map(strayed, (0.0, 1.0, 1000.0))
    assert free > 2 * held
    assert held > tight


def test_it_stops_where_the_budget_does(world, policy):
    target = TargetEnv(world, world.variant("heavy"), Budget(steps=90), num_envs=4, seal=Seal(0))
    learnt = learn(target, policy, TINY)
    assert target.spent.steps == 88
    assert learnt.steps == (88,)


def test_what_it_can_not_do(world, policy, tmp_path):
    env = Sim2RealVectorEnv(world, 4)
    with pytest.raises(InvalidValue, match="SAC knows the hooks free and anchors"):
        learn(env, policy, TINY, hooks=Hooks(average=Average()))
    with pytest.raises(InvalidValue, match="SAC keeps no checkpoint"):
        learn(env, policy, TINY, monitor=Monitor(logs=tmp_path, run="mine"))
    with pytest.raises(InvalidValue, match="is out of reach"):
        SACSettings(total_steps=0)
