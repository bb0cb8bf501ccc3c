"""What can be wrong with the data of an identification: one sentence, a status, no fit spent on it."""

import dataclasses
import re

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.doctor import diagnose, expected_of
from sim2real.doctor.finding import BAD
from sim2real.doctor.screening import screen_recordings
from sim2real.errors import BadData, InvalidValue, RecordingError, UnknownName
from sim2real.identify.defaults import cut
from sim2real.identify.dropo import DropoSettings
from sim2real.identify.identify import Options, identify
from sim2real.identify.npe import NpeSettings
from sim2real.identify.rollout_fit import FitSettings
from sim2real.identify.search import SearchSettings
from sim2real.identify.verdicts import BAD_DATA, EXIT_CODES, IDENTIFIED, NOT_IDENTIFIABLE
from sim2real.recordings import load_recordings, write_npz
from sim2real.recordings.raw import raw_of
from sim2real.replay import motion_of
from sim2real.world import World

DEGREES = 180 / np.pi


@pytest.fixture(scope="module")
def arm():
    return World.load("so101")


@pytest.fixture
def logs(twin):
    """Clean logs of a simulated arm."""
    return twin(
        "so101", {"servos.kp": 60.0, "joints.damping": 4.0, "servos.latency": 8}, count=3, seconds=2.5
    )


@pytest.fixture
def saved(logs, tmp_path):
    """Write logs, the first of them as it is given, and return their folder."""

    def save(first, others=logs[1:]):
        folder = tmp_path / "logs"
        for log in (first, *others):
            write_npz(log, folder / f"{log.name}.npz")
        return folder

    return save


def rows(log, count):
    parts = {name: getattr(log, name)[:count] for name in ("time", "command", "position", "velocity")}
    return dataclasses.replace(log, **parts)


def without_elbow(log):
    keep = [k for k, joint in enumerate(log.joints) if joint != "elbow_flex"]
    parts = {name: getattr(log, name)[:, keep] for name in ("command", "position", "velocity")}
    return dataclasses.replace(log, joints=tuple(log.joints[k] for k in keep), **parts)


def renamed(log):
    names = tuple("ellbow" if joint == "elbow_flex" else joint for joint in log.joints)
    return dataclasses.replace(log, joints=names)


def in_degrees(log):
    parts = {name: getattr(log, name) * DEGREES for name in ("command", "position", "velocity")}
    return dataclasses.replace(log, **parts)


def in_milliseconds(log):
    return dataclasses.replace(log, time=log.time / 1000)


BROKEN = [
    (
        lambda log: rows(log, 10),
        "run0: it lasts 0.18 s, less than the 0.50 s within which a command's effect",
    ),
    (in_degrees, "degrees"),
    (in_milliseconds, "the stamps are in milliseconds where microseconds are meant"),
    (
        without_elbow,
        "run0: it lacks elbow_flex, unlike 2 of the 3 logs: another robot, or a joint renamed or lost",
    ),
    (renamed, "run0: it lacks elbow_flex and has ellbow"),
    (
        lambda log: dataclasses.replace(log, position=log.position * 0 + 0.1, velocity=None),
        "no joint moves though",
    ),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN)
def test_bad_data_end_a_command_before_a_fit(broken, said, logs, saved, tmp_path, capsys):
    folder, out = saved(broken(logs[0])), tmp_path / "out"
    status = main(["identify", "so101", "--recordings", str(folder), "--out", str(out)])
    told = capsys.readouterr().err
    assert status == EXIT_CODES[BAD_DATA] == BadData.exit_status
    assert told.startswith(f"sim2real: BAD_DATA in {folder}: ")
    assert said in told
    assert "--allow-bad-data" in told
    assert len(told.strip().splitlines()) == 1
    assert [path.name for path in out.iterdir()] == ["doctor"]
    assert (out / "doctor" / "recordings.html").is_file()


def test_nan_rows_are_named(logs, saved, tmp_path, capsys):
    folder = saved(logs[0])
    position = logs[0].position.copy()
    position[40:43, 2] = np.nan
    with np.load(folder / "run0.npz") as archive:
        arrays = dict(archive) | {"position": position}
    np.savez(folder / "run0.npz", **arrays)
    command = ["identify", "so101", "--recordings", str(folder), "--out", str(tmp_path / "out")]
    assert main(command) == EXIT_CODES[BAD_DATA]
    assert "run0: position is no number in 3 rows (elbow_flex); remove the rows or mend the log" in (
        capsys.readouterr().err
    )
    taken = screen_recordings(World.load("so101"), folder, allow_bad=True)
    assert [log.name for log in taken.recordings] == ["run1", "run2"], "what can't be trusted stays out"
    assert len(taken.complaints) == 1


