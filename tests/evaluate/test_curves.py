"""Transfer curves against closed forms, and censored times against scipy's Kaplan-Meier."""

import numpy as np
import pytest
import scipy.stats

from sim2real.errors import InvalidValue
from sim2real.evaluate.curves import Curve, gains, negative_transfer, time_to_threshold
from sim2real.evaluate.survival import kaplan_meier, saved

BUDGETS = np.linspace(0, 100, 11)


def curve(budgets, scores, seeds=()):
    return Curve(np.array(budgets, dtype=float), np.array(scores, dtype=float), seeds)


def lines(starts, slopes, seeds=()):
    """Straight curves, whose every number is known."""
    return Curve(BUDGETS, np.array([a + b * BUDGETS for a, b in zip(starts, slopes, strict=True)]), seeds)


def test_gains_of_straight_curves():
    transfer, scratch = lines((40, 42, 44), (0.5, 0.5, 0.5)), lines((0, 1, 2), (0.8, 0.8, 0.8))
    found = gains(transfer, scratch, last=2, normalized=True)
    assert found.jumpstart.value == pytest.approx(42 - 1)
    assert found.asymptote.value == pytest.approx((42 + 0.5 * 95) - (1 + 0.8 * 95))
    assert found.area.value == pytest.approx((42 + 25) - (1 + 40))
    assert found.ratio.value == pytest.approx((67 - 41) / 41)
    # paired by seed: differences of 40, 41 and 42 at the start
    expected = scipy.stats.t.interval(0.95, 2, 41, 1 / np.sqrt(3))
    assert found.jumpstart.interval == pytest.approx(expected)


def test_the_area_of_a_curve_is_its_integral():
    budgets = np.linspace(0, 50, 5001)
    curve = Curve(budgets, np.array([80 * (1 - np.exp(-budgets / 10)), np.sqrt(budgets)]))
    assert curve.area == pytest.approx([80 * (1 - 10 / 50 * (1 - np.exp(-5))), 2 / 3 * np.sqrt(50)], rel=1e-5)


def test_arms_of_different_seeds_are_compared_by_welch():
    rng = np.random.default_rng(0)
    a, b = rng.normal(50, 5, 6), rng.normal(40, 9, 4)
    transfer, scratch = lines(a, np.zeros(6), range(6)), lines(b, np.zeros(4), range(10, 14))
    interval = gains(transfer, scratch).area.interval
    welch = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert interval == pytest.approx((welch.low, welch.high))


def test_the_ratio_needs_a_zero_that_means_something():
    transfer, scratch = lines((40, 42, 44), (0, 0, 0)), lines((-5, -4, -3), (0, 0, 0))
    assert gains(transfer, scratch).ratio is None
    assert gains(transfer, scratch, normalized=True).ratio is None


def test_what_the_source_cost_can_be_counted():
    transfer, scratch = lines((40, 42, 44), (0.5,) * 3), lines((0, 1, 2), (0.8,) * 3)
    found = gains(transfer.after(50), scratch)
    assert found.budgets == (50, 60, 70, 80, 90, 100)
    assert found.jumpstart.value == pytest.approx(42 - 41)
    assert time_to_threshold(transfer.after(50), 60).median == 50 + 40


@pytest.mark.parametrize("seed", range(4))
def test_kaplan_meier_is_scipys(seed):
    rng = np.random.default_rng(seed)
    times = np.ceil(rng.exponential(30, 25))  # with ties
    ends = np.ceil(rng.uniform(10, 80, 25))
    observed = times <= ends
    seen = np.minimum(times, ends)
    found = kaplan_meier(seen, observed, float(seen[observed].max()))
    theirs = scipy.stats.ecdf(scipy.stats.CensoredData.right_censored(seen, ~observed)).sf
    assert found.share == pytest.approx(theirs.evaluate(found.times))
    half = found.times[theirs.evaluate(found.times) <= 0.5]
    assert found.median == (half[0] if len(half) else np.inf)
    grid = np.arange(0, found.times[-1])
    assert found.restricted_mean.value == pytest.approx(theirs.evaluate(grid).sum())


def test_without_censoring_the_restricted_mean_is_the_mean():
    times = np.array([3.0, 8.0, 12.0, 20.0])
    found = kaplan_meier(times, np.ones(4, dtype=bool), 20.0)
    assert found.restricted_mean.value == pytest.approx(times.mean())
    # Greenwood's with m / (m - 1) is then the usual variance of a mean
    assert found.variance == pytest.approx(times.var(ddof=1) / 4)
    assert found.restricted_mean.interval == pytest.approx(
        np.clip(scipy.stats.t.interval(0.95, 3, times.mean(), scipy.stats.sem(times)), 0, 20)
    )


