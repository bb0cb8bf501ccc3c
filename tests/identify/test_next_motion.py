"""The motion that is proposed keeps within bounds and tells more than another of the known ones."""

import dataclasses

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.identify.check import check
from sim2real.identify.excitation import candidates
from sim2real.identify.experiment_design import next_motion
from sim2real.identify.identify import Options, identify
from sim2real.recordings import Recording, load_recordings, map_joints
from sim2real.recordings.mapping import unmap_joints
from sim2real.replay.envelope import CommandLimits
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

SERVO = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}


def played(world, physics, recording, noise=1e-4):
    """What a twin does when it is told the commands of a recording, by the world's joints."""
    world = world.for_domain(Domain.point(physics))
    simulator = MujocoSimulator(world, 1, 1)
    simulator.set_physics(np.array([0]), tuple(physics), np.array([list(physics.values())], dtype=float))
    driven = [int(k) for k in world.model.actuator_trnid[:, 0]]
    command = recording.command[:, driven]
    zero = np.zeros((1, world.model.nv))
    simulator.reset(np.array([0]), recording.position[:1], zero, command[:1])
    substeps = round(float(np.median(np.diff(recording.time))) / simulator.physics_dt)
    positions, speeds = [], []
    for row in command:
        positions.append(simulator.qpos[0].copy())
        speeds.append(simulator.qvel[0].copy())
        simulator.step(row[None], substeps)
    rng = np.random.default_rng(9)
    measured = np.array(positions) + rng.normal(0, noise, (len(positions), world.model.nq))
    return dataclasses.replace(recording, name="new", position=measured, velocity=np.array(speeds))


def width(world, recordings, options, name):
    """Share of its range that a parameter's interval is expected to cover."""
    return next(e.share for e in check(world, recordings, options).expected if e.name == name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "physics", "setup"),
    [
        ("cartpole", {"cart.mass": 1.2, "pole.mass": 0.15}, {"start": (0, np.pi), "share": 0.1}),
        ("furuta", {"pole.mass": 0.03, "arm_hinge.armature": 6e-6}, {"share": 0.1}),
    ],
)
def test_a_motor_is_told_to_show_what_is_known_least(name, physics, setup, twin):
    world = World.load(name)
    recordings = twin(name, physics, count=2, seconds=3.0, noise=1e-3, **setup)
    options = Options(
        free=tuple(physics),
        generations=0,
        threads=1,
        window=0.5,
        held_out=(),
        motion_seconds=3.0,
        top_speed=20.0,
    )
    found = identify(world, recordings, options)
    motion = next_motion(world, recordings, found, options)
    new = played(world, physics, motion.recording)
    low, high = world.model.actuator_ctrlrange.T
    driven = world.model.actuator_trnid[:, 0]
    assert (new.command[:, driven] >= low).all()
    assert (new.command[:, driven] <= high).all()
    for k in np.flatnonzero(world.model.jnt_limited):
        assert (np.abs(new.position[:, k]) < world.model.jnt_range[k, 1]).all()
    before = width(world, recordings, options, motion.target)
    after = width(world, [*recordings, new], options, motion.target)
    twice = dataclasses.replace(recordings[0], name="again")
    again = width(world, [*recordings, twice], options, motion.target)
    assert after < again < before
    assert after / before == pytest.approx(motion.expected / motion.half, abs=0.2)


@pytest.mark.slow
def test_an_arm_is_moved_where_it_was_not(twin):
    """Two recordings that hardly move: a third one, within every range and speed, tells more."""
    world = World.load("so101")
    recordings = twin("so101", SERVO, count=2, seconds=6.0, share=0.1, noise=5e-4)
    free = ("gripper.mass", "elbow_flex.bias_torque", "shoulder_lift.frictionloss", "shoulder_pan.damping")
    options = Options(
        free=free, fixed=SERVO, generations=0, threads=1, held_out=(), motion_seconds=6.0, top_speed=2.0
    )
    found = identify(world, recordings, options)
    motion = next_motion(world, recordings, found, options)
    assert motion.recording.joints == recordings[0].joints
    new = played(world, SERVO, motion.recording, noise=0.0)
    model = world.model
    driven = model.actuator_trnid[:, 0]
    for low, high in (model.actuator_ctrlrange.T, model.jnt_range[driven].T):
        assert (new.command[:, driven] >= low).all()
        assert (new.command[:, driven] <= high).all()
    assert (new.position >= model.jnt_range[:, 0]).all()
    assert (new.position <= model.jnt_range[:, 1]).all()
    assert np.abs(new.velocity).max() < 2.0 * 1.2
    before = width(world, recordings, options, motion.target)
    after = width(world, [*recordings, new], options, motion.target)
    twice = dataclasses.replace(recordings[0], name="again")
    again = width(world, [*recordings, twice], options, motion.target)
    assert after < 0.8 * again
    assert again < before


@pytest.mark.slow
def test_the_motion_is_a_recording_that_is_read_again(twin, tmp_path):
    world = World.load("cartpole")
    recordings = twin("cartpole", {}, count=2, seconds=1.0, start=(0, np.pi), noise=1e-3)
    options = Options(
        free=("cart.mass",),
        generations=0,
        threads=1,
        window=0.5,
        held_out=(),
        motion_seconds=2.0,
        top_speed=50.0,
    )
    found = identify(world, recordings, options)
    motion = next_motion(world, recordings, found, options)
    motion.save(tmp_path)
    (read,) = load_recordings(tmp_path)
    np.testing.assert_array_equal(read.command, motion.recording.command)
    assert "the interval of cart.mass is expected to shrink from" in motion.text
    assert motion.to_json()["expected"] < motion.to_json()["half"]


def test_no_motion_is_proposed_that_would_leave_the_rails(twin):
    world = World.load("cartpole")
    recordings = twin("cartpole", {}, count=2, seconds=1.0, start=(0, np.pi), noise=1e-3)
    options = Options(
        free=("cart.mass",),
        generations=0,
        threads=1,
        window=0.5,
        held_out=(),
        motion_seconds=2.0,
        top_speed=1e-4,
    )
    found = identify(world, recordings, options)
    assert next_motion(world, recordings, found, options) is None


def test_poses_keep_within_the_room():
    room = CommandLimits(
        np.array([-1.0, 0.0]), np.array([1.0, 0.5]), np.array([1.0, 2.0]), np.array([0.9, 0.0]), True
    )
    time = np.arange(0, 12.0, 0.02)
    tried = list(candidates(time, room, [1], seed=3))
    assert len(tried) == 12
    for kind, values in tried:
        assert (values >= room.low - 1e-9).all(), kind
        assert (values <= room.high + 1e-9).all(), kind
        assert (np.abs(np.diff(values, axis=0)) <= room.speed * 0.02 * 1.001).all(), kind
        assert values[0] == pytest.approx(room.start)


def test_columns_go_back_to_the_robots_own(tmp_path):
    time = np.array([0.0, 0.1])
    table = {"Jaw": {"joint": "gripper", "scale": 2.0, "offset": -0.5, "velocity_scale": 1.0}}
    values = np.array([[0.1, 0.2], [0.3, 0.4]])
    log = Recording("log", ("Jaw", "elbow"), time, values, values + 1, values + 2)
    mapped = map_joints(log, table, ("elbow", "gripper"))
    back = unmap_joints(mapped, table, log)
    assert back.joints == log.joints
    for signal in ("command", "position", "velocity"):
        np.testing.assert_allclose(getattr(back, signal), getattr(log, signal), atol=1e-15)
