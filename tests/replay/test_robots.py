"""Robots that nobody here made replay their own motion: a plain `mj_step` loop, logged as robots log."""

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, RecordingError
from sim2real.evaluate.replay import SIMULATION, replay_gap
from sim2real.evaluate.replay_summary import verdict
from sim2real.recordings import Recording
from sim2real.replay import Replayer, motion_of, stays_put, windows
from sim2real.replay.start import start_pose
from sim2real.simulators.activation import settled
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "strangers"
STRANGERS = Path(os.environ.get("SIM2REAL_STRANGERS", BESIDE)) / "robots"
EVERY = 10
"""Physics steps a row."""

LINK = '<geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".3" contype="0" conaffinity="0"/>'
FINGER = '<geom type="box" size=".01 .01 .03" pos="0 0 .03" mass=".02" contype="0" conaffinity="0"/>'
SERVO = '<position name="{0}" joint="{0}" kp="20" kv=".5" {1}/>'


def arm(actuators, extra="", base="", inner=""):
    """Two links that swing in the vertical, with whatever else."""
    return f"""<mujoco><compiler angle="radian"/><option timestep="0.002" integrator="implicitfast"/>
    <default><joint damping=".3" armature=".02" frictionloss=".02"/></default>
    <worldbody><body name="base" pos="0 0 1">{base}<geom size=".05" mass="1" contype="0" conaffinity="0"/>
    <body name="l1"><joint name="j1" axis="0 1 0"/>{LINK}
    <body name="l2" pos=".2 0 0"><joint name="j2" axis="0 1 0"/>{LINK}{inner}</body></body></body></worldbody>
    <actuator>{actuators}</actuator>{extra}</mujoco>"""


BOTH = SERVO.format("j1", "") + SERVO.format("j2", "")
GRIPPER = f"""
    <body name="f1" pos=".2 .02 0"><joint name="f1" type="slide" axis="0 1 0" range="0 .04"/>{FINGER}</body>
    <body name="f2" pos=".2 -.02 0"><joint name="f2" type="slide" axis="0 -1 0" range="0 .04"/>{FINGER}
    </body>"""
SPLIT = """<tendon><fixed name="split"><joint joint="f1" coef=".5"/><joint joint="f2" coef=".5"/></fixed>
    </tendon><equality><joint joint1="f1" joint2="f2" solimp=".95 .99 .001" solref=".005 1"/></equality>"""
PER_CENT = """<general name="grip" tendon="split" gainprm=".0157" biasprm="0 -100 -10" biastype="affine"
    ctrlrange="0 255" forcerange="-100 100"/>"""
LOOP = f"""<body name="rod" pos="0 .05 0"><joint name="rod" axis="0 1 0"/>{LINK}
    <body name="knee" pos=".2 0 0"><joint name="knee" axis="0 1 0"/>{LINK}</body></body>"""


def both(attributes):
    return SERVO.format("j1", attributes) + SERVO.format("j2", attributes)


def general(name, rest):
    return f'<general name="{name}" joint="{name}" {rest}/>'