def test_runs_that_never_get_there_are_neither_dropped_nor_counted_as_done():
    slow = np.array([20.0, 100.0, 100.0, 100.0])
    found = kaplan_meier(slow, slow < 100, 100.0)
    assert found.median == np.inf
    assert found.restricted_mean.value == pytest.approx(80)
    assert found.reached == 1
    assert found.restricted_mean.interval is None


def test_time_to_threshold_and_what_it_saves():
    transfer = lines((40, 44, 48, 36), (0.5,) * 4)
    scratch = lines((0, 2, 4, 6), (0.6,) * 4)
    fast, slow = time_to_threshold(transfer, 60), time_to_threshold(scratch, 60)
    assert fast.times.tolist() == [30, 40, 50]
    assert (fast.median, slow.median) == (40, 100)
    assert fast.restricted_mean.value == pytest.approx((40 + 40 + 30 + 50) / 4)
    ahead = saved(fast, slow)
    assert ahead.value == pytest.approx((100 + 100 + 100 + 90) / 4 - 40)
    assert ahead.interval[0] > 30
    assert time_to_threshold(scratch, 99).reached == 0


def test_a_run_that_ended_early_is_censored_there():
    scores = lines((0, 0, 0), (1.0, 0.9, 0.8)).scores.copy()
    scores[2, 4:] = np.nan
    found = time_to_threshold(Curve(BUDGETS, scores), 50)
    assert found.reached == 2
    assert found.times.tolist() == [50, 60]
    assert found.share == pytest.approx([0.5, 0.0])


def test_restricted_means_hold_the_truth():
    """Of exponential times, half of them cut off: the mean within h is 1 - exp(-h)."""
    rng = np.random.default_rng(1)
    hits, horizon = [], 0.7
    for _ in range(400):
        times = rng.exponential(1.0, 12)
        interval = kaplan_meier(
            np.minimum(times, horizon), times <= horizon, horizon
        ).restricted_mean.interval
        if interval is not None:
            hits.append(interval[0] <= 1 - np.exp(-horizon) <= interval[1])
    assert np.mean(hits) > 0.95 - 3 * (0.95 * 0.05 / len(hits)) ** 0.5


def test_negative_transfer_is_found_where_it_is():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 2, (2, 6, 11))
    scratch = Curve(BUDGETS, 0.8 * BUDGETS + noise[0])
    transfer = Curve(BUDGETS, 40 + 0.2 * BUDGETS + noise[1])  # ahead below 67, behind above
    found = {effect.budget: effect.effect for effect in negative_transfer(transfer, scratch)}
    assert found[0] == found[20] == found[40] == "positive"
    assert found[90] == found[100] == "negative"


def test_equal_arms_are_seldom_decided():
    rng = np.random.default_rng(3)
    alarms = []
    for _ in range(100):
        arms = [Curve(BUDGETS, rng.normal(0, 5, (5, 1)) + rng.normal(0, 3, (5, 11))) for _ in range(2)]
        alarms.append(any(effect.effect != "undecided" for effect in negative_transfer(*arms)))
    assert np.mean(alarms) <= 0.05 + 3 * (0.05 * 0.95 / 100) ** 0.5


def test_fewer_than_three_seeds_decide_nothing():
    transfer, scratch = lines((40, 42), (0, 0)), lines((0, 1), (0, 0))
    assert gains(transfer, scratch).area.interval is None
    assert {effect.effect for effect in negative_transfer(transfer, scratch)} == {"undecided"}
    assert time_to_threshold(transfer, 10).restricted_mean.interval is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: curve(BUDGETS, np.zeros((3, 4))), "don't fit 11 budgets"),
        (lambda: curve(BUDGETS, np.zeros((0, 11))), "don't fit"),
        (lambda: curve([0, 2, 1], np.zeros((3, 3))), "must rise"),
        (lambda: curve([-1, 2], np.zeros((3, 2))), "must rise"),
        (lambda: curve([0, 1], [[0, np.inf]]), "must be finite"),
        (lambda: curve([0, 1, 2], [[0, np.nan, 1]]), "only after a run ended"),
        (lambda: curve([0, 1], [[0, 1], [0, 1]], (3, 3)), "give each its own"),
        (lambda: gains(curve([0, 1], [[0, 1]]), curve([2, 3], [[0, 1]])), "equal budgets are compared"),
        (lambda: gains(curve([0, 1], [[0, np.nan]]), curve([0, 1], [[0, 1]])), "seed 0 of transfer ended"),
        (lambda: kaplan_meier(np.zeros(0), np.zeros(0, dtype=bool), 1.0), "each run has one"),
        (lambda: kaplan_meier(np.array([-1.0]), np.array([True]), 1.0), "negative or not finite"),
        (lambda: kaplan_meier(np.array([3.0, 4.0]), np.array([True, False]), 9.0), "restrict the mean to 4"),
    ],
)
def test_what_is_no_curve_is_refused_in_a_sentence(make, said):
    with pytest.raises(InvalidValue) as refused:
        make()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
