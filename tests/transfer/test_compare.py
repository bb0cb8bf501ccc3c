"""Methods side by side: what is decided, what is kept, what is refused, and what one bad cell costs."""

import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pyarrow.parquet as pq
import pytest
from markupsafe import escape

from sim2real.cli import main
from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.policy import Policy
from sim2real.registry import load_module
from sim2real.report.compare import write_comparison
from sim2real.transfer import cells
from sim2real.transfer.cells import place
from sim2real.transfer.compare import Design, compare
from sim2real.transfer.methods import METHODS, Card
from sim2real.transfer.target import Budget
from sim2real.world import World

WORLD = World.load("cartpole")
POLICIES = Policy.shipped("cartpole", "nominal")
DESIGN = Design(("combined_a",), Budget(steps=400), (), Trials(4))

OWN = """
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from sim2real.transfer.methods import Card, register_method

@register_method("deadly")
@dataclass(frozen=True)
class Deadly:
    card: ClassVar[Card] = Card("ends the process that runs it, as often as a file says")
    marks: str = ""

    def __call__(self, case):
        left = [path for path in Path(self.marks).glob("*") if path.name.startswith(f"{case.seed}-")]
        if left:
            left[0].unlink()
            os._exit(1)
        return case.policy
"""


@dataclass(frozen=True)
class Shifted:
    """The policy with other weights, after some steps in the target."""

    card: ClassVar[Card] = Card("adds to all weights of what acts")
    by: float = 0.0
    fails: tuple[int, ...] = ()

    def __call__(self, case):
        if case.seed in self.fails:
            raise KeyError("one <b>bold</b> step")
        case.target.reset()
        for _ in range(10):
            case.target.step(np.zeros((case.target.num_envs, 1), np.float32))
        weights = {k: a if "critic" in k else a + np.float32(self.by) for k, a in case.policy.weights.items()}
        return replace(case.policy, weights=weights, name="shifted")


class Lines(list):
    def __call__(self, line):
        self.append(line)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """One comparison, since every cell starts a process, and what it told."""
    lines = Lines()
    methods = {"same": Shifted(), "from-scratch": Shifted(50.0), "<s>own": Shifted(fails=(1,))}
    design = replace(DESIGN, targets=("heavy_pole",))
    return compare(WORLD, POLICIES, methods, design, tmp_path_factory.mktemp("cells"), lines), lines


@pytest.mark.slow
def test_table_says_what_every_cell_reached_and_cost(compared, tmp_path):
    found, _ = compared
    assert [row.method for row in found.rows] == ["zero-shot", "same", "from-scratch", "<s>own"]
    zero, same, broken, _ = found.rows
    # the mean over seeds of plain evaluations of the same policies from the same starts
    table = run_policies(WORLD, POLICIES, ["heavy_pole"], Trials(4))
    for place_, variant in (("target", "heavy_pole"), ("source", "nominal")):
        expected = table["return"][table["variant"] == variant].mean()
        assert zero.returns[place_].value == pytest.approx(expected)
        assert same.returns[place_] == zero.returns[place_]
    assert "others" not in zero.score
    assert (zero.verdict, same.verdict) == ("–", "undecided")
    assert same.against["zero-shot"].estimate.value == 0
    assert same.cost["steps"] == 160
    assert zero.cost["steps"] == 0
    assert broken.score["source"].value < same.score["source"].value
    assert zero.score["target"].interval is not None
    assert zero.seeds == (0, 1, 2)
    assert found.sentences[0].startswith("In heavy_pole, against zero-shot: ")

    page = write_comparison(found, tmp_path, {"command": "<i>x</i>"}).read_text("utf-8")
    assert str(escape(found.sentences[0])) in page
    assert "<i>x" not in page
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    told = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert told["rows"][1]["verdict"] == "undecided"
    rows = pq.read_table(tmp_path / "compare.parquet").to_pylist()
    assert len(rows) == (4 * 3 - 1) * 2
    of_zero = [
        row["return"] for row in rows if (row["method"], row["variant"]) == ("zero-shot", "heavy_pole")
    ]
    assert np.mean(of_zero) == pytest.approx(zero.returns["target"].value)
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_hurts_and_what_beats_scratch_is_decided_together(compared):
    found, _ = compared
    scratch, same = found.row("heavy_pole", "from-scratch"), found.row("heavy_pole", "same")
    assert scratch.verdict == "hurt"
    assert scratch.against.keys() == {"zero-shot"}
    assert same.against["from-scratch"].verdict == "helps"
    # all comparisons are one family: Holm's p is never below a comparison's own
    ps = [d for row in found.rows for d in row.against.values() if d.p is not None]
    assert len(ps) == 4
    assert all(d.adjusted >= d.p for d in ps)
    assert "from-scratch (" in found.sentences[0]
    assert len(found.sentences) == 2
    with pytest.raises(InvalidValue, match="nothing is known of 'x'"):
        found.row("heavy_pole", "x")


@pytest.mark.slow
def test_cell_that_fails_is_named_and_left_out(compared, tmp_path):
    found, lines = compared
    (failed,) = found.failures.items()
    assert failed[0] == "heavy_pole <s>own seed 1"
    assert "the method 'Shifted' raised KeyError" in failed[1]
    assert found.row("heavy_pole", "<s>own").seeds == (0, 2)
    assert len(lines) == 12
    assert sum("left out" in line for line in lines) == 1
    page = write_comparison(found, tmp_path).read_text("utf-8")
    assert "Left out" in page
    assert "<b>bold" not in page
    assert "<s>" not in page
    assert "&lt;s&gt;own" in page


