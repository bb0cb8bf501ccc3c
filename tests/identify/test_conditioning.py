"""What can't be told apart is said, and no longer once something fixes it."""

import numpy as np
import pytest

from sim2real.identify.identifiability import combinations
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.recordings import load_recordings
from sim2real.replay import motion_of
from sim2real.replay.motion import liveliest
from sim2real.world import World

SERVO = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}
SCALE = ("kp", "damping", "frictionloss", "armature")


@pytest.fixture
def told(twin):
    """Sentences about what a small motion of the arm can't tell, with some names free."""
    recordings = twin("so101", SERVO, count=3, seconds=4.0, share=0.05, noise=4e-3)

    def of(*names):
        world = World.load("so101").with_parameters({}, SERVO)
        free = free_parameters(world, names)
        space = ParameterSpace(tuple(free)).with_start({f.name: f.start for f in free})
        motions = [motion_of(world, recording) for recording in recordings]
        problem = RecordingProblem.of(world, space, motions, fast=True)
        linear = problem.linearize(space.start, central=True)
        return [c.text for c in combinations(problem, linear.hessian, linear.loss)]

    return of


@pytest.mark.parametrize("joint", ["shoulder_pan", "wrist_roll", "gripper"])
def test_where_no_gravity_acts_only_ratios_are_known(told, joint):
    texts = told(*(f"{joint}.{quantity}" for quantity in SCALE))
    assert any("not their scale" in text and joint in text and "kp" in text for text in texts), texts


@pytest.mark.parametrize("joint", ["shoulder_pan", "wrist_roll", "gripper"])
def test_a_fixed_scale_or_shared_servos_end_that(told, joint):
    assert told(*(f"{joint}.{quantity}" for quantity in SCALE[:3])) == []
    assert told("servos.kp", "joints.damping", "joints.frictionloss", "joints.armature") == []


def test_gravity_and_bias_are_one_column(told):
    biases = [f"{joint}.bias_torque" for joint in ("shoulder_lift", "elbow_flex", "wrist_flex")]
    texts = told(*biases, "gripper.mass")
    assert any("elbow_flex.bias_torque" in text and "gripper.mass" in text for text in texts), texts
    assert told(*biases) == []
    assert told("gripper.mass") == []


def test_a_parameter_that_nothing_excites_is_said(told):
    world_free = told("shoulder_pan.kp", "shoulder_pan.load_friction_motor", "shoulder_pan.stribeck_velocity")
    assert any("stribeck_velocity leaves no trace" in text for text in world_free), world_free
    assert np.isfinite(len(world_free))


REAL = {
    "kp": (12.0, 11.0, 10.5, 8.0, 7.0, 18.5),
    "damping": (1.0, 0.7, 0.7, 0.7, 0.6, 1.4),
    "frictionloss": (0.1, 0.35, 0.44, 0.1, 0.07, 0.09),
    "latency": (3.0, 5.0, 2.0, 0.0, 0.0, 2.0),
}
"""About what a fit of the real arm's servos returns, joint by joint."""


@pytest.fixture
def told_of_the_arm(real):
    """Sentences about what twelve short pieces of the real arm's motions can't tell, with some names free."""
    world = World.load("so101")
    logs = load_recordings(real / "npz" / "train")
    motions = liveliest([motion_of(world, log) for log in logs], 4.0, 12)
    joints = motions[0].joints
    values = {f"{j}.{q}": v for q, row in REAL.items() for j, v in zip(joints, row, strict=True)}
    shared = {"servos.kp": 11.0, "joints.damping": 0.8, "joints.frictionloss": 0.15}

    def of(*names, groups=False):
        base = world.with_parameters({}, (shared if groups else values) | {"servos.kd": 0.0})
        space = ParameterSpace(tuple(free_parameters(base, names)))
        problem = RecordingProblem.of(base, space, motions, fast=True)
        linear = problem.linearize(space.start, central=True)
        return [c.text for c in combinations(problem, linear.hessian, linear.loss)]

    return of


def test_the_real_arm_does_not_show_its_scale(told_of_the_arm):
    scale = ("kp", "damping", "frictionloss", "armature", "torque_limit")
    for joint in ("shoulder_pan", "wrist_roll", "gripper"):
        texts = told_of_the_arm(*(f"{joint}.{quantity}" for quantity in scale))
        assert any("not their scale" in text and f"of {joint}" in text for text in texts), texts
        assert told_of_the_arm(*(f"{joint}.{quantity}" for quantity in scale[:3])) == []
    shared = ("servos.kp", "joints.damping", "joints.frictionloss", "joints.armature")
    assert told_of_the_arm(*shared, groups=True) == []


def test_the_real_arm_does_not_tell_gravity_from_bias(told_of_the_arm):
    biases = [f"{joint}.bias_torque" for joint in ("shoulder_lift", "elbow_flex", "wrist_flex")]
    texts = told_of_the_arm(*biases, "gripper.mass", "lower_arm.mass")
    assert any("elbow_flex.bias_torque" in text and "mass" in text for text in texts), texts
    assert told_of_the_arm(*biases) == []
