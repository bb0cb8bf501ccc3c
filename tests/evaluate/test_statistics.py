import numpy as np
import pytest
import scipy.stats

from sim2real.errors import InvalidValue
from sim2real.evaluate.metrics import iqm, mean, probability_of_improvement
from sim2real.evaluate.scores import bounds
from sim2real.evaluate.statistics import spread, wilson


def scores(*by_seed):
    """One variant, one start."""
    return np.array(by_seed, dtype=float)[:, None, None]


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(50, 10, 6)
    found = spread(mean, values[:, None, None])
    expected = scipy.stats.ttest_1samp(values, 0.0)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.n, found.freedom) == (6, 5)


def test_the_difference_of_two_samples_is_welchs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(3, 1, 5), rng.normal(0, 3, 4)
    found = spread(mean, x[:, None, None], y[:, None, None])
    expected = scipy.stats.ttest_ind(x, y, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_variances_of_seeds_and_starts_are_those_that_were_planted():
    rng = np.random.default_rng(2)
    by_seed, by_start, rest = 3.0, 2.0, 1.0
    found = []
    for _ in range(400):
        seeds, starts = rng.normal(0, by_seed, (5, 1, 1)), rng.normal(0, by_start, (1, 1, 40))
        found.append(spread(mean, seeds + starts + rng.normal(0, rest, (5, 1, 40))))
    within = rest**2 / (5 * 40)
    assert np.mean([f.seeds[0][0] for f in found]) == pytest.approx(by_seed**2 / 5 + within, rel=0.1)
    assert np.mean([f.starts for f in found]) == pytest.approx(by_start**2 / 40 + within, rel=0.1)
    assert np.var([f.value for f in found]) == pytest.approx(np.mean([f.error**2 for f in found]), rel=0.2)


def test_the_jackknife_of_a_statistic_agrees_with_a_plain_loop():
    rng = np.random.default_rng(3)
    values = rng.normal(60, 15, (4, 7, 5))

    def statistic(draws):
        return iqm(draws.reshape(len(draws), -1))

    def plain(sample):
        means = sample.mean(axis=2).ravel()
        return scipy.stats.trim_mean(means, 0.25)

    def variance(left_out):
        return (len(left_out) - 1) / len(left_out) * np.sum((np.array(left_out) - np.mean(left_out)) ** 2)

    found = spread(statistic, values)
    assert found.value == pytest.approx(plain(values))
    seeds = [plain(np.delete(values, k, axis=0)) for k in range(4)]
    starts = [plain(np.delete(values, k, axis=2)) for k in range(5)]
    assert found.seeds[0][0] == pytest.approx(variance(seeds))
    assert found.starts == pytest.approx(variance(starts))


def test_references_add_what_they_would_change():
    values = np.random.default_rng(4).normal(60, 5, (3, 2, 6))
    shifted = [(values + np.array(change)[:, None],) for change in ([2.0, 0.0], [0.0, -1.0])]
    found = spread(mean, values, others=shifted)
    assert found.references == pytest.approx(1.0**2 + 0.5**2)
    assert found.error**2 == pytest.approx(spread(mean, values).error ** 2 + 1.25)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_interval(seeds):
    found = spread(mean, np.arange(seeds * 5.0).reshape(seeds, 5, 1)).estimate
    assert (found.interval, found.n) == (None, seeds)
    assert found.value == pytest.approx((seeds * 5 - 1) / 2)


def test_what_is_missing_does_not_count():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])[..., None]
    found = spread(mean, values).estimate
    assert (found.value, found.interval, found.n) == (2.0, None, 2)
    with pytest.raises(InvalidValue, match="no scores"):
        spread(mean, np.full((3, 2, 1), np.nan))


def test_starts_that_nobody_met_do_not_count():
    scores = np.random.default_rng(0).normal(size=(4, 2, 1))
    padded = np.concatenate([scores, np.full((4, 2, 3), np.nan)], axis=2)
    assert spread(mean, padded) == spread(mean, scores)
    assert spread(mean, scores).starts == 0


def test_no_spread_is_decided_by_the_value():
    assert spread(mean, scores(1, 1, 1)).p == 0
    assert spread(mean, scores(0, 0, 0)).p == 1


