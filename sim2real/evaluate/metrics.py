"""Numbers that sum up the scores of training seeds on variants, as functions that can be drawn from again.

Each takes means over episodes, shape (repetitions, seeds, variants), NaN where missing, and gives one
number a repetition: what `sim2real.evaluate.statistics.spread` asks for.
"""

from __future__ import annotations

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import Array


def mean(*samples: Array) -> Array:
    """Mean over variants of the means over seeds; of the first sample less that of the others."""
    values: list[Array] = [variant_means(sample).mean(axis=1) for sample in samples]
    return values[0] - sum(values[1:], start=np.zeros(1))


def variant_means(draws: Array) -> Array:
    """Mean over seeds: (rows, seeds, variants) to (rows, variants); NaN where there is no run."""
    count = np.count_nonzero(~np.isnan(draws), axis=1)
    total = np.nansum(draws, axis=1)
    means = np.full(total.shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means


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


def cvar(means: Array, fraction: float) -> Array:
    """Mean of the worst ``fraction`` of the values in each row (Rockafellar & Uryasev 2000).

    Args:
        means: shape (rows, variants), NaN where missing.
        fraction: in (0, 1]; a part of a variant counts as that part.

    Returns:
        Shape (rows,).
    """
    share = fraction * np.count_nonzero(~np.isnan(means), axis=1, keepdims=True)
    weights = np.clip(share - np.arange(means.shape[1]), 0.0, 1.0)
    ordered = np.nan_to_num(np.sort(means, axis=1))
    tail: Array = (ordered * weights).sum(axis=1) / share[:, 0]
    return tail


def probability_of_improvement(method: Array, baseline: Array) -> Array:
    """How likely a run of the method beats a run of the baseline on the same variant.

    The Mann-Whitney U / (runs of one x runs of the other), ties counted half, averaged over
    variants (Agarwal et al. 2021). 0.5 means no difference.

    Args:
        method: shape (repetitions, seeds, variants), NaN where missing.
        baseline: shape (repetitions or 1, other seeds, the same variants), NaN where missing.

    Returns:
        Shape (repetitions,); NaN where no variant has runs of both.
    """
    left, right = method[:, :, None, :], baseline[:, None, :, :]
    both = ~(np.isnan(left) | np.isnan(right))
    wins = np.where(both, (left > right) + 0.5 * (left == right), 0.0).sum(axis=(1, 2, 3))
    pairs = both.sum(axis=(1, 2, 3))
    share: Array = np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0)
    return share
