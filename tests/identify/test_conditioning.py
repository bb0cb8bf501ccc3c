"""What can't be told apart is said, and no longer once something fixes it."""

import numpy as np
import pytest

from sim2real.identify.conditioning import combinations
from sim2real.identify.free import Space, free_parameters
from sim2real.identify.problem import Problem
from sim2real.opening import opened
from sim2real.replay import motion_of
from sim2real.world import World

SERVO = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}
SCALE = ("kp", "damping", "frictionloss", "armature")


@pytest.fixture
def told(twin):
    """Sentences about what a small motion of the arm can't tell, with some names free."""
    recordings = twin("so101", SERVO, count=3, seconds=4.0, share=0.05, noise=4e-3)

    def of(*names):
        world = opened(World.load("so101"), {}, SERVO)
        free = free_parameters(world, names)
        space = Space(tuple(free)).with_start({f.name: f.start for f in free})
        motions = [motion_of(world, recording) for recording in recordings]
        problem = Problem.of(world, space, motions, fast=True)
        return [c.text for c in combinations(problem, problem.linearize(space.start, central=True))]

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
