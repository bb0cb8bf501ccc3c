import numpy as np
import pytest
import scipy.stats

from sim2real.evaluate.compare import compare, decide, holm, seeds_needed
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.statistics import Spread, spread

NAN = np.nan


def scores(*by_seed):
    """One variant, one start."""
    return np.array(by_seed, dtype=float)[:, None, None]


def decided(method, baseline):
    (found,) = decide([compare(method, baseline)], [1.0])
    return found


def test_paired_p_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 1, 8), rng.normal(0, 1, 8)
    result = decided(scores(*x), scores(*y))
    assert result.paired
    assert result.p == result.adjusted == pytest.approx(scipy.stats.ttest_rel(x, y).pvalue)
    assert result.estimate.value == pytest.approx((x - y).mean())


def test_unpaired_p_is_welchs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, 5), rng.normal(0, 3, 4)
    result = decided(scores(*x, *[NAN] * 4), scores(*[NAN] * 5, *y))
    assert not result.paired
    assert result.p == pytest.approx(scipy.stats.ttest_ind(x, y, equal_var=False).pvalue)
    assert result.estimate.interval[0] < x.mean() - y.mean() < result.estimate.interval[1]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [([20, 22, 25], "helps"), ([-20, -22, -25], "hurts"), ([-3, 1, 4], "undecided")],
)
def test_verdicts(change, verdict):
    baseline = np.array([40.0, 50.0, 45.0])
    assert decided(scores(*baseline + change), scores(*baseline)).verdict == verdict


def test_three_seeds_that_merely_agree_in_sign_decide_nothing():
    result = decided(scores(1, 12, 30), scores(0, 0, 0))
    assert result.p > 0.05
    assert result.verdict == "undecided"
    assert result.seeds_needed > 3


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(count):
    result = decided(scores(*[100] * count), scores(*[0] * count))
    assert (result.estimate.value, result.estimate.interval) == (100.0, None)
    assert (result.p, result.adjusted, result.verdict, result.seeds_needed) == (None, None, "undecided", None)


def test_no_spread_is_decided_by_the_difference():
    assert decided(scores(5, 5, 5), scores(4, 4, 4)).verdict == "helps"
    assert decided(scores(5, 5, 5), scores(5, 5, 5)).verdict == "undecided"


def test_a_missing_side_gives_nothing():
    assert compare(scores(NAN, NAN, NAN), scores(1, 1, 1)) is None
    assert decide([None], [1.0]) == [None]


def test_holm_gives_his_steps():
    # By hand: 0.01 · 4, 0.015 · 3, 0.04 · 2 and then no smaller than that.
    adjusted = holm(np.array([0.04, 0.01, 0.015, 0.07]), np.ones(4))
    assert adjusted == pytest.approx([0.08, 0.04, 0.045, 0.08])
    assert holm(np.array([0.03, 0.2]), np.array([3.0, 1.0])) == pytest.approx([0.04, 0.2])


def test_a_report_of_nothing_raises_no_alarm_19_times_in_20():
    rng, alarms, alone = np.random.default_rng(2), 0, 0
    for _ in range(120):
        quality = rng.normal(0, 5, (2, 3, 1, 1))
        methods = quality + rng.normal(0, 5, (2, 3, 10, 1))
        found = decide([compare(*methods[:, :, v : v + 1]) for v in range(10)], np.ones(10))
        alarms += any(f.verdict != "undecided" for f in found)
        alone += any(f.p < 0.05 for f in found)
    assert alarms / 120 < 0.12
    assert alone / 120 > 0.25


def test_seeds_needed_find_the_difference_four_times_in_five():
    rng = np.random.default_rng(3)
    seen = spread(mean, scores(10.0, 4.0, 1.0, 9.0))
    count = seeds_needed(seen, 0.05)
    deviation = seen.error * np.sqrt(4)
    draws = rng.normal(seen.value, deviation, (4000, count))
    found = np.mean(scipy.stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05)
    assert 0.78 < found < 0.9
    fewer = scipy.stats.ttest_1samp(draws[:, : count - 1], 0.0, axis=1).pvalue < 0.05
    assert fewer.mean() < 0.8
    assert seeds_needed(seen, 0.005) > count
    assert seeds_needed(spread(mean, scores(0, 0, 0)), 0.05) is None


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_seeds_needed_are_the_first_that_find_it(level):
    rng = np.random.default_rng(4)
    told = []
    for _ in range(60):
        seeds = (float(rng.gamma(1.0)), int(rng.integers(3, 9))), (float(rng.gamma(1.0)), 5)
        seen = Spread(float(rng.normal(0, 3)), seeds, starts=float(0.1 * rng.gamma(1.0)))
        enough = []
        for count in range(seen.n + 1, 100):
            grown = seen.with_seeds(count)
            bound = scipy.stats.t.isf(level / 2, grown.freedom)
            enough.append(scipy.stats.nct.sf(bound, grown.freedom, abs(seen.value) / grown.error) >= 0.8)
        told.append(seeds_needed(seen, level))
        assert told[-1] == (seen.n + 1 + enough.index(True) if any(enough) else None)
        assert enough == sorted(enough)
    assert len(set(told)) > 10
