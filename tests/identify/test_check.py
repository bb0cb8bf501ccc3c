"""What recordings can tell is known before the fit, and agrees with what fits then find."""

import dataclasses

import mujoco
import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import RecordingError
from sim2real.identify.check import check
from sim2real.identify.defaults import cut
from sim2real.identify.identifiability import Information, open_scale
from sim2real.identify.identify import Options
from sim2real.identify.least_squares import least_squares
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.identify.verdicts import BAD_DATA, IDENTIFIED, NOT_IDENTIFIABLE
from sim2real.pipelines.identify import identify as identify_and_save
from sim2real.recordings import Recording
from sim2real.recordings.npz import write_npz
from sim2real.replay import motion_of
from sim2real.replay.baselines import COMMAND
from sim2real.world import World

NOISE = 5e-4


def noisy(recordings, seed):
    rng = np.random.default_rng(seed)
    return [
        dataclasses.replace(r, position=r.position + rng.normal(0, NOISE, r.position.shape))
        for r in recordings
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "free", "start"),
    [
        ("cartpole", ("cart.mass", "pole.mass"), (0, np.pi)),
        ("furuta", ("pole.mass", "motor.strength"), None),
    ],
)
def test_expected_widths_are_the_scatter_of_estimates(name, free, start, twin):
    """Fits of 12 twins that differ by their noise alone scatter as was expected of the first."""
    world = World.load(name)
    clean = twin(name, {}, count=3, seconds=1.0, start=start, share=0.6, noise=0.0)
    options = Options(free=free, generations=0, window=0.5)
    found = check(world, noisy(clean, 0), options)
    space = ParameterSpace(tuple(free_parameters(world, free)))
    fitted = []
    for seed in range(12):
        motions = cut(world, [motion_of(world, r) for r in noisy(clean, seed)], 0.5)
        problem = RecordingProblem.of(world, space, motions, 1)
        fitted.append(least_squares(problem, space.start, tolerance=1e-4).point)
    scatter = np.std(fitted, axis=0, ddof=1)
    # the interval is 2 · 1.96 standard deviations wide
    expected = np.array([e.share for e in found.expected]) / 3.92
    assert (expected < 2 * scatter).all(), (expected, scatter)
    assert (scatter < 2 * expected).all(), (expected, scatter)
    assert all(e.identifiable for e in found.expected)


def test_the_noise_is_found_in_a_moving_signal(twin):
    clean = twin("cartpole", {}, count=2, seconds=2.0, start=(0, np.pi), noise=0.0)
    world = World.load("cartpole")
    space = ParameterSpace(())

    def found(recordings):
        return RecordingProblem.of(world, space, [motion_of(world, r) for r in recordings]).noise

    assert found(noisy(clean, 1)) == pytest.approx([NOISE] * 2, rel=0.2)
    step = 0.0015
    rounded = [dataclasses.replace(r, position=np.round(r.position / step) * step) for r in clean]
    assert found(rounded) == pytest.approx([step / 12**0.5] * 2, rel=0.3)


def test_what_nothing_excites_is_said_before_the_fit(twin):
    recordings = twin("cartpole", {}, count=2, seconds=1.0, start=(0, 0), share=0.0)
    found = check(World.load("cartpole"), recordings, Options(free=("cart.mass", "motor.strength")))
    assert not any(e.identifiable for e in found.expected)
    assert {v.name for v in found.verdicts} == {BAD_DATA, NOT_IDENTIFIABLE}
    assert found.exit_code == 15
    said = " ".join(v.text for v in found.verdicts)
    assert "motor.strength leaves no trace" in said
    assert "cart.mass leaves no trace" in said


def test_one_column_is_said_before_the_fit(twin):
    """Masses and the force of the motor: only ratios show."""
    recordings = twin("cartpole", {}, count=3, seconds=1.0, start=(0, np.pi))
    free = ("cart.mass", "pole.mass", "motor.strength", "slider.damping")
    found = check(World.load("cartpole"), recordings, Options(free=free, window=0.5))
    assert found.exit_code == 13
    assert any({"cart.mass", "motor.strength"} <= {*v.doubtful} for v in found.verdicts)
    fixed = check(World.load("cartpole"), recordings, Options(free=free[:2] + free[3:], window=0.5))
    assert fixed.exit_code == 0
    assert fixed.verdicts == ()


def test_what_is_nothing_has_no_scale(twin):
    """A rotor that a fit leaves at 0 does not grow with the rest, and alone is open in no direction."""
    world = World.load("cartpole")
    motions = cut(world, [motion_of(world, r) for r in twin("cartpole", {}, count=2, seconds=0.5)], 0.5)
    space = ParameterSpace(tuple(free_parameters(world, ("cart.mass", "hinge.armature"))))
    problem = RecordingProblem.of(world, space, motions, 1)
    rotor = ParameterSpace(tuple(free_parameters(world, ("hinge.armature",))))
    alone = RecordingProblem.of(world, rotor, motions, 1)
    assert rotor.values(np.zeros(1)) == [0.0]
    assert open_scale(alone, np.zeros(1)) is None
    assert open_scale(problem, np.array([0.5, 0.0])) is None


