"""Physics planted in one layer of a policy, and found there."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.evaluate.rollouts import Trials
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.policy import ProvenanceStep
from sim2real.registry import load_module
from sim2real.transfer.compare import Design
from sim2real.transfer.layers import layer_transfer
from sim2real.transfer.target import Budget
from sim2real.world import World

STEPS, UNITS = 8, 6


REPEAT = """
import gymnasium as gym
import numpy as np


class Repeat(gym.Env):
    dt, second_number, second_action = 0.1, 0.0, 0.0
    observation_space = gym.spaces.Box(-1.0, 1.0, (2,))
    action_space = gym.spaces.Box(-1.0, 1.0, (2,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)
        return self.seen, {}

    def step(self, action):
        wanted, given = self.seen[int(self.second_number)], action[int(self.second_action)]
        self.seen = self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)
        return self.seen, -((wanted - given) ** 2), False, False, {}


def make():
    return gym.wrappers.TimeLimit(Repeat(), 8)
"""
"""An env in which one of two numbers is to be repeated with one of two actions: which ones is physics."""


def ready(world, reads, drives):
    """A policy of one hidden layer, which reads one number and drives one action, and no other."""
    fresh = fresh_policy(Sim2RealVectorEnv(world), PPOSettings(hidden=(UNITS,)), seed=0)
    first, head = np.zeros((UNITS, 2), np.float32), np.zeros((2, UNITS), np.float32)
    first[:, reads] = np.linspace(0.3, 1.3, UNITS)
    head[drives] = 1 / first[:, reads].sum()
    weights = {**fresh.weights, "actor.0.weight": first, "actor.1.weight": head}
    past = ProvenanceStep("train", {}, 0, 0, {"learning_rate": 0.01, "gamma": 0.0})
    return replace(fresh, weights=weights, contract=replace(fresh.contract, provenance=(past,)))


@pytest.mark.slow
@pytest.mark.parametrize(("where", "target"), [("lower", "number"), ("upper", "action")])
def test_physics_is_found_in_the_layer_that_alone_carries_it(where, target, tmp_path):
    """A's and B's other layer are the same to the bit, so that what is built on it is, too."""
    file = tmp_path / "repeat.py"
    file.write_text(REPEAT)
    names = ("env.second_number", "env.second_action")
    domain = {"unit": "1", "nominal": 0.0, "range": [0.0, 1.0], "source": "assumed"}
    variants = {"number": {names[0]: 1.0}, "action": {names[1]: 1.0}}
    physics = {"parameters": dict.fromkeys(names, domain), "variants": {"extrapolation": variants}}
    world = World.of_env(load_module(str(file)).make, physics, name="repeat")
    a, b = ready(world, 0, 0), ready(world, int(target == "number"), int(target == "action"))
    design = Design((target,), Budget(4096), (), Trials(64, allow_dead=True))
    found = layer_transfer(world, [a], design, tmp_path, [b])

    def reached(donor, side, kept, frozen):
        return found.row(donor, side, kept, frozen).returns["target"].value / STEPS

    blind = -1 / 3  # mean square of a number that nothing is known of
    other = "upper" if where == "lower" else "lower"
    assert reached("A", "lower", 2, True) < 0.8 * blind
    assert reached("B", "lower", 2, True) > 0.2 * blind
    assert reached("A", where, 1, True) < 0.8 * blind
    assert found.differences[where, 1].value < 4 * blind  # per episode
    assert found.differences[other, 1].value == 0.0
    for donor, side, frozen in product("AB", ("lower", "upper"), (True, False)):
        if (donor, side, frozen) != ("A", where, True):
            assert reached(donor, side, 1, frozen) > 0.5 * blind, (donor, side, frozen)
