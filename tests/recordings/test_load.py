import re

import numpy as np
import pytest

from sim2real.doctor import diagnose
from sim2real.errors import RecordingError
from sim2real.recordings import load_recordings, read_raw
from sim2real.report.doctor import write_diagnosis


def test_all_formats_are_found_in_all_folders(motion, write_npz, write_sage, tmp_path):
    write_npz(motion, "test/one")
    write_sage(motion, "csv/two")
    write_npz(motion, "zero")
    (tmp_path / "notes.txt").write_text("not a recording")
    names = [recording.name for recording in load_recordings(tmp_path)]
    assert names == ["csv/two", "test/one", "zero"]


def test_one_file_or_one_motion_is_enough(motion, write_npz, write_sage):
    assert [r.name for r in load_recordings(write_npz(motion, "a"))] == ["a"]
    assert [r.name for r in load_recordings(str(write_sage(motion, "b")))] == ["b"]


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(RecordingError, match=r"the folder is empty; looked for \*\.npz and"):
        load_recordings(tmp_path)


def test_a_folder_of_something_else_says_what_was_found(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"found 1 other file\(s\), such as photo\.jpg"):
        load_recordings(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RecordingError, match="nowhere: no such file or folder"):
        load_recordings(tmp_path / "nowhere")


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "log.bag"
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match="ROS 1 bag; write it as MCAP"):
        load_recordings(path)


def test_a_motion_in_two_formats_at_once_is_refused(motion, write_npz, write_sage, tmp_path):
    write_npz(motion)
    write_sage(motion)
    with pytest.raises(RecordingError, match=r"wave is there as \.npz and as a folder"):
        load_recordings(tmp_path)


def test_the_real_recordings_load(real):
    recordings = load_recordings(real / "npz")
    assert len(recordings) == 20
    for recording in recordings:
        assert len(recording.joints) == 6
        assert recording.duration / (len(recording.time) - 1) == pytest.approx(0.02006, abs=1e-5)


def test_hidden_and_unmapped_files_are_left_alone(motion, write_npz, tmp_path):
    write_npz(motion, "a")
    write_npz(motion, ".a-unfinished")
    write_npz(motion, ".cache/b")
    (tmp_path / "notes.csv").write_text("day,weather\n1,rain\n")
    assert [recording.name for recording in load_recordings(tmp_path)] == ["a"]


def test_a_mapping_renames_and_converts_any_format(motion, write_npz, write_sage, tmp_path):
    write_npz(motion, "a")
    write_sage(motion, "b")
    (tmp_path / "mapping.toml").write_text('[joints.pan]\nsource = "Rotation"\nscale = -1.0\n[joints.Jaw]\n')
    for recording in load_recordings(tmp_path):
        assert recording.joints == ("pan", "Jaw")
        assert recording.position[:, 0] == pytest.approx(-np.array(motion["position"])[:, 0], rel=1e-6)
    (tmp_path / "mapping.toml").write_text("[joints.Claw]\n")
    with pytest.raises(
        RecordingError, match=r"it has no joint 'Claw', which mapping\.toml asks for; it has Rotation"
    ):
        load_recordings(tmp_path)


@pytest.mark.parametrize(
    ("units", "mapping", "says"),
    [
        (
            ["deg"] * 6,
            "",
            "it says that Rotation is in deg, and mapping.toml that it is in rad; say unit = 'deg'",
        ),
        (["Degrees"] * 6, 'unit = "deg"', None),
        (["ticks"] * 6, "", "is in ticks, .* say unit = 'ticks' there and give a scale"),
        (["ticks"] * 6, "scale = 0.00153", None),
        (["fraction"] * 6, "", None),  # no unit that anybody knows: the doctor asks for a scale
        (["rad"] * 5, None, "it has 5 units for 6 joints; give one each"),
    ],
)
def test_what_a_log_says_of_its_units_is_held_against_the_mapping(
    motion, write_npz, tmp_path, units, mapping, says
):
    write_npz(motion, "a", units=np.array(units))
    if mapping is not None:
        (tmp_path / "mapping.toml").write_text(f"[joints.Rotation]\n{mapping}\n")
    if says is None:
        assert load_recordings(tmp_path)[0].joints == ("Rotation",)
        return
    with pytest.raises(RecordingError, match=says):
        load_recordings(tmp_path)


