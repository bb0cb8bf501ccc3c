"""A critic that knows physics values better than one that can't, and the actor never sees it."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from sim2real.domain import Domain, Uniform
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, PolicyError
from sim2real.learn.inputs import Inputs, SeesInputs
from sim2real.learn.learn import learn
from sim2real.learn.privileged import hide_physics, show_physics
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.learn.train import train
from sim2real.learn.vec_env import SB3VecEnv, SideBySide
from sim2real.policy import Policy
from sim2real.policy.network import NetworkFunction
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import World

SETTINGS = PPOSettings(
    total_steps=20_000, num_envs=16, rollout_steps=32, batch_size=128, hidden=(16, 16), gamma=0.9
)
STEPS = 12


class Wage(gym.Env):
    """Pays a wage that is drawn for each episode, and shows noise."""

    dt, wage = 0.1, 1.0
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=2), {}

    def step(self, action):
        return self.np_random.normal(size=2), 0.1 * self.wage - 0.01 * float(action[0]) ** 2, False, False, {}


@pytest.fixture
def world():
    ranges = {"env.wage": {"unit": "1", "nominal": 1.0, "range": [0.5, 3.5], "source": "planted"}}
    heavy = {"extrapolation": {"rich": {"env.wage": 5.0}}}
    table = {"parameters": ranges, "variants": heavy}
    return World.of_env(lambda: gym.wrappers.TimeLimit(Wage(), STEPS), table, name="wage")


def domain_of(world):
    return Sim2RealVectorEnv(world, SETTINGS.num_envs, "training")


def values(policy, wages):
    """What the critic expects, where an episode of each wage begins."""
    seen = np.random.default_rng(0).normal(size=(len(wages), 2)).astype(np.float32)
    told = wages[:, None].astype(np.float32)
    return NetworkFunction(policy.network, policy.weights, "value")(
        {"observation": seen, "privileged": told}
    )[0][:, 0]


@pytest.mark.slow
def test_a_critic_that_knows_has_less_error_and_the_actor_does_not_know(world):
    env = domain_of(world)
    plain = fresh_policy(env, SETTINGS, seed=0)
    knowing = show_physics(plain, env)
    np.testing.assert_array_equal(values(knowing, np.ones(9)), values(plain, np.ones(9)))
    wages = np.linspace(0.5, 3.5, 64)
    truth, errors = 0.1 * wages / (1 - SETTINGS.gamma), {}
    for name, policy in (("plain", plain), ("knowing", knowing)):
        learnt = learn(domain_of(world), policy, SETTINGS).policy
        errors[name] = float(np.sqrt(np.mean((values(learnt, wages) - truth) ** 2)))
    assert errors["knowing"] < 0.35 * errors["plain"]
    assert learnt.network.reads("action") == {"observation"}
    assert learnt.network.reads("value") == {"observation", "privileged"}
    assert np.abs(learnt.weights["critic.0.privileged.weight"]).max() > 0.1
    hidden, seen = hide_physics(learnt), np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32)
    np.testing.assert_array_equal(hidden.act(seen)[0], learnt.act(seen)[0])
    assert hidden.network == plain.network
    middle = values(learnt, np.full(9, 2.0))
    np.testing.assert_allclose(values(hidden, np.full(9, 2.0)), middle, rtol=1e-5)


def test_rows_hold_the_physics_of_their_episodes(world):
    env, other = domain_of(world), Sim2RealVectorEnv(world, 3, "training")
    policy = show_physics(fresh_policy(env, SETTINGS, seed=0), env)
    venv = SeesInputs(SideBySide([SB3VecEnv(env), SB3VecEnv(other)]), policy, Inputs(policy))
    venv.seed(0)
    rows, ended = venv.reset(), np.zeros(19, int)
    for _ in range(2 * STEPS):
        wages = [
            *(env.physics(k)["env.wage"] for k in range(16)),
            *(other.physics(k)["env.wage"] for k in range(3)),
        ]
        np.testing.assert_array_equal(rows[:, 2], np.float32(wages))
        before = rows[:, 2]
        rows, paid, done, infos = venv.step(np.zeros((19, 1), np.float32))
        np.testing.assert_allclose(paid, 0.1 * before, atol=1e-6)
        ended += done
        for row in np.flatnonzero(done):
            assert infos[row]["terminal_observation"][2] == before[row]
            assert rows[row, 2] != before[row]
        np.testing.assert_array_equal(rows[~done, 2], before[~done])
    assert (ended >= 2).all()


def test_training_takes_it_as_a_setting(world, tmp_path):
    settings = dataclasses.replace(SETTINGS, total_steps=1024, privileged=True, allow_dead=True)
    policy = train(world, tmp_path / "knowing", "training", settings=settings)
    assert Policy.load(tmp_path / "knowing").contract.privileged == policy.contract.privileged == ()
    assert policy.contract.provenance[0].settings["privileged"] is True
    assert policy.network.outputs == {"action": "actor.2", "value": "critic.2"}
    with pytest.raises(InvalidValue, match="train in one that draws"):
        train(world, tmp_path / "other", None, settings=settings)


def test_what_can_not_be_shown_is_refused(world):
    env = domain_of(world)
    plain = fresh_policy(env, SETTINGS, seed=0)
    knowing = show_physics(plain, env)
    with pytest.raises(PolicyError, match="no plain critic"):
        show_physics(knowing, env)
    target = TargetEnv(world, world.variant("rich"), Budget(steps=1000), SETTINGS.num_envs)
    with pytest.raises(PolicyError, match=r"critic reads env\.wage, which this env doesn't tell"):
        learn(target, knowing, SETTINGS)
    learn(env, knowing, dataclasses.replace(SETTINGS, total_steps=512))
    unlike = Domain({"env.wage": Uniform(1.0, 2.0)})
    assert show_physics(plain, Sim2RealVectorEnv(world, 2, unlike)).contract == knowing.contract
