"""One call that evaluates: the same numbers as its parts, the files, the gate, and what it refuses."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import sim2real
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.rollouts import Trials, references, run_policies
from sim2real.pipelines.evaluate import EvaluateSettings

POLICIES = ["cartpole-nominal-0", "cartpole-randomized-0"]
TRIALS = Trials(4)


@pytest.mark.slow
def test_one_call_is_its_parts_and_writes_what_it_found(tmp_path: Path) -> None:
    told: list[object] = []

    @contextmanager
    def progress(what, total):
        told.append(total)
        yield told.append

    settings = EvaluateSettings(
        require=["return >= -1e9 on all"], facts={"command": "mine"}, progress=progress
    )
    found = sim2real.evaluate("cartpole", POLICIES, ["combined_a"], TRIALS, tmp_path / "out", settings)
    assert told == [2, *POLICIES]
    world = sim2real.World.load("cartpole")
    table = run_policies(world, [sim2real.Policy.load(p) for p in POLICIES], ["combined_a"], TRIALS)
    assert np.array_equal(found.table["return"], table["return"])
    known = {name: reference for name, reference in references(world).items() if name in table["variant"]}
    plain = gap_report(table, known, GapOptions(title=world.title, baseline="nominal"))
    assert found.report.plain() == plain.plain()
    assert found.gate.verdict in ("met", "undecided")  # one seed decides no return
    assert found.verdict[-1]
    assert found.page == tmp_path / "out" / "report.html"
    assert np.array_equal(read_episodes(tmp_path / "out" / "episodes.parquet")["return"], table["return"])
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["provenance"]["command"] == "mine"
    again = EvaluateSettings(earlier=tmp_path / "out")
    same = sim2real.evaluate(world, POLICIES, ["combined_a"], TRIALS, settings=again)
    assert same.page is None
    assert all("to the bit on 2 variants" in line for line in same.changes)
    assert len(same.changes) == 2


@pytest.mark.parametrize(
    ("policies", "variants", "settings", "said"),
    [
        ([], None, {}, "no policies to evaluate"),
        (POLICIES, ["combined"], {}, "unknown variant"),
        (POLICIES, ["combined_a"], {"baseline": "nominl"}, "did you mean 'nominal'"),
        (POLICIES, ["combined_a"], {"require": ["worst >= 60 on structural"]}, "unknown variant or"),
        (POLICIES, ["combined_a"], {"summary": Path("gate.md")}, "give one of these"),
        (POLICIES, ["combined_a"], {"earlier": "nix"}, "there is no nix"),
    ],
)
def test_mistakes_end_before_anything_runs(policies, variants, settings, said) -> None:
    def never(_):
        raise AssertionError

    settings = EvaluateSettings(progress=never, **settings)
    with pytest.raises((InvalidValue, UnknownName), match=said):
        sim2real.evaluate("cartpole", policies, variants, TRIALS, settings=settings)