@pytest.mark.slow
def test_one_seed_gives_no_interval_and_no_verdict_and_joblib_s_own_backend_runs_the_cells():
    used = []
    joblib.register_parallel_backend(
        "counting", lambda **_: used.append(1) or joblib.parallel.SequentialBackend()
    )
    with joblib.parallel_config("counting"):
        found = compare(WORLD, POLICIES[:1], {"broken": Shifted(50.0)}, DESIGN)
    assert used
    row = found.row("combined_a", "broken")
    assert row.score["target"].interval is None
    assert row.success["target"].interval is None
    assert row.verdict == "undecided"
    assert row.against["zero-shot"].p is None


@pytest.mark.slow
def test_only_cells_that_are_not_there_run_again(tmp_path):
    methods = {"a:b/c": Shifted(0.1)}
    first = compare(WORLD, POLICIES[:1], methods, DESIGN, tmp_path)
    cell = next(cell for cell, _ in first.done if cell.label == "a:b/c")
    half = place(tmp_path, cell) / "cell.json"
    half.write_text(half.read_text()[:40])  # as no kill leaves it
    lines = Lines()
    again = compare(WORLD, POLICIES[:1], methods, DESIGN, tmp_path, lines)
    assert ["kept from before" in line for line in lines] == [True, False]
    without_clock = [[replace(row, cost={}) for row in found.rows] for found in (first, again)]
    assert without_clock[0] == without_clock[1]
    for changed, others in (
        (({"a:b/c": Shifted(0.2)}, DESIGN), 1),  # that of zero-shot
        ((methods, replace(DESIGN, budget=Budget(steps=401))), 0),
        ((methods, replace(DESIGN, trials=Trials(5))), 0),
    ):
        lines.clear()
        compare(WORLD, POLICIES[:1], *changed, tmp_path, lines)
        assert sum("kept from before" in line for line in lines) == others


@pytest.mark.slow
def test_cell_of_a_method_that_was_edited_runs_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = Lines()
    for text, others in (
        (OWN, 0),
        (OWN, 2),
        (OWN.replace("return case.policy", "return None or case.policy"), 1),
    ):
        Path("own.py").write_text(text)
        with METHODS.aside():
            sys.modules.pop(str(tmp_path / "own.py"), None)
            methods = {"own": load_module("own.py").Deadly(str(tmp_path / "none"))}
            lines.clear()
            compare(
                WORLD, POLICIES[:1], methods, replace(DESIGN, imports=("own.py",)), tmp_path / "out", lines
            )
        assert sum("kept from before" in line for line in lines) == others


@pytest.mark.slow
def test_interrupted_comparison_goes_on(tmp_path):
    def stop(line):
        if "own seed 0" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(WORLD, POLICIES[:2], {"own": Shifted()}, DESIGN, tmp_path, stop)
    lines = Lines()
    compare(WORLD, POLICIES[:2], {"own": Shifted()}, DESIGN, tmp_path, lines)
    assert sum("kept" in line for line in lines) == 3
    assert not [path for path in (tmp_path / "cells").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_death_of_a_worker_costs_no_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cells, "_DEATHS", 1)  # each death costs new workers, which import torch
    Path("own.py").write_text(OWN)
    marks = tmp_path / "marks"
    marks.mkdir()
    for k in range(9):
        (marks / f"1-{k}").touch()
    command = ["compare", "cartpole", "--targets", "combined_a", "--methods", f"deadly:marks={marks}"]
    rest = ["--budget", "400", "--tries", "4", "--variants", "--seeds", "2", "--import", "own.py"]
    assert main([*command, *rest, "--out", "out"]) == 0
    told = json.loads(Path("out/compare.json").read_text("utf-8"))
    assert [row["seeds"] for row in told["rows"]] == [[0, 1], [0]]
    assert list(told["failures"]) == [f"combined_a deadly:marks={marks} seed 1"]
    assert "died" in next(iter(told["failures"].values()))


@pytest.mark.parametrize(
    ("policies", "methods", "targets", "error", "says"),
    [
        (POLICIES, ["tune"], ("combined_a",), UnknownName, "unknown method 'tune'"),
        (POLICIES, ["fine-tune:rat=1"], ("combined_a",), UnknownName, "unknown setting"),
        (POLICIES, ["fine-tune:top"], ("combined_a",), InvalidValue, "NAME=VALUE"),
        (POLICIES, ["fine-tune"], ("combined",), UnknownName, "did you mean"),
        (POLICIES, ["fine-tune"], ("nominal",), InvalidValue, "is the source"),
        (POLICIES, ["fine-tune"], (), InvalidValue, "name held-out variants"),
        ((), ["fine-tune"], ("combined_a",), InvalidValue, "no policy to start from"),
        ((POLICIES[0], POLICIES[0]), ["fine-tune"], ("combined_a",), InvalidValue, "no seeds of one method"),
        ((Policy.load("furuta-nominal-0"),), ["fine-tune"], ("combined_a",), PolicyError, "does not fit"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(policies, methods, targets, error, says, tmp_path):
    with pytest.raises(error, match=says):
        compare(WORLD, policies, methods, Design(targets), tmp_path, lambda line: pytest.fail(line))
    assert not list(tmp_path.iterdir())


def test_more_seeds_than_are_shipped_are_refused(capsys, tmp_path):
    command = ["compare", "cartpole", "--targets", "combined_a", "--methods", "fine-tune", "--seeds", "9"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "3 policies cartpole-nominal-SEED are shipped; lower --seeds" in capsys.readouterr().err
