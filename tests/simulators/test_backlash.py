"""Backlash: the second joint against a model that has it written by hand."""

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv, engine_for
from sim2real.errors import InvalidValue
from sim2real.simulators import Engine, make_simulator
from sim2real.simulators.backlash import with_backlash
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

SERVO_ARM = """
<mujoco model="arm">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.002" cone="elliptic" integrator="implicitfast"/>
  <default>
    <joint damping="0.3" armature="0.02" frictionloss="0.05" stiffness="0.1"/>
    <default class="child"><joint damping="0.2"/></default>
  </default>
  <worldbody>
    <body name="upper">
      <joint name="shoulder" axis="0 1 0" range="-2 2"/>
      <geom name="upper_rod" type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="0.5" contype="0"/>
      <body name="lower" pos="0.3 0 0" childclass="child">
        <joint name="elbow" axis="0 1 0" pos="0.01 0 0" range="-2 2"/>{extra}
        <geom name="lower_rod" type="capsule" fromto="0 0 0 0.2 0 0" size="0.02" mass="0.2" contype="0"/>
        <body name="hand" pos="0.2 0 0">
          <joint name="wrist" axis="0 1 0"/>
          <geom name="palm" size="0.02" mass="0.1" contype="0"/>
          <site name="tip" pos="0.05 0 0"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="shoulder_servo" joint="shoulder" kp="60" kv="2"/>
    <position name="elbow_servo" joint="elbow" kp="30" kv="1"/>
    <motor name="wrist_motor" joint="wrist"/>
  </actuator>
</mujoco>
"""
BY_HAND = """<joint name="hand_written" axis="0 1 0" pos="0.01 0 0" range="{low} {high}" damping="0"
  armature="0" frictionloss="0" stiffness="0" solreflimit="0.004 1"/>"""
PHYSICS = """
title = "arm"
[parameters."elbow.backlash"]
unit = "rad"
nominal = 0.0
source = "made up"
[parameters."elbow.frictionloss"]
unit = "N·m"
nominal = 0.05
range = [0.01, 0.2]
source = "made up"
"""
DT = 0.002


@pytest.fixture
def arm(write_world):
    return World.load(write_world(SERVO_ARM.replace("{extra}", ""), PHYSICS, "arm"))


def commands(steps=150):
    rng = np.random.default_rng(2)
    return np.repeat(rng.uniform(-1, 1, (steps, 3)) * [1.0, 1.0, 0.2], 5, axis=0)


def loop(model, play):
    """Angles of the three links in a plain loop. Shape (steps, 3)."""
    data = mujoco.MjData(model)
    path = []
    for control in commands():
        data.ctrl[:] = control
        mujoco.mj_step(model, data)
        q = data.qpos
        path.append([q[0], q[1] + q[2], q[3]] if play else q.copy())
    return np.array(path)


def rolled(simulator, substeps=1):
    """The same from a simulator. Shape (steps, num_envs, 3)."""
    n = simulator.num_envs
    simulator.reset(np.arange(n), *np.zeros((3, n, 3)))
    path = []
    for control in commands():
        simulator.step(np.tile(control, (n, 1)), substeps)
        path.append(simulator.qpos.copy())
    return np.array(path)


def test_play_is_that_of_a_second_joint_written_by_hand(arm):
    """Each simulation has its own; nothing of the classes' defaults gets into the second joint."""
    simulator = MujocoSimulator(with_backlash(arm), 3)
    widths = [0.02, 0.1, 0.3]
    simulator.set_physics(np.arange(3), ("elbow.backlash",), np.array(widths)[:, None])
    paths = rolled(simulator)
    for row, width in enumerate(widths):
        written = BY_HAND.format(low=-width / 2, high=width / 2)
        model = mujoco.MjModel.from_xml_string(SERVO_ARM.replace("{extra}", written))
        np.testing.assert_allclose(paths[:, row], loop(model, play=True), atol=1e-9)


