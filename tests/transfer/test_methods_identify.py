"""Methods that identify first: what they cost, where they train, and what stands in the provenance."""

import dataclasses

import pytest

from sim2real.distributions import LogUniform, Point, Uniform
from sim2real.domain import Domain
from sim2real.errors import BudgetExhausted, InvalidValue
from sim2real.policy import Policy
from sim2real.transfer.identify_and_train import _widened
from sim2real.transfer.methods import METHODS
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.transfer.transfer import TransferSettings, transfer
from sim2real.world import World

WORLD = World.load("cartpole")
POLICY = Policy.load("cartpole-nominal-0")
QUICK = {"record_steps": 40, "train_steps": 4096, "generations": 4, "population": 6}


def target_of(steps):
    return TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(steps=steps), 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["identify", "randomize-again"])
def test_physics_are_found_from_what_is_paid_for_and_trained_in(name, tmp_path):
    target = target_of(500)
    method = METHODS[name](**QUICK)
    adapted = transfer(POLICY, target, method, Source(WORLD), TransferSettings(seed=5, folder=tmp_path))
    found, trained = adapted.contract.provenance[-2:]
    assert (found.method, found.steps, found.seed) == ("identify", target.spent.steps, 5)
    assert found.settings["steps"] == target.spent.steps == 160
    assert (trained.method, trained.steps) == ("train", 4096)
    assert trained.settings["target"] == found.settings["target"] == target.name
    assert trained.settings["start"] == POLICY.name
    fitted = Domain.load(tmp_path / "round-0" / "identified.toml")
    assert (Domain.from_toml(trained.domain) == fitted) is (name == "identify")
    assert (adapted.contract.label, adapted.contract.seed) == (name, POLICY.contract.seed)


def test_budget_that_does_not_pay_is_refused_before_anything_is_spent(tmp_path):
    target = target_of(100)
    with pytest.raises(BudgetExhausted, match="record_steps 40"):
        transfer(
            POLICY, target, METHODS["identify"](**QUICK), Source(WORLD), TransferSettings(folder=tmp_path)
        )
    assert target.spent.steps == 0


def test_what_cannot_be_identified_is_refused_before_anything_is_spent_and_has_another_usual_method(tmp_path):
    fixed = {
        name: dataclasses.replace(p, low=p.nominal, high=p.nominal) for name, p in WORLD.parameters.items()
    }
    target = target_of(500)
    without = Source(dataclasses.replace(WORLD, parameters=fixed))
    with pytest.raises(InvalidValue, match=r"'identify' needs training ranges.*`sim2real methods` says what"):
        transfer(POLICY, target, "identify", without)
    assert target.spent.steps == 0
    assert transfer(POLICY, target, source=without).contract.label == "rehearsal"
    assert target.spent.steps > 0

    walking = World.load("quadruped")
    target = TargetEnv(walking, walking.variant("combined_a"), Budget(steps=500), 4)
    policy = Policy.load("quadruped-nominal-0")
    with pytest.raises(InvalidValue, match=r"'identify' needs a task whose observations tell the state"):
        transfer(policy, target, "identify", Source(walking))
    assert target.spent.steps == 0
    assert transfer(policy, target).contract.label == "fine-tune"


def test_settings_that_lead_nowhere_are_refused():
    for bad in ({"rounds": 0}, {"widen": -0.1}, {"generations": 0}):
        with pytest.raises(InvalidValue):
            dataclasses.replace(METHODS["identify"](), **bad)


def test_widened_domain_reaches_around_what_was_found_and_stays_within_its_ranges():
    bounds = Domain(
        {
            "pole.mass": Uniform(0.1, 0.3),
            "slider.damping": LogUniform(0.01, 1.0),
            "motor.latency": Uniform(0, 10),
            "motor.strength": Uniform(0.5, 1.5),
        }
    )
    physics = {"pole.mass": 0.2, "slider.damping": 0.1, "motor.latency": 4, "motor.strength": 1.45}
    got = _widened(Domain.point(physics), physics, bounds, 0.1).parameters
    assert got["pole.mass"].support() == pytest.approx((0.18, 0.22))
    assert got["slider.damping"].support() == pytest.approx((0.1 / 100**0.1, 0.1 * 100**0.1))
    assert isinstance(got["slider.damping"], LogUniform)
    assert got["motor.latency"].support() == (3, 5)
    assert got["motor.strength"].support() == pytest.approx((1.35, 1.5))
    assert _widened(Domain.point(physics), physics, bounds, 0.01).parameters["motor.latency"] == Point(4.0)