AFFINE = 'gainprm=".2" biastype="affine" biasprm="3 -20 -.5"'
KINDS = {
    "gear": arm(both('gear="-2"')),
    "gain": arm(general("j1", AFFINE) + general("j2", AFFINE + ' ctrlrange="0 60"')),
    "filter": arm(both('timeconst="0.1"')),
    "filterexact": arm(
        general("j1", AFFINE + ' dyntype="filterexact" dynprm=".05"') + SERVO.format("j2", "")
    ),
    "other names, other order": arm(
        '<position name="second" joint="j2" kp="20"/><position joint="j1" kp="30" kv=".5"/>'
    ),
    "clipped": arm(both('ctrlrange="-.2 .3" forcerange="-2 2"')),
    "gripper of 0..255": arm(BOTH + PER_CENT, SPLIT, inner=GRIPPER),
    "motors and a free base": arm(
        '<motor name="m1" joint="j1" gear="3"/><motor name="m2" joint="j2"/>', base="<freejoint/>"
    ),
    "velocity servos": arm('<velocity joint="j1" kv="2"/><velocity joint="j2" kv="1" gear="2"/>'),
    "two actuators on a joint": arm(BOTH + '<velocity name="brake" joint="j1" kv=".5"/>'),
    "motor beside a damper": arm(
        '<motor name="m1" joint="j1" gear="3"/><damper name="d1" joint="j1" kv=".5" ctrlrange="0 1"/>'
        + SERVO.format("j2", "")
    ),
    "passive joint": arm(SERVO.format("j1", "")),
    "closed chain": arm(
        SERVO.format("j1", ""),
        '<equality><connect body1="l2" body2="knee" anchor=".1 0 0" solref=".005 1"/></equality>',
        inner="",
    ).replace('<body name="l1">', LOOP + '<body name="l1">'),
    "delayed by the engine": arm(both('nsample="8" delay="0.013"')),
    "damper and native friction": arm(BOTH + '<damper joint="j2" kv=".5" ctrlrange="0 1"/>'),
    "delayed by parts of a step": arm(both('nsample="8" delay="0.0125" interp="linear"')),
    "delayed by less than a step": arm(both('nsample="4" delay="0.0013" interp="linear"')),
    "goals that can't jump": arm(
        '<pid joint="j1" kp="20" kv=".5" ki="2" slewmax=".4"/>'
        '<dcmotor joint="j2" resistance="2" motorconst=".5" input="pos" controller="20 0 1 .5 0 24"/>'
    ),
    "DC motor with an inductance": arm(
        '<dcmotor joint="j1" resistance="2" motorconst=".5" inductance=".05"/>' + SERVO.format("j2", "")
    ),
    "pid": arm('<pid joint="j1" kp="20" kv=".5" ki="5"/>' + SERVO.format("j2", "")),
}


@pytest.fixture
def load(tmp_path):
    def make(scene, name="robot"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "scene.xml").write_text(scene)
        (folder / "physics.toml").write_text("")
        return World.load(folder)

    return make


def logged(model, actuator, control):
    """What a robot's log has of an actuator: an angle where a joint has a servo, else the control itself."""
    gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator]
    if int(model.actuator_gaintype[actuator]) in (mujoco.mjtGain.mjGAIN_PID, mujoco.mjtGain.mjGAIN_DCMOTOR):
        return control
    if model.actuator_trntype[actuator] == mujoco.mjtTrn.mjTRN_JOINT and bias[1] < 0:
        return -(gain * control + bias[0]) / (bias[1] * model.actuator_gear[actuator, 0])
    return control


def own_motion(model, seconds=5.0, seed=0):
    """A log of every hinge and slide, made by a loop over mj_step from where the scene begins."""
    data, rng = mujoco.MjData(model), np.random.default_rng(seed)
    scalar = [j for j in range(model.njnt) if model.jnt_type[j] in (2, 3)]
    time = np.arange(round(seconds / model.opt.timestep / EVERY)) * EVERY * model.opt.timestep
    control, command = np.zeros((len(time), model.nu)), np.zeros((len(time), len(scalar)))
    served = set()
    for a in sorted(range(model.nactuator), key=lambda a: model.actuator_biasprm[a, 1]):
        place = model.actuator_ctrladr[a]
        low, high = model.actuator_ctrlrange[place] if model.actuator_ctrllimited[place] else (-0.5, 0.5)
        wave = np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * time + rng.uniform(0, 6))
        asked = (low + high) / 2 + 0.5 * (high - low) * (0.7 if seconds > 10 else 1.2) * wave
        target = int(model.actuator_trnid[a, 0])
        joints = [target]
        if model.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_TENDON:
            first = model.tendon_adr[target]
            joints = [int(model.wrap_objid[first + k]) for k in range(model.tendon_num[target])]
        if joints[0] in served:
            continue  # a log has one command a joint; the servo's
        served |= set(joints)
        control[:, place] = asked
        for joint in joints:
            command[:, scalar.index(joint)] = logged(model, a, asked)
    slew = {mujoco.mjtDyn.mjDYN_PID: 1, mujoco.mjtDyn.mjDYN_DCMOTOR: 7}
    for a in range(model.nactuator):
        place = slew.get(mujoco.mjtDyn(model.actuator_dyntype[a]))
        settles = place is None or model.actuator_dynprm[a, place]
        if model.actuator_actadr[a] >= 0 and settles:  # at rest under the first command, as when a log begins
            data.act[model.actuator_actadr[a]] = control[0, model.actuator_ctrladr[a]]
    for a in np.flatnonzero(model.actuator_history[:, 0]):
        samples = int(model.actuator_history[a, 0])
        mujoco.mj_initCtrlHistory(model, data, a, None, np.full(samples, control[0, a]))
    position = np.zeros_like(command)
    for row in range(len(time)):
        position[row] = data.qpos[model.jnt_qposadr[scalar]]
        data.ctrl[:] = control[row]
        mujoco.mj_step(model, data, nstep=EVERY)
    names = tuple(mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, j) for j in scalar)
    return Recording("own", names, time, command, position)


