"""Does a method help, hurt, or is that undecided? Two sets of training seeds on one variant.

Two conditions must agree before it is called decided: the bootstrap interval of the difference
    excludes 0, and Student's t-test (paired; Welch's where seeds differ) gives p < 0.05. The
    bootstrap alone would be wrong one time in four with three seeds, because its interval is then
    the range of three values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import stdtr

from sim2real.evaluate.statistics import Array, Estimate, bootstrap

Verdict: TypeAlias = Literal["helps", "hurts", "undecided"]

_LEVEL = 0.05
_ENOUGH = 3


@dataclass(frozen=True)
class Difference:
    """A method's score minus the baseline's on one variant."""

    estimate: Estimate
    """In the unit of the scores, with a bootstrap interval over seeds."""
    paired: bool
    """True if the same training seeds were compared one by one."""
    p: float | None
    """Two-sided p of Student's t-test (Welch's if not paired); None with fewer than three seeds."""
    verdict: Verdict
    """Undecided unless the interval and the t-test agree."""
    seeds_needed: int | None
    """Seeds per method for 80 % power at the difference seen, where undecided; None where
    unknown."""


def compare(method: Array, baseline: Array, *, repetitions: int = 10_000, seed: int = 0) -> Difference | None:
    """Compare two methods by seed: paired where at least three seeds are shared, else unpaired.

    Args:
        method: score per training seed, shape (seeds,), NaN where that seed is missing.
        baseline: the same seeds in the same order, shape (seeds,).
        repetitions: number of resamples.
        seed: of the random generator.

    Returns:
        The difference, or None if one of them has no score.
    """
    shared = ~(np.isnan(method) | np.isnan(baseline))
    ours, theirs = method[~np.isnan(method)], baseline[~np.isnan(baseline)]
    if min(len(ours), len(theirs)) == 0:
        return None
    same = int(np.count_nonzero(shared))
    paired = same >= _ENOUGH or same == len(ours) == len(theirs)
    if paired:
        change = (method - baseline)[shared]
        estimate = bootstrap(change[:, None], repetitions=repetitions, seed=seed)
        error, freedom = _standard_error(change), len(change) - 1.0
    else:
        estimate = _unpaired(ours, theirs, repetitions, seed)
        error, freedom = _welch(ours, theirs)
    p = None if estimate.interval is None else _student(estimate.value, error, freedom)
    verdict = _verdict(estimate, p)
    needed = _seeds_needed(estimate, error) if verdict == "undecided" and p is not None else None
    return Difference(estimate, paired, p, verdict, needed)


def _unpaired(ours: Array, theirs: Array, repetitions: int, seed: int) -> Estimate:
    """Difference of two means, both resampled."""
    n = min(len(ours), len(theirs))
    value = float(ours.mean() - theirs.mean())
    if n < _ENOUGH:
        return Estimate(value, None, n)
    rng = np.random.default_rng(seed)
    draws = rng.choice(ours, (repetitions, len(ours))).mean(axis=1)
    draws -= rng.choice(theirs, (repetitions, len(theirs))).mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return Estimate(value, (float(low), float(high)), n)


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _welch(ours: Array, theirs: Array) -> tuple[float, float]:
    """Standard error of a difference of means, and Welch-Satterthwaite's degrees of freedom."""
    a, b = _standard_error(ours) ** 2, _standard_error(theirs) ** 2
    if not a + b > 0:
        return math.sqrt(a + b), float(len(ours) + len(theirs) - 2)
    return math.sqrt(a + b), (a + b) ** 2 / (a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1))


def _student(difference: float, error: float, freedom: float) -> float:
    """Two-sided p of Student's t; without any spread 0, or 1 if there is no difference."""
    if error <= 1e-12 * max(1.0, abs(difference)):
        return 1.0 if difference == 0 else 0.0
    return 2 * float(stdtr(freedom, -abs(difference) / error))


def _verdict(estimate: Estimate, p: float | None) -> Verdict:
    if estimate.interval is None or p is None or p >= _LEVEL:
        return "undecided"
    low, high = estimate.interval
    return "helps" if low > 0 else "hurts" if high < 0 else "undecided"


def _seeds_needed(estimate: Estimate, error: float) -> int | None:
    """Normal sample size for the difference seen, with Guenther's (1981) term for the t-test."""
    if estimate.value == 0 or error == 0:
        return None
    alpha, power = NormalDist().inv_cdf(1 - _LEVEL / 2), NormalDist().inv_cdf(0.8)
    spread = error * math.sqrt(estimate.n)
    return math.ceil(((alpha + power) * spread / estimate.value) ** 2 + alpha**2 / 2)