def test_everything_is_read_raw_though_some_is_broken(motion, write_npz, write_sage, tmp_path):
    write_npz(motion, "a").write_bytes(b"cut")
    motion["position"][3][1] = float("nan")
    write_sage(motion, "b")
    broken, damaged = read_raw(tmp_path)
    assert "not a readable .npz file" in broken.damage[0].text
    assert np.isnan(damaged.position[3, 1])
    with pytest.raises(RecordingError, match="not a readable"):
        load_recordings(tmp_path)


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\udc80", "\x07"])
def test_a_name_that_a_terminal_would_obey_is_refused(motion, write_npz, name):
    motion["joints"][2] = name
    with pytest.raises(RecordingError, match="holds what is no letter and can't be shown; rename it"):
        load_recordings(write_npz(motion))


@pytest.mark.parametrize(
    "name", ["p #1 %20?[x]", "été 手首", "a\udcff"]
)  # the last is a byte that is no UTF-8
def test_a_folder_may_be_called_anything(motion, write_npz, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    write_npz(motion, f"{name}/m #%41[0]")
    [run] = load_recordings(folder)
    assert run.name == "m #%41[0]"
    write_diagnosis(diagnose(read_raw(folder)), folder / "out", str(folder))
    assert (folder / "out" / "recordings.html").is_file()


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        (".db3", "ROS 2 bag kept as SQLite"),
        (".hdf5", "a mapping.toml with a period"),
        (".npz.gz", "unpack it"),
        (".PKL", "pickle"),
        (".ulg", "log of PX4; write it as CSV"),
        (".BBL", "Betaflight blackbox"),
        (".tlog", "Gazebo or MAVLink"),
        (".pth", "of PyTorch: a policy or tensors"),
        (".txt", "where it is a table, name it .csv"),
    ],
)
def test_what_others_keep_logs_in_is_named_with_the_way_here(tmp_path, ending, says):
    file = tmp_path / f"run{ending}"
    file.write_bytes(b"?")
    for path in (tmp_path, file):
        with pytest.raises(RecordingError, match=says):
            load_recordings(path)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["more/b.db3", "c.db3"], "2 file.s. beside the recordings are not read: c.db3 is a ROS 2 bag"),
        (["b.csv"], "1 file.s. beside the recordings are not read: b.csv has no mapping.toml"),
        (["notes.txt", "b.pt", "test/b.csv"], None),
    ],
)
def test_logs_that_are_left_out_are_told(motion, write_npz, write_sage, tmp_path, files, says):
    """But not what stands in a recording's own folder, nor what may be anything."""
    write_npz(motion, "a")
    write_sage(motion, "test")
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(b"?")
    notes = [note for log in read_raw(tmp_path) for note in log.notes]
    assert len(notes) == (says is not None)
    assert re.search(says or "", "".join(notes))
    if says:
        assert any(re.search(says, finding.text) for finding in diagnose(read_raw(tmp_path)).findings)


@pytest.mark.parametrize("name", ["wave.NPZ", "wave.npz"])
def test_endings_in_capitals_and_folders_behind_links_are_read(motion, write_npz, tmp_path, name):
    """Data that are there must not be left out without a word."""
    kept = tmp_path / "elsewhere" / "more"
    kept.mkdir(parents=True)
    write_npz(motion).rename(kept / name)
    root = tmp_path / "logs"
    root.mkdir()
    (root / "linked").symlink_to(kept.parent)
    (kept / "back").symlink_to(kept.parent)
    assert [recording.name for recording in load_recordings(root)] == ["linked/more/wave"]
