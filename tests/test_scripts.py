"""Every script runs to its figures in its quickest form, and leaves the checkout as it was."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "scripts").glob("*.py"))
ABSENT = (
    "sim2real[bullet]",
    "sim2real[deploy]",
    "sim2real[warp]",
    "recordings of the real arm",
    "files of the H1",
)
"""What a script may lack here, in the words of the sentence that it then ends with."""


def run(script, folder, recordings):
    return subprocess.run(
        [sys.executable, script, "--quick"],
        cwd=folder,
        env={**os.environ, "SIM2REAL_RECORDINGS": str(recordings)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def checkout(root):
    """The files of the catalogues and those beside them, with their times of change.

    Not MuJoCo's log, which whatever runs at the same time appends to.
    """
    rooms = (root / room for room in ("envs", "policies"))
    files = [path for room in rooms for path in room.rglob("*")]
    beside = [path for path in root.iterdir() if path.name != "MUJOCO_LOG.TXT"]
    return {path: path.stat().st_mtime_ns for path in (*files, *beside) if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_prints_its_figures_and_leaves_the_checkout_alone(script, root, recordings_folder, tmp_path):
    before, there = checkout(root), set(root.iterdir())
    done = run(script, tmp_path, recordings_folder)
    lacks = done.returncode and len(done.stderr.splitlines()) == 1
    if lacks and any(thing in done.stderr for thing in ABSENT):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d", done.stdout)
    assert not re.search(r"\bnan\b", done.stdout)
    assert checkout(root) == before
    assert set(root.iterdir()) == there


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", [s for s in SCRIPTS if "SIM2REAL_RECORDINGS" in s.read_text("utf-8")], ids=lambda s: s.stem
)
def test_a_script_without_its_recordings_says_so_in_a_sentence(script, tmp_path):
    done = run(script, tmp_path, tmp_path / "nowhere")
    assert done.returncode == 1
    assert done.stderr == (
        "no recordings of the real arm; give their folder, or name it in SIM2REAL_RECORDINGS\n"
    )
