"""What a model lacks is found beside what is free, and intervals allow for it."""

import dataclasses

import numpy as np
import pytest

from sim2real.identify.identify import Options, identify
from sim2real.identify.least_squares import least_squares
from sim2real.identify.nuisance import enlarge, held_in_scale
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.identify.uncertainty import bootstrap
from sim2real.identify.verdicts import IDENTIFIED, STRUCTURE_MISSING
from sim2real.replay import Motion, motion_of, windows
from sim2real.world import World

MASSES = {"cart.mass": 1.2, "pole.mass": 0.11}
HIDDEN = {"motor.latency": 3, "slider.frictionloss": 0.3}


def problem_of(recordings, names=tuple(MASSES)):
    """Of the cartpole in short windows."""
    world = World.load("cartpole")
    space = ParameterSpace(tuple(free_parameters(world, names)))
    parts = [part for r in recordings for part in windows(motion_of(world, r), 0.25)]
    return RecordingProblem.of(world.with_parameters({}), space, parts, 1)


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


@pytest.mark.slow
def test_a_latency_and_a_friction_that_are_missing_are_named(late):
    options = Options(free=tuple(MASSES), generations=0, threads=1, window=0.25)
    found = identify(World.load("cartpole"), late, options)
    effects = {effect.name: effect.value for effect in found.unmodelled}
    assert effects == pytest.approx(HIDDEN, rel=0.1)
    (verdict,) = (v for v in found.verdicts if v.subject == ", ".join(effects))
    assert verdict.name == STRUCTURE_MISSING
    assert verdict.evidence["after"] < 0.2 * verdict.evidence["before"]
    for estimate in found.estimates:
        truth = MASSES[estimate.name]
        assert abs(estimate.value - truth) > estimate.independent
        assert abs(estimate.with_nuisance - truth) < 0.3 * abs(estimate.value - truth)
        assert estimate.low <= truth <= estimate.high
        assert estimate.low <= estimate.value <= estimate.high
    table = found.to_json()
    assert {s["name"] for s in table["unmodelled"]} == set(HIDDEN)
    assert len(table["estimates"][0]["bootstrap"]) == 2


@pytest.mark.slow
def test_nothing_is_called_missing_where_nothing_is(plain):
    problem = problem_of(plain)
    point = fitted(problem)
    linear = problem.linearize(point, central=True)
    enlarged = enlarge(problem, linear)
    assert enlarged.missing == ()
    low, high = bootstrap(linear).interval(point, enlarged.interval)
    truth = np.array([float(f.unit(MASSES[f.name])) for f in problem.space.free])
    assert (low <= truth).all()
    assert (truth <= high).all()
    assert (high - low < [0.01, 0.15]).all()


@pytest.mark.slow
def test_what_is_free_or_looks_like_it_is_not_opened_again(plain):
    names = (*MASSES, "slider.frictionloss")
    problem = problem_of(plain, names)
    opened_names = enlarge(problem, problem.linearize(fitted(problem))).names
    assert opened_names[:3] == names
    assert len(set(opened_names)) == len(opened_names)
    assert {"motor.latency", "hinge.damping", "pole.com_z"} <= set(opened_names)
    # a cart on a slide: a rotor's inertia is a mass, and a weak motor is everything heavier
    assert {"slider.armature", "motor.strength"}.isdisjoint(opened_names)


def test_without_missing_effects_the_blocks_decide(late):
    options = Options(free=tuple(MASSES), generations=0, threads=1, window=0.25, nuisance=False)
    found = identify(World.load("cartpole"), late, options)
    assert found.unmodelled == ()
    for estimate in found.estimates:
        assert (estimate.low, estimate.high) == pytest.approx(estimate.bootstrap)
        assert estimate.with_nuisance == pytest.approx(estimate.value)


@pytest.mark.slow
def test_contacts_don_t_hide_that_the_scale_is_free(twin):
    """A hopper that is late and rubs: masses, motors, friction and rotors in proportion hop alike."""
    truth = {"torso.mass": 3.2, "motors.strength": 1.12}
    hidden = {"motors.latency": 3, "hip.frictionloss": 2.5}
    start = (0, 1.25, 0, 0, 0, 0)
    recordings = twin("hopper", truth | hidden, count=3, seconds=0.6, start=start, share=0.3)
    options = Options(free=tuple(truth), generations=0, threads=1, window=0.12)
    found = identify(World.load("hopper"), recordings, options)
    for estimate in found.estimates:
        value = truth[estimate.name]
        assert abs(estimate.with_nuisance / value - 1) < 0.01
        assert abs(estimate.with_nuisance - value) < 0.3 * abs(estimate.value - value)
        assert estimate.low <= value <= estimate.high
    assert {"hip.frictionloss", "hip_motor.latency"} & {effect.name for effect in found.unmodelled}


def test_an_effect_goes_only_if_forces_can_grow_together():
    world = World.load("hopper")
    motion = Motion(
        name="still",
        joints=tuple(world.model.joint(k).name for k in range(6)),
        time=np.arange(20) * 0.01,
        command=np.tile([0.1, -0.1, 0.05], (20, 1)),
        measured=np.tile([0.0, 1.25, 0, 0, 0, 0], (20, 1)),
        velocity=np.zeros(6),
    )
    masses = [f"{body}.mass" for body in ("torso", "thigh", "leg", "foot")]
    others = ["motors.strength", "joints.damping", "joints.armature"]
    for names, held in (([*others, *masses], True), ([*others, *masses[:-1]], False)):
        space = ParameterSpace(tuple(free_parameters(world, names)))
        problem = RecordingProblem.of(world, space, [motion])
        kept = held_in_scale(problem, space.start, 1)
        assert [free.name for free in kept] == names[1 : -1 if held else None]


@pytest.mark.slow
def test_a_parameter_that_matters_and_is_not_free_is_named(twin):
    truth, nominal = {"pole.mass": 0.025, "arm.mass": 0.105}, World.load("furuta").parameters
    name = "arm_hinge.damping"
    recordings = twin("furuta", truth | {name: 4 * nominal[name].nominal}, count=4, seconds=1.5, share=0.5)
    options = Options(free=tuple(truth), generations=0, threads=1, window=0.25)
    found = identify(World.load("furuta"), recordings, options)
    (effect,) = found.unmodelled
    assert effect.name == name
    assert effect.value == pytest.approx(4 * nominal[name].nominal, rel=0.05)
    sure = [v.subject.split(", ") for v in found.verdicts if v.name == IDENTIFIED]
    moved = [e.name for e in found.estimates if not e.bootstrap[0] <= e.with_nuisance <= e.bootstrap[1]]
    assert moved
    assert not set(moved) & {name for names in sure for name in names}
    (verdict,) = (v for v in found.verdicts if v.subject == name)
    assert verdict.name == STRUCTURE_MISSING
    assert all(f"{name} = " in verdict.text for name in moved)
    for estimate in found.estimates:
        assert estimate.low <= truth[estimate.name] <= estimate.high
    freed = identify(World.load("furuta"), recordings, dataclasses.replace(options, free=(*truth, name)))
    assert freed.unmodelled == ()
    assert {v.name for v in freed.verdicts} == {IDENTIFIED}
