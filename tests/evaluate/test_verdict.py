import re
from dataclasses import replace

import numpy as np
import pytest

from sim2real.evaluate.episode_table import COLUMNS
from sim2real.evaluate.gap import gap_report
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.verdict import headline, number, verdict

GROUPS = {"home": "control", "light": "interpolation", "heavy": "combined"}


def reported(means, seeds=3, **reference):
    rows = [
        (label, label, f"{label}-{seed}", seed, variant, GROUPS[variant], 0,
         score + seed * (1 + 0.1 * len(label)), 9, True, False)
        for label, row in means.items()
        for variant, score in row.items()
        for seed in range(-(seeds // 2), seeds - seeds // 2)
    ]  # fmt: skip
    table = dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))
    return gap_report(table, {name: Reference(0, 100, **reference) for name in GROUPS})


def sentences(means, seeds=3, **reference):
    return verdict(reported(means, seeds, **reference))


NOMINAL = {"home": 90.0, "light": 60.0, "heavy": 20.0}


def test_size_what_closed_it_and_what_hurt():
    size, closed, hurt = sentences({"nominal": NOMINAL, "tuned": {"home": 70.0, "heavy": 80.0}})
    assert "falls from 90.0" in size
    assert "loses most on heavy: 70.0 points [70.0, 70.0]" in size
    assert closed.startswith("“tuned” helps on heavy: 60.0 points [")
    assert "against “nominal”, 75 % [" in closed
    assert "“tuned” on the control arm (home) by −20.0 points [" in hurt
    assert "0 of 2 comparisons are undecided" in hurt


def test_the_opening_says_what_helps_on_the_whole_and_what_does_not():
    better, worse = ({v: s + change for v, s in NOMINAL.items()} for change in (30.0, -10.0))
    table = {"nominal": NOMINAL, "b": better, "w": worse, "u": NOMINAL, "part": {"heavy": 90.0}}
    said = headline(reported(table))
    assert re.fullmatch(
        r"Against “nominal”, “b” \(\+30\.0 points \[.*\]\) helps on 2 held-out variants as a whole, "
        r"“w” \(−10\.0 points \[.*\]\) hurts, and “u” \(.* points \[.*\]\) is not shown to help\.",
        said,
    )
    assert headline(reported({"nominal": NOMINAL, "w": worse})) == ""


def test_a_method_above_the_oracle_is_said():
    _, closed, _ = sentences({"nominal": NOMINAL, "tuned": {"home": 70.0, "heavy": 104.0}})
    assert closed.endswith(
        "\nThe oracle is a lower bound on 1 of 3 variants, where a method scores above it "
        "(most on heavy: “tuned”, 104.0)."
    )
    assert "oracle is" not in sentences({"nominal": NOMINAL})[1]


def test_an_oracle_that_was_picked_is_said():
    _, closed, _ = sentences({"nominal": NOMINAL}, picked=True)
    assert closed.endswith(
        "\nOn 3 of 3 variants the oracle is the best shipped policy, as it is or trained on, picked by such "
        "episodes: scores near 100 say little there."
    )


def test_errors_of_references_widen_what_is_said():
    means = {"nominal": NOMINAL, "tuned": {"home": 70.0, "heavy": 80.0}}
    sure = sentences(means)[1]
    unsure = sentences(means, random_error=5.0, oracle_error=20.0)[1]
    assert sure.startswith("“tuned” helps on heavy: 60.0 points [")
    assert unsure.startswith(("“tuned” helps on heavy: 60.0 points [", "Whether “tuned” helps is undecided"))
    widths = [re.search(r"60\.0 points \[(\S+), (\S+)\]", text).groups() for text in (sure, unsure)]
    assert float(widths[1][1]) > float(widths[0][1]) + 10


def test_nothing_lost():
    size, _, hurt = sentences({"nominal": dict.fromkeys(GROUPS, 90.0)})
    assert "loses nothing on any of 2" in size
    assert "Nothing was compared" in hurt


def test_too_few_seeds_decide_nothing():
    size, closed, hurt = sentences({"nominal": NOMINAL, "tuned": {"heavy": 80.0}}, seeds=2)
    assert "interval n/a (needs 3 seeds)" in size
    assert closed == "Whether “tuned” helps is undecided on heavy."
    assert hurt.startswith("Nothing is shown to hurt")


def test_what_hurts_on_the_whole_alone_is_not_called_harmless():
    report = reported({"nominal": NOMINAL, "tuned": {v: s - 10.0 for v, s in NOMINAL.items()}})
    assert verdict(report)[2].startswith("Something got worse")
    cells = [
        replace(c, difference=c.difference and replace(c.difference, verdict="undecided"))
        for c in report.cells
    ]
    hurt = verdict(replace(report, cells=cells))[2]
    assert hurt.startswith("On no single variant is harm shown, though “tuned” hurts as a whole; 3 of 3")


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(-0.04, (-1.26, 2.0), 3), "0.0 [−1.3, 2.0]"),
        (Estimate(5.0, None, 2), "5.0, interval n/a (needs 3 seeds)"),
        (Estimate(5.0, None, 9), "5.0, interval n/a"),
        (None, "NA"),
    ],
)
def test_numbers_are_written_with_their_interval(estimate, text):
    assert number(estimate) == text


def test_an_undecided_method_says_how_many_seeds_would_tell():
    rows = {"nominal": NOMINAL, "tuned": {"home": 90.0, "light": 60.2, "heavy": 20.4}}
    table = [
        (label, label, f"{label}-{seed}", seed, variant, GROUPS[variant], 0,
         score + (seed * 2 if label == "tuned" else 0.0), 9, True, False)
        for label, scores in rows.items() for variant, score in scores.items() for seed in (-1, 0, 2)
    ]  # fmt: skip
    columns = dict(zip(COLUMNS, map(np.array, zip(*table, strict=True)), strict=True))
    _, closed, _ = verdict(gap_report(columns, {name: Reference(0, 100) for name in GROUPS}))
    assert re.search(r"Whether “tuned” helps is undecided \(\d+ seeds would tell\) on 2", closed)
