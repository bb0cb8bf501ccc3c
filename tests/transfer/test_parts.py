"""What learns is what was said, added layers begin as nothing, and counts are those of the papers' tables."""

import numpy as np
import pytest

from sim2real.errors import InvalidValue, UnknownName
from sim2real.policy import Policy
from sim2real.transfer.fine_tune import FineTuneSettings
from sim2real.transfer.methods import METHODS, make_method
from sim2real.transfer.parts import Parts
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import transfer
from sim2real.world import World

POLICY = Policy.load("furuta-nominal-0")
WORLD = World.load("furuta")
OBSERVATIONS = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)

COUNTS = {
    "fine-tune": 4673,
    "feature-extraction": 65,
    "partial": 4225,
    "unfreezing": 4673,
    "biases": 129,
    "low-rank": 792,
    "adapters": 4256,
    "residual": 4673,
    "progressive": 8898,
}
TUNINGS = [
    name
    for name, factory in METHODS.items()
    if issubclass(factory, FineTuneSettings) and name != "from-scratch"
]


@pytest.mark.parametrize("name", COUNTS)
def test_trained_weights_are_counted_and_what_is_added_changes_nothing(name):
    method = make_method(name)
    start = method.added_to(POLICY, 0)
    assert method.count(start) == COUNTS[name]
    np.testing.assert_allclose(start.act(OBSERVATIONS)[0], POLICY.act(OBSERVATIONS)[0], atol=1e-6)


@pytest.mark.parametrize("name", TUNINGS)
def test_method_moves_what_it_says_and_nothing_else_of_what_acts(name):
    target = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(steps=4_096), seal=Seal(secret=0))
    adapted = transfer(POLICY, target, make_method(name, {"epochs": 1}), Source(WORLD))
    assert adapted.contract.label == name
    after = adapted.weights
    before = {key: array for key, array in POLICY.weights.items() if key in after}
    moved = {key for key in before if key.startswith("actor") and (before[key] != after[key]).any()}
    layers = {f"actor.{k}.{kind}" for k in range(3) for kind in ("weight", "bias")}
    expected = {
        "feature-extraction": {"actor.2.weight", "actor.2.bias"},
        "partial": {key for key in layers if not key.startswith("actor.0")},
        "biases": {key for key in layers if key.endswith("bias")},
        "low-rank": {"actor.0.weight", "actor.1.weight"},
    }
    beside = name in ("adapters", "residual", "progressive")
    assert moved == (set() if beside else expected.get(name, layers))
    if not beside:
        assert adapted.network == POLICY.network


def test_layers_begin_to_learn_from_the_head_on():
    free = Parts(unfreeze=0.5, critic_warmup=0.1).free(POLICY.network)
    open_at = {
        done: {name for name in free(done) if name.startswith("actor")} for done in (0.1, 0.2, 0.3, 0.6)
    }
    assert open_at[0.1] == set()
    assert open_at[0.2] == {"actor.2"}
    assert open_at[0.3] == {"actor.1", "actor.2"}
    assert open_at[0.6] == {"actor.0", "actor.1", "actor.2"}


def test_lower_layers_learn_slower():
    rates = Parts(layer_decay=0.5).rates(POLICY.network)
    assert rates == {"actor.2": 1.0, "actor.1": 0.5, "actor.0": 0.25}


def test_new_head_begins_close_to_no_action():
    start = Parts(new_head=True, top=1).added_to(POLICY, 0)
    assert np.abs(start.act(OBSERVATIONS)[0]).max() < 0.1
    np.testing.assert_array_equal(start.weights["actor.1.weight"], POLICY.weights["actor.1.weight"])


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"learns": "some"}, UnknownName, "unknown part that learns 'some'"),
        ({"unfreeze": 1.0}, InvalidValue, "unfreeze = 1"),
        ({"layer_decay": 0.0}, InvalidValue, "layer_decay = 0"),
        ({"schedule": "steep"}, UnknownName, "unknown schedule"),
    ],
)
def test_parts_that_there_are_not_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        FineTuneSettings(**settings)


def test_rank_above_a_layers_width_is_refused_before_anything_is_spent():
    target = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(steps=4_096), seal=Seal(secret=0))
    with pytest.raises(InvalidValue, match="a rank of 65"):
        transfer(POLICY, target, make_method("low-rank", {"rank": 65}))
    assert target.spent.steps == 0


def test_setting_of_another_type_is_refused():
    with pytest.raises(InvalidValue, match="rank"):
        make_method("low-rank", {"rank": "four"})
    with pytest.raises(UnknownName, match="unknown setting of the method 'low-rank' 'ranks'"):
        make_method("low-rank", {"ranks": 4})
