"""The search against a grid, and the robust radius against a plain scan, on the real cart-pole."""

import json
import math

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import LogUniform, Normal, Point, Samples, Uniform
from sim2real.domain import Domain
from sim2real.errors import DeadParameter, InvalidValue
from sim2real.evaluate.outcomes import tried
from sim2real.evaluate.robust_radius import Bisection, robust_radius, scaled_box
from sim2real.evaluate.rollouts import Trials, episode_returns
from sim2real.evaluate.solved_map import solved_map
from sim2real.evaluate.statistics import wilson
from sim2real.evaluate.worst_case import Search, worst_case
from sim2real.foreign import load_policy
from sim2real.world import Variant, World

STRENGTH = Domain({"motor.strength": Uniform(0.3, 1.2), "cart.mass": Uniform(0.8, 1.2)})
QUICK = Search(generations=4, episodes=4, fresh=64)


@pytest.fixture(scope="module")
def cartpole():
    return World.load("cartpole")


@pytest.fixture(scope="module")
def policy():
    return load_policy("cartpole-nominal-0")


@pytest.mark.slow
def test_the_search_is_no_worse_than_a_grid_of_many_more_rollouts(cartpole, policy):
    domain = Domain({"pole.mass": Uniform(0.1, 0.4), "motor.latency": Uniform(0, 12)})
    found = worst_case(cartpole, [policy], domain, QUICK)
    grid = [
        Variant(f"{m:g} {k}", "combined", {"pole.mass": m, "motor.latency": k})
        for m in np.linspace(0.1, 0.4, 5)
        for k in (0, 3, 6, 9, 12)
    ]
    least = min(r.mean() for r in episode_returns(cartpole, policy, grid, Trials(32, seed=5)).values())
    at_nominal = episode_returns(cartpole, policy, [Variant("nominal", "control", {})], Trials(32, seed=5))
    assert found.searched < len(grid) * 32 / 4
    assert found.returns.value <= least + 0.1 * (at_nominal["nominal"].mean() - least)
    assert 0.1 <= found.physics["pole.mass"] <= 0.4
    assert found.physics["motor.latency"] in range(13)


@pytest.mark.slow
def test_a_search_repeats_and_its_return_is_that_of_fresh_episodes(cartpole, policy):
    search = Search(generations=2, population=4, episodes=2, fresh=16)
    found, again = (worst_case(cartpole, [policy, policy], STRENGTH, search) for _ in range(2))
    assert found == again
    (plain,) = episode_returns(
        cartpole, policy, [Variant("v", "combined", found.physics)], search.trials(16, 2)
    ).values()
    assert found.returns.value == pytest.approx(plain.mean())
    half = 2.1314 * plain.std(ddof=1) / 4  # Student's quantile of 15 degrees of freedom
    assert found.returns.interval == pytest.approx((plain.mean() - half, plain.mean() + half), rel=1e-4)
    assert (found.searched, found.fresh) == (2 * (2 * 4 * 2 + 4 * 8), 2 * 16)


def test_success_can_be_what_is_least(cartpole, policy):
    domain = Domain({"motor.strength": Uniform(0.05, 0.3)})
    found = worst_case(
        cartpole,
        [policy],
        domain,
        Search(generations=1, population=4, episodes=2, fresh=8, measure="success"),
    )
    assert found.success == wilson(0, 8)
    assert found.lowest == 0.0


@pytest.mark.slow
def test_the_robust_radius_is_that_of_a_plain_scan(cartpole, policy):
    domain = Domain({"motor.strength": Uniform(0.3, 1.0), "world.gravity": Uniform(9.8, 9.82)})
    bisection = Bisection(threshold=0.8, episodes=64, halvings=3)
    found = robust_radius(cartpole, [policy], domain, bisection)
    shares = []
    for number in range(1, 9):
        box = Variant(
            "box", "combined", {}, drawn=Domain({"motor.strength": Uniform(1 - 0.7 * number / 8, 1)})
        )
        _, success = tried(cartpole, [policy], [box], Trials(64, seed=number), draws=number)
        shares.append(success.mean())
    holds = [wilson(64 * share, 64).interval[0] >= 0.8 for share in shares]
    scan = holds.index(False) / 8
    assert 0 < scan < 1
    assert found.measure == "success"
    assert abs(found.alone["motor.strength"].scale - scan) <= 1 / 8
    assert found.alone["motor.strength"].fails > found.alone["motor.strength"].scale
    assert abs(found.joint.scale - scan) <= 1 / 8
    assert found.alone["world.gravity"].scale == 1.0
    assert found.alone["world.gravity"].fails is None


