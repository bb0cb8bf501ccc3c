"""How results of the same policies in two places agree: of one row of policies, or of many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.stats import rankdata

from sim2real.evaluate.statistics import Array


def mmrv(simulated: Array, real: Array) -> Array:
    """Mean maximum rank violation, in the unit of the real results; 0 is best (Li et al. 2024, SIMPLER).

    RV(i,j) = abs(R_i - R_j) 1[(S_i > S_j) != (R_i > R_j)], of which the largest over j, averaged over i. Ties
    are "not greater" on both sides. Shapes (..., policies) to (...).
    """
    worst: Array = np.zeros(real.shape)
    for j in range(real.shape[-1]):  # one by one, as a cube of all draws and pairs leaves the cache
        s, r = simulated[..., [j]], real[..., [j]]
        np.maximum(worst, np.abs(real - r) * ((simulated > s) != (real > r)), out=worst)
    return np.asarray(worst.mean(axis=-1))


def pearson(simulated: Array, real: Array) -> Array:
    """Sample correlation coefficient; NaN where either side is all the same. Shapes as `mmrv`."""
    s, r = (side - side.mean(axis=-1, keepdims=True) for side in (simulated, real))
    scale = np.sqrt((s * s).sum(axis=-1) * (r * r).sum(axis=-1))
    tiny = 1e-12 * np.maximum(1.0, np.abs(simulated).max(axis=-1) * np.abs(real).max(axis=-1))
    return _share((s * r).sum(axis=-1), np.where(scale > tiny, scale, 0.0))


def spearman(simulated: Array, real: Array) -> Array:
    """Pearson's coefficient of the ranks, ties at their mean. Shapes as `mmrv`."""
    return pearson(rankdata(simulated, axis=-1), rankdata(real, axis=-1))


def kendall(simulated: Array, real: Array) -> Array:
    """Kendall's tau-b, which makes up for ties. Shapes as `mmrv`."""
    both, one, other = (np.zeros(real.shape[:-1]) for _ in range(3))
    for s, r in _orders(simulated, real):
        both += (s * r).sum(axis=-1)
        one += (s * s).sum(axis=-1)
        other += (r * r).sum(axis=-1)
    return _share(both, np.sqrt(one * other))


def rank_agreement(simulated: Array, real: Array) -> Array:
    """Share of the pairs that differ in reality which the simulator orders alike, its ties counted half."""
    alike, pairs = (np.zeros(real.shape[:-1]) for _ in range(2))
    for s, r in _orders(simulated, real):
        alike += (np.where(s == 0, 0.5, s == r) * (r != 0)).sum(axis=-1)
        pairs += (r != 0).sum(axis=-1)
    return _share(alike, pairs)


def optimism(simulated: Array, real: Array) -> Array:
    """Mean of simulated less real."""
    return np.asarray((simulated - real).mean(axis=-1))


METRICS: Mapping[str, Callable[[Array, Array], Array]] = {
    "MMRV": mmrv,
    "Pearson": pearson,
    "Spearman": spearman,
    "Kendall": kendall,
    "rank agreement": rank_agreement,
    "optimism": optimism,
}


def _orders(*places: Array) -> Iterator[list[Array]]:
    """Which of two is more in each place, -1, 0 or 1, of all pairs once."""
    for k in range(1, places[0].shape[-1]):
        yield [np.sign(values[..., k:] - values[..., :-k]) for values in places]


def _share(part: Array, whole: Array) -> Array:
    found: Array = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=found, where=np.asarray(whole) > 0)
    return found
