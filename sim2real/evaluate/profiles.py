"""Whole distributions of scores, as Agarwal et al. 2021 (arXiv 2108.13264) and their rliable compare them.

Scores are means over episodes of training seeds on variants, shape (..., seeds, variants), NaN where missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import MINIMUM_RUNS, Array


def performance_profile(scores: Array, thresholds: Array) -> Array:
    """Share of seeds and variants with a score above each threshold, F(tau).

    Args:
        scores: shape (..., seeds, variants).
        thresholds: shape (thresholds,).

    Returns:
        Shape (..., thresholds).

    Raises:
        InvalidValue: if there is no score.
    """
    known = _count(scores)
    above = np.stack([(scores > tau).sum(axis=(-2, -1)) for tau in thresholds], axis=-1)
    share: Array = above / known[..., None]
    return share


def optimality_gap(scores: Array, goal: float = 100.0) -> Array:
    """By how much scores fall short of a goal on average; what lies above it makes up for nothing.

    goal - mean(min(score, goal)), over seeds and variants.

    Args:
        scores: shape (..., seeds, variants).
        goal: 100 is the oracle.

    Raises:
        InvalidValue: if there is no score.
    """
    known = _count(scores)
    short: Array = np.nansum(np.maximum(goal - scores, 0.0), axis=(-2, -1)) / known
    return short


def stratified_bootstrap(
    statistic: Callable[..., Array],
    *samples: Array,
    repetitions: int = 2000,
    rng: np.random.Generator | None = None,
) -> tuple[Array, Array]:
    """Percentile 95 % interval of a statistic, seeds drawn again within each variant apart.

    As papers report it. Seeds that are good or bad on all variants make it too narrow, and few seeds as well;
    the intervals of a report (`sim2real.evaluate.statistics.spread`) don't have these faults.

    Args:
        statistic: of samples of shape (repetitions, seeds, variants); gives (repetitions, ...).
        samples: of each method, shape (seeds, variants), without a missing score.
        repetitions: 2,000 draws.
        rng: by default of seed 0.

    Returns:
        Low and high ends, of the shape of one value.

    Raises:
        InvalidValue: for fewer than three seeds, or if a score is missing.
    """
    generator = np.random.default_rng(0) if rng is None else rng
    drawn = []
    for sample in samples:
        seeds, variants = sample.shape
        if seeds < MINIMUM_RUNS or np.isnan(sample).any():
            raise InvalidValue(
                f"a bootstrap over {seeds} seeds was asked for; it needs at least {MINIMUM_RUNS}, each with "
                "a score on every variant"
            )
        chosen = generator.integers(0, seeds, (repetitions, seeds, variants))
        drawn.append(sample[chosen, np.arange(variants)])
    low, high = np.percentile(statistic(*drawn), (2.5, 97.5), axis=0)
    return np.asarray(low), np.asarray(high)


def _count(scores: Array) -> Array:
    known: Array = np.asarray((~np.isnan(scores)).sum(axis=(-2, -1)), dtype=np.float64)
    if not np.all(known):
        raise InvalidValue("a profile of no scores was asked for; it needs at least one")
    return known
