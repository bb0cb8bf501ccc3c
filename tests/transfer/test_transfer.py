"""One call for every method: what it checks before, closes meanwhile, and refuses afterwards."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from sim2real.errors import BudgetExhausted, InvalidValue, PolicyError, UnknownName
from sim2real.policy import Policy
from sim2real.transfer.methods import METHODS, Card, make_method, read_method, register_method
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import TransferSettings, transfer
from sim2real.world import World

WORLD = World.load("cartpole")
POLICY = Policy.load("cartpole-nominal-0")


def target_of(steps):
    return TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(steps=steps), 4, seal=Seal(secret=0))


@dataclass(frozen=True)
class Own:
    """A method that does what a test wants."""

    card: ClassVar[Card] = Card("does as it is told")
    does: object = None

    def __call__(self, case):
        return self.does(case)


def steps_past_the_budget(case):
    case.target.reset()
    while True:
        case.target.step(np.zeros((case.target.num_envs, 1), np.float32))


def raises(case):
    raise KeyError("of its own")


@pytest.mark.parametrize(
    ("does", "error", "says"),
    [
        (steps_past_the_budget, BudgetExhausted, "budget"),
        (raises, InvalidValue, "'Own' raised KeyError: 'of its own' .test_transfer.py, line"),
        (lambda case: None, PolicyError, "'Own' returned NoneType"),
        (lambda case: Policy.load("furuta-nominal-0"), PolicyError, "does not fit"),
    ],
)
def test_method_of_ones_own_that_misbehaves_is_named(does, error, says):
    with pytest.raises(error, match=says):
        transfer(POLICY, target_of(40), Own(does))


def test_result_says_what_was_done_and_what_it_cost():
    target = target_of(40)

    def does(case):
        case.target.reset()
        case.target.step(np.zeros((4, 1), np.float32))
        return replace(case.policy, name="new")

    adapted = transfer(POLICY, target, Own(does))
    step = adapted.contract.provenance[-1]
    assert (adapted.contract.label, step.method, step.steps) == ("Own", "Own", 4)
    assert step.settings["target"] == target.name


def test_held_out_variants_are_shut_while_a_method_runs():
    def does(case):
        assert set(World.load("cartpole").variants) == {"nominal"}
        return case.policy

    assert transfer(POLICY, target_of(40), Own(does)) is POLICY
    assert "combined_a" in World.load("cartpole").variants


def test_need_is_checked_before_anything_is_spent():
    target = target_of(4_096)
    with pytest.raises(InvalidValue, match="'rehearsal' needs a source"):
        transfer(POLICY, target, "rehearsal")
    assert target.spent.steps == 0


def test_zero_shot_spends_nothing():
    target = target_of(40)
    assert transfer(POLICY, target, "zero-shot") is POLICY
    assert target.spent.steps == 0


def test_registered_method_is_found_by_its_name():
    with METHODS.aside():
        register_method("own")(Own)
        adapted = transfer(
            POLICY, target_of(40), METHODS["own"](does=lambda case: replace(case.policy, name="n"))
        )
        assert adapted.contract.label == "own"
    with pytest.raises(UnknownName, match="zero-shot"):
        transfer(POLICY, target_of(40), "zero-shoot")


def test_settings_stand_behind_the_name():
    method = read_method("rehearsal:average=0.1,rehearse=training")
    assert (method.average, method.rehearse, method.rehearsal) == (0.1, "training", 0.6)


@pytest.mark.parametrize(
    ("spec", "idle"),
    [
        ("fine-tune:rank=2", "rank"),
        ("low-rank:width=8", "width"),
        ("adapters:limit=0.5", "limit"),
        ("residual:top=1,rank=2", "rank, top"),
        ("fine-tune:rehearse=training", "rehearse"),
    ],
)
def test_setting_that_changes_nothing_is_refused(spec, idle):
    with pytest.raises(InvalidValue, match=f"^{idle} changes nothing of the method"):
        read_method(spec)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("low-rank", {"rank": 2, "top": 1}),
        ("residual", {"limit": 0.5, "width": 8}),
        ("anchored", {"rehearse": "training"}),
        ("biases", {"top": 1}),
    ],
)
def test_setting_that_acts_is_taken(name, settings):
    method = make_method(name, settings)
    assert {key: getattr(method, key) for key in settings} == settings


def test_what_is_no_method_is_refused():
    with pytest.raises(InvalidValue, match="is no method"):
        register_method("one")(lambda case: case.policy)


def test_rehearsal_spends_the_budget_and_signs_it():
    target = target_of(1_100)
    adapted = transfer(POLICY, target, "rehearsal", Source(WORLD), TransferSettings(seed=3))
    step = adapted.contract.provenance[-1]
    assert step.steps == target.spent.steps == 1_024
    assert step.settings["source_steps"] == 1_536  # six rows beside four
    assert (adapted.contract.label, step.seed) == ("rehearsal", 3)


@pytest.mark.slow
def test_from_scratch_knows_nothing_of_the_source():
    target = target_of(8_192)
    adapted = transfer(POLICY, target, "from-scratch")
    (step,) = adapted.contract.provenance
    assert step.steps == target.spent.steps == 8_192
    assert {k: v.shape for k, v in adapted.weights.items()} == {k: v.shape for k, v in POLICY.weights.items()}
    apart = np.corrcoef(adapted.weights["actor.1.weight"].ravel(), POLICY.weights["actor.1.weight"].ravel())
    assert abs(apart[0, 1]) < 0.1
