"""Intervals for few training runs: jackknife and Student's t, and Wilson's where scores pile up at an end.

A training seed is a unit, and so is a start: all policies meet the same starts, and a hard draw of starts is
hard for all of them. ``scores[i, j, k]`` is episode ``k`` of seed ``i`` on variant ``j``, NaN where there was
none::

    spread(lambda means: iqm(means.reshape(len(means), -1)), scores).estimate
    Estimate(value=71.2, interval=(58.0, 84.4), n=5)

Measured by ``scripts/coverage_evaluate.py`` on made-up data like the shipped worlds', 1,000 reports a column:

====================================  =======  =======  ========
coverage, % (percentile bootstrap)    3 seeds  5 seeds  10 seeds
====================================  =======  =======  ========
mean over variants                    97 (73)  95 (80)  95 (88)
interquartile mean                    97 (73)  96 (81)  96 (90)
worst quarter (CVaR)                  97 (54)  95 (73)  96 (83)
one variant                           98 (65)  96 (76)  94 (82)
reports with a false alarm            1.0      1.6      2.6
power on the whole, 15 points better  9        49       97
====================================  =======  =======  ========

Not guaranteed: what no seed has shown. Where one training run in five fails, three seeds without a failure
are common, and no interval that is made of them knows better. Below three seeds none is given.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from sim2real.errors import InvalidValue

Array: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[..., Array]
"""From means over episodes of each sample, shapes (repetitions, seeds, variants), to a value a repetition."""

MINIMUM_RUNS = 3
LEVEL = 0.05
_NEAR = 0.1
_Z = NormalDist().inv_cdf(1 - LEVEL / 2)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    interval: tuple[float, float] | None
    """Low and high; None with fewer than three runs, or where leaving one out leaves the value undefined."""
    n: int
    """How many units the interval is about: training seeds, or episodes where there are too few of those."""


@dataclass(frozen=True)
class Spread:
    """How far a value would move with other training seeds and with other starts."""

    value: float
    seeds: tuple[tuple[float, int], ...]
    """For each sample the variance of the value by its seeds, NaN where undefined, and how many they are."""
    starts: float
    """Variance by the starts, which all samples share."""
    references: float = 0.0
    """Variance by what the scores are measured against."""
    level: float = LEVEL
    """One less the confidence of the interval."""

    @property
    def n(self) -> int:
        """Seeds of the smallest sample."""
        return min(count for _, count in self.seeds)

    @property
    def error(self) -> float:
        """Standard error; NaN where undefined."""
        return math.sqrt(sum(variance for variance, _ in self.seeds) + self.starts + self.references)

    @property
    def freedom(self) -> float:
        """Degrees of freedom, those of the seeds (Satterthwaite 1946).

        The many starts add variance, but don't make up for seeds that are alike by chance.
        """
        shares = sum(variance**2 / (count - 1) for variance, count in self.seeds if count > 1)
        if not shares > 0:
            return float(max(1, sum(count - 1 for _, count in self.seeds)))
        return sum(variance for variance, _ in self.seeds) ** 2 / shares

    @property
    def p(self) -> float | None:
        """Two-sided p of Student's t for a true value of 0; None where there is no interval.

        Without any spread 0, or 1 where the value is 0.
        """
        if self.interval is None:
            return None
        if self.error <= 1e-12 * max(1.0, abs(self.value)):
            return float(self.value == 0)
        return 2 * float(stdtr(self.freedom, -abs(self.value) / self.error))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's interval; None with fewer than three seeds, or where it is undefined."""
        if self.n < MINIMUM_RUNS or not math.isfinite(self.error):
            return None
        half = self._quantile * self.error
        return self.value - half, self.value + half

    @property
    def estimate(self) -> Estimate:
        """The value with Student's interval."""
        return Estimate(self.value, self.interval, self.n)

    def with_seeds(self, count: int) -> Spread:
        """As it would be with another number of seeds of the same kind in each sample."""
        seeds = tuple((variance * old / count, count) for variance, old in self.seeds)
        return replace(self, seeds=seeds)

    def with_starts(self, factor: float) -> Spread:
        """As it would be with so many times the starts."""
        return replace(self, starts=self.starts / factor)

    def within(self, low: float, high: float, trials: int) -> Estimate:
        """The value with an interval that stays between two bounds and is wide near them.

        Wilson's interval of as many independent trials as would spread this much, with Student's quantile
        (Dean & Pagano 2015, "Evaluating confidence interval methods for binomial proportions in clustered
        surveys"). Three seeds that all reach the upper bound don't say that every seed does. What the scores
        are measured against moves the ends as it moves the value.

        Args:
            low: what no score falls below.
            high: what no score exceeds.
            trials: episodes in all; within a tenth of a bound no more independent ones are believed in.
        """
        share = min(max((self.value - low) / (high - low), 0.0), 1.0)
        if self.interval is None:
            return self.estimate
        scattered = replace(self, references=0.0)
        variance = (scattered.error / (high - low)) ** 2
        binomial = share * (1 - share)
        most = float(trials) if min(share, 1 - share) < _NEAR else math.inf
        effective = min(most, binomial / variance) if binomial and variance else float(trials)
        shift = self._quantile * math.sqrt(self.references)
        below, above = (
            abs(low + (high - low) * end - self.value) for end in _wilson(share, effective, self._quantile)
        )
        return Estimate(
            self.value, (self.value - math.hypot(below, shift), self.value + math.hypot(above, shift)), self.n
        )

    @property
    def _quantile(self) -> float:
        return float(stdtrit(self.freedom, 1 - self.level / 2))


