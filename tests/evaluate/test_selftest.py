import numpy as np
import pytest

from sim2real.cli import main
from sim2real.evaluate import compare
from sim2real.evaluate.episode_table import fold
from sim2real.evaluate.gap import gap_report
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.selftest import (
    COLUMNS,
    LABELS,
    VARIANTS,
    MadeWorld,
    episodes_of,
    run_selftest,
    verdicts_of,
)


def test_planted_cases_come_out_right():
    findings = list(run_selftest(reports=8))
    assert [finding.passed for finding in findings] == [True] * 3, [f.text for f in findings]


def test_a_judge_without_corrections_fails(monkeypatch):
    monkeypatch.setattr(compare, "holm", lambda p, weights: p / 2)
    equal = next(run_selftest(reports=8))
    assert not equal.passed
    assert equal.text.startswith("FAIL")


def test_the_table_is_what_was_seen():
    seen = {"a": (np.random.default_rng(0).random((3, 15, 64)) < 0.5).astype(float)}
    table = episodes_of(seen)
    assert list(table) == list(COLUMNS)
    folded = fold(table)
    order = [int(name[1:]) for name in folded.variants]
    np.testing.assert_array_equal(folded.returns[0], 100 * np.moveaxis(seen["a"], 0, 1)[order])


def test_scores_are_those_of_the_table():
    world = MadeWorld(np.random.default_rng(0))
    state = world.rng.bit_generator.state
    ours = world.scores(3, {"other": -1.0})
    world.rng.bit_generator.state = state
    starts = world.starts()
    seen = {label: world.seen(3, starts, gain) for label, gain in zip(LABELS, (0.0, 0.0, -1.0), strict=True)}
    references = {f"v{k}": Reference(0.0, 100.0) for k in range(VARIANTS)}
    report = gap_report(episodes_of(seen), references)
    told = verdicts_of(ours)
    for summary in report.summaries[1:]:
        cells = [c.difference.verdict for c in report.cells if c.label == summary.label]
        assert told[summary.label] == (summary.difference.verdict, set(cells))
    values = {(c.label, c.variant): c.score.value for c in report.cells}
    for i, label in enumerate(LABELS):
        for k in range(VARIANTS):
            assert ours.values(i, [k])[0].mean() == pytest.approx(values[label, f"v{k}"])


def test_the_command_needs_policies_or_the_selftest(capsys):
    assert main(["evaluate"]) == 2
    assert "--selftest" in capsys.readouterr().err
