import numpy as np
import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import load_recordings, read_raw


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_folder_is_read_as_it_was_written(motion, write_sage):
    [wave] = load_recordings(write_sage(motion))
    assert wave.name == "wave"
    assert wave.joints == tuple(motion["joints"])
    assert wave.time == pytest.approx(np.array(motion["stamps"]) * 1e-6)
    for signal in ("command", "position", "velocity"):
        assert np.array_equal(getattr(wave, signal), motion[signal])


def test_a_missing_event_file_is_no_harm(motion, write_sage):
    folder = write_sage(motion)
    (folder / "event.csv").unlink()
    assert len(load_recordings(folder)[0].time) == 40


def test_rows_outside_the_motion_are_left_out(motion, write_sage):
    folder = write_sage(motion)
    stamps = motion["stamps"]
    events = f"EVENT,0,CONTROL_MODE_ENABLE\nEVENT,{stamps[3]},MOTION_START\nEVENT,{stamps[9]},DISABLE\n"
    (folder / "event.csv").write_text("type,timestamp,event\n" + events)
    [wave] = load_recordings(folder)
    assert len(wave.time) == 7
    assert np.array_equal(wave.command, motion["command"][3:10])


@pytest.mark.parametrize("file", ["control.csv", "state_motor.csv", "joint_list.txt"])
def test_a_missing_file_is_named(motion, write_sage, file):
    folder = write_sage(motion)
    (folder / file).unlink()
    with pytest.raises(RecordingError, match=f"{file} is missing"):
        load_recordings(folder)


def test_unequal_lengths_are_refused(motion, write_sage):
    motion["position"].pop()
    with pytest.raises(RecordingError, match=r"control\.csv has 40 rows and state_motor\.csv has 39"):
        load_recordings(write_sage(motion))


def test_streams_on_different_stamps_are_refused(motion, write_sage):
    folder = write_sage(motion)
    replace(folder / "state_motor.csv", str(motion["stamps"][4]), str(motion["stamps"][4] + 900))
    with pytest.raises(RecordingError, match="line 6 is stamped"):
        load_recordings(folder)


def test_a_nan_is_named_with_its_row_and_joint(motion, write_sage):
    motion["position"][11][2] = float("nan")
    with pytest.raises(RecordingError, match="position of joint 'Elbow' is nan in row 11"):
        load_recordings(write_sage(motion))


def test_shuffled_stamps_are_named_with_their_row(motion, write_sage):
    motion["stamps"][20], motion["stamps"][21] = motion["stamps"][21], motion["stamps"][20]
    with pytest.raises(RecordingError, match=r"time goes back .* in row 21"):
        load_recordings(write_sage(motion))


def test_lists_are_parsed_and_never_run(motion, write_sage, tmp_path):
    folder = write_sage(motion)
    crime = tmp_path / "ran"
    code = f"__import__('pathlib').Path('{crime}').touch() or [0]*6"
    replace(folder / "control.csv", str(motion["command"][5]), code)
    with pytest.raises(RecordingError, match=r"line 7: positions are .*not a list of numbers"):
        load_recordings(folder)
    assert not crime.exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[", "[1.0, ", "line 2: positions hold 7 numbers, but joint_list.txt names 6"),
        ("[", "[null, ", "not a list of numbers"),
        ("[", f"[1{'0' * 400}, ", "not a list of numbers"),
        ("[", "[true, ", "not a list of numbers"),
        ("timestamp", "clock", "the header lacks timestamp; it has type, clock, positions"),
        ("CONTROL,5", "CONTROL,five", r"line \d+: the timestamp is 'five"),
    ],
)
def test_damaged_rows_are_named(motion, write_sage, old, new, says):
    folder = write_sage(motion)
    replace(folder / "control.csv", old, new)
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


@pytest.mark.parametrize("kept", [0.5, 0.501, 0.505, 0.51])
def test_a_file_cut_off_anywhere_is_refused(motion, write_sage, kept):
    path = write_sage(motion) / "state_motor.csv"
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(RecordingError):
        load_recordings(path.parent)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("MOTION_START", "MOTION_START\nEVENT,400000,MOTION_START", "it has two of MOTION_START"),
        ("EVENT,5.2,", "EVENT,9000000,", "no row is between MOTION_START and DISABLE"),
    ],
)
def test_events_that_name_no_single_motion_are_refused(motion, write_sage, old, new, says):
    folder = write_sage(motion)
    events = "type,timestamp,event\nEVENT,5.2,MOTION_START\nEVENT,5000000,DISABLE\n"
    (folder / "event.csv").write_text(events.replace(old, new))
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


def test_a_binary_file_is_refused(motion, write_sage):
    folder = write_sage(motion)
    (folder / "control.csv").write_bytes(b"\x80\x81\xff")
    with pytest.raises(RecordingError, match="not a text file"):
        load_recordings(folder)


@pytest.mark.slow
def test_both_formats_of_one_motion_agree(real):
    for folder in sorted((real / "csv").iterdir()):
        [packed] = [path for path in (real / "npz").rglob(f"{folder.name}.npz")]
        [text], [binary] = load_recordings(folder), load_recordings(packed)
        assert text.joints == binary.joints
        assert text.time == pytest.approx(binary.time, abs=5.1e-7)  # whole microseconds
        for signal in ("command", "position", "velocity"):
            assert getattr(text, signal) == pytest.approx(getattr(binary, signal), rel=1e-7)


def test_a_damaged_log_keeps_what_can_be_read(motion, write_sage):
    folder = write_sage(motion)
    replace(folder / "state_motor.csv", str(motion["position"][5]), "[0.1, oops]")
    [log] = read_raw(folder)
    assert [damage.rows for damage in log.damage] == [(5,)]
    assert np.flatnonzero(np.isnan(log.position).any(axis=1)).tolist() == [5]
    assert np.array_equal(log.command, motion["command"])