def off_by(world, log):
    """Largest error of any joint, rad."""
    (motion,) = replay_gap(world, [log]).motions
    return np.abs(motion.predictions[SIMULATION] - motion.measured).max()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_replays_its_own_motion(load, kind):
    world = load(KINDS[kind])
    log = own_motion(world.model)
    assert np.ptp(log.position, axis=0).max() > 0.05
    assert off_by(world, log) < 1e-7


def test_commands_between_which_cubics_go_are_refused(load):
    world = load(arm(both('nsample="8" delay="0.0125" interp="cubic"')))
    with pytest.raises(InvalidValue, match="'j1' of robot interpolates its delayed commands by cubics"):
        off_by(world, own_motion(world.model))
    with pytest.raises(
        InvalidValue, match=r"j1\.latency: actuator 'j1' can't have it, because it interpolates"
    ):
        world.for_domain(Domain.point({"j1.latency": 3}))


@pytest.mark.parametrize("interp", ["zoh", "linear", "cubic"])
@pytest.mark.parametrize("delay", [0.013, 0.0125])
def test_a_world_delays_commands_as_the_engine_does(load, interp, delay):
    """In many simulations as in a loop over `mj_step`; without interpolation, by the next whole step."""
    world = load(arm(both(f'nsample="9" delay="{delay}" interp="{interp}"')))
    model = mujoco.MjModel.from_xml_path(str(world.path / "scene.xml"))
    simulator, data = MujocoSimulator(world, 1, 1), mujoco.MjData(model)
    simulator.reset(np.array([0]), data.qpos[None], data.qvel[None], data.ctrl[None])
    for command in np.random.default_rng(0).uniform(-0.5, 0.5, (40, model.nu)):
        simulator.step(command[None], 3)
        data.ctrl[:] = command
        mujoco.mj_step(model, data, nstep=3)
        np.testing.assert_allclose(simulator.qpos[0], data.qpos, atol=1e-12)


@pytest.mark.parametrize("steps", [7, 8, 9])
def test_a_delay_of_whole_steps_is_said_not_to_be_that_of_the_engine(load, steps):
    """`mj_step` lets it drift to one step more; half a step less is as many steps in both."""
    said, off = {}, {}
    for late in (steps, steps - 0.5):
        scene = arm(both(f'nsample="12" delay="{0.002 * late:.6g}"'))
        world, log = load(scene, f"late{late}"), own_motion(mujoco.MjModel.from_xml_string(scene))
        said[late], off[late] = motion_of(world, log).notes, off_by(world, log)
    assert f"the delay of j1 ({steps} steps), j2 ({steps} steps) is that" in said[steps][0]
    assert said[steps - 0.5] == ()
    assert off[steps] > 1e-4
    assert off[steps - 0.5] < 1e-7


@pytest.mark.parametrize("delay", ["0.0025", "0.0035", "0.0055"])
def test_rk4_sees_a_delayed_command_within_a_step_in_replays_too(load, delay):
    """A sixth or five of a step earlier than at the next whole one, by which it was 2 mrad off."""
    scene = arm(both(f'nsample="8" delay="{delay}"')).replace("implicitfast", "RK4")
    world = load(scene)
    assert off_by(world, own_motion(mujoco.MjModel.from_xml_string(scene))) < 1e-4


def test_a_start_pose_hangs_at_what_mocap_moves_where_the_keyframe_has_it():
    carriage = f'<body name="carriage"><joint name="rail" type="slide" axis="1 0 0"/>{FINGER}</body>'
    tied = '<equality><connect body1="carriage" body2="leash" anchor="0 0 0"/></equality>'
    key = '<keyframe><key name="home" mpos="0.3 0 0"/></keyframe>'
    scene = arm(BOTH, tied + key).replace(
        "<worldbody>", f'<worldbody><body name="leash" mocap="true"/>{carriage}'
    )
    model = mujoco.MjModel.from_xml_string(scene)
    pose = start_pose(model, ("j1", "j2"), np.array([0.1, 0.2]))
    assert pose[model.joint("rail").qposadr[0]] == pytest.approx(0.3)