def test_the_radius_is_zero_where_nominal_physics_is_not_shown_to_hold(cartpole, policy):
    found = robust_radius(cartpole, [policy], STRENGTH, Bisection(threshold=0.99, episodes=16))
    assert found.joint.scale == 0.0  # 16 successes of 16 don't show 99 %
    assert found.rollouts == 16


def test_boxes_grow_from_nominal_to_the_whole_range(cartpole):
    ranges = {
        "cart.mass": Uniform(0.6, 1.6),
        "pole.mass": LogUniform(0.05, 0.4),
        "motor.latency": Uniform(0, 8),
        "pole.com_z": Normal(0.5, 0.05, 0.0, 1.0),
        "world.gravity": Samples((9.0, 9.5)),
        "hinge.damping": Point(0.001),
    }
    half, whole = (scaled_box(cartpole, ranges, scale).parameters for scale in (0.3, 1.0))
    assert half["cart.mass"].support() == pytest.approx((0.88, 1.18))
    assert half["pole.mass"].support() == pytest.approx((0.1 * 0.5**0.3, 0.1 * 4**0.3))
    assert half["motor.latency"] == Uniform(0, 2)
    assert half["world.gravity"].support() == pytest.approx((9.81 - 0.3 * 0.81, 9.81))
    assert whole["pole.com_z"].support() == pytest.approx((0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05), rel=1e-4)
    assert whole["cart.mass"].support() == pytest.approx((0.6, 1.6))
    assert half["hinge.damping"] == Point(0.001)
    assert scaled_box(cartpole, ranges, 0.0).parameters["motor.latency"] == Point(0.0)


@pytest.mark.parametrize("function", [worst_case, robust_radius])
def test_what_leaves_nothing_to_search_is_refused(cartpole, policy, function):
    with pytest.raises(InvalidValue, match="no policies to find the worst physics of"):
        function(cartpole, [], "training")
    for domain in (Domain.point({"cart.mass": 1.2}), "nominal"):
        with pytest.raises(InvalidValue, match="no range to search"):
            function(cartpole, [policy], domain)


def test_a_range_that_changes_nothing_is_refused_rather_than_called_robust(
    cartpole, policy, tmp_path, capsys
):
    dead = Domain({"cart.mass": Uniform(0.8, 1.2), "slider.stribeck_velocity": Uniform(0.1, 0.2)})
    grid = dict.fromkeys(dead.names, 2)
    for go in (
        lambda: worst_case(cartpole, [policy], dead, QUICK),
        lambda: robust_radius(cartpole, [policy], dead, Bisection(episodes=3, halvings=1)),
        lambda: solved_map(cartpole, [policy], dead, grid, trials=Trials(1)),
    ):
        with pytest.raises(DeadParameter, match=r"slider.stribeck_velocity changes nothing"):
            go()
    insisted = Bisection(episodes=3, halvings=1, allow_dead=True)
    assert robust_radius(cartpole, [policy], dead, insisted).alone["slider.stribeck_velocity"].scale in (0, 1)
    dead.save(tmp_path / "dead.toml")
    told = ["worst", policy.name, "--domain", str(tmp_path / "dead.toml"), "--out", str(tmp_path / "out")]
    assert main(told) == 2
    assert "insist with --allow-dead" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Search(generations=0), "is out of reach; give a whole number"),
        (lambda: Search(population=3), "is out of reach; give a whole number"),
        (lambda: Search(measure="speed"), "give 'return' or 'success'"),
        (lambda: Search(seed=-1), "whole number"),
        (lambda: Bisection(threshold=1.0), "give more than 0 and less than 1"),
        (lambda: Bisection(threshold=math.nan), "give more than 0 and less than 1"),
        (lambda: Bisection(episodes=2), "episodes = 2 is out of reach"),
    ],
)
def test_a_search_of_nothing_is_refused(make, sentence):
    with pytest.raises(InvalidValue, match=sentence):
        make()


def test_the_command_writes_a_variant_that_evaluate_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    STRENGTH.save("domain.toml")
    small = ["--generations", "1", "--episodes", "1", "--fresh", "4", "--out", "worst"]
    assert main(["worst", "cartpole-nominal-0", "--domain", "domain.toml", *small]) == 0
    printed = capsys.readouterr().out
    assert "motor.strength" in printed
    assert "Robust radius" in printed
    told = json.loads((tmp_path / "worst" / "worst.json").read_text("utf-8"))
    assert Domain.load("worst/worst.toml").median() == told["worst"]["physics"]
    given = ["--variants", "worst/worst.toml", "--episodes", "2", "--out", "report"]
    assert main(["evaluate", "cartpole-nominal-0", *given]) == 0
    assert "worst" in capsys.readouterr().out


def test_the_command_without_policies_says_so(capsys):
    assert main(["worst"]) == 2
    assert "no policies" in capsys.readouterr().err
