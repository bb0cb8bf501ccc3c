"""Methods that look at the target without learning from its rewards: the normalizer's, and distillation."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.errors import BudgetExhausted, PolicyError, UnknownName
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.policy import Layer, Network, Policy
from sim2real.transfer.demonstrations import demonstrations
from sim2real.transfer.methods import METHODS
from sim2real.transfer.methods.normalizer import aligned
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.transfer.transfer import TransferSettings, transfer
from sim2real.world import World

WORLD, SOURCE = World.load("cartpole"), Source(World.load("cartpole"))
POLICY = Policy.load("cartpole-nominal-0")


def target_of(budget):
    return TargetEnv(WORLD, WORLD.variant("combined_a"), budget, 4)


def test_aligned_statistics_undo_another_scale_and_offset_of_each_signal():
    rng = np.random.default_rng(0)
    before = rng.normal([1, -2, 0.5], [1, 3, 0], size=(500, 3)).astype(np.float32)
    now = before * [2, 0.5, 1] + [3, -1, 7]
    mean, std = np.array([0.3, -1, 0], np.float32), np.array([2, 1, 1], np.float32)
    new_mean, new_std = aligned(mean, std, before, now)
    seen, meant = (now - new_mean) / new_std, (before - mean) / std
    np.testing.assert_allclose(seen[:, :2], meant[:, :2], atol=1e-4)
    assert (new_mean[2], new_std[2]) == (0, 1), "a signal that stands still keeps its statistics"


def test_normalizer_alone_moves_by_what_the_target_counts_for():
    target = target_of(Budget(steps=100))
    adapted = transfer(
        POLICY, target, METHODS["normalizer"](steps=20, trust=80), SOURCE, TransferSettings(seed=2)
    )
    fully = transfer(POLICY, target_of(Budget(steps=100)), METHODS["normalizer"](steps=20, trust=0), SOURCE)
    step = adapted.contract.provenance[-1]
    assert (step.method, step.steps, target.spent.steps) == ("normalizer", 80, 80)
    changed = {key for key in POLICY.weights if (POLICY.weights[key] != adapted.weights[key]).any()}
    assert changed == {"normalizer.mean", "normalizer.std"}
    assert (fully.weights["normalizer.std"] != adapted.weights["normalizer.std"]).any()


def test_policy_without_a_normalizer_is_refused_before_anything_is_spent():
    weights = {
        "act.weight": np.ones((1, len(POLICY.contract.observation)), np.float32),
        "act.bias": np.zeros(1, np.float32),
    }
    plain = Policy(
        POLICY.contract, Network((Layer("act", "dense", ("observation",)),), {"action": "act"}), weights
    )
    target = target_of(Budget(steps=100))
    with pytest.raises(PolicyError, match="normalizes observations"):
        transfer(plain, target, "normalizer", SOURCE)
    assert target.spent.steps == 0


def test_lessons_are_counted_and_hold_what_the_policy_does():
    target = target_of(Budget(steps=200))
    observations, actions = demonstrations(POLICY, target, 30, 0.2, 0)
    assert len(observations) == target.spent.steps == 120
    np.testing.assert_allclose(POLICY.act(observations)[0], actions, atol=1e-5)
    few = target_of(Budget(episodes=4))
    observations, _ = demonstrations(POLICY, few, 10_000, 3.0, 0)
    assert len(observations) == few.spent.steps, "rows that rest teach nothing"


def test_student_of_another_form_does_what_its_teachers_do():
    target, distill = target_of(Budget(steps=400)), METHODS["distill"]
    method = distill(
        teachers="cartpole-nominal-1 + cartpole-nominal-2",
        tune=0.0,
        source_steps=40,
        target_steps=20,
        width=32,
        epochs=30,
    )
    student = transfer(POLICY, target, method, SOURCE, TransferSettings(seed=1))
    step = student.contract.provenance[-1]
    assert target.spent.steps == step.steps == 3 * 4 * 20
    assert step.settings["source_steps"] == 3 * 64 * 40
    assert student.contract.label == "distill"
    assert student.weights["actor.0.weight"].shape[0] == 32
    observations, actions = demonstrations(POLICY, SOURCE.env(16), 40, 0.1, 9)
    untaught = fresh_policy(target, PPOSettings(hidden=(32, 32)), 1)
    errors = [np.abs(one.act(observations)[0] - actions).mean() for one in (student, untaught)]
    assert errors[0] < 0.5 * errors[1]


def test_a_tuned_copy_teaches_in_the_target_and_the_policy_in_the_source():
    target = target_of(Budget(steps=2_000))
    method = METHODS["distill"](tune=0.6, source_steps=20, target_steps=100, epochs=30)
    student = transfer(POLICY, target, method, SOURCE, TransferSettings(seed=1))
    step = student.contract.provenance[-1]
    assert target.spent.steps == step.steps == 4 * 256 + 4 * 100
    assert step.settings["source_steps"] == 64 * 20
    assert [s.method for s in student.contract.provenance[-2:]] == ["train", "distill"]


def test_distillation_refuses_what_it_can_not_do_before_anything_is_spent():
    target = target_of(Budget(steps=2))
    with pytest.raises(UnknownName, match="nobody"):
        transfer(POLICY, target, METHODS["distill"](teachers="nobody"), SOURCE)
    with pytest.raises(PolicyError, match="does not fit"):
        transfer(POLICY, target, METHODS["distill"](teachers="furuta-nominal-0"), SOURCE)
    with pytest.raises(BudgetExhausted, match="one in each of 4 rows"):
        transfer(POLICY, target, METHODS["distill"](source_steps=2, tune=0.0), SOURCE)
    with pytest.raises(BudgetExhausted, match="85% of 2 steps don't pay for one update of 256"):
        transfer(POLICY, target, "distill", SOURCE)
    assert target.spent.steps == 0
    with pytest.raises(UnknownName, match="domain of the source"):
        replace(METHODS["distill"](), domain="everywhere")
