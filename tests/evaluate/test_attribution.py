"""Attribution against enumerated permutations, separate evaluations, and planted culprits."""

import json
from itertools import permutations

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.attribution import attribute
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.evaluate.shapley import EXACT, Game
from sim2real.policy import Policy
from sim2real.world import World

HARMLESS = {"hinge.damping": 3e-6, "slider.damping": 0.0006}


@pytest.fixture(scope="module")
def cartpole():
    return World.load("cartpole")


@pytest.fixture(scope="module")
def policy():
    return Policy.load("cartpole-nominal-0")


def values_of(game, value):
    """A value function of sets, for all sets of a game."""
    return np.array([value(frozenset(np.flatnonzero(row).tolist())) for row in game.sets])


def enumerated(count, value):
    """Mean gain of each player over all orders."""
    orders, total = list(permutations(range(count))), np.zeros(count)
    for order in orders:
        for place, player in enumerate(order):
            total[player] += value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))
    return total / len(orders)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_shapley_against_all_permutations(count):
    rng = np.random.default_rng(count)
    table = {}

    def value(members):
        return table.setdefault(members, rng.normal())

    game = Game.of(count)
    assert len(game.sets) == 2**count
    values = values_of(game, value)
    np.testing.assert_allclose(game.shapley(values), enumerated(count, value), rtol=0, atol=1e-12)
    assert not game.sampling_error(values).any()


@pytest.mark.parametrize("count", [5, EXACT + 3])
def test_an_additive_game_gives_what_each_costs_alone(count):
    game, costs = Game.of(count), np.linspace(-1, 4, count)
    values = game.sets @ costs
    np.testing.assert_allclose(game.shapley(values), costs, rtol=0, atol=1e-12)
    assert [values[game.place(k)] for k in range(count)] == pytest.approx(costs)


def test_two_that_only_hurt_together_share_equally():
    game = Game.of(4)
    values = values_of(game, lambda members: 10.0 * ({1, 3} <= members))
    np.testing.assert_allclose(game.shapley(values), [0, 5, 0, 5], rtol=0, atol=1e-12)


def test_sampled_permutations_add_up_and_tell_how_far_they_are_off():
    count = 10
    pairs = np.triu(np.random.default_rng(0).normal(size=(count, count)), 1)
    cubes = np.random.default_rng(1).normal(size=count)

    def value(members):
        inside = np.isin(np.arange(count), list(members))
        return float(inside @ pairs @ inside + (inside @ cubes) ** 3)

    game, other = Game.of(count, seed=1), Game.of(count, seed=2)
    assert not game.exact
    assert len(game.sets) < 2**count / 2
    values, others = values_of(game, value), values_of(other, value)
    whole = frozenset(range(count))
    assert game.shapley(values).sum() == pytest.approx(value(whole) - value(frozenset()))
    apart = game.shapley(values) - other.shapley(others)
    error = np.hypot(game.sampling_error(values), other.sampling_error(others))
    assert error.max() > 0
    assert np.abs(apart / error).max() < 5
    # each order and its reverse: the share of each two in an interaction is exact
    two = values_of(game, lambda members: float(np.isin(np.arange(count), list(members)) @ pairs[:, 3]))
    assert game.sampling_error(two).max() < 1e-12


def test_a_planted_culprit_is_ranked_first_and_shares_add_up(cartpole, policy):
    target = Domain.point({**HARMLESS, "motor.strength": 0.3})
    found = attribute(cartpole, [policy], target, Trials(4))
    assert found.exact
    assert found.sets == 8
    first, *rest = found.causes
    assert first.name == "motor.strength"
    assert (first.source, first.target) == (1.0, 0.3)
    assert first.share.value > 10 * max(abs(cause.share.value) for cause in rest)
    assert sum(cause.share.value for cause in found.causes) == pytest.approx(found.drop.value)
    assert found.score[0].value - found.score[1].value == pytest.approx(found.drop.value)
    low, high = first.share.interval
    assert low <= first.share.value <= high
    assert "starts alone" in found.about


def test_values_against_an_evaluation_of_each_set_by_itself(cartpole):
    policies = [Policy.load(f"cartpole-nominal-{seed}") for seed in range(3)]
    physics = {"cart.mass": 1.6, "world.gravity": 8.0}
    trials = Trials(3, seed=5)
    sets = [{}, {"cart.mass": 1.6}, {"world.gravity": 8.0}, physics]
    means = [
        run_policies(cartpole, policies, [Domain.point(own)], trials)["return"]
        .reshape(3, -1, 3)[:, -1]
        .mean()
        for own in sets
    ]
    found = attribute(cartpole, policies, Domain.point(physics), trials)
    cause = {cause.name: cause for cause in found.causes}
    none, mass, gravity, both = means
    assert found.drop.value == pytest.approx(none - both)
    assert cause["cart.mass"].alone.value == pytest.approx(none - mass)
    assert cause["cart.mass"].last.value == pytest.approx(gravity - both)
    assert cause["cart.mass"].share.value == pytest.approx((none - mass + gravity - both) / 2)
    (pair,) = found.interactions
    assert pair.cost.value == pytest.approx(mass + gravity - none - both)
    assert found.drop.n == 3
    assert "3 policies" in found.about


def test_more_than_eight_parameters_are_sampled(cartpole, policy):
    names = cartpole.training_domain.names
    assert len(names) > EXACT
    (row,) = cartpole.training_domain.quantile(np.full((1, len(names)), 0.9))
    target = Domain.point(dict(zip(names, map(float, row), strict=True)))
    found = attribute(cartpole, [policy], target, Trials(1))
    assert not found.exact
    assert found.sets < 2 ** len(names)
    assert sum(cause.share.value for cause in found.causes) == pytest.approx(found.drop.value)
    assert max(cause.sampling_error for cause in found.causes) > 0
    assert found.drop.interval is None


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("nominal", InvalidValue, "no parameter can be a cause"),
        (Domain.point({"cart.mass": 1.0}), InvalidValue, "no parameter can be a cause"),
        (Domain({"cart.mass": Uniform(0.9, 1.1)}), InvalidValue, "one physics"),
        ("combined_x", UnknownName, "did you mean"),
    ],
    ids=["nominal", "nominal value", "distribution", "unknown"],
)
def test_targets_without_causes_are_refused(cartpole, policy, target, error, words):
    with pytest.raises(error, match=words):
        attribute(cartpole, [policy], target)


def test_policies_of_two_methods_are_refused(cartpole, policy):
    with pytest.raises(InvalidValue, match="2 methods"):
        attribute(cartpole, [policy, Policy.load("cartpole-randomized-0")], "combined_a")
    with pytest.raises(InvalidValue, match="no policies"):
        attribute(cartpole, [], "combined_a")


def test_the_command_writes_numbers_and_a_waterfall(tmp_path, capsys):
    target = tmp_path / "target.toml"
    Domain.point({"motor.strength": 0.3, "cart.mass": 1.1}).save(target)
    out = tmp_path / "out"
    policy = "cartpole-nominal-0"
    assert main(["attribute", policy, "--target", str(target), "--episodes", "2", "--out", str(out)]) == 0
    told = json.loads((out / "attribution.json").read_text())
    assert [cause["name"] for cause in told["causes"]] == ["motor.strength", "cart.mass"]
    assert (out / "waterfall.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "motor.strength" in shown
    assert "all 4 sets" in shown
    assert main(["attribute", policy, "--target", "nominal", "--out", str(out)]) == 2
    assert "no parameter can be a cause" in capsys.readouterr().err
