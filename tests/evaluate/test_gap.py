import json

import numpy as np
import pytest

from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.episode_table import fold
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.robustness import HELD_OUT
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.statistics import wilson

REFERENCES = {
    "home": Reference(0.0, 200.0),
    "light": Reference(10.0, 110.0),
    "heavy": Reference(20.0, 120.0),
}
GROUPS = {"light": "interpolation", "heavy": "combined", "home": "control"}
# Normalized scores by label and variant; seeds differ by -1, 0, +1 points.
MEANS = {
    "nominal": {"light": 60.0, "home": 90.0, "heavy": 20.0},
    "randomized": {"light": 80.0, "home": 88.0, "heavy": 60.0},
    "fine-tuned": {"heavy": 92.0, "home": 70.0},
}


def make_row(label, variant, seed, episode, score):
    random, oracle = REFERENCES[variant].random, REFERENCES[variant].oracle
    return {
        "label": label,
        "policy": f"x-{label}-{seed}",
        "seed": seed,
        "variant": variant,
        "group": GROUPS[variant],
        "episode": episode,
        "return": random + (oracle - random) * (score + (-1) ** episode) / 100,
        "length": 100,
        "success": score > 50 and episode > 0,
        "diverged": score < 25 and episode == 3,
    }


def make_table(means=MEANS, seeds=3, episodes=4):
    rows = [
        make_row(label, variant, seed, episode, mean + seed - (seeds - 1) / 2)
        for label, row in means.items()
        for variant, mean in row.items()
        for seed in range(seeds)
        for episode in range(episodes)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.fixture(scope="module")
def report():
    return gap_report(make_table(), REFERENCES)


def test_variants_are_ordered_by_group_and_baseline_comes_first():
    report = gap_report(make_table(), REFERENCES, GapOptions(baseline="randomized"))
    assert report.variants == ("home", "light", "heavy")
    assert report.groups == ("control", "interpolation", "combined")
    assert report.labels == ("randomized", "nominal", "fine-tuned")
    assert report.control == "home"


def test_scores_are_normalized_per_variant(report):
    cell = report.cell("nominal", "light")
    assert cell.score.value == pytest.approx(60)
    assert cell.returns.value == pytest.approx(70)
    low, high = cell.score.interval
    # Seeds and starts both count; with three seeds alone Student's would be 60 ± 4.3 · 1/√3.
    assert 56 < low < 57.5
    assert 62.5 < high < 64
    assert cell.by_seed == pytest.approx((59, 60, 61))
    assert cell.normalized == cell.score


def test_success_and_divergence_are_counted(report):
    cell = report.cell("randomized", "light")
    assert (cell.success.value, cell.success.n, cell.diverged) == (0.75, 3, 0)
    assert cell.success.interval[0] < 0.5 < 0.9 < cell.success.interval[1]
    assert report.cell("nominal", "heavy").diverged == 3


def test_gap_is_own_control_minus_variant(report):
    assert report.cell("nominal", "heavy").gap.value == pytest.approx(70)
    assert report.cell("fine-tuned", "heavy").gap.value == pytest.approx(-22)
    assert report.cell("nominal", "home").gap is None
    # Seeds are paired, and here they shift both arms alike.
    assert report.cell("nominal", "heavy").gap.interval == pytest.approx((70, 70))


def test_gap_closed_per_variant_and_pooled(report):
    assert report.cell("randomized", "heavy").closed.value == pytest.approx(40 / 80)
    assert report.cell("fine-tuned", "heavy").closed.value == pytest.approx(72 / 80)
    assert report.cell("nominal", "heavy").closed is None
    summary = {s.label: s for s in report.summaries}
    assert summary["randomized"].closed.value == pytest.approx((20 + 40) / (40 + 80))
    assert summary["fine-tuned"].closed.value == pytest.approx(72 / 80)


def test_gap_closed_is_na_near_the_oracle():
    means = {"nominal": {"home": 99.0, "light": 96.0}, "other": {"home": 99.0, "light": 99.0}}
    report = gap_report(make_table(means), {v: REFERENCES[v] for v in ("home", "light")})
    assert report.cell("other", "light").closed is None


def test_verdicts_against_the_baseline(report):
    assert report.cell("randomized", "heavy").difference.verdict == "helps"
    assert report.cell("fine-tuned", "home").difference.verdict == "hurts"
    assert report.cell("nominal", "heavy").difference is None


def test_missing_cells_are_missing(report):
    assert report.cell("fine-tuned", "light") is None
    aggregates = {(a.label, a.group): a for a in report.aggregates}
    assert ("fine-tuned", "interpolation") not in aggregates
    held_out = aggregates["fine-tuned", HELD_OUT]
    assert (held_out.variants, held_out.of) == (1, 2)
    assert len(report.cells) == 8


def test_a_method_that_never_met_the_control_arm_has_no_gap():
    means = {"nominal": MEANS["nominal"], "fine-tuned": {"heavy": 92.0}}
    cell = gap_report(make_table(means), REFERENCES).cell("fine-tuned", "heavy")
    assert cell.gap is None
    assert cell.closed.value == pytest.approx(0.9)


def test_without_control_or_baseline_on_a_variant():
    means = {"nominal": {"light": 60.0}, "other": {"light": 70.0, "heavy": 50.0}}
    report = gap_report(make_table(means), REFERENCES)
    assert report.control is None
    assert report.cell("other", "heavy").difference is None
    assert report.cell("other", "heavy").closed is None
    assert report.cell("nominal", "light").gap is None


def test_aggregates_and_worst_case(report):
    held_out = next(a for a in report.aggregates if (a.label, a.group) == ("nominal", HELD_OUT))
    assert held_out.iqm.value == pytest.approx((20 + 21 + 59 + 60) / 4)
    worst = next(s for s in report.summaries if s.label == "nominal")
    assert (worst.worst_variant, worst.variants) == ("heavy", 2)
    assert worst.worst.value == pytest.approx(20)
    assert worst.worst.interval == pytest.approx((16.7, 23.7), abs=0.1)
    assert worst.mean.value == pytest.approx(40)
    assert worst.cvar.value == pytest.approx(20)
    improvement = next(s for s in report.summaries if s.label == "randomized").improvement
    assert improvement.value == 1.0


def test_without_all_references_the_unit_is_the_return():
    report = gap_report(make_table(), {"home": REFERENCES["home"]})
    assert not report.normalized
    assert report.cell("nominal", "light").normalized is None
    assert report.cell("nominal", "home").normalized.value == pytest.approx(90)
    assert report.cell("nominal", "home").score.value == pytest.approx(180)
    assert report.cell("randomized", "heavy").closed is None
    assert report.cell("nominal", "heavy").gap.value == pytest.approx(180 - 40)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_interval_anywhere(seeds):
    report = gap_report(make_table(seeds=seeds), REFERENCES)
    for cell in report.cells:
        estimates = (cell.returns, cell.score, cell.gap, cell.closed)
        assert all(e is None or e.interval is None for e in estimates)
        assert cell.difference is None or cell.difference.verdict == "undecided"
        assert cell.success.interval is not None
    assert all(a.iqm.interval is None for a in report.aggregates)
    assert all(s.worst.interval is None and s.cvar.interval is None for s in report.summaries)


def test_unequal_seeds_are_paired_where_they_are_shared():
    table = make_table(seeds=5)
    kept = (table["label"] != "randomized") | (table["seed"] != 4)
    cell = gap_report({k: v[kept] for k, v in table.items()}, REFERENCES).cell("randomized", "heavy")
    assert cell.seeds == (0, 1, 2, 3)
    assert cell.difference.paired
    assert cell.difference.estimate.value == pytest.approx(40)


def test_policies_of_one_seed_are_one_run():
    table = make_table({"nominal": MEANS["nominal"]})
    doubled = {name: np.concatenate([column, column]) for name, column in table.items()}
    doubled["policy"] = np.array([*table["policy"], *(f"{p}-b" for p in table["policy"])])
    assert gap_report(doubled, REFERENCES).cell("nominal", "light").score.n == 3


def test_row_order_does_not_matter(report):
    table = make_table()
    order = np.random.default_rng(0).permutation(len(table["label"]))
    shuffled = fold({name: column[order] for name, column in table.items()})
    straight = fold(table)
    a = shuffled.returns[shuffled.labels.index("nominal"), shuffled.variants.index("heavy")]
    assert a == pytest.approx(straight.returns[0, straight.variants.index("heavy")])


def test_the_report_is_plain_json(report):
    assert json.loads(json.dumps(report.plain(), allow_nan=False))["baseline"] == "nominal"


@pytest.mark.parametrize("reference", [Reference(5, 5), Reference(9, 1), Reference(0, np.nan)])
def test_useless_references_are_refused(reference):
    with pytest.raises(InvalidValue, match="'light'"):
        gap_report(make_table(), {**REFERENCES, "light": reference})


def test_an_unknown_baseline_is_refused():
    with pytest.raises(UnknownName, match="nominal"):
        gap_report(make_table(), REFERENCES, GapOptions(baseline="nominl"))


def test_a_cvar_fraction_outside_its_range_is_refused():
    with pytest.raises(InvalidValue, match="cvar_fraction = 0 is out of reach"):
        GapOptions(cvar_fraction=0)


@pytest.mark.parametrize("seeds", [1, 2])
def test_starts_that_all_policies_meet_count_once(seeds):
    """Success is the start's alone here: more policies tell nothing more of other starts."""
    table = make_table({"nominal": {"light": 60.0, "home": 90.0}}, seeds, episodes=40)
    success = (
        gap_report({**table, "success": table["episode"] < 30}, REFERENCES).cell("nominal", "light").success
    )
    assert (success.value, success.n) == (0.75, 40 * seeds)
    assert success.interval == pytest.approx(wilson(30, 40).interval, abs=0.01)
    assert success.interval[0] < wilson(30 * 2, 40 * 2).interval[0] - 0.03