@pytest.mark.slow
@pytest.mark.parametrize("robot", ["aloha", "shadow_left", "xarm7", "go1", "leap_left", "iiwa14"])
def test_a_robot_of_menagerie_replays_its_own_motion(load, robot):
    if not STRANGERS.is_dir():
        pytest.skip("no robots of MuJoCo Menagerie here; SIM2REAL_STRANGERS can name the folder above them")
    world = load((STRANGERS / f"{robot}.xml").read_text(), robot)
    log = own_motion(mujoco.MjModel.from_xml_path(str(STRANGERS / f"{robot}.xml")), 30.0)
    assert np.ptp(log.position, axis=0).max() > 0.5
    assert off_by(world, log) < 1e-7


@pytest.mark.parametrize("clamp", ["enable", "disable"])
def test_a_filter_begins_where_the_engine_leaves_it_under_a_command_beyond_its_range(load, clamp):
    scene = arm(both('timeconst="0.1" ctrlrange="-.2 .3"'))
    flag = f'integrator="implicitfast"><flag clampctrl="{clamp}"/></option>'
    world = load(scene.replace('integrator="implicitfast"/>', flag))
    data = mujoco.MjData(world.model)
    data.ctrl[:] = 0.7, -0.1
    for _ in range(1500):
        mujoco.mj_step(world.model, data)
    began = settled(world.model, data.ctrl[None], data.qpos[None])
    np.testing.assert_allclose(began[0], data.act, atol=1e-9)


@pytest.mark.parametrize(("rows", "count"), [(40, 5), (13, 1), (6, 0)])
def test_windows_of_few_rows_a_second_are_longer_and_lose_none(load, rows, count):
    world = load(KINDS["pid"])
    time, still = np.arange(rows) * 0.2, np.zeros((rows, 2))
    parts = windows(motion_of(world, Recording("slow", ("j1", "j2"), time, still, still)), 1.0)
    assert len(parts) == count
    assert sum(len(part.time) for part in parts) == (rows if count else 0)


def test_joints_are_found_by_name(load):
    world = load(KINDS["gripper of 0..255"])
    log = own_motion(world.model)
    turned = Recording(
        "turned",
        log.joints[::-1],
        log.time,
        log.command[:, ::-1],
        np.ascontiguousarray(log.position[:, ::-1]),
    )
    assert off_by(world, turned) < 1e-7


def without(log, *left_out, **named):
    """The log less some columns, and with others renamed."""
    kept = [k for k, joint in enumerate(log.joints) if joint not in left_out]
    names = tuple(named.get(log.joints[k], log.joints[k]) for k in kept)
    return Recording("part", names, log.time, log.command[:, kept], log.position[:, kept])


def test_what_a_log_does_not_say_is_named(load):
    world = load(KINDS["gripper of 0..255"])
    log = own_motion(world.model)
    gap = replay_gap(world, [without(log, "f1", "f2")])
    assert "no angle is commanded" not in verdict(gap)
    assert "The log has no command for grip: a servo holds its start" in verdict(gap)
    assert off_by(world, without(log, "f2", f1="grip")) < 1e-7
    with pytest.raises(RecordingError, match="no column for joint 'j2'"):
        replay_gap(world, [without(log, "j2")])
    apart = log.command.copy()
    apart[:, log.joints.index("f2")] += 1.0
    with pytest.raises(InvalidValue, match="f1, f2 command different things, but one actuator, 'grip'"):
        replay_gap(world, [Recording("apart", log.joints, log.time, apart, log.position)])
    gap = replay_gap(load(KINDS["motors and a free base"], "walker"), [without(log, "f1", "f2")])
    assert "The log does not measure the body 'base', left free from where the scene puts it" in verdict(gap)