def test_task_sees_the_columns_of_a_model_without_play(arm):
    simulator = make_simulator(Engine("mujoco", play=True), arm, 2)
    assert simulator.qpos.shape == simulator.qvel.shape == (2, 3)
    columns, velocities = simulator.joints(["wrist", "elbow", "shoulder"])
    assert columns.tolist() == velocities.tolist() == [2, 1, 0]
    assert simulator.limits("elbow") == (-2.0, 2.0)
    assert simulator.dofs(["shoulder", "elbow", "wrist"]).tolist() == [0, 1, 3]
    assert simulator.speed().shape == simulator.dry_friction().shape == simulator.load_force().shape == (2, 4)


def test_no_play_is_nearly_the_plain_model_and_play_is_not(arm):
    simulator = MujocoSimulator(with_backlash(arm), 2)
    simulator.set_physics(np.arange(2), ("elbow.backlash",), np.array([[0.0], [0.2]]))
    plain = loop(arm.model, play=False)
    none, wide = np.abs(rolled(simulator) - plain[:, None]).max(axis=(0, 2))
    assert none < 0.02
    assert wide > 0.05


def test_reset_puts_the_link_where_it_is_wanted_and_the_play_in_its_middle(arm):
    simulator = MujocoSimulator(with_backlash(arm), 3)
    simulator.set_physics(np.arange(3), ("elbow.backlash",), np.full((3, 1), 0.1))
    first = rolled(simulator)
    again = rolled(simulator)
    np.testing.assert_array_equal(first, again)
    start = np.array([[0.1, -0.2, 0.3]])
    untouched = simulator.qpos[[0, 2]].copy()
    simulator.reset(np.array([1]), start, 2 * start, np.zeros((1, 3)))
    np.testing.assert_array_equal(simulator.qpos[1], start[0])
    np.testing.assert_array_equal(simulator.qvel[1], 2 * start[0])
    np.testing.assert_array_equal(simulator._qpos[1], [0.1, -0.2, 0.0, 0.3])
    np.testing.assert_array_equal(simulator.qpos[[0, 2]], untouched)


def test_the_link_is_free_within_its_play(arm):
    """Held by a stiff servo, gravity moves it from one stop to the other, and no farther."""
    simulator = MujocoSimulator(with_backlash(arm), 1)
    simulator.set_physics(np.array([0]), ("elbow.backlash",), np.array([[0.2]]))
    simulator.reset(np.array([0]), *np.zeros((3, 1, 3)))
    for _ in range(400):
        simulator.step(np.zeros((1, 3)), 1)
    play = simulator._qpos[0, 2]
    assert play == pytest.approx(0.1, abs=0.005)
    assert simulator.qpos[0, 1] == pytest.approx(simulator._qpos[0, 1] + play)


def test_steps_at_once_are_steps_one_by_one(arm):
    """With a law between the physics steps as well as without."""
    paths = []
    for between in (None, lambda: None):
        simulator = MujocoSimulator(with_backlash(arm), 2)
        simulator.set_physics(np.arange(2), ("elbow.backlash",), np.array([[0.1], [0.3]]))
        simulator.reset(np.arange(2), *np.zeros((3, 2, 3)))
        for control in commands(20):
            simulator.step(np.tile(control, (2, 1)), 4, None, between)
        paths.append(simulator.qpos.copy())
    np.testing.assert_allclose(*paths, atol=1e-12)


def test_friction_is_the_motors(arm):
    simulator = MujocoSimulator(with_backlash(arm), 1)
    simulator.set_physics(np.array([0]), ("elbow.frictionloss",), np.array([[0.15]]))
    np.testing.assert_array_equal(simulator.dry_friction(), [[0.05, 0.15, 0.0, 0.05]])


