"""Networks beside a frozen one: they act as it at first, and then as the formulas say."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.errors import InvalidValue, PolicyError
from sim2real.policy import Policy
from sim2real.policy.columns import add_column, add_residual

POLICY = Policy.load("furuta-nominal-0")
OBSERVATIONS = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)


def moved(policy, part):
    """The policy with other numbers in the layers of a part."""
    rng = np.random.default_rng(1)
    layers = [layer.name for layer in policy.network.layers if layer.kind == "dense"]
    keys = [key for name in layers if name.startswith(part) for key in policy.network.arrays_of(name)]
    drawn = {k: 3 * rng.normal(size=policy.weights[k].shape).astype(np.float32) for k in keys}
    return replace(policy, weights={**policy.weights, **drawn})


def test_residual_is_added_to_the_clipped_action_within_its_limit():
    added = add_residual(POLICY, 8, 0.3)
    base = POLICY.act(OBSERVATIONS)[0]
    assert np.array_equal(added.act(OBSERVATIONS)[0], base)
    assert (np.abs(base) == 1).any(), "some actions are full, and the residual can take away from them"
    other = moved(added, "residual.")
    x = (OBSERVATIONS - other.weights["normalizer.mean"]) / other.weights["normalizer.std"]
    for k in range(3):
        x = np.tanh(x @ other.weights[f"residual.{k}.weight"].T + other.weights[f"residual.{k}.bias"])
    np.testing.assert_allclose(other.act(OBSERVATIONS)[0], np.clip(base + 0.3 * x, -1, 1), atol=1e-5)
    assert 0.2 < np.abs(other.act(OBSERVATIONS)[0] - base).max() <= 0.3 + 1e-6


def test_column_reads_the_features_of_the_frozen_one():
    added = add_column(POLICY, 8)
    np.testing.assert_allclose(added.act(OBSERVATIONS)[0], POLICY.act(OBSERVATIONS)[0], atol=1e-6)
    w = moved(added, "column.").weights

    def dense(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = (OBSERVATIONS - w["normalizer.mean"]) / w["normalizer.std"]
    old_0, new_0 = np.tanh(dense("actor.0", x)), np.tanh(dense("column.0", x))
    old_1 = np.tanh(dense("actor.1", old_0))
    new_1 = np.tanh(dense("column.1", new_0) + dense("column.1.lateral", old_0))
    expected = np.clip(dense("column.2", new_1) + dense("column.2.lateral", old_1), -1, 1)
    np.testing.assert_allclose(moved(added, "column.").act(OBSERVATIONS)[0], expected, atol=1e-5)


def test_what_can_not_be_added_is_refused_by_name():
    for make in (
        lambda: add_residual(POLICY, 0, 0.3),
        lambda: add_residual(POLICY, 8, 0),
        lambda: add_column(POLICY, 0),
    ):
        with pytest.raises(InvalidValue, match="give at least 1"):
            make()
    with pytest.raises(PolicyError, match="no plain feedforward"):
        add_column(add_residual(POLICY, 8, 0.3), 8)
    with pytest.raises(PolicyError, match="several"):
        add_residual(add_residual(POLICY, 8, 0.3), 8, 0.3)
