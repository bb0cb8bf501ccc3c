"""`sim2real evaluate` as a gate: the status, the files, and what changed since another run."""

import contextlib
import re
import shlex
from xml.etree import ElementTree

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.evaluate.episodes_file import read_episodes, write_episodes
from sim2real.evaluate.gate import Gate
from sim2real.plain import read_as

POLICY = "furuta-nominal-0"  # swings up in its own physics, and never under combined_a
RUN = ("evaluate", POLICY, "--variants", "combined_a", "--episodes", "16")


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A folder with the report of another run."""
    folder = tmp_path_factory.mktemp("old")
    with contextlib.chdir(folder):
        assert main([*RUN, "--out", "run"]) == 0
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("requirement", "status", "tag"),
    [
        ("success >= 0.5 on control", 0, "system-out"),
        ("success >= 0.5 on combined", 1, "failure"),
        ("success >= 0.99 on control", 3, "error"),
        ("worst >= 60", 3, "error"),  # a score takes three seeds
    ],
)
def test_the_status_and_both_files_say_what_was_decided(requirement, status, tag, tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        files = ("--junit", "ci/gate.xml", "--summary", "gate.md", "--out", "run")
        assert main([*RUN, "--require", requirement, *files]) == status
    word = {0: "met", 1: "broken", 3: "undecided"}[status]
    assert f"{word}: {requirement}: nominal has " in capsys.readouterr().out
    suite = ElementTree.parse(tmp_path / "ci" / "gate.xml").getroot()[0]
    assert suite[0][0].tag == tag
    assert f" {word} | " in (tmp_path / "gate.md").read_text("utf-8")
    assert f">{word}</span>" in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert read_as(Gate, tmp_path / "run" / "gate.json").status == status


@pytest.mark.slow
def test_the_same_run_has_not_changed(old, tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        assert main([*RUN, "--compare", str(old), "--summary", "s.md", "--out", "run"]) == 0
    line = "“nominal” repeats the other run's episodes to the bit on 2 variants"
    assert line in capsys.readouterr().out
    assert line in (tmp_path / "s.md").read_text("utf-8")


@pytest.mark.slow
def test_a_change_is_told(old, tmp_path, capsys):
    table = dict(read_episodes(old / "episodes.parquet"))
    better = np.where(table["variant"] == "combined_a", 20.0, 0.0)
    write_episodes({**table, "return": table["return"] + better}, tmp_path / "other.parquet")
    with contextlib.chdir(tmp_path):
        assert main([*RUN, "--compare", "other.parquet", "--out", "run"]) == 0
    assert "“nominal” on combined_a: worse, new less old −" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_of_an_older_version_is_read_and_a_stranger_is_named(old, tmp_path, capsys):
    import pyarrow.parquet as pq

    table = pq.read_table(old / "episodes.parquet")
    pq.write_table(table.drop_columns(["lineage"]), tmp_path / "older.parquet")
    pq.write_table(table.drop_columns(["length"]), tmp_path / "stranger.parquet")
    with contextlib.chdir(tmp_path):
        assert main([*RUN, "--compare", "older.parquet", "--out", "run"]) == 0
        assert main([*RUN, "--compare", "stranger.parquet", "--out", "run"]) == 2
    assert "the episode table has no column length" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gate_of_the_readme_works(root, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text("utf-8"), flags=re.DOTALL)
    (command,) = re.findall(r"- run: >\n(.*?)\n +- if", block, flags=re.DOTALL)
    program, *words = shlex.split(command)
    assert program == "sim2real"
    with contextlib.chdir(tmp_path):
        assert main([*words, "--episodes", "32"]) == 0
        assert (tmp_path / "gate.md").read_text("utf-8").count("✅ met") == 3
