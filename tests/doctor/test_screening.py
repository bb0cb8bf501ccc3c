"""What stands before every replay and fit: the log doctor, the same for `gap`, `identify` and `close`."""

import re

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.doctor import screen_recordings
from sim2real.errors import BadData
from sim2real.recordings import Recording, write_npz
from sim2real.world import World

SCENE = """
<mujoco><option timestep="0.002"/><worldbody><body>
  <joint name="elbow" axis="0 1 0" damping=".3" armature=".02"/>
  <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".3"/>
</body></worldbody>
<actuator><position name="elbow" joint="elbow" kp="20" kv=".5"/></actuator></mujoco>
"""
TIME = np.arange(300) * 0.02


@pytest.fixture
def arm(tmp_path):
    folder = tmp_path / "arm"
    folder.mkdir()
    (folder / "physics.toml").write_text("")
    (folder / "scene.xml").write_text(SCENE)
    return folder


@pytest.fixture
def log(tmp_path):
    """Writes a motion of the elbow and returns its folder."""

    def write(command, position):
        folder = tmp_path / "logs"
        folder.mkdir(exist_ok=True)
        run = Recording("a", ("elbow",), TIME, command[:, None], position[:, None], units=("rad",))
        write_npz(run, folder / "a.npz")
        return folder

    return write


def wrapped(angles):
    return (angles + np.pi) % (2 * np.pi) - np.pi


def test_gap_refuses_what_the_doctor_calls_bad_and_says_where(arm, log, tmp_path, capsys):
    position = 0.3 * np.sin(2 * TIME - 0.2)
    position[100] = 65.535
    folder, out = log(0.3 * np.sin(2 * TIME), position), tmp_path / "out"
    command = ["gap", str(arm), "--recordings", str(folder), "--out", str(out)]
    assert main(command) == 15
    said = capsys.readouterr().err
    assert "BAD_DATA" in said
    assert "the position of elbow reads 65.535 in row 100" in said
    assert "remove these rows; rows 100; see" in said
    assert (out / "doctor" / "recordings.html").is_file()
    assert not (out / "gap.html").exists()
    assert main([*command, "--allow-bad-data"]) == 0
    assert (out / "gap.html").is_file()


@pytest.mark.slow
def test_gap_unwraps_on_request(arm, log, tmp_path, capsys):
    """Beyond a turn, an unwrapped log replays as the same motion does within it."""
    goal, real = 3 + 0.3 * np.sin(2 * TIME), 3 + 0.3 * np.sin(2 * TIME - 0.2)
    errors = []
    for shown in (lambda x: x, wrapped):
        out = tmp_path / f"out{len(errors)}"
        folder = log(shown(goal), shown(real))
        assert main(["gap", str(arm), "--recordings", str(folder), "--unwrap", "--out", str(out)]) == 0
        errors.append((out / "gap.json").read_text())
    number = r"-?\d+\.\d+(e-?\d+)?"  # wrapping and unwrapping leave them some last digits apart
    assert re.sub(number, "", errors[0]) == re.sub(number, "", errors[1])
    one, other = ([float(m[0]) for m in re.finditer(number, text)] for text in errors)
    assert one == pytest.approx(other, rel=1e-6, abs=1e-9)
    assert main(["gap", str(arm), "--recordings", str(folder), "--out", str(tmp_path / "o")]) == 15
    assert "--unwrap" in capsys.readouterr().err


def test_the_call_does_what_the_commands_do(arm, log):
    folder = log(wrapped(3 + 0.3 * np.sin(2 * TIME)), wrapped(3 + 0.3 * np.sin(2 * TIME - 0.2)))
    world = World.load(arm)
    with pytest.raises(BadData, match=r"elbow jumps by a whole turn of 6\.2832 in its position and command"):
        screen_recordings(world, folder)
    assert screen_recordings(world, folder, unwrap=True).complaints == ()
    assert len(screen_recordings(world, folder, allow_bad=True).complaints) == 1


HAND = """
<mujoco><compiler angle="radian"/><worldbody><body>
  <joint name="wrist" axis="0 1 0" damping=".3" armature=".02" range="-2 2"/>
  <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".3"/>
  <body pos=".2 0 0"><joint name="left" axis="0 1 0" damping=".1" armature=".01" range="0 1"/>
    <geom type="capsule" fromto="0 0 0 .1 .02 0" size=".01" mass=".1"/></body>
  <body pos=".2 0 0"><joint name="right" axis="0 -1 0" damping=".1" armature=".01" range="0 1"/>
    <geom type="capsule" fromto="0 0 0 .1 -.02 0" size=".01" mass=".1"/></body>
</body><body name="cup"><freejoint/><geom size=".02"/></body></worldbody>
<tendon><fixed name="both"><joint joint="left" coef=".5"/><joint joint="right" coef=".5"/></fixed></tendon>
<actuator><position name="turn" joint="wrist" kp="20" kv=".5"/>
  <general name="grip" tendon="both" ctrlrange="0 255" gainprm=".04" biastype="affine" biasprm="0 -10 -1"/>
</actuator></mujoco>
"""


@pytest.mark.parametrize(
    ("joints", "missing"),
    [
        (("wrist", "left", "right"), ""),
        (("right", "wrist"), ""),  # a finger that nobody measured
        (("wrist", "grip"), ""),  # what the actuator was told, under its own name
        (("left", "right"), "no column is for wrist"),
        (("wrist", "lift"), "has no joint for lift"),
    ],
)
def test_only_joints_that_are_driven_alone_are_asked_for(tmp_path, joints, missing):
    folder = tmp_path / "hand"
    folder.mkdir()
    (folder / "physics.toml").write_text("")
    (folder / "scene.xml").write_text(HAND)
    goal = 0.5 + 0.3 * np.sin(2 * TIME[:, None] + np.arange(len(joints)))
    tendon = np.isin(joints, ("left", "right", "grip"))
    command = np.where(tendon, 200 * goal, goal)  # 0 .. 255, where no joint is told an angle
    write_npz(
        Recording("a", joints, TIME, command, np.pad(goal, ((4, 0), (0, 0)), "edge")[:-4]),
        tmp_path / "logs" / "a.npz",
    )
    world = World.load(folder)
    if not missing:
        assert screen_recordings(world, tmp_path / "logs").complaints == ()
        return
    with pytest.raises(BadData, match=missing):
        screen_recordings(world, tmp_path / "logs")
