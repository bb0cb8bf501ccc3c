"""Methods that look at the target without learning from its rewards: the normalizer's, and distillation."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.errors import BudgetExhausted, InvalidValue, PolicyError, UnknownName
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.parameters import Parameter
from sim2real.policy import Layer, Network, Policy
from sim2real.transfer.demonstrations import demonstrations, returns_in_target
from sim2real.transfer.methods import METHODS
from sim2real.transfer.methods.normalizer import aligned
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import TransferSettings, transfer
from sim2real.world import World

WORLD, SOURCE = World.load("cartpole"), Source(World.load("cartpole"))
POLICY = Policy.load("cartpole-nominal-0")


def target_of(budget):
    return TargetEnv(WORLD, WORLD.variant("combined_a"), budget, 4)


def episodes_of(rng, count, steps=40, deviation=(1.0, 3.0, 0.0), between=0.5):
    """Of three signals whose steps correlate: each episode is somewhere else, the third stands still."""
    own = between * np.array(deviation) * rng.normal(size=(count, 1, 3))
    return list(rng.normal([1, -2, 0.5], deviation, size=(count, steps, 3)) + own)


def test_aligned_statistics_undo_another_scale_and_offset_of_each_signal():
    rng = np.random.default_rng(0)
    before = episodes_of(rng, 30)
    now = [episode * [2, 0.5, 1] + [30, -10, 7] for episode in before]
    mean, std = np.array([0.3, -1, 0]), np.array([2.0, 1, 1])
    new_mean, new_std = aligned(mean, std, before, now)
    # of a shift by t standard errors, 1 - (c / t)² of the way: nearly all of these
    np.testing.assert_allclose(new_std[:2], [4, 0.5], rtol=0.1)
    seen = (np.concatenate(now) - new_mean) / new_std
    meant = (np.concatenate(before) - mean) / std
    np.testing.assert_allclose(seen[:, :2].mean(axis=0), meant[:, :2].mean(axis=0), atol=0.3)
    assert (new_mean[2], new_std[2]) == (0, 1), "a signal that stands still keeps its statistics"


def test_statistics_that_differ_by_chance_alone_stay_to_the_bit():
    rng, mean, std = np.random.default_rng(1), np.array([0.3, -1, 0]), np.array([2.0, 1, 1])
    changed = 0
    for _ in range(200):
        found = aligned(mean, std, episodes_of(rng, 64), episodes_of(rng, 16))
        changed += any((new != old).any() for new, old in zip(found, (mean, std), strict=True))
    # 5 % as told, by three standard errors of the count
    assert changed <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_one_episode_shows_nothing():
    rng, mean, std = np.random.default_rng(2), np.zeros(3), np.ones(3)
    found = aligned(mean, std, episodes_of(rng, 64), [episodes_of(rng, 1)[0] + 100])
    assert (found[0] == mean).all()
    assert (found[1] == std).all()


def test_normalizer_changes_what_the_policy_sees_by_and_nothing_else():
    target = target_of(Budget(steps=1000))
    adapted = transfer(POLICY, target, METHODS["normalizer"](look_steps=20), SOURCE, TransferSettings(seed=2))
    step = adapted.contract.provenance[-1]
    assert (step.method, step.steps, step.settings["look_steps"]) == ("normalizer", target.spent.steps, 20)
    changed = {key for key in POLICY.weights if (POLICY.weights[key] != adapted.weights[key]).any()}
    assert changed == ({"normalizer.mean", "normalizer.std"} if step.settings["share"] else set())
    with pytest.raises(InvalidValue, match="level = 1"):
        METHODS["normalizer"](level=1.0)


def test_normalizer_leaves_a_target_like_home_alone_and_tries_nothing_there():
    policy = Policy.load("cartpole-randomized-0")
    home = TargetEnv(WORLD, WORLD.training_domain, Budget(steps=20_000), 16, seal=Seal(secret=0))
    same = transfer(policy, home, METHODS["normalizer"](look_steps=100), SOURCE, TransferSettings(seed=3))
    assert all((policy.weights[key] == same.weights[key]).all() for key in policy.weights)
    assert home.spent.steps <= 1_600


@pytest.mark.slow
def test_normalizer_undoes_the_gain_of_a_sensor_as_far_as_episodes_show_that_it_helps():
    world = World.load("furuta")
    gain = Parameter("pole_velocity.sensor_gain", "1", 1.0, 1.0, 1.0, "made up", ("pole_velocity",))
    doubled = replace(world, parameters={**world.parameters, gain.name: gain})
    physics = Domain({gain.name: Point(2.0)})
    policy, budget = Policy.load("furuta-randomized-1"), Budget(steps=50_000)
    target = TargetEnv(doubled, physics, budget, 16, seal=Seal(secret=0))
    adapted = transfer(policy, target, "normalizer", Source(world), TransferSettings(seed=1))
    told = adapted.contract.provenance[-1].settings
    assert told["share"] > 0
    assert 0 < told["steps"] < told["episodes"] * 400
    # tried again in a target of other draws
    again = TargetEnv(doubled, physics, budget, 32, seal=Seal(secret=1))
    before, after = (returns_in_target(again, one, 5).mean() for one in (policy, adapted))
    assert after > before + 20
    k = [signal.name for signal in policy.contract.observation].index("pole_velocity")
    ratio = adapted.weights["normalizer.std"] / policy.weights["normalizer.std"]
    assert ratio.argmax() == k, "the signal whose gain is another is scaled most"


def test_normalizer_takes_nothing_that_the_budget_does_not_pay_for_trying():
    target = target_of(Budget(steps=80))
    kept = transfer(POLICY, target, METHODS["normalizer"](look_steps=20), SOURCE, TransferSettings(seed=2))
    assert kept.contract.provenance[-1].settings["share"] == 0
    assert all((POLICY.weights[key] == kept.weights[key]).all() for key in POLICY.weights)


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
