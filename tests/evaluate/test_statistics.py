import math

import numpy as np
import pytest
import scipy.stats

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import (
    bootstrap,
    episodes_needed,
    iqm,
    probability_of_improvement,
    wilson,
)


def flat_iqm(draws):
    return iqm(draws.reshape(len(draws), -1))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 30, 101])
def test_iqm_is_scipys_trimmed_mean(count):
    scores = np.random.default_rng(count).normal(size=(6, count))
    assert iqm(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25, axis=1))


def test_iqm_leaves_missing_values_out():
    scores = np.array([[1.0, np.nan, 2.0, 3.0, 4.0, np.nan], [1, 2, 3, 4, 5, 100]])
    assert iqm(scores) == pytest.approx([2.5, 3.5])


def test_iqm_ignores_a_quarter_of_outliers():
    assert iqm(np.array([-1e9, 1, 2, 3, 4, 5, 6, 1e9])) == pytest.approx(3.5)


@pytest.mark.parametrize("scores", [np.full(3, np.nan), np.zeros(0)])
def test_iqm_of_nothing_is_refused(scores):
    with pytest.raises(InvalidValue, match="at least one"):
        iqm(scores)


def test_bootstrap_repeats_with_its_seed_and_contains_the_value():
    scores = np.random.default_rng(1).normal(50, 10, (10, 4))
    first, again = bootstrap(scores, flat_iqm, seed=3), bootstrap(scores, flat_iqm, seed=3)
    assert first == again
    assert first != bootstrap(scores, flat_iqm, seed=4)
    assert first.interval[0] < first.value < first.interval[1]


def test_bootstrap_of_the_mean_agrees_with_scipy():
    values = np.random.default_rng(2).gamma(2.0, size=25)
    ours = bootstrap(values[:, None], repetitions=50_000).interval
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=50_000, method="percentile", rng=0
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), rel=0.01)


def test_bootstrap_of_three_is_their_range():
    assert bootstrap(np.array([[1.0], [2.0], [6.0]])).interval == (1.0, 6.0)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_interval(seeds):
    estimate = bootstrap(np.arange(seeds * 5.0).reshape(seeds, 5))
    assert (estimate.interval, estimate.n) == (None, seeds)
    assert estimate.value == pytest.approx((seeds * 5 - 1) / 2)


def test_empty_rows_and_columns_do_not_count_as_seeds():
    scores = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    estimate = bootstrap(scores)
    assert (estimate.value, estimate.interval, estimate.n) == (2.0, None, 2)
    with pytest.raises(InvalidValue, match="no scores"):
        bootstrap(np.full((3, 2), np.nan))


def coverage(seeds, independent, variants=1, shared=0.0, trials=600):
    """Share of simulated tables whose interval of the mean contains the truth, 0."""
    rng = np.random.default_rng(seeds)
    hits = 0
    for trial in range(trials):
        scores = rng.normal(size=(seeds, variants)) + shared * rng.normal(size=(seeds, 1))
        low, high = bootstrap(scores, independent=independent, repetitions=1_000, seed=trial).interval
        hits += low <= 0 <= high
    return hits / trials


@pytest.mark.parametrize(("seeds", "expected"), [(3, 0.75), (5, 0.85), (10, 0.905), (30, 0.94)])
def test_coverage_is_what_the_page_says(seeds, expected):
    assert coverage(seeds, independent=False) == pytest.approx(expected, abs=0.035)


def test_drawing_inside_each_variant_is_too_narrow_where_seeds_are_shared():
    assert coverage(10, independent=True, variants=8, shared=2.0) < 0.6
    assert coverage(10, independent=False, variants=8, shared=2.0) > 0.87


def test_drawing_inside_each_variant_is_right_where_runs_are_independent():
    assert coverage(10, independent=True, variants=8) > 0.9


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_gives_published_values(successes, trials, low, high):
    assert wilson(successes, trials).interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(3, 7), (0, 4), (199, 200)])
def test_wilson_agrees_with_scipy(successes, trials):
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson(successes, trials).interval == pytest.approx(tuple(expected))


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_the_impossible(successes, trials):
    with pytest.raises(InvalidValue, match="impossible"):
        wilson(successes, trials)


def test_probability_of_improvement_is_mann_whitney_over_variants():
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 6, (7, 3)).astype(float), rng.integers(0, 6, (5, 3)).astype(float)
    u = [scipy.stats.mannwhitneyu(x[:, v], y[:, v]).statistic for v in range(3)]
    assert probability_of_improvement(x, y).value == pytest.approx(np.mean(u) / 35)


def test_probability_of_improvement_at_its_ends():
    x = np.random.default_rng(6).normal(size=(4, 3))
    assert probability_of_improvement(x, x).value == 0.5
    assert probability_of_improvement(x + 99, x).interval == (1.0, 1.0)
    assert probability_of_improvement(x[:2], x).interval is None
    tie = np.ones((3, 2))
    assert probability_of_improvement(tie, tie).interval == (0.5, 0.5)


def test_probability_of_improvement_uses_common_variants_only():
    x = np.array([[9.0, np.nan]] * 3)
    assert probability_of_improvement(x, np.array([[1.0, 99.0]] * 3)).value == 1.0
    with pytest.raises(InvalidValue, match="share no variant"):
        probability_of_improvement(x, np.array([[np.nan, 1.0]] * 3))


def test_episodes_needed_gives_published_values():
    # Fleiss, Levin & Paik 2003, table A.4 without continuity correction.
    assert episodes_needed(0.6, 0.7) == 356
    assert episodes_needed(0.7, 0.6) == 356
    assert episodes_needed(0.5, 0.5) is None
    assert episodes_needed(0.0, 1.0) < 10
    with pytest.raises(InvalidValue, match=r"0\.\.1"):
        episodes_needed(0.5, math.nan)