@pytest.mark.parametrize(
    ("change", "said"), [(without_elbow, "no column is for elbow_flex"), (renamed, "ellbow")]
)
def test_all_logs_without_a_joint_do_not_fit_the_world(change, said, arm, logs, saved):
    folder = saved(change(logs[0]), [change(log) for log in logs[1:]])
    with pytest.raises(BadData, match=said):
        screen_recordings(arm, folder)
    with pytest.raises(RecordingError, match="elbow_flex"):
        identify(arm, [change(log) for log in logs])


def test_an_empty_folder_says_what_was_looked_for(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["identify", "so101", "--recordings", str(tmp_path / "empty")]) == 2
    assert "no recordings: the folder is empty; looked for *.npz" in capsys.readouterr().err
    assert (
        main(["close", "so101", "--recordings", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 2
    )
    assert "no recordings" in capsys.readouterr().err


@pytest.mark.slow
def test_clean_logs_are_taken_whole(arm, logs, saved, real):
    taken = screen_recordings(arm, saved(logs[0]))
    assert [log.name for log in taken.recordings] == ["run0", "run1", "run2"]
    assert taken.complaints == ()
    for part in ("train", "test"):
        taken = screen_recordings(arm, real / "npz" / part)
        assert taken.complaints == ()
        assert len(taken.recordings) == len(load_recordings(real / "npz" / part))


@pytest.mark.parametrize("name", ["furuta", "cartpole", "hopper"])
def test_commands_of_motors_are_no_goals(name, twin):
    """Forces that have nothing of the motion's shape are nothing bad, nor is a pole that stands anywhere."""
    start = {"cartpole": (0, np.pi), "hopper": (0, 1.25, 0, -0.3, -0.5, 0.3)}.get(name)
    recordings = twin(name, {}, count=5, seconds=4.0, start=start)
    diagnosis = diagnose([raw_of(log) for log in recordings], expected_of(World.load(name)))
    assert [finding.text for finding in diagnosis.of(BAD)] == []
    assert not [f for f in diagnosis.findings if "commands go" in f.text]


@pytest.mark.slow
def test_insisting_keeps_the_complaint_among_the_verdicts(twin, tmp_path, capsys):
    recordings = twin("cartpole", {"cart.mass": 1.3}, count=2, seconds=0.6, start=(0, np.pi))
    folder, out = tmp_path / "logs", tmp_path / "out"
    for log in (*recordings, dataclasses.replace(rows(recordings[0], 20), name="short")):
        write_npz(log, folder / f"{log.name}.npz")
    command = ["identify", "cartpole", "--recordings", str(folder), "--free", "cart.mass", "--out", str(out)]
    assert main([*command, "--allow-bad-data"]) == EXIT_CODES[BAD_DATA]
    told = capsys.readouterr().out
    assert "BAD_DATA" in told
    assert "short: it lasts 0.19 s" in " ".join(told.split())
    assert '"BAD_DATA"' in (out / "identification.json").read_text()
    assert (out / "identified.toml").is_file()


def test_recordings_that_a_fit_can_not_begin_with_are_named(twin):
    world = World.load("cartpole")
    recordings = twin("cartpole", {}, count=2, seconds=0.5)
    with pytest.raises(RecordingError, match="run0 has 5 rows, and a fit needs 7; record for longer"):
        identify(world, [rows(recordings[0], 5), recordings[1]])
    with pytest.raises(RecordingError, match="two recordings are named 'run1'"):
        identify(world, [recordings[1], recordings[1]])


@pytest.mark.slow
def test_a_joint_that_no_command_moves_is_said_and_the_others_are_fitted(arm, logs):
    still = logs[0].joints.index("wrist_flex")
    quiet = []
    for log in logs:
        command = log.command.copy()
        command[:, still] = 0.2
        quiet.append(dataclasses.replace(log, command=command))
    free = ("shoulder_pan.damping", "wrist_flex.damping")
    found = identify(arm, quiet, Options(free=free, fixed={"servos.kp": 60.0}, generations=0, threads=1))
    said = {verdict.name: verdict for verdict in found.verdicts}
    assert said[BAD_DATA].text == "no recording commands wrist_flex to move; nothing can be learnt about it"
    assert found.exit_code == EXIT_CODES[BAD_DATA]


def test_a_parameter_that_nothing_excites_is_not_identifiable(twin):
    """A pole that hangs under a cart that stands still says nothing of either mass."""
    recordings = twin("cartpole", {}, count=2, seconds=1.0, start=(0, np.pi), share=0.0, noise=0.0)
    pushed = [dataclasses.replace(log, command=log.command + np.array([1e-3, 0])) for log in recordings]
    found = identify(World.load("cartpole"), pushed, Options(free=("pole.mass",), generations=0, threads=1))
    said = next(v for v in found.verdicts if v.name == NOT_IDENTIFIABLE)
    assert said.subject == "pole.mass"
    assert IDENTIFIED not in {v.name for v in found.verdicts}


def test_a_diverging_candidate_is_counted_and_the_fit_goes_on(twin):
    recordings = twin("cartpole", {"cart.mass": 1.3}, count=3, seconds=1.0, start=(0, np.pi))
    options = Options(
        free=("cart.mass", "motor.strength"),
        bounds={"motor.strength": (0.5, 1e15)},
        generations=6,
        threads=1,
        window=0.5,
    )
    found = identify(World.load("cartpole"), recordings, options)
    assert 0 < found.diverged < found.simulations / 2
    assert found.to_json()["diverged"] == found.diverged
    rows = {row.predictor: row for row in found.gap}
    assert rows["identified"].held_out < 0.2 * rows["nominal"].held_out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"window": -1.0}, "window = -1 is out of reach; give at least 0"),
        (
            {"window": 1e-9},
            "windows of 1e-09 s have fewer than the 7 rows that a fit needs; give at least",
        ),
        ({"threads": -1}, "threads = -1"),
        ({"top_speed": float("nan")}, "top_speed = nan"),
        ({"motion_seconds": 0.0}, "motion_seconds = 0 is out of reach; give at least 1 and at most 3600"),
        ({"priors": {"pole.mass": (0.02, 0.0)}}, "the prior of pole.mass has the mean 0.02 and the standard"),
        ({"priors": {"pole.mass": (-4.0, 0.1)}}, "has the mean -4; give the value itself, above 0"),
        ({"priors": {"pole.masss": (0.02, 0.1)}}, "did you mean 'pole.mass'"),
        ({"bounds": {"motor.strength": (0.5, 1.0)}}, "unknown free parameter with bounds or a prior"),
        ({"bounds": {"mas": (0.5, 1.0)}}, "did you mean 'mass'"),
        ({"bounds": {"mass": (0.01, float("inf"))}}, "give two finite ends"),
        ({"fixed": {"motor.strength": float("nan")}}, "motor.strength = nan is not a finite number"),
    ],
)
def test_options_that_no_fit_can_have_are_refused_by_name(asked, said, twin):
    recordings = twin("furuta", {}, count=2, seconds=0.5)
    with pytest.raises((InvalidValue, UnknownName), match=re.escape(said)):
        identify(World.load("furuta"), recordings, Options(free=("pole.mass",), generations=0, **asked))


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        (
            SearchSettings,
            {"generations": 0},
            "generations = 0 is out of reach; give a whole number of at least 1",
        ),
        (SearchSettings, {"population": 5.5}, "population = 5.5 is out of reach; give a whole number"),
        (
            SearchSettings,
            {"spread": float("nan")},
            "spread = nan is out of reach; give at least 1e-06 and at",
        ),
        (SearchSettings, {"seed": -1}, "seed = -1 is out of reach"),
        (FitSettings, {"held_out": 2.0}, "held_out = 2 is out of reach; give at least 0 and at most 1"),
        (FitSettings, {"window": 2.5}, "window = 2.5 is out of reach; give a whole number of at least 1"),
        (DropoSettings, {"samples": float("nan")}, "samples = nan is out of reach"),
        (
            DropoSettings,
            {"epsilon": float("inf")},
            "epsilon = inf is out of reach; give more than 0, and finite",
        ),
        (DropoSettings, {"entropy": -1.0}, "entropy = -1 is out of reach"),
        (NpeSettings, {"rows": 0}, "rows = 0 is out of reach; give a whole number of at least 1"),
    ],
)
def test_settings_out_of_reach_are_refused_by_name(kind, asked, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        kind(**asked)


def test_slow_logs_get_windows_of_the_rows_that_a_fit_needs(twin):
    (recording,) = twin("cartpole", {"pole.mass": 0.15}, count=1, seconds=20.0, start=(0, np.pi), noise=1e-4)
    rows = slice(None, None, round(0.25 / (recording.time[1] - recording.time[0])))
    slow = dataclasses.replace(
        recording,
        time=recording.time[rows],
        command=recording.command[rows],
        position=recording.position[rows],
        velocity=None if recording.velocity is None else recording.velocity[rows],
    )
    motion = motion_of(World.load("cartpole"), slow)
    parts = cut(World.load("cartpole"), [motion], 0.0)
    assert len(parts) == len(motion.time) // 7
    assert min(len(part.time) for part in parts) >= 7