def test_a_motionless_joint_of_an_arm_is_named(twin):
    recordings = twin("so101", {}, count=2, seconds=3.0)
    still = []
    for r in recordings:
        command, position = r.command.copy(), r.position.copy()
        command[:, 4] = command[0, 4]
        position[:, 4] = position[0, 4]
        still.append(dataclasses.replace(r, command=command, position=position))
    found = check(World.load("so101"), still, Options(free=("wrist_roll.kp", "elbow_flex.damping")))
    moved = {e.joint: e for e in found.excitation}
    assert moved["wrist_roll"].moving == 0.0
    assert moved["wrist_roll"].commanded == 0.0
    assert moved["elbow_flex"].moving > 0.3
    told = {e.name: e.identifiable for e in found.expected}
    assert told == {"wrist_roll.kp": False, "elbow_flex.damping": True}
    assert "no recording commands wrist_roll to move" in " ".join(v.text for v in found.verdicts)


TWO_JOINTS = """<mujoco><option timestep="0.002" integrator="implicitfast" gravity="0 0 0"/>
    <default><joint axis="0 1 0" damping="{}" armature=".02"/><geom contype="0" conaffinity="0" mass=".3"/>
    </default><worldbody><body><joint name="j1"/><geom size=".02" pos=".1 0 0"/>
    <body pos=".2 0 0"><joint name="j2"/><geom size=".02" pos=".1 0 0"/></body></body></worldbody>
    <actuator>{}</actuator></mujoco>"""
SEVERAL_INPUTS = """<pid name="a" joint="j1" kp="20" kv=".5" input="pos vel"/>
    <pid name="b" joint="j2" kp="20" kv=".5" input="pos vel"/>"""
MOTOR_AND_DAMPER = """<motor name="a" joint="j1" ctrllimited="true" ctrlrange="-1 1"/>
    <damper name="c" joint="j1" kv=".5" ctrlrange="0 1"/>
    <motor name="b" joint="j2" ctrllimited="true" ctrlrange="-1 1"/>"""


def of_two_joints(actuators, seed):
    """Two joints in a plain loop, with more damping; their commands are the first and the third control."""
    model = mujoco.MjModel.from_xml_string(TWO_JOINTS.format(0.5, actuators))
    data, time = mujoco.MjData(model), np.arange(100) * 0.02
    command = np.stack([0.5 * np.cos((seed + 3) * time), 0.4 * np.cos((seed + 4) * time)], axis=1)
    position = np.zeros_like(command)
    for row, told in enumerate(command):
        position[row] = data.qpos
        data.ctrl[[0, 2]] = told
        mujoco.mj_step(model, data, nstep=10)
    position += np.random.default_rng(seed).normal(0, 1e-4, position.shape)
    return Recording(f"run{seed}", ("j1", "j2"), time, command, position)


@pytest.mark.slow
@pytest.mark.parametrize("actuators", [SEVERAL_INPUTS, MOTOR_AND_DAMPER])
def test_joints_are_told_by_the_column_that_is_for_them(actuators, tmp_path):
    (tmp_path / "scene.xml").write_text(TWO_JOINTS.format(0.3, actuators))
    (tmp_path / "physics.toml").write_text("")
    world, recordings = World.load(tmp_path), [of_two_joints(actuators, seed) for seed in range(3)]
    options = Options(free=("j1.damping", "j2.damping"), generations=0, nuisance=False)
    found = identify_and_save(world, recordings, options, out=tmp_path / "out")
    assert {verdict.name for verdict in found.verdicts} == {IDENTIFIED}
    assert found.point == pytest.approx({"j1.damping": 0.5, "j2.damping": 0.5}, rel=0.05)
    assert found.next_motion is None, "a log has one command for a joint, and these have two"
    for command in (row for row in found.gap if row.predictor == COMMAND):
        left = [np.sqrt(((r.command - r.position) ** 2).mean(axis=0)) for r in recordings[:2]]
        assert command.fitted_joints == pytest.approx(np.mean(left, axis=0))
    spans = [np.ptp(r.command, axis=0) for r in recordings]
    told = [e.commanded for e in check(world, recordings, options).excitation]
    assert told == pytest.approx(np.max(spans, axis=0))


def test_what_nothing_tells_keeps_its_range():
    known = Information(np.diag([1e4, 0.0]), np.diag([1.0, 0.0]))
    assert known.std == pytest.approx([1e-4, 0.29], rel=1e-3)
    assert (known + known).std[0] == pytest.approx(1e-4 / 2**0.5, rel=1e-3)


def test_no_recordings_can_not_be_checked():
    with pytest.raises(RecordingError, match="no recordings to learn from"):
        check(World.load("cartpole"), [])


def test_the_command_says_what_can_be_told_and_fits_nothing(twin, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")  # no line is broken
    for recording in twin("cartpole", {}, count=2, seconds=1.0, start=(0, np.pi)):
        write_npz(recording, tmp_path / f"{recording.name}.npz")
    command = ["identify", "cartpole", "--recordings", str(tmp_path), "--check", "--free"]
    assert main([*command, "cart.mass"]) == 0
    assert "cart.mass" in capsys.readouterr().out
    assert main([*command, "cart.mass", "pole.mass", "motor.strength", "slider.damping"]) == 13
    assert "can't tell" in capsys.readouterr().out
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"] * 2
