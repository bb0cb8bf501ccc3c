"""Against rliable's formulas, written plainly: loops over runs and tasks, one bootstrap draw at a time."""

import random
import statistics

import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.evaluate.metrics import iqm, mean, probability_of_improvement
from sim2real.evaluate.profiles import optimality_gap, performance_profile, stratified_bootstrap

SHAPES = [(3, 2), (5, 7), (10, 15)]


def matrix(shape, rng=0):
    scores = np.random.default_rng(rng).normal(60, 30, shape)
    return np.round(scores, 0)  # with ties


def plain_iqm(values):
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut : len(values) - cut])


def plain_improvement(x, y):
    """Mann-Whitney's U over the number of pairs, per task, averaged."""
    tasks = []
    for a, b in zip(zip(*x, strict=True), zip(*y, strict=True), strict=True):
        wins = sum((one > other) + 0.5 * (one == other) for one in a for other in b)
        tasks.append(wins / (len(a) * len(b)))
    return statistics.fmean(tasks)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_number_is_rliables(shape):
    scores, other = matrix(shape), matrix((shape[0] + 1, shape[1]), 1)
    flat = [value for row in scores.tolist() for value in row]
    for goal in (100.0, 50.0):
        gap = goal - statistics.fmean(min(value, goal) for value in flat)
        assert optimality_gap(scores, goal) == pytest.approx(gap, abs=1e-12)
    taus = np.linspace(-20, 140, 33)
    profile = [sum(value > tau for value in flat) / len(flat) for tau in taus]
    assert performance_profile(scores, taus) == pytest.approx(profile, abs=1e-12)
    assert iqm(scores.reshape(-1)) == pytest.approx(plain_iqm(flat), abs=1e-12)
    improvement = plain_improvement(scores.tolist(), other.tolist())
    assert probability_of_improvement(scores[None], other[None]) == pytest.approx([improvement], abs=1e-12)


def plain_bootstrap(statistic, samples, repetitions):
    source = random.Random(7)
    values = []
    for _ in range(repetitions):
        drawn = [
            [[source.choice(column) for _ in column] for column in zip(*sample.tolist(), strict=True)]
            for sample in samples
        ]
        values.append(statistic(*[[list(row) for row in zip(*columns, strict=True)] for columns in drawn]))
    return np.percentile(values, (2.5, 97.5))


@pytest.mark.parametrize("name", ["iqm", "mean", "improvement", "optimality gap"])
def test_intervals_are_rliables_within_monte_carlo_error(name):
    one, other = matrix((6, 4)), matrix((6, 4), 1)
    flat = lambda rows: [value for row in rows for value in row]  # noqa: E731
    ours, theirs, samples = {
        "iqm": (lambda d: iqm(d.reshape(len(d), -1)), lambda rows: plain_iqm(flat(rows)), (one,)),
        "mean": (mean, lambda rows: statistics.fmean(flat(rows)), (one,)),
        "improvement": (probability_of_improvement, plain_improvement, (one, other)),
        "optimality gap": (
            optimality_gap,
            lambda rows: 100 - statistics.fmean(min(v, 100) for v in flat(rows)),
            (one,),
        ),
    }[name]
    found = np.array(stratified_bootstrap(ours, *samples, repetitions=20_000))
    plain = plain_bootstrap(theirs, samples, 2000)
    # the error of a 2.5 % point of 2,000 normal draws is about 0.06 of their standard deviation
    deviation = (plain[1] - plain[0]) / 3.92
    assert np.abs(found - plain).max() < 3.5 * 0.065 * deviation


def test_a_profile_has_a_band_and_leaves_missing_scores_out():
    scores = matrix((5, 6))
    taus = np.array([0.0, 50.0, 100.0])
    low, high = stratified_bootstrap(lambda d: performance_profile(d, taus), scores)
    assert low.shape == high.shape == (3,)
    point = performance_profile(scores, taus)
    assert np.all((low <= point) & (point <= high))
    missing = scores.copy()
    missing[0, 0] = np.nan
    rest = np.delete(scores.ravel(), 0)
    assert performance_profile(missing, taus) == pytest.approx([(rest > tau).mean() for tau in taus])
    assert optimality_gap(missing) == pytest.approx(np.maximum(100 - rest, 0).mean())


def test_what_has_no_answer_is_refused():
    with pytest.raises(InvalidValue, match="at least one"):
        optimality_gap(np.full((3, 2), np.nan))
    with pytest.raises(InvalidValue, match="at least 3"):
        stratified_bootstrap(mean, matrix((2, 4)))
    with pytest.raises(InvalidValue, match="every variant"):
        stratified_bootstrap(mean, np.where(matrix((4, 4)) > 60, np.nan, 1.0))
