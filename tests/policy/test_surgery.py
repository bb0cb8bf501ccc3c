"""Low-rank layers and adapters change nothing at first, merge exactly, and parts are found by depth."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.policy import Layer, Network, Policy
from sim2real.policy.surgery import (
    add_adapter,
    add_low_rank,
    averaged,
    count_weights,
    layers_by_depth,
    merge_low_rank,
)


@pytest.fixture
def policy():
    return Policy.load("hopper-nominal-0")


@pytest.fixture
def observation(policy):
    return np.random.default_rng(0).normal(size=(50, len(policy.contract.observation))).astype(np.float32)


def moved(policy, *layers):
    """The policy with the arrays of some layers changed."""
    rng, weights = np.random.default_rng(1), dict(policy.weights)
    for name in layers:
        for key in policy.network.arrays_of(name):
            weights[key] = (weights[key] + 0.1 * rng.normal(size=weights[key].shape)).astype(np.float32)
    return replace(policy, weights=weights)


def test_trunk_and_head_by_depth(policy):
    assert layers_by_depth(policy.network) == (("actor.0",), ("actor.1",), ("actor.2",))
    assert layers_by_depth(policy.network, "value")[-1] == ("critic.2",)
    grown = add_adapter(add_low_rank(policy, ("actor.1",), 2), "actor.0", 3)
    assert layers_by_depth(grown.network) == (
        ("actor.0",),
        ("actor.0.adapter.down",),
        ("actor.0.adapter.up",),
        ("actor.1", "actor.1.lora"),
        ("actor.2",),
    )


def test_two_columns_have_one_depth():
    layers = (
        Layer("a", "dense", ("observation",)),
        Layer("b", "dense", ("observation",)),
        Layer("b.tanh", "tanh", ("b",)),
        Layer("both", "concat", ("a", "b.tanh")),
        Layer("c", "dense", ("both",)),
        Layer("scale", "affine", ("c",)),
    )
    parts = layers_by_depth(Network(layers, {"action": "scale"}))
    assert [set(part) for part in parts] == [{"a", "b"}, {"c"}, {"scale"}]


def test_low_rank_changes_nothing_at_first_and_merges_exactly(policy, observation):
    lora = add_low_rank(policy, ("actor.0", "actor.1", "critic.0"), 3, factor=2.0)
    np.testing.assert_array_equal(lora.act(observation)[0], policy.act(observation)[0])
    sizes = sum(sum(policy.weights[f"{name}.weight"].shape) for name in ("actor.0", "actor.1"))
    assert count_weights(lora, ("actor.0.lora", "actor.1.lora")) == 3 * sizes
    trained = moved(lora, "actor.0.lora", "actor.1.lora", "critic.0.lora")
    merged = merge_low_rank(trained)
    assert merged.network == policy.network
    assert set(merged.weights) == set(policy.weights)
    for name in ("actor.0", "actor.1", "critic.0"):
        up, down = (trained.weights[f"{name}.lora.{array}"].astype(float) for array in "BA")
        wanted = (policy.weights[f"{name}.weight"] + 2.0 * up @ down).astype(np.float32)
        np.testing.assert_array_equal(merged.weights[f"{name}.weight"], wanted)
    assert not np.allclose(merged.act(observation)[0], policy.act(observation)[0], atol=1e-2)
    np.testing.assert_allclose(merged.act(observation)[0], trained.act(observation)[0], atol=2e-6)


def test_an_adapter_changes_nothing_at_first(policy, observation, tmp_path):
    grown = add_adapter(policy, "actor.0.tanh", 4, "silu")
    np.testing.assert_array_equal(grown.act(observation)[0], policy.act(observation)[0])
    hidden = policy.weights["actor.0.weight"].shape[0]
    names = ("actor.0.tanh.adapter.down", "actor.0.tanh.adapter.up")
    assert count_weights(grown, names) == 2 * 4 * hidden + 4 + hidden
    trained = moved(grown, *names)
    assert not np.allclose(trained.act(observation)[0], policy.act(observation)[0], atol=1e-2)
    trained.save(tmp_path / "grown")
    np.testing.assert_array_equal(
        Policy.load(tmp_path / "grown").act(observation)[0], trained.act(observation)[0]
    )


def test_averages_of_weights(policy):
    other = moved(policy, "actor.0", "normalizer")
    third = averaged(policy, other, 0.25)
    for key, array in policy.weights.items():
        wanted = 0.75 * array.astype(float) + 0.25 * other.weights[key].astype(float)
        np.testing.assert_array_equal(third.weights[key], wanted.astype(np.float32))
    assert third.contract == policy.contract
    with pytest.raises(PolicyError, match="have different networks; none is their mean"):
        averaged(policy, add_low_rank(policy, ("actor.0",), 1))
    with pytest.raises(PolicyError, match="have different networks"):
        averaged(policy, Policy.load("furuta-nominal-0"))
    with pytest.raises(InvalidValue, match=r"a share of 1\.5 of 'hopper-nominal-0'; give 0 to 1"):
        averaged(policy, policy, 1.5)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda p: add_low_rank(p, ("actor.9",), 2), UnknownName, "unknown layer 'actor.9': did you mean"),
        (lambda p: add_low_rank(p, ("actor.0.tanh",), 2), PolicyError, "is of kind tanh; only a dense"),
        (lambda p: add_low_rank(p, ("actor.2",), 4), InvalidValue, "whose weight has shape (3,"),
        (lambda p: add_low_rank(p, ("actor.0",), 0), InvalidValue, "a rank of 0 for layer 'actor.0'"),
        (lambda p: add_low_rank(p, ("actor.0",) * 2, 2), PolicyError, "several 'actor.0.lora'"),
        (lambda p: add_adapter(p, "actor.0", 0), InvalidValue, "an adapter of width 0 for layer 'actor.0'"),
        (lambda p: add_adapter(p, "actor.9", 2), UnknownName, "unknown layer 'actor.9'"),
        (lambda p: add_adapter(p, "actor.0", 2, "rel"), PolicyError, "unknown kind 'rel': did you mean"),
        (lambda p: count_weights(p, ("nobody",)), UnknownName, "unknown layer 'nobody'"),
    ],
)  # fmt: skip
def test_surgery_that_cannot_be_done(policy, change, error, said):
    with pytest.raises(error, match=re.escape(said)):
        change(policy)


def test_a_low_rank_layer_that_stands_alone_stays(policy):
    lora = add_low_rank(policy, ("actor.0",), 2)
    layers = [
        replace(layer, inputs=("actor.0.lora",)) if layer.name == "actor.0.tanh" else layer
        for layer in lora.network.layers
    ]
    alone = Network(
        tuple(x for x in layers if x.name not in ("actor.0", "actor.0.lora.sum")), dict(lora.network.outputs)
    )
    weights = {k: v for k, v in lora.weights.items() if k not in ("actor.0.weight", "actor.0.bias")}
    with pytest.raises(PolicyError, match=r"layer 'actor\.0\.lora' is not simply added to a dense layer"):
        merge_low_rank(replace(lora, network=alone, weights=weights))
