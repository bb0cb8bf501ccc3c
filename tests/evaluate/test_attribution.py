"""Attribution against enumerated permutations, separate evaluations, and planted culprits."""

import json
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from sim2real.cli import main
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.attribution import attribute, kind_of
from sim2real.evaluate.losses import Losses, only_together
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
    assert game.sampling_error(values, range(count)) == 0


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
    error = np.hypot(
        *([g.sampling_error(v, [k]) for k in range(count)] for g, v in ((game, values), (other, others)))
    )
    assert error.max() > 0
    assert np.abs(apart / error).max() < 5
    # the drop itself, which is the share of all together, is exact
    assert game.sampling_error(values, range(count)) < 1e-9
    # each order and its reverse: the share of each two in an interaction is exact
    two = values_of(game, lambda members: float(np.isin(np.arange(count), list(members)) @ pairs[:, 3]))
    assert max(game.sampling_error(two, [k]) for k in range(count)) < 1e-12


def made(costs, pair, seeds=5, starts=16, seed=0):
    """Losses of a made-up game: additive costs, one cost of the first two together, spread over all."""
    rng, game = np.random.default_rng(seed), Game.of(len(costs))
    own = np.asarray(costs) + rng.normal(0, 0.5, (seeds, len(costs)))
    sets = game.sets.astype(float)
    lost = own @ sets.T + pair * (sets[:, 0] * sets[:, 1])
    noise = rng.normal(0, 1, (seeds, 1, starts)) * sets.any(axis=1)[:, None] + rng.normal(0, 1, starts)
    return Losses(game, 100 - lost[:, :, None] - noise, seed)


def test_two_that_only_hurt_together_are_told():
    losses = made([0.0, 0.0, 8.0], 20.0)
    cost, alone = losses.interaction(0, 1), [losses.alone(k) for k in range(3)]
    assert cost.value == pytest.approx(20, abs=1)
    assert only_together(alone[:2], cost)
    assert not only_together(alone[1:], losses.interaction(1, 2))
    assert losses.share(0).value == pytest.approx(10, abs=1)
    assert losses.share(0, 1).value == pytest.approx(losses.share(0).value + losses.share(1).value)
    assert losses.share(0, 1, 2).value == pytest.approx(losses.drop().value)


def test_how_much_the_drop_depends_on_the_start():
    losses = made([5.0, 3.0], 0.0, seeds=8, starts=400)
    spread = losses.by_start()
    assert spread.value == pytest.approx(1 / np.sqrt(8), rel=0.15)  # noise of a seed, averaged over eight
    assert spread.interval[0] < 1 / np.sqrt(8) < spread.interval[1]


def test_kinds_of_parameters():
    kinds = {
        "encoders.noise": "sensors",
        "hip.encoder_offset": "sensors",
        "motor.latency": "actuators",
        "motor.strength": "actuators",
        "motor.strength.drift": "actuators",
        "pole.mass": "dynamics",
        "trunk.push": "dynamics",
    }
    assert {name: kind_of(name) for name in kinds} == kinds


def test_kinds_cost_together_what_an_evaluation_of_them_says(cartpole, policy):
    target = Domain.point({"motor.strength": 0.5, "motor.latency": 5, "pole.mass": 0.3})
    trials = Trials(4, seed=5)
    found = attribute(cartpole, [policy], target, trials)
    parts = {part.kind: part for part in found.parts}
    assert set(parts) == {"actuators", "dynamics"}
    assert sum(part.share.value for part in found.parts) == pytest.approx(found.drop.value)
    both = Domain.point({"motor.strength": 0.5, "motor.latency": 5})
    table = run_policies(cartpole, [policy], [both], trials)
    home, away = (table["return"][table["variant"] == v].mean() for v in ("nominal", "domain_1"))
    assert parts["actuators"].alone.value == pytest.approx(home - away)


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


@pytest.mark.slow
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


def test_what_changes_nothing_costs_exactly_nothing():
    game = Game.of(5)
    returns = 300 + np.random.default_rng(0).normal(0, 20, (1, 1, 32)) - 7.3 * game.sets[:, [0]]
    assert Losses(game, returns).share(3).interval == (0.0, 0.0)


def test_starts_are_the_units_of_a_single_policy():
    """Student's interval of scipy, and no certainty from rounding that every start has alike."""
    rng, game = np.random.default_rng(3), Game.of(2)
    returns = 300 + 20 * rng.normal(size=(1, 1, 12)) - np.array([0, 5, 2, 7])[:, None] * rng.normal(size=12)
    losses = Losses(game, returns + 0.1)
    drop = losses.whole[0]
    low, high = stats.t.interval(0.95, len(drop) - 1, drop.mean(), stats.sem(drop))
    assert losses.drop().interval == pytest.approx((low, high), rel=1e-9)
    additive = game.sets @ np.array([0.1, 0.3])
    losses = Losses(game, 300 + 20 * rng.normal(size=(1, 1, 12)) - additive[:, None])
    assert losses.interaction(0, 1).interval == (0.0, 0.0)
    assert Losses(game, returns[..., :2]).drop().interval is None
    assert Losses(game, returns[..., :2]).about.startswith("nothing: 3 policies or 3 episodes")


def test_planted_rates_are_what_the_script_prints():
    """A small share of ``scripts/coverage_attribution.py``."""
    held, first, alarms = [], [], []
    for seed in range(60):
        losses = made([6.0, 2.0, 0.0], 0.0, seeds=4, seed=seed)
        shares = [losses.share(k) for k in range(3)]
        held += [
            s.interval[0] <= true <= s.interval[1] for s, true in zip(shares, (6.0, 2.0, 0.0), strict=True)
        ]
        first.append(max(shares, key=lambda s: s.value) is shares[0])
        alarms.append(shares[2].interval[0] > 0)
    assert np.mean(held) > 0.88
    assert np.mean(first) > 0.95
    assert np.mean(alarms) < 0.1