def spread(statistic: Statistic, *samples: Array, others: Sequence[tuple[Array, ...]] = ()) -> Spread:
    """A statistic of means over episodes, and its variances by the jackknife (Tukey 1958).

    Each seed is left out once with all its variants, for a poor policy is poor on all of them; then each
    start, from all samples at once. What is left within a start counts in both, which is the careful side.

    Args:
        statistic: of the means over starts, one array of a sample each.
        samples: shapes (seeds, variants, starts), NaN where missing; seeds are a sample's own, variants and
            starts those of all. Variants that a sample has not met, and seeds without score, are left out.
        others: what the samples would be with a reference one standard error off, one by one.

    Raises:
        InvalidValue: if there is no score.
    """
    there = [~np.isnan(sample) for sample in samples]
    shared = np.all([known.any(axis=(0, 2)) for known in there], axis=0)
    seeds = [known[:, shared].any(axis=(1, 2)) for known in there]
    if not (shared.any() and all(known.any() for known in seeds)):
        raise InvalidValue("no scores were given to estimate from; an estimate needs at least one seed")
    kept = [sample[own][:, shared] for sample, own in zip(samples, seeds, strict=True)]
    met = np.any([(~np.isnan(sample)).any(axis=(0, 1)) for sample in kept], axis=0)
    whole = [over_starts(sample)[None] for sample in kept]
    value = float(statistic(*whole)[0])
    by_seed = []
    for i, (own,) in enumerate(whole):
        fewer = np.stack([np.delete(own, k, axis=0) for k in range(len(own))])
        values = statistic(*whole[:i], fewer, *whole[i + 1 :]) if len(own) > 1 else np.full(1, math.nan)
        by_seed.append((_jackknife(values), len(own)))
    values = np.zeros(1)  # a single start tells nothing of what others would give
    if met.sum() > 1:
        values = statistic(*(_without_each_start(sample[:, :, met]) for sample in kept))
    shifted = [
        [over_starts(sample[own][:, shared])[None] for sample, own in zip(other, seeds, strict=True)]
        for other in others
    ]
    references = sum((float(statistic(*other)[0]) - value) ** 2 for other in shifted)
    return Spread(value, tuple(by_seed), _jackknife(values), references)


def wilson(successes: float, trials: float) -> Estimate:
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
    return Estimate(successes / trials, _wilson(successes / trials, trials, _Z), int(trials))


def first(enough: Callable[[int], bool], counts: range) -> int | None:
    """The least of some counts that is enough, where all above are enough too; None where none is."""
    place = bisect_left(counts, True, key=enough)
    return counts[place] if place < len(counts) else None


def _wilson(rate: float, trials: float, quantile: float) -> tuple[float, float]:
    shrink = 1 + quantile**2 / trials
    centre = (rate + quantile**2 / (2 * trials)) / shrink
    half = quantile / shrink * math.sqrt(rate * (1 - rate) / trials + (quantile / (2 * trials)) ** 2)
    # At 0 and 1 the interval ends exactly there; rounding must not push it past.
    return 0.0 if rate == 0 else centre - half, 1.0 if rate == 1 else centre + half


def _jackknife(values: Array) -> float:
    """Variance from the values with one unit left out each; NaN if one of them is undefined."""
    return float((len(values) - 1) * np.var(values))


def over_starts(scores: Array) -> Array:
    """Means over the last axis of what is there; NaN where nothing is."""
    there = ~np.isnan(scores)
    return _ratio(np.where(there, scores, 0.0).sum(axis=-1), there.sum(axis=-1))


def _without_each_start(scores: Array) -> Array:
    """Means over the other starts. Shape (starts, seeds, variants)."""
    there = ~np.isnan(scores)
    values = np.where(there, scores, 0.0)
    rest = values.sum(axis=2)[None] - np.moveaxis(values, 2, 0)
    return _ratio(rest, there.sum(axis=2)[None] - np.moveaxis(there, 2, 0))


def _ratio(total: Array, count: NDArray[np.int64]) -> Array:
    """NaN where nothing was counted."""
    ratio: Array = np.full(np.shape(total), np.nan)
    np.divide(total, count, out=ratio, where=count > 0)
    return ratio