@pytest.mark.parametrize("silent", ["zeros", "positions"])
@pytest.mark.parametrize(
    ("kind", "names"), [("motors and a free base", "m1 m2"), ("other names, other order", "j1 second")]
)
def test_a_column_of_an_actuators_own_name_commands_it_beside_its_joints(load, kind, names, silent):
    """A log with joint states from one source and commands by actuators from another has both."""
    world = load(KINDS[kind])
    log = own_motion(world.model)
    own = [k for k, name in enumerate(names.split()) if name not in log.joints]
    model, control = world.model, log.command[:, own]
    quiet = log.command.copy()
    quiet[:, own] = log.position[:, own] if silent == "positions" else 0.0
    named = [names.split()[k] for k in own]
    gear = [model.actuator(name).gear[0] for name in named]
    assert kind == "motors and a free base" or gear == [1.0], "whose angle is its control"

    def told(of_joints):
        commands = np.concatenate([of_joints, control], axis=1)
        positions = np.concatenate([log.position, np.zeros_like(control)], axis=1)
        return Recording("both", (*log.joints, *named), log.time, commands, positions)

    assert off_by(world, told(quiet)) < 1e-7
    assert off_by(world, told(log.command)) < 1e-7
    apart = log.command.copy()
    apart[:, own[0]] += 0.1
    says = (
        f"columns of {log.joints[own[0]]} and {named[0]} both command actuator '{named[0]}', and differently"
    )
    with pytest.raises(InvalidValue, match=says):
        replay_gap(world, [told(apart)])


SEVERAL = """<motor name="torque" joint="j1"/><cylinder name="air" joint="j1" timeconst=".1"/>
    <velocity name="brake" joint="j1" kv=".5"/>
    <dcmotor joint="j1" resistance="2" motorconst=".1" input="none"/>
    <general name="{}" joint="j1" dyntype="integrator" biastype="affine"/>""" + SERVO.format("j2", "")


@pytest.mark.parametrize("last", ["sum", "j1"])
def test_a_joints_column_is_for_the_one_motor_without_a_column_of_its_own(load, last):
    """Or for the one of the joint's name; a command that may be for several is refused, not dropped."""
    world = load(
        arm(SEVERAL.format(last) + '<dcmotor joint="j2" resistance="2" motorconst=".1" input="none"/>')
    )
    model, names = world.model, ("torque", "air", "brake", last, "j2")
    data, time = mujoco.MjData(model), 0.02 * np.arange(150)
    asked = 0.3 * np.sin(np.outer(time, [1.0, 2.0, 3.0, 2.5, 1.5]) + np.arange(5.0))
    data.act[model.actuator_actadr[1]] = asked[0, 1]  # as the cylinder has it when a log begins
    position = np.zeros((len(time), 2))
    for row, control in enumerate(asked):
        position[row], data.ctrl[:] = data.qpos, control
        mujoco.mj_step(model, data, nstep=EVERY)
    for meant in ("j1",) if last == "j1" else ("torque", "air"):
        called = ["j1" if name == meant else name for name in names]
        order = [
            called.index("j1"),
            called.index("j2"),
            *(k for k in range(5) if called[k] not in ("j1", "j2")),
        ]
        places = np.concatenate([position, np.zeros((len(time), 3))], axis=1)
        log = Recording("own", tuple(called[k] for k in order), time, asked[:, order], places)
        assert off_by(world, log) < 1e-7
    if last == "sum":
        with pytest.raises(
            InvalidValue, match=r"column of j1 commands something, and any of torque, air, brake, "
        ):
            off_by(world, without(log, "brake", "torque"))


def test_what_takes_several_commands_is_said_to_have_the_first_alone(load):
    tip = f'<body name="tip" pos=".2 0 0"><joint name="tip" type="ball" damping=".1"/>{FINGER}</body>'
    turn = '<orientation name="turn" joint="tip" kp="5" kv=".5"/>'
    world = load(arm('<pid name="p" joint="j1" kp="20" kv="1" input="pos ff"/>' + turn, inner=tip))
    time, still = 0.02 * np.arange(50), np.zeros((50, 2))
    log = Recording("log", ("j1", "j2"), time, still + 0.1, still)
    assert motion_of(world, log).notes[0].startswith("of the 2 commands that p takes the log has the first")
    with pytest.raises(
        InvalidValue, match="'turn' takes an orientation of 3 numbers, which one column of its"
    ):
        motion_of(world, Recording("log", ("j1", "turn"), time, still + 0.1, still))


