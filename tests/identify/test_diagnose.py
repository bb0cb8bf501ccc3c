"""What is left of the residual points to what is missing."""

import dataclasses

import mujoco
import numpy as np
import pytest

from sim2real.identify.contacts import Planes, touching
from sim2real.replay import Motion, Replayer
from sim2real.replay.residuals import diagnose, explained
from sim2real.world import World
from sim2real.world.ground import plane_parameters, tip_height

SLOW = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}


@pytest.fixture(scope="module")
def arm():
    return World.load("so101").with_parameters({}, SLOW)


@pytest.fixture(scope="module")
def pressing():
    """Commands that lower the tip below a table and lift it again, a few times."""
    time = np.arange(600) * 0.02
    command = np.zeros((600, 6))
    wave = 0.5 - 0.5 * np.cos(time * 2 * np.pi / 3)
    command[:, 1], command[:, 2], command[:, 5] = 0.2 + 0.3 * wave, 0.3 + 0.5 * wave, 0.5
    names = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
    return Motion("press", names, time, command, command, np.zeros(6))


def measured(world, motion, physics):
    (found,) = Replayer(world, [motion], 1, 1).run(tuple(physics), np.array([list(physics.values())]))
    return dataclasses.replace(motion, measured=found[0])


@pytest.mark.slow
def test_a_table_is_seen_and_found(arm, pressing):
    table = {"floor.height": -0.05, "floor.friction": 0.3}
    real = measured(arm.with_parameters({}, table), pressing, table)
    free = measured(arm, real, {}).measured
    hints = diagnose(arm, [real], [free])
    assert hints[0].signal in ("tip height", "position")
    assert "tip height" in {hint.signal for hint in hints}
    assert touching(arm, [real], [free]) == [real]
    planes = Planes(arm, {}, [real])
    plane = planes.best()
    assert plane == pytest.approx(table, abs=0.002)
    before, after = planes.errors([(-0.3, 1.0), tuple(plane.values())], [real])
    assert after.mean() < 0.1 * before.mean()


@pytest.mark.slow
def test_where_nothing_is_touched_no_table_is_proposed(arm, pressing):
    real = measured(arm, pressing, {})
    assert touching(arm, [real], [real.measured]) == []
    assert Planes(arm, {}, [real]).best() == {}


def test_a_planes_friction_is_looked_for_where_it_counts():
    assert plane_parameters(World.load("so101").model) == {"floor.height": -0.3, "floor.friction": 1.0}
    assert tuple(plane_parameters(World.load("hopper").model)) == ("floor.height",)  # there the foot's counts
    assert plane_parameters(World.load("furuta").model) == {}


def test_missing_dry_friction_follows_the_direction_of_motion(arm, pressing):
    real = measured(arm, dataclasses.replace(pressing, command=pressing.command * 0.3), {})
    none = World.load("so101").with_parameters({}, SLOW | {"joints.frictionloss": 0.0})
    free = measured(none, real, {}).measured
    hints = [hint for hint in diagnose(arm, [real], [free]) if hint.joint == "elbow_flex"]
    assert "direction of motion" in {hint.signal for hint in hints}


def test_chance_explains_nothing():
    rng = np.random.default_rng(0)
    blocks = np.arange(3000) // 50
    assert explained(rng.normal(size=3000), rng.normal(size=3000), blocks) < 0.01
    signal = rng.normal(size=3000)
    assert explained(signal, np.abs(signal), blocks) > 0.8


def test_the_tip_is_as_high_as_the_engine_sees_its_distance_to_the_floor(arm):
    poses = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 6))
    height = tip_height(arm.model, poses, tuple(arm.model.joint(k).name for k in range(6)))
    model, data = arm.model, mujoco.MjData(arm.model)
    floor = model.geom("floor")
    moving = [g for g in range(model.ngeom) if model.geom_conaffinity[g] and model.geom_bodyid[g] > 0]
    for pose, found in zip(poses, height, strict=True):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        nearest = min(mujoco.mj_geomDistance(model, data, floor.id, g, 9.0, None) for g in moving)
        assert found == pytest.approx(floor.pos[2] + nearest, abs=1e-6)
