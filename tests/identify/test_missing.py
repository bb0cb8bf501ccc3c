"""What a model lacks is found beside what is free, and intervals allow for it."""

import numpy as np
import pytest

from sim2real.identify.free import Space, free_parameters
from sim2real.identify.identify import Options, identify
from sim2real.identify.missing import enlarge
from sim2real.identify.problem import Problem
from sim2real.identify.profile import profile
from sim2real.identify.solve import least_squares
from sim2real.identify.uncertainty import QUANTILE, bootstrap, covering, deviations
from sim2real.identify.verdicts import STRUCTURE_MISSING
from sim2real.opening import opened
from sim2real.replay import motion_of, windows
from sim2real.world import World

MASSES = {"cart.mass": 1.2, "pole.mass": 0.11}
HIDDEN = {"motor.latency": 3, "slider.frictionloss": 0.3}


def problem_of(recordings, names=tuple(MASSES)):
    """Of the cartpole in short windows."""
    world = World.load("cartpole")
    space = Space(tuple(free_parameters(world, names)))
    parts = [part for r in recordings for part in windows(motion_of(world, r), 0.25)]
    return Problem.of(opened(world, {}), space, parts, 1)


def fitted(problem):
    return least_squares(problem, problem.space.start).point


@pytest.fixture
def late(twin):
    """Recordings of a cart that is late and rubs."""
    return twin("cartpole", MASSES | HIDDEN, count=4, seconds=1.0, start=(0, np.pi), share=0.5)


@pytest.fixture
def plain(twin):
    """Recordings of a cart that the model lacks nothing of."""
    return twin("cartpole", MASSES, count=4, seconds=1.0, start=(0, np.pi), share=0.5)


def test_a_latency_and_a_friction_that_are_missing_are_named(late):
    options = Options(free=tuple(MASSES), generations=0, threads=1, window=0.25, profile=True)
    found = identify(World.load("cartpole"), late, options)
    suspects = {suspect.name: suspect.value for suspect in found.suspects}
    assert suspects == pytest.approx(HIDDEN, rel=0.1)
    (verdict,) = (v for v in found.verdicts if v.subject == ", ".join(suspects))
    assert verdict.name == STRUCTURE_MISSING
    assert verdict.evidence["after"] < 0.2 * verdict.evidence["before"]
    for estimate in found.estimates:
        truth = MASSES[estimate.name]
        assert abs(estimate.value - truth) > estimate.naive
        assert abs(estimate.beside - truth) < 0.3 * abs(estimate.value - truth)
        assert estimate.low <= truth <= estimate.high
        assert estimate.profile[0] <= truth <= estimate.profile[1]
        assert estimate.low <= estimate.value <= estimate.high
    table = found.to_json()
    assert {s["name"] for s in table["suspects"]} == set(HIDDEN)
    assert len(table["estimates"][0]["blocks"]) == 2


def test_nothing_is_called_missing_where_nothing_is(plain):
    problem = problem_of(plain)
    point = fitted(problem)
    enlarged = enlarge(problem, point)
    assert enlarged.lack is None
    low, high = covering(point, bootstrap(problem.linearize(point, central=True)), enlarged)
    truth = np.array([float(f.unit(MASSES[f.name])) for f in problem.space.free])
    assert (low <= truth).all()
    assert (truth <= high).all()
    assert (high - low < [0.01, 0.15]).all()


def test_what_is_free_or_looks_like_it_is_not_opened_again(plain):
    names = (*MASSES, "slider.frictionloss")
    problem = problem_of(plain, names)
    enlarged = enlarge(problem, fitted(problem))
    opened_names = enlarged.problem.space.names
    assert opened_names[:3] == names
    assert len(set(opened_names)) == len(opened_names)
    assert {"motor.latency", "hinge.damping", "pole.com_z"} <= set(opened_names)
    # a cart on a slide: a rotor's inertia is a mass, and a weak motor is everything heavier
    assert {"slider.armature", "motor.strength"}.isdisjoint(opened_names)


def test_without_missing_effects_the_blocks_decide(late):
    options = Options(free=tuple(MASSES), generations=0, threads=1, window=0.25, beside=False)
    found = identify(World.load("cartpole"), late, options)
    assert found.suspects == ()
    for estimate in found.estimates:
        assert (estimate.low, estimate.high) == pytest.approx(estimate.blocks)
        assert estimate.beside == pytest.approx(estimate.value)
        assert estimate.profile is None


def test_the_profile_of_a_parabola_is_the_parabola(plain):
    problem = problem_of(plain)
    enlarged = enlarge(problem, fitted(problem))
    low, high = profile(enlarged)
    at, reach = enlarged.point[:2], QUANTILE * deviations(enlarged)
    assert (low < at).all()
    assert (at < high).all()
    assert (high - low) / (2 * reach) == pytest.approx(1.0, abs=0.6)