def test_an_actuator_with_a_joints_name_is_said_to_need_another(load):
    """Whose column is the joint's."""
    tendons = """<tendon><fixed name="turn"><joint joint="f1" coef="1"/><joint joint="f2" coef="-1"/></fixed>
        <fixed name="go"><joint joint="f1" coef="1"/><joint joint="f2" coef="1"/></fixed></tendon>"""
    wheels = '<motor name="f2" tendon="turn"/><motor name="go" tendon="go"/>'
    world = load(arm(BOTH + wheels, tendons, inner=GRIPPER))
    said = verdict(replay_gap(world, [own_motion(world.model)]))
    assert "no command for f2, go" in said
    assert (
        "a column of an actuator's own name commands it, once scene.xml calls f2 otherwise than a joint"
        in said
    )


def test_one_joints_column_does_not_command_two_tendons(load):
    """The wheels of a robot that drives with a sum of them and turns with a difference."""
    tendons = """<tendon><fixed name="go"><joint joint="f1" coef="1"/><joint joint="f2" coef="1"/></fixed>
        <fixed name="turn"><joint joint="f1" coef="1"/><joint joint="f2" coef="-1"/></fixed></tendon>"""
    wheels = '<motor name="forward" tendon="go"/><motor name="turning" tendon="turn"/>'
    world = load(arm(BOTH + wheels, tendons, inner=GRIPPER))
    log = own_motion(world.model)
    assert "no command for forward, turning: a servo holds its start and anything else gets 0" in verdict(
        replay_gap(world, [log])
    )


def test_a_world_without_joints_to_compare_is_refused(load):
    drone = """<mujoco><worldbody><body name="drone"><freejoint/><geom size=".1"/><site name="s"/></body>
    </worldbody><actuator><motor name="thrust" site="s" gear="0 0 1 0 0 0"/></actuator></mujoco>"""
    time, column = np.arange(9) * 0.02, np.zeros((9, 1))
    with pytest.raises(InvalidValue, match="no hinge or slide whose position a log could hold"):
        replay_gap(load(drone), [Recording("hover", ("thrust",), time, column, column)])


def test_what_is_tied_to_measured_joints_follows_them(load):
    world = load(KINDS["closed chain"])
    pose = start_pose(world.model, ["j1", "j2"], np.array([0.2, -0.1]))
    data = mujoco.MjData(world.model)
    data.qpos[:] = pose
    mujoco.mj_forward(world.model, data)
    assert np.abs(data.efc_pos[: data.ne]).max() < 1e-9


def test_an_integrating_servo_holds_the_pose_that_a_log_begins_with(load):
    speed = '<intvelocity joint="{0}" name="{0}" kp="20" kv=".5" actrange="-3 3"/>'
    world = load(arm(speed.format("j1") + speed.format("j2")).replace('frictionloss=".02"', ""))
    model, data = world.model, mujoco.MjData(world.model)
    data.act[:] = 0.4, -0.3
    for _ in range(10_000):
        mujoco.mj_step(model, data)
    time, position = np.arange(250) * 0.02, []
    command = 0.5 * np.sin(2 * np.pi * np.array([0.3, 0.5]) * time[:, None])
    for row in command:
        position.append(data.qpos.copy())
        data.ctrl[:] = row
        mujoco.mj_step(model, data, nstep=EVERY)
    log = Recording("turning", ("j1", "j2"), time, command, np.array(position))
    assert np.ptp(log.position, axis=0).min() > 0.2
    assert off_by(world, log) < 1e-6


@pytest.mark.parametrize(
    ("kind", "stays"),
    [
        ("gripper of 0..255", True),
        ("passive joint", True),
        ("filter", True),
        ("motors and a free base", False),
        ("velocity servos", False),
        ("two actuators on a joint", False),
    ],
)
def test_a_robot_of_servos_alone_stays_where_it_is_told(load, kind, stays):
    assert stays_put(load(KINDS[kind])) == stays


def test_a_motion_whose_base_was_not_measured_is_not_cut(load):
    world = load(KINDS["motors and a free base"])
    motion = motion_of(world, own_motion(world.model))
    assert windows(motion, 1.0) == [motion]


def test_a_filter_remembers_the_commands_before_a_window(load):
    world = load(KINDS["filter"])
    motion = motion_of(world, own_motion(world.model))
    last = windows(motion, 1.0)[-1]
    (found,) = Replayer(world, [last], 1, 1).run((), np.zeros((1, 0)))
    assert np.abs(found[0] - last.measured).max() < 2e-3  # the start's speed is a slope of rows
