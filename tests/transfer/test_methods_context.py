"""Policies conditioned on physics: shown in training, read as a context, and searched for in a target."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.errors import BudgetExhausted, InvalidValue, PolicyError
from sim2real.interface import Signal
from sim2real.policy import Layer, Policy
from sim2real.policy.columns import add_residual
from sim2real.transfer.conditioned import ShowsPhysics, _shown, _split
from sim2real.transfer.methods import METHODS
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import TransferSettings, transfer
from sim2real.world import World

WORLD = World.load("cartpole")
SOURCE, POLICY = Source(WORLD), Policy.load("cartpole-nominal-0")


def test_observations_end_with_the_physics_of_each_row_also_where_one_ends():
    env = ShowsPhysics(SOURCE.env(3, "training"))
    observation, _ = env.reset(seed=0)
    names, count = env.names, len(env.names)

    def scaled(row):
        values = env.env.physics(row)
        for name in names:
            low, high = WORLD.training_domain.parameters[name].support()
            f = np.log if WORLD.parameters[name].scale == "log" else float
            yield 2 * (f(values[name]) - f(low)) / (f(high) - f(low)) - 1

    ended = 0
    for _ in range(env.env.task.max_steps + 5):
        expected = np.array([list(scaled(row)) for row in range(3)])
        np.testing.assert_allclose(observation[:, -count:], expected, atol=1e-6)
        assert np.abs(expected).max() <= 1 + 1e-9
        observation, _, terminated, truncated, info = env.step(np.ones((3, 1), np.float32))
        for row in np.flatnonzero(terminated | truncated):
            np.testing.assert_allclose(info["final_obs"][row, -count:], expected[row], atol=1e-6)
            ended += 1
    assert ended


def test_what_is_learnt_of_shown_physics_is_read_as_context():
    signals = tuple(POLICY.contract.observation[:2])
    shown = _shown(POLICY, signals)
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=shown.weights["actor.0.weight"].shape).astype(np.float32)
    shown = replace(shown, weights={**shown.weights, "actor.0.weight": drawn})
    contract = replace(POLICY.contract, context=signals)
    split = _split(shown, contract)
    observations = rng.normal(size=(16, len(POLICY.contract.observation))).astype(np.float32)
    context = np.array([0.7, -1.2], np.float32)
    told = replace(split, weights={**split.weights, "context": context})
    both = np.hstack([observations, np.tile(context, (16, 1))])
    np.testing.assert_allclose(told.act(observations)[0], shown.act(both)[0], atol=1e-5)


def test_search_is_counted_stays_within_its_bound_and_leaves_weights_alone(tmp_path):
    target = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(episodes=17), 4)
    method = METHODS["context"](train_steps=4096, generations=3, population=6)
    adapted = transfer(POLICY, target, method, SOURCE, TransferSettings(seed=3, folder=tmp_path))
    kept = Policy.load(tmp_path / "conditioned")
    step = adapted.contract.provenance[-1]
    assert target.spent.episodes == 16, "two generations of 6 candidates in 4 rows"
    assert len(step.settings["returns"]) == 2
    assert [one.method for one in adapted.contract.provenance[-2:]] == ["condition", "context"]
    assert step.steps == target.spent.steps
    changed = {key for key in kept.weights if (kept.weights[key] != adapted.weights[key]).any()}
    assert changed == {"context"}
    assert np.abs(adapted.weights["context"]).max() <= 1.5
    again = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(episodes=8), 4)
    transfer(adapted, again, METHODS["context"](population=4), SOURCE)
    assert again.spent.episodes == 8, "a policy with a context needs no training"


def test_search_finds_a_context_that_is_worth_more():
    """A policy whose context is added to its action: away from 0 it pushes the cart to its end."""
    signal = Signal("push", "1")
    head = POLICY.network.outputs["action"]
    network = POLICY.network.inserted(
        head, Layer("push", "dense", ("context",)), Layer("pushed", "sum", (head, "push"))
    )
    weights = {"push.weight": np.ones((1, 1), np.float32), "push.bias": np.zeros(1, np.float32)}
    start = replace(
        POLICY,
        contract=replace(POLICY.contract, context=(signal,)),
        network=network,
        weights={**POLICY.weights, **weights, "context": np.full(1, 1.2, np.float32)},
    )
    target = TargetEnv(WORLD, WORLD.variant("nominal"), Budget(episodes=100), 10, seal=Seal(secret=0))
    found = transfer(start, target, METHODS["context"](generations=8), SOURCE, TransferSettings(seed=0))
    assert abs(found.weights["context"][0]) < 0.5
    trail = found.contract.provenance[-1].settings["returns"]
    assert trail[-1] > trail[0]


def test_what_can_not_be_searched_is_refused_before_anything_is_spent():
    target = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(episodes=3), 4)
    with pytest.raises(BudgetExhausted, match="a generation of 10"):
        transfer(POLICY, target, "context", SOURCE)
    target = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(episodes=40), 4)
    with pytest.raises(PolicyError, match="no plain feedforward"):
        transfer(add_residual(POLICY, 8, 0.3), target, "context", SOURCE)
    assert target.spent.episodes == 0
    with pytest.raises(InvalidValue, match="is out of reach"):
        METHODS["context"](population=3)
