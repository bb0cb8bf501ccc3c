import numpy as np
import pytest
import scipy.stats

from sim2real.evaluate.compare import compare

NAN = np.nan


def test_paired_p_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 1, 8), rng.normal(0, 1, 8)
    result = compare(x, y)
    assert result.paired
    assert result.p == pytest.approx(scipy.stats.ttest_rel(x, y).pvalue)
    assert result.estimate.value == pytest.approx((x - y).mean())


def test_unpaired_p_is_welchs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, 5), rng.normal(0, 3, 4)
    gap = np.full(9, NAN)
    ours, theirs = gap.copy(), gap.copy()
    ours[:5], theirs[5:] = x, y
    result = compare(ours, theirs)
    assert not result.paired
    assert result.p == pytest.approx(scipy.stats.ttest_ind(x, y, equal_var=False).pvalue)
    assert result.estimate.interval[0] < x.mean() - y.mean() < result.estimate.interval[1]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [([20, 22, 25], "helps"), ([-20, -22, -25], "hurts"), ([-3, 1, 4], "undecided")],
)
def test_verdicts(change, verdict):
    baseline = np.array([40.0, 50.0, 45.0])
    assert compare(baseline + change, baseline).verdict == verdict


def test_three_seeds_that_merely_agree_in_sign_decide_nothing():
    result = compare(np.array([1.0, 12.0, 30.0]), np.zeros(3))
    assert result.estimate.interval[0] > 0
    assert result.p > 0.05
    assert result.verdict == "undecided"
    assert result.seeds_needed > 3


def test_false_alarms_are_rare_with_three_seeds():
    rng = np.random.default_rng(2)
    verdicts = [compare(rng.normal(size=3), rng.normal(size=3), repetitions=300) for _ in range(600)]
    assert np.mean([v.verdict != "undecided" for v in verdicts]) < 0.075


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(count):
    result = compare(np.full(count, 100.0), np.zeros(count))
    assert (result.estimate.value, result.estimate.interval) == (100.0, None)
    assert (result.p, result.verdict, result.seeds_needed) == (None, "undecided", None)


def test_no_spread_is_decided_by_the_difference():
    assert compare(np.full(3, 5.0), np.full(3, 4.0)).verdict == "helps"
    assert compare(np.full(3, 5.0), np.full(3, 5.0)).verdict == "undecided"


def test_a_missing_side_gives_nothing():
    assert compare(np.full(3, NAN), np.ones(3)) is None
