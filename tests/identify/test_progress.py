"""Whoever waits for a fit is told the stage, the error so far and the time left; one call does it all."""

import json
import math

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import BadData, InvalidValue
from sim2real.identify.identify import ASSESS, Options, identify
from sim2real.pipelines.identify import CHECK, PROPOSE
from sim2real.pipelines.identify import identify as identify_folder
from sim2real.pipelines.progress import Progress, planned_stages
from sim2real.recordings import write_npz
from sim2real.world import World


@pytest.fixture
def logs(twin, tmp_path):
    """Folder of recordings of a cart-pole with another cart."""
    for log in twin("cartpole", {"cart.mass": 1.4}, count=3, seconds=0.8, start=(0, np.pi)):
        write_npz(log, tmp_path / "logs" / f"{log.name}.npz")
    return tmp_path / "logs"


@pytest.mark.slow
def test_one_call_does_what_the_command_does(logs, tmp_path):
    lines, options = [], Options(free=("cart.mass",), generations=0, threads=1, window=0.4)
    world = World.load("cartpole")
    progress = Progress(lines.append, planned_stages(world, options))
    found = identify_folder(world, logs, options, progress, tmp_path / "out")
    assert found.point["cart.mass"] == pytest.approx(1.4, rel=0.02)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"identified.toml", "point.toml", "identification.json", "identification.html"} <= written
    table = json.loads((tmp_path / "out" / "identification.json").read_text())
    assert table["check"]["expected"][0]["name"] == "cart.mass"
    assert (table["next_motion"] is None) == (not (tmp_path / "out" / "next_motion.npz").is_file())
    assert [line.split(" (")[0] for line in lines if not line.startswith("check:")] == [
        CHECK, "fit", "refit", ASSESS, PROPOSE,
    ]  # fmt: skip
    assert any("these recordings can tell all 1 parameters" in line for line in lines)
    assert all("so far" in line and "left" in line for line in lines[-2:])
    (logs / "bad.npz").write_text("no archive")
    with pytest.raises(BadData):
        identify_folder(world, logs, options)


@pytest.mark.slow
def test_a_line_a_stage_where_there_is_no_terminal(logs, tmp_path, capsys):
    command = ["identify", "cartpole", "--recordings", str(logs), "--free", "cart.mass"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert {"doctor", "identification.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
    told = capsys.readouterr().out.splitlines()
    places = [next(k for k, line in enumerate(told) if line.startswith(s)) for s in ("fit", "refit", ASSESS)]
    assert places == sorted(places)
    assert all("mrad so far" in told[k] for k in places[1:])


def test_the_time_left_shrinks_with_the_stages_that_are_done(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("sim2real.pipelines.progress.time.monotonic", lambda: now[0])
    lines = []
    progress = Progress(lines.append, {"a": 1.0, "b": 2.0, "c": 1.0})
    progress("a", 0, 0.02)
    assert math.isnan(progress.left())
    now[0] = 10.0
    progress("b: search", 0, 0.01)
    assert progress.left() == pytest.approx(30.0)
    progress("b", 0, 0.012)
    now[0] = 30.0
    progress("c", 0, 0.011)
    assert progress.left() == pytest.approx(10.0)
    assert lines[0] == "a (20.00 mrad so far)"
    assert lines[1:] == [
        "b (20.00 mrad so far, about 30 s left)",
        "c (11.00 mrad so far, about 10 s left)",
    ]


@pytest.mark.slow
def test_commands_that_were_made_from_the_measurements_are_no_commands(twin):
    """A log whose action is only the next state, as data sets have them that were never told an action."""
    world, made = World.load("so101"), []
    for log in twin("so101", {"servos.kp": 60.0, "joints.damping": 4.0}, count=2, seconds=2.5):
        later = np.vstack([log.position[1:], log.position[-1:]])
        made.append(type(log)(log.name, log.joints, log.time, later, log.position, log.velocity))
    options = Options(free=("shoulder_pan.damping",), generations=0, threads=1, nuisance=False)
    found = identify(world, made, options)
    assert found.exit_code == 15
    said = [v.text for v in found.verdicts if v.name == "BAD_DATA"]
    assert any("the commands are the measured positions of the next row" in text for text in said), said


@pytest.mark.slow
def test_errors_that_no_sensor_shows_lack_nothing(twin):
    """A noise-free twin with a friction far below what shows: no "0.0 in place of 0.0"."""
    physics = {"cart.mass": 1.3, "slider.frictionloss": 2e-5}
    logs = twin("cartpole", physics, count=3, seconds=1.0, start=(0, np.pi), noise=0.0)
    found = identify(World.load("cartpole"), logs, Options(free=("cart.mass",), generations=0, threads=1))
    assert {v.name for v in found.verdicts} == {"IDENTIFIED"}
    same = twin("cartpole", {}, count=3, seconds=1.0, start=(0, np.pi), noise=0.0)
    exact = identify(World.load("cartpole"), same, Options(free=("cart.mass",), generations=0, threads=1))
    assert {v.name for v in exact.verdicts} == {"IDENTIFIED"}, "nothing to gain where nothing is wrong"


def test_a_robot_that_nothing_drives_is_refused_in_a_sentence(twin, tmp_path):
    scene = '<mujoco><worldbody><body><joint name="slider"/><geom size=".1"/></body></worldbody></mujoco>'
    (tmp_path / "scene.xml").write_text(scene)
    (tmp_path / "physics.toml").write_text("")
    logs = twin("cartpole", {}, count=1, seconds=0.5)
    with pytest.raises(InvalidValue, match="has no actuator, so nothing can follow the commands"):
        identify(World.load(tmp_path), logs, Options(free=("slider.damping",)))
