"""Intervals for few training runs: bootstrap over seeds, Wilson over episodes.

A training seed is the unit; episodes are averaged first. ``scores[i, j]`` is the mean of seed ``i``
on variant ``j`` (NaN where it was not evaluated)::

    bootstrap(scores, lambda draws: iqm(draws.reshape(len(draws), -1)))
    Estimate(value=71.2, interval=(64.0, 78.1), n=5)

Not guaranteed: 95 % coverage with few seeds. The percentile bootstrap of three values is their
    range and covers their mean about three times in four; from ten seeds on it is close to nine in
    ten. Below three no interval is given at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue

Array: TypeAlias = NDArray[np.float64]

_MINIMUM_RUNS = 3
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    interval: tuple[float, float] | None
    """Low and high; None with fewer than three runs, or where a resample leaves the value
    undefined."""
    n: int
    """How many units the interval is about: training seeds, or episodes for a Wilson interval."""


def iqm(scores: Array) -> Array:
    """Interquartile mean over the last axis: a quarter of the values is cut off at each end.

    Args:
        scores: shape (..., values); NaN marks a missing value and is left out.

    Returns:
        Shape (...). The 25 % trimmed mean of Agarwal et al. 2021 (arXiv 2108.13264).

    Raises:
        InvalidValue: if a row has no value.
    """
    ordered = np.sort(scores, axis=-1)
    count = np.count_nonzero(~np.isnan(ordered), axis=-1, keepdims=True)
    if ordered.shape[-1] == 0 or not count.all():
        raise InvalidValue("the interquartile mean of no values was asked for; it needs at least one per row")
    position = np.arange(ordered.shape[-1])
    kept = (position >= count // 4) & (position < count - count // 4)
    middle: Array = np.where(kept, ordered, 0.0).sum(axis=-1) / kept.sum(axis=-1)
    return middle


def _mean(draws: Array) -> Array:
    """Mean of each resample: (repetitions, seeds, variants) without NaN to (repetitions,)."""
    average: Array = draws.mean(axis=(1, 2))
    return average


def bootstrap(
    scores: Array,
    statistic: Callable[[Array], Array] = _mean,
    *,
    independent: bool = False,
    repetitions: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap over training seeds.

    One seed is one policy that meets all variants, and a poor one is poor on all of them, so its
    row is drawn whole. ``independent`` draws runs inside each variant on its own, the stratified
    bootstrap of Agarwal et al. 2021: right where every variant has training runs of its own, much
    too narrow where they are shared.

    Args:
        scores: shape (seeds, variants), NaN where missing; empty rows and columns are left out.
        statistic: maps draws of shape (repetitions, seeds, variants) to values of shape
            (repetitions,).
        independent: draw seeds anew for every variant.
        repetitions: number of resamples.
        seed: of the random generator.

    Returns:
        The statistic of the scores and its 95 % interval; ``n`` is the number of seeds.

    Raises:
        InvalidValue: if there is no score.
    """
    present = ~np.isnan(scores)
    kept = scores[present.any(axis=1)][:, present.any(axis=0)]
    runs, variants = kept.shape
    if runs == 0:
        raise InvalidValue("no scores were given to resample; an estimate needs at least one seed")
    value = float(statistic(kept[None])[0])
    if runs < _MINIMUM_RUNS:
        return Estimate(value, None, runs)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, runs, (repetitions, runs, variants if independent else 1))
    return Estimate(value, _percentiles(statistic(kept[rows, np.arange(variants)])), runs)


def wilson(successes: int, trials: int) -> Estimate:
    """Success rate with Wilson's score interval (Wilson 1927).

    It answers for more episodes of *these* policies. It says nothing about policies trained from
    other seeds.

    Raises:
        InvalidValue: if there are no trials, or not 0 <= successes <= trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidValue(
            f"{successes} successes in {trials} trials is impossible; give 0 <= successes <= trials"
        )
    rate = successes / trials
    shrink = 1 + _Z**2 / trials
    centre = (rate + _Z**2 / (2 * trials)) / shrink
    half = _Z / shrink * math.sqrt(rate * (1 - rate) / trials + (_Z / (2 * trials)) ** 2)
    # At 0 and 1 the interval ends exactly there; rounding must not push it past.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Estimate(rate, (low, high), trials)


def probability_of_improvement(
    method: Array, baseline: Array, *, repetitions: int = 10_000, seed: int = 0
) -> Estimate:
    """How likely a run of the method beats a run of the baseline on the same variant.

    The Mann-Whitney U / (runs of one x runs of the other), ties counted half, averaged over
    variants (Agarwal et al. 2021). Seeds of both are resampled, each with all its variants. 0.5
    means no difference.

    Args:
        method: shape (seeds, variants), NaN where missing.
        baseline: shape (other seeds, the same variants), NaN where missing.
        repetitions: number of resamples.
        seed: of the random generator.

    Raises:
        InvalidValue: if no variant has runs of both.
    """
    left, right = method[:, None, :], baseline[None, :, :]
    both = ~(np.isnan(left) | np.isnan(right))
    wins = np.where(both, (left > right) + 0.5 * (left == right), 0.0).sum(axis=2)
    pairs = both.sum(axis=2)
    wins, pairs = _used(wins, pairs), _used(pairs, pairs)
    if pairs.size == 0:
        raise InvalidValue("the two methods share no variant; evaluate both on the same variants")
    value, runs = float(wins.sum() / pairs.sum()), min(pairs.shape)
    if runs < _MINIMUM_RUNS:
        return Estimate(value, None, runs)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, pairs.shape[0], (repetitions, pairs.shape[0], 1))
    columns = rng.integers(0, pairs.shape[1], (repetitions, 1, pairs.shape[1]))
    drawn = pairs[rows, columns].sum(axis=(1, 2))
    draws = np.divide(
        wins[rows, columns].sum(axis=(1, 2)),
        drawn,
        out=np.full(repetitions, np.nan),
        where=drawn > 0,
    )
    return Estimate(value, _percentiles(draws), runs)


def episodes_needed(first: float, second: float, *, power: float = 0.8) -> int | None:
    """Episodes per policy set that would tell two success rates apart (two-sided 5 %, Fleiss 1981).

    More episodes narrow the answer about these policies only; other training seeds need more seeds.

    Returns:
        Episodes for each of the two, or None if the rates are equal: no number is enough.

    Raises:
        InvalidValue: if a rate is outside 0..1.
    """
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise InvalidValue(f"success rates {first} and {second} were given; both must lie in 0..1")
    if first == second:
        return None
    mean = (first + second) / 2
    pooled = _Z * math.sqrt(2 * mean * (1 - mean))
    apart = NormalDist().inv_cdf(power) * math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil(((pooled + apart) / (first - second)) ** 2)


def _percentiles(draws: Array) -> tuple[float, float] | None:
    if not np.isfinite(draws).all():
        return None
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)


def _used(values: Array, pairs: NDArray[np.int64]) -> Array:
    """Drop the runs that share no variant with any run of the other side."""
    return values[pairs.any(axis=1)][:, pairs.any(axis=0)]
