"""What goes wrong with any method: no budget left, another task's target, lacking parts, an interruption."""

import random
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from sim2real.errors import BudgetExhausted, PolicyError
from sim2real.policy import Network, Policy
from sim2real.transfer.methods import METHODS, Card
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import transfer
from sim2real.world import World

WORLD = World.load("cartpole")
POLICY = Policy.load("cartpole-nominal-0")
INTERRUPTED = ("fine-tune", "rehearsal", "low-rank", "elastic", "normalizer", "distill:tune=0")


def target_of(steps, world=WORLD):
    return TargetEnv(world, world.variant("combined_a"), Budget(steps=steps), 4, seal=Seal(secret=0))


@pytest.mark.parametrize("method", [name for name in METHODS if name != "zero-shot"])
def test_budget_that_is_spent_already_is_refused_by_every_method(method):
    target = target_of(40)
    target.reset()
    for _ in range(10):
        target.step(np.zeros((4, 1), np.float32))
    target.stop()
    before = target.spent
    assert target.steps_left == 0
    with pytest.raises(BudgetExhausted):
        transfer(POLICY, target, method, Source(WORLD))
    assert target.spent == before


@pytest.mark.parametrize("method", ["zero-shot", "fine-tune", "identify", "normalizer"])
def test_target_of_another_task_is_refused_before_anything_is_spent(method):
    world = World.load("hopper")
    target = target_of(4_096, world)
    with pytest.raises(PolicyError, match="'cartpole-nominal-0' does not fit"):
        transfer(POLICY, target, method, Source(world))
    assert target.spent.steps == 0


@dataclass(frozen=True)
class Needy:
    """A method that needs a context."""

    card: ClassVar[Card] = Card("needs a policy that is conditioned on physics", needs=("context",))

    def __call__(self, case):
        pytest.fail("it was called")


@pytest.mark.parametrize("method", ["fine-tune", "low-rank", "residual", "identify"])
def test_policy_without_a_critic_is_refused_by_what_needs_one(method):
    acting = {layer.name for layer in POLICY.network.order()}
    layers = tuple(layer for layer in POLICY.network.layers if layer.name in acting)
    network = Network(layers, {"action": POLICY.network.outputs["action"]})
    weights = {key: array for key, array in POLICY.weights.items() if not key.startswith("critic.")}
    target = target_of(4_096)
    with pytest.raises(PolicyError, match="needs a policy with a critic, as `sim2real train` makes"):
        transfer(replace(POLICY, network=network, weights=weights), target, method, Source(WORLD))
    assert target.spent.steps == 0


def test_policy_without_a_context_is_refused_by_what_needs_one():
    with pytest.raises(PolicyError, match="'Needy' needs a policy that is conditioned on physics"):
        transfer(POLICY, target_of(40), Needy())


@pytest.mark.slow
@pytest.mark.parametrize("method", INTERRUPTED)
def test_interruption_counts_what_was_spent_and_leaves_nothing_behind(method, monkeypatch):
    expected = transfer(POLICY, target_of(1_024), method, Source(WORLD))
    target, step, calls = target_of(1_024), TargetEnv.step, []

    def interrupted(self, actions):
        if self is target:
            calls.append(1)
            if len(calls) == 150:
                raise KeyboardInterrupt
        return step(self, actions)

    before = (torch.get_num_threads(), random.getstate())
    with monkeypatch.context() as patch:
        patch.setattr(TargetEnv, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            transfer(POLICY, target, method, Source(WORLD))
    after = (torch.get_num_threads(), random.getstate())
    assert target.spent.steps == 149 * 4
    assert target.steps_left == 1_024 - 149 * 4
    assert before == after
    assert "combined_a" in World.load("cartpole").variants
    # the same command again, as nothing of the first one is kept: the same policy
    again = transfer(POLICY, target_of(1_024), method, Source(WORLD))
    for name, array in expected.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)
