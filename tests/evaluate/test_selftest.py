import numpy as np

from sim2real.cli import main
from sim2real.evaluate import compare
from sim2real.evaluate.episode_table import fold
from sim2real.evaluate.selftest import COLUMNS, episodes_of, run_selftest


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


def test_the_command_needs_policies_or_the_selftest(capsys):
    assert main(["evaluate"]) == 2
    assert "--selftest" in capsys.readouterr().err