def test_only_a_domain_with_backlash_gets_the_joints(make_cart):
    world = make_cart()
    plain = Sim2RealVectorEnv(world, 2)
    assert not plain.engine.play
    with pytest.raises(
        InvalidValue, match=r"slider\.backlash needs a second joint, and this env was made with"
    ):
        plain.set_physics(("slider.backlash",), np.array([[0.01], [0.0]]))
    plain.set_physics(("slider.backlash",), np.zeros((2, 1)))
    played = Sim2RealVectorEnv(world, 2, {"parameters": {"slider.backlash": {"uniform": [0.0, 0.05]}}})
    assert played.engine.play
    assert engine_for("mujoco", world.variants["loose"].domain).play
    observation, _ = played.reset(seed=0)
    np.testing.assert_array_equal(observation, plain.reset(seed=0)[0])
    for k in range(30):
        action = np.full((2, 1), (-1.0) ** (k // 5))
        observation, *_ = played.step(action)
        expected, *_ = plain.step(action)
    assert 1e-4 < np.abs(observation - expected).max() < 1.0


@pytest.fixture
def make_cart(write_world, pendulum_files):
    """The cart with a backlash; the slide's range is 3.6 m."""
    scene, physics = pendulum_files
    scene = scene.replace('damping="0.1"', 'damping="0.1" armature="0.05"')

    def make(loose="0.04", limits=""):
        more = f"""
[parameters."slider.backlash"]
unit = "m"
nominal = 0.0
{limits}
source = "made up"
[variants.structural.loose]
"slider.backlash" = {loose}
"""
        return World.load(write_world(scene, physics + more))

    return make


@pytest.mark.parametrize(("loose", "limits"), [("3.6", ""), ("0.1", "range = [0, 4.5]")])
def test_backlash_wider_than_the_joint_range(make_cart, loose, limits):
    width = "4.5" if limits else "3.6"
    said = rf"slider\.backlash of {width} is wider than the range of joint 'slider', 3\.6; give less"
    with pytest.raises(InvalidValue, match=said):
        make_cart(loose, limits)
    with pytest.raises(
        InvalidValue, match=r"slider\.backlash of 9 is wider than the range of joint 'slider'"
    ):
        make_cart().domain({"parameters": {"slider.backlash": {"uniform": [0.0, 9.0]}}})


def test_backlash_without_an_inertia_on_the_motors_side(write_world):
    scene = SERVO_ARM.replace("{extra}", "").replace('range="-2 2"/>', 'range="-2 2" armature="0"/>')
    variant = '[variants.structural.loose]\n"elbow.backlash" = 0.1\n'
    with pytest.raises(InvalidValue, match=r"elbow\.backlash needs an inertia on the motor's side of joint"):
        World.load(write_world(scene, PHYSICS + variant, "light"))


def test_a_joint_that_is_not_the_last_of_its_body(write_world):
    scene = SERVO_ARM.replace("{extra}", '<joint name="twist" axis="1 0 0"/>')
    world = World.load(write_world(scene, PHYSICS, "twisted"))
    with pytest.raises(InvalidValue, match=r"joint 'elbow' is not the last of body 'lower'"):
        with_backlash(world)


@pytest.mark.parametrize("name", ["elbow_play", "knob_play", "play", "elbow (play)"])
def test_a_joint_of_the_scene_is_never_taken_for_play(write_world, name):
    """Somebody's own second joint is shown as any other, also beside one of ours."""
    scene = SERVO_ARM.replace("{extra}", BY_HAND.format(low=-0.02, high=0.02))
    scene = scene.replace("hand_written", name)
    world = World.load(write_world(scene, "", "arm"))
    simulator = MujocoSimulator(world, 1, 1)
    assert simulator.qpos.shape == (1, 4)
    model, data = world.model, mujoco.MjData(world.model)
    for control in commands(20):
        simulator.step(control[None], 5)
        data.ctrl[:] = control
        mujoco.mj_step(model, data, nstep=5)
        np.testing.assert_array_equal(simulator.qpos[0], data.qpos)
    loose = with_backlash(world.for_domain(Domain.point({"wrist.backlash": 0.1})))
    assert MujocoSimulator(loose, 1, 1).qpos.shape == (1, 4)


def test_a_name_that_our_play_has_is_refused(write_world):
    scene = SERVO_ARM.replace("{extra}", "").replace("elbow", "elbow (free play)")
    with pytest.raises(
        InvalidValue, match=r"'elbow \(free play\)' of .* as the second joint that a backlash"
    ):
        World.load(write_world(scene, "", "arm"))
