"""Open-loop replay of recordings under many physics, against plain loops of the engine."""

import dataclasses

import mujoco
import numpy as np
import pytest

from sim2real.errors import InvalidValue, UnknownName
from sim2real.recordings import Recording
from sim2real.replay import Motion, Replayer, motion_of, windows
from sim2real.replay.decoupled import DecoupledReplayer
from sim2real.replay.motion import liveliest
from sim2real.replay.zero_order_hold import ZeroOrderHold
from sim2real.world import World

SLOW = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}


@pytest.fixture(scope="module")
def arm():
    return World.load("so101")


def motion(world, seconds=1.5, seed=0, period=0.02):
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds / period)) * period
    command = 0.3 * np.sin(
        time[:, None] * rng.uniform(2, 8, world.model.nu) + rng.uniform(0, 6, world.model.nu)
    )
    if world.name == "so101":
        command[:, 5] += 0.6  # the jaw's range is not even
    joints = tuple(world.model.joint(k).name for k in range(world.model.njnt))
    zeros = np.zeros(len(joints))
    measured = np.zeros((len(time), len(joints)))
    if len(joints) == world.model.nu:
        measured[0] = command[0]
    return Motion(f"motion {seed}", joints, time, command, measured, zeros)


def by_hand(world, log, change=lambda model: None, late=0):
    """Plain mj_step, each command held for the four steps of its period, ``late`` steps late."""
    model = World.load(world.name).model
    change(model)
    model.actuator_history[:] = 0
    data = mujoco.MjData(model)
    data.qpos[:] = log.measured[0]
    per = round((log.time[1] - log.time[0]) / model.opt.timestep)
    trace = [data.qpos.copy()]
    for step in range((len(log.time) - 1) * per):
        data.ctrl[:] = log.command[max(step - late, 0) // per]
        mujoco.mj_step(model, data)
        trace.append(data.qpos.copy())
    return np.array(trace)[::per]


@pytest.mark.parametrize("name", ["so101", "furuta", "cartpole"])
@pytest.mark.parametrize("late", [0, 3])
def test_a_replay_is_a_plain_loop(name, late):
    world = World.load(name)
    log = motion(world)
    latency = next(n for n in world.parameters if n.endswith(".latency"))
    (found,) = Replayer(world, [log], 2, 1).run((latency,), np.array([[late], [late]]))
    truth = by_hand(world, log, late=late)
    assert found[0] == pytest.approx(truth, abs=1e-5)
    assert np.array_equal(found[0], found[1])


def test_a_fraction_of_a_step_lies_between_whole_ones(arm):
    log = motion(arm)
    steps = np.array([[2.0], [2.5], [3.0]])
    (found,) = Replayer(arm.with_parameters({}, SLOW), [log], 3, 1).run(("servos.latency",), steps)
    middle = (found[0] + found[2]) / 2
    assert np.sqrt(((found[1] - middle) ** 2).mean()) < 0.1 * np.sqrt(((found[0] - found[2]) ** 2).mean())


def test_candidates_and_motions_do_not_see_each_other(arm):
    logs = [motion(arm, 1.0 + 0.3 * seed, seed) for seed in range(3)]
    values = np.array([[200.0], [998.0]])
    together = Replayer(arm, logs, 4, 2).run(("servos.kp",), values)
    for log, found in zip(logs, together, strict=True):
        for value, one in zip(values, found, strict=True):
            (alone,) = Replayer(arm, [log], 1, 1).run(("servos.kp",), value[None])
            assert np.array_equal(alone[0], one)


def test_a_run_leaves_nothing_behind(arm):
    replayer = Replayer(arm, [motion(arm)], 2, 1)
    first = replayer.run((), np.zeros((1, 0)))[0]
    replayer.run(("servos.kp", "joints.frictionloss"), np.array([[50.0, 0.4]] * 2))
    assert np.array_equal(replayer.run((), np.zeros((1, 0)))[0], first)


def test_a_reading_delay_reads_later(arm):
    log = motion(arm)
    now, late = Replayer(arm, [log], 2, 1).run(("gripper.read_delay",), np.array([[0.0], [0.02]]))[0]
    assert np.array_equal(now[:, :5], late[:, :5])
    assert late[:-1, 5] == pytest.approx(now[1:, 5], abs=1e-6)


def test_dry_friction_grows_with_load_and_falls_with_speed(arm):
    world = arm.with_parameters(
        {f"elbow_flex.{q}": ("elbow_flex",) for q in ("stribeck", "load_friction_motor")}
    )
    log = motion(arm)
    names = ("elbow_flex.stribeck", "elbow_flex.load_friction_motor")
    plain, stribeck, load = Replayer(world, [log], 3, 1).run(names, np.array([[0, 0], [1.0, 0], [0, 0.3]]))[0]
    assert np.abs(stribeck - plain)[:, 2].max() > 1e-4
    assert np.abs(load - plain)[:, 2].max() > 1e-4


def test_a_diverging_candidate_is_counted_and_the_others_run_on(arm):
    log = motion(arm)
    broken = dataclasses.replace(log, measured=log.measured + 1e11)
    replayer = Replayer(arm, [log, broken], 1, 1)
    fine, bad = replayer.run((), np.zeros((1, 0)))
    assert np.isfinite(fine).all()
    assert np.isnan(bad).all()
    assert replayer.diverged.tolist() == [[False], [True]]


def test_names_and_widths_that_do_not_fit_are_refused(arm):
    replayer = Replayer(arm, [motion(arm)], 1, 1)
    with pytest.raises(UnknownName, match=r"servos\.kp"):
        replayer.run(("servo.kp",), np.ones((1, 1)))
    with pytest.raises(InvalidValue, match="2 candidates do not fit a replayer of width 1"):
        replayer.run(("servos.kp",), np.ones((2, 1)))


def test_joints_alone_move_as_in_the_full_simulation(arm):
    """Of servos as slow as the real ones; the difference is what the links do to each other."""
    world = arm.with_parameters({"gripper.mass": ("gripper",)}, SLOW)
    logs = [motion(arm, 3.0, seed) for seed in range(2)]
    names, values = ("servos.latency", "gripper.mass"), np.array([[0.0, 0.087], [4.5, 0.2]])
    full = Replayer(world, logs, 2, 1).run(names, values)
    logs = [dataclasses.replace(log, measured=f[0]) for log, f in zip(logs, full, strict=True)]
    alone = DecoupledReplayer(world, logs).run(names, values)
    for a, b in zip(full, alone, strict=True):
        assert np.sqrt(((a - b) ** 2).mean()) < 0.008
        assert a.std() > 0.2


def test_the_command_of_a_joint_is_that_of_its_actuator():
    world = World.load("furuta")
    time = np.arange(5) * 0.01
    columns = np.arange(10.0).reshape(5, 2)
    log = Recording("swing", ("pole_hinge", "arm_hinge"), time + 3, columns, columns, columns)
    found = motion_of(world, log)
    assert found.joints == ("arm_hinge", "pole_hinge")
    assert found.command[:, 0].tolist() == columns[:, 1].tolist()
    assert found.velocity.tolist() == [1.0, 0.0]
    assert found.time[0] == 0


def test_windows_begin_where_the_robot_was(arm):
    log = motion(arm, 4.0)
    log = dataclasses.replace(log, measured=log.command, velocity=np.zeros(6))
    parts = windows(log, 1.0)
    assert [part.duration for part in parts] == pytest.approx([0.98] * 4)
    speed = np.gradient(log.measured, log.time, axis=0)[50]
    assert parts[1].velocity == pytest.approx(speed, abs=0.15)
    assert np.array_equal(parts[1].measured[0], log.measured[50])


def test_a_window_knows_its_recording_whatever_that_is_called(arm):
    whole = dataclasses.replace(motion(arm, 2.0), name="run@1kHz/a@b")
    assert whole.recording == "run@1kHz/a@b"
    parts = [part for window in windows(whole, 1.0) for part in (window, window.part(slice(10, 30)))]
    assert {part.recording for part in parts} == {"run@1kHz/a@b"}
    assert len({part.name for part in parts}) == 4


def test_every_motion_gives_its_liveliest_window_first(arm):
    logs = [motion(arm, 2.0, seed) for seed in range(2)]
    still = dataclasses.replace(logs[0], command=np.where(logs[0].time[:, None] < 1.0, 0.0, logs[0].command))
    chosen = liveliest([still, logs[1]], 1.0, 2)
    assert [window.name.split("@")[0] for window in chosen] == ["motion 0", "motion 1"]
    assert chosen[0].name.endswith("@1.0s")


def test_parts_of_parts_know_the_same_past(arm):
    log = dataclasses.replace(motion(arm, 4.0), velocity=np.zeros(6))
    whole, last = windows(log, 1.0)[2:], windows(log.part(slice(100, None)), 1.0)
    for one, other in zip(whole, last, strict=True):
        for field in ("time", "command", "measured", "past_time", "past_command"):
            np.testing.assert_allclose(getattr(one, field), getattr(other, field), atol=1e-12)


def test_windows_of_a_long_log_hold_no_copy_of_all_before(arm):
    """Those of 200,000 rows took 11 GB."""
    log = dataclasses.replace(motion(arm, 20.0), velocity=np.zeros(6))
    for window in windows(log, 1.0):
        assert len(window.past_time) <= 26
        for past in (window.past_time, window.past_command):
            assert past.base is None or len(past.base) <= 26


def test_the_mean_command_of_a_step_counts_every_part():
    signal = ZeroOrderHold(np.array([0.0, 0.013, 0.02]), np.array([[1.0], [3.0], [5.0]]))
    means = signal.means(range(-1, 3), 0.01, np.array([0.0, 0.01]), [0, 0])
    assert means[0] == pytest.approx([1.0, 1.0, 0.3 * 1 + 0.7 * 3, 5.0])
    assert means[1] == pytest.approx([1.0, 1.0, 1.0, 0.3 * 1 + 0.7 * 3])


@pytest.mark.parametrize("clock", ["sums", "three decimals", "less an epoch"])
def test_where_one_command_holds_it_is_the_mean_to_the_bit(clock):
    stamps = np.arange(300) * 0.02
    if clock == "sums":
        stamps = np.cumsum(np.full(300, 0.02)) - 0.02
    if clock == "less an epoch":
        stamps = (1719500000.0 + stamps) - 1719500000.0
    command = np.random.default_rng(0).normal(size=(300, 1))
    means = ZeroOrderHold(stamps, command).means(range(2990), 0.002, np.zeros(1), [0])
    assert np.array_equal(means[0], np.repeat(command[:299, 0], 10))


def with_play_by_hand(world, log, joint, play):
    """Plain mj_step of the arm with a second hinge for the play of one joint; shows the sum of both."""
    spec = mujoco.MjSpec.from_file(str(world.path / "scene.xml"))
    for actuator in spec.actuators:
        actuator.gainprm[0], actuator.biasprm[1:3] = SLOW["servos.kp"], (-SLOW["servos.kp"], 0.0)
    for one in list(spec.joints):
        one.damping[0], one.frictionloss = SLOW["joints.damping"], SLOW["joints.frictionloss"]
    first = spec.joint(joint)
    first.parent.add_joint(
        name="loose", type=first.type, axis=first.axis, pos=first.pos, range=[-play / 2, play / 2],
        limited=mujoco.mjtLimited.mjLIMITED_TRUE, solref_limit=[2 * spec.option.timestep, 1.0],
        damping=[0, 0, 0], frictionloss=0, armature=0,
    )  # fmt: skip
    model = spec.compile()
    data = mujoco.MjData(model)
    shown = [int(model.joint(name).qposadr[0]) for name in log.joints]
    data.qpos[shown] = log.measured[0]
    loose, column = int(model.joint("loose").qposadr[0]), log.joints.index(joint)
    trace = []
    for step in range((len(log.time) - 1) * 4 + 1):
        position = data.qpos[shown].copy()
        position[column] += data.qpos[loose]
        trace.append(position)
        data.ctrl[:] = log.command[min(step // 4, len(log.command) - 1)]
        mujoco.mj_step(model, data)
    return np.array(trace)[::4]


def test_play_is_replayed_as_a_plain_loop_has_it(arm):
    log = motion(arm)
    truth = with_play_by_hand(arm, log, "elbow_flex", 0.08)
    names = (*SLOW, "elbow_flex.backlash")
    world = arm.with_parameters({"elbow_flex.backlash": ("elbow_flex",)})
    values = np.array([[*SLOW.values(), x] for x in (0.08, 0.0)])
    (predicted,) = Replayer(world, [log], 2, 1, names).run(names, values)
    assert np.abs(predicted[0] - truth).max() < 1e-5
    assert np.abs(predicted[1] - truth).max() > 0.02


def test_the_stand_in_has_the_same_play(arm):
    log = motion(arm, 3.0)
    names = (*SLOW, "elbow_flex.backlash", "shoulder_pan.backlash")
    world = arm.with_parameters({n: (n.split(".")[0],) for n in names[4:]})
    values = np.array([[*SLOW.values(), 0.08, 0.05], [*SLOW.values(), 0.0, 0.0]])
    (full,) = Replayer(world, [log], 2, 1, names).run(names, values)
    (alone,) = DecoupledReplayer(world, [log]).run(names, values)
    effect = np.sqrt(((full[0] - full[1]) ** 2).mean(axis=0))
    error = np.sqrt((((alone[0] - alone[1]) - (full[0] - full[1])) ** 2).mean(axis=0))
    for joint in (2, 0):
        assert effect[joint] > 0.01
        assert error[joint] < 0.35 * effect[joint]


def by_line(world, log, loss):
    """Plain mj_step with force limits that fall with each joint's speed."""
    model = World.load(world.name).model
    model.actuator_gainprm[:, 0], model.actuator_biasprm[:, 1] = SLOW["servos.kp"], -SLOW["servos.kp"]
    model.actuator_biasprm[:, 2] = 0.0
    model.dof_damping[:], model.dof_frictionloss[:] = SLOW["joints.damping"], SLOW["joints.frictionloss"]
    model.actuator_history[:] = 0
    base = model.actuator_forcerange.copy()
    data = mujoco.MjData(model)
    data.qpos[:] = log.measured[0]
    trace = []
    for step in range((len(log.time) - 1) * 4 + 1):
        trace.append(data.qpos.copy())
        speed = data.qvel[model.jnt_dofadr[model.actuator_trnid[:, 0]]]
        model.actuator_forcerange[:, 0] = base[:, 0] * np.clip(1 + loss * speed, 0, 1)
        model.actuator_forcerange[:, 1] = base[:, 1] * np.clip(1 - loss * speed, 0, 1)
        data.ctrl[:] = log.command[min(step // 4, len(log.command) - 1)]
        mujoco.mj_step(model, data)
    return np.array(trace)[::4]


def test_the_torque_speed_line_is_a_plain_loops_and_leaves_no_trace(arm):
    log = dataclasses.replace(motion(arm), command=3 * motion(arm).command)
    truth = by_line(arm, log, 0.4)
    names = (*SLOW, "servos.speed_loss")
    world = arm.with_parameters({"servos.speed_loss": arm.parameters["servos.kp"].elements})
    replayer = Replayer(world, [log], 2, 1)
    values = np.array([[*SLOW.values(), x] for x in (0.4, 0.0)])
    (predicted,) = replayer.run(names, values)
    (again,) = replayer.run(names, values)
    assert np.abs(predicted[0] - truth).max() < 1e-5
    assert np.abs(predicted[1] - truth).max() > 0.02
    np.testing.assert_array_equal(predicted, again)
    (alone,) = DecoupledReplayer(world, [log]).run(names, values)
    effect = np.sqrt(((predicted[0] - predicted[1]) ** 2).mean())
    assert np.sqrt(((alone[0] - predicted[0]) ** 2).mean()) < 0.4 * effect
