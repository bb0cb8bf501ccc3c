import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import load_recordings


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
    with pytest.raises(RecordingError, match="not a recording"):
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