def test_bounds_leave_room_where_all_seeds_agree():
    found = spread(mean, np.ones((3, 1, 20))).within(0.0, 1.0, 60)
    assert found.interval[1] == 1.0
    assert 0.7 < found.interval[0] < 0.9


def test_within_bounds_it_is_wilsons_for_independent_episodes():
    rng = np.random.default_rng(5)
    rate, trials = 0.8, 400 * 50
    found = spread(mean, (rng.random((400, 1, 50)) < rate).astype(float))
    ours = found.within(0.0, 1.0, trials).interval
    expected = wilson(round(found.value * trials), trials).interval
    # seeds and starts both hold the binomial variance, so that ours is up to √2 as wide
    widths = (ours[1] - ours[0]) / (expected[1] - expected[0])
    assert 1.0 <= widths < 1.7
    assert found.within(0.0, 1.0, trials).value == pytest.approx(found.value)


def test_intervals_within_bounds_cover_what_the_page_says():
    # The truth is the mean over many seeds of the same kind; scripts/coverage_evaluate.py does it at length.
    rng, hits, bare = np.random.default_rng(6), [], []
    for _ in range(60):
        difficulty, width = rng.normal(1.8, 3.0, 8), 1.2 * np.exp(rng.normal(0, 0.6, 8))

        def draw(seeds, rng=rng, difficulty=difficulty, width=width):
            logit = difficulty + rng.normal(0, 0.5, (seeds, 1)) + width * rng.standard_t(5, (seeds, 8))
            return 1 / (1 + np.exp(-(logit[..., None] + rng.normal(0, 0.7, 32))))

        truth = np.mean([draw(100).mean(axis=(0, 2)) for _ in range(20)], axis=0)
        chance = draw(3)
        seen = (rng.random(chance.shape) < chance).astype(float)
        for v in range(8):
            found = spread(mean, seen[:, v : v + 1])
            low, high = found.within(0.0, 1.0, 96).interval
            hits.append(low <= truth[v] <= high)
            bare.append(found.interval[0] <= truth[v] <= found.interval[1])
    assert np.mean(hits) > 0.88
    assert np.mean(hits) > np.mean(bare) + 0.05


@pytest.mark.parametrize(("apart", "error", "seeds"), [(0.3, 2.0, 10), (1.0, 0.5, 3)])
def test_scores_about_an_uncertain_oracles_are_covered(apart, error, seeds):
    # Successes against an oracle that is as good, a little better or a little worse, and measured once.
    rng, hits, widths = np.random.default_rng(0), [], []
    for _ in range(200):
        logits = rng.uniform(2, 4.5) + apart * rng.normal(size=20_000 + seeds)
        chances = 1 / (1 + np.exp(-logits))
        truth, oracle = chances[seeds:].mean(), rng.uniform(0.93, 1.03) * chances[seeds:].mean()
        seen = 100 * (rng.random((seeds, 1, 32)) < chances[:seeds, None, None])
        measured = oracle * (1 + error / 100 * rng.normal())
        found = spread(mean, seen / measured, others=[(seen / (measured * (1 + error / 100)),)])
        low, high = found.within(*bounds(seen / measured), seen.size).interval
        hits.append(low <= 100 * truth / oracle <= high)
        widths.append((high - low) / (found.interval[1] - found.interval[0] + 1e-9))
    assert np.mean(hits) > 0.93
    assert np.median(widths) < 1.3  # no wider than Student's by much, though they leave room near the end


def test_seeds_that_agree_beyond_an_oracle_are_told_so():
    rng = np.random.default_rng(1)
    percent = np.array([103.38, 103.41, 103.38])[:, None, None] + rng.normal(0, 1.0, 32) - 0.1
    low, high = spread(mean, percent).within(*bounds(percent), percent.size).interval
    assert 80 < low < 103 < high < 110


def test_probability_of_improvement_has_an_interval():
    x = np.random.default_rng(6).normal(size=(4, 3, 1))
    apart = spread(probability_of_improvement, x + 99, x).within(0.0, 1.0, 16)
    assert apart.value == apart.interval[1] == 1.0
    assert apart.interval[0] > 0.5
    assert spread(probability_of_improvement, x[:2], x).within(0.0, 1.0, 8).interval is None


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
