import dataclasses

import numpy as np
import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import load_recordings
from sim2real.recordings import write_npz as save


def test_both_formats_of_one_motion_agree(motion, write_npz, write_sage):
    [packed] = load_recordings(write_npz(motion))
    [text] = load_recordings(write_sage(motion))
    assert packed.joints == text.joints
    assert packed.time == pytest.approx(text.time, abs=5.1e-7)
    for signal in ("command", "position", "velocity"):
        values = getattr(packed, signal)
        assert values.dtype == np.float64
        assert values == pytest.approx(getattr(text, signal), rel=1e-6)


def test_velocity_may_be_missing(motion, write_npz):
    assert load_recordings(write_npz(motion, velocity=None))[0].velocity is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"command": None}, "not a recording, it lacks command; it holds time_us"),
        ({"joints": np.arange(6)}, "a row of names is needed"),
        ({"joints": np.array(["a", None], dtype=object)}, r"names by np.array\(names, dtype=str\)"),
        ({"command": np.full((40, 6), "0.5")}, "command holds .*, not numbers"),
        ({"position": np.full((40, 6), np.nan)}, "position of joint 'Rotation' is nan in row 0"),
        ({"position": np.zeros((39, 6))}, "position has 39 rows and time has 40"),
        ({"time_us": np.arange(40)[::-1]}, "time goes back"),
        ({"time_us": np.arange(40), "time_s": np.arange(40)}, "it has time_us and time_s; leave one"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(motion, write_npz, changes, says):
    with pytest.raises(RecordingError, match=says):
        load_recordings(write_npz(motion, **changes))


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(motion, write_npz, kept):
    path = write_npz(motion)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(RecordingError, match="not a readable"):
        load_recordings(path)


def test_a_flipped_byte_is_found(motion, write_npz):
    path = write_npz(motion)
    content = bytearray(path.read_bytes())
    start = content.index(b"command.npy") + 200
    content[start : start + 8] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="not a readable"):
        load_recordings(path)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(RecordingError, match="not a readable"):
        load_recordings(tmp_path)


def test_a_single_array_is_refused(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RecordingError, match="not a readable"):
        load_recordings(tmp_path)


@pytest.mark.parametrize("late", [None, 0.004])
def test_what_was_written_is_read_to_the_bit(recordings, tmp_path, same, late):
    for recording in recordings:
        if late:
            recording = dataclasses.replace(recording, state_time=recording.time + late)
        save(recording, tmp_path / "a.npz")
        same(recording, load_recordings(tmp_path / "a.npz")[0])


def test_whole_microseconds_and_float32_stay_small(motion, write_npz, tmp_path, same):
    [recording] = load_recordings(write_npz(motion))
    save(recording, str(tmp_path / "again.npz"))
    with np.load(tmp_path / "again.npz") as archive:
        assert archive["time_us"].dtype == np.int64
        assert archive["position"].dtype == np.float32
    same(recording, load_recordings(tmp_path / "again.npz")[0])


def test_an_interrupted_write_leaves_no_recording(recordings, tmp_path, monkeypatch):
    def fail(*args, **arrays):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        save(recordings[0], tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("unit", "per_second"), [("us", 10**6), ("ms", 10**3), ("ns", 10**9)])
def test_stamps_of_an_epoch_lose_nothing(motion, write_npz, unit, per_second):
    whole = 1_700_000_000 * per_second + np.arange(40) * per_second // 50
    read = whole + per_second // 250  # 4 ms later
    changes = {"time_us": None, f"time_{unit}": whole, f"state_time_{unit}": read}
    [run] = load_recordings(write_npz(motion, **changes))
    assert np.diff(run.time) == pytest.approx(np.full(39, 0.02), abs=5e-7)
    assert run.measured_at - run.time == pytest.approx(np.full(40, 0.004), abs=5e-7)
