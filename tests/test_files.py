"""An interrupted or impossible write leaves the old result as it was."""

import os
import signal
import subprocess
import sys

import pytest

from sim2real.errors import InvalidValue
from sim2real.files import check_folder, replace_folder, write_atomically

# A real full disk for one process: no file may grow beyond 4 KiB.
FULL_DISK = """
import resource, sys
from pathlib import Path
from sim2real.files import replace_folder, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
path = Path(sys.argv[1])
try:
    if path.is_dir():
        replace_folder(path, lambda new: (new / "data").write_text("x" * 10_000))
    else:
        write_atomically(path, "x" * 10_000)
except OSError as error:
    print(type(error).__name__, error)
"""

STOPS_MIDWAY = """
import sys, time
from pathlib import Path
from sim2real.files import replace_folder, write_atomically

def write(temporary):
    target = temporary / "data" if temporary.is_dir() else temporary
    target.write_text("half of the new con")
    print("writing", flush=True)
    time.sleep(60)

path = Path(sys.argv[1])
(replace_folder if path.is_dir() else write_atomically)(path, write)
"""


@pytest.fixture(params=["file", "folder"])
def old(request, tmp_path):
    """A result that is there already: a file, or a folder with a file."""
    path = tmp_path / "result"
    if request.param == "folder":
        path.mkdir()
        (path / "data").write_text("old")
    else:
        path.write_text("old")
    return path


def content(path):
    return (path / "data" if path.is_dir() else path).read_text()


def test_replaces_whole(old):
    if old.is_dir():
        replace_folder(old, lambda new: (new / "data").write_text("new"))
        assert [p.name for p in old.iterdir()] == ["data"]
    else:
        write_atomically(old, "new")
    assert content(old) == "new"
    assert [p.name for p in old.parent.iterdir()] == ["result"]


def test_full_disk_keeps_the_old_one(old, python):
    told = python(FULL_DISK, old)
    assert told.startswith(f"DiskFull nothing more can be written into {old.parent} (File too large)")
    assert content(old) == "old"
    assert [p.name for p in old.parent.iterdir()] == ["result"]


def test_a_full_disk_leaves_no_empty_folders(tmp_path, python):
    assert "DiskFull" in python(FULL_DISK, tmp_path / "new" / "deep" / "file")
    assert list(tmp_path.iterdir()) == []


def test_kill_in_the_middle_keeps_the_old_one(old):
    process = subprocess.Popen([sys.executable, "-c", STOPS_MIDWAY, str(old)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert content(old) == "old"


def test_error_of_the_writer_passes_through(old):
    def write(temporary):
        (temporary / "data" if temporary.is_dir() else temporary).write_text("new")
        raise RuntimeError("the plot failed")

    with pytest.raises(RuntimeError, match="the plot failed"):
        (replace_folder if old.is_dir() else write_atomically)(old, write)
    assert content(old) == "old"
    assert [p.name for p in old.parent.iterdir()] == ["result"]


def test_makes_missing_folders_and_keeps_the_suffix(tmp_path):
    seen = []
    path = tmp_path / "a" / "b" / "table.csv"
    write_atomically(path, lambda temporary: seen.append(temporary.suffix) or temporary.write_text("1,2"))
    assert seen == [".csv"]
    assert path.read_text() == "1,2"


def test_a_place_may_be_given_as_text(tmp_path):
    write_atomically(str(tmp_path / "a" / "file"), "1")
    replace_folder(str(tmp_path / "b" / "folder"), lambda new: (new / "data").write_text("2"))
    assert (tmp_path / "a" / "file").read_text() == "1"
    assert content(tmp_path / "b" / "folder") == "2"


def test_rights_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", "")
        replace_folder(tmp_path / "folder", lambda new: None)
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_what_a_folder_does_not_own_is_not_deleted(tmp_path):
    """A result folder named by mistake, such as a home directory."""
    home = tmp_path / "home"
    (home / "photos").mkdir(parents=True)
    (home / "data").write_text("old")
    with pytest.raises(InvalidValue, match=r"home holds photos, which would be lost; choose another folder"):
        replace_folder(home, lambda new: write_atomically(new / "data", "new"))
    assert {path.name for path in tmp_path.rglob("*")} == {"home", "photos", "data"}
    assert (home / "data").read_text() == "old"


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "file").write_text("old")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidValue, match="file is not a folder, so nothing can go into"):
            check_folder(folder)
    with pytest.raises(InvalidValue, match="file is not a folder"):
        replace_folder(tmp_path / "file", lambda new: write_atomically(new / "data", "new"))
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_is_checked_without_a_trace(tmp_path, monkeypatch):
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path / "a" / "b", {"data"})
    check_folder(tmp_path, None)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidValue, match="would be replaced while work goes on in it"):
        check_folder(".", {"data"})
