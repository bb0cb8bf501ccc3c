"""Whether a posterior may be believed: is it calibrated, and does it make recordings like the real one?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sim2real.identify.space import FloatArray

LEVELS = (0.5, 0.8, 0.95)
"""Central intervals whose coverage is checked."""


@dataclass(frozen=True)
class PosteriorCheck:
    """Whether a posterior stood a check."""

    passed: bool
    verdict: str
    """In words."""
    coverage: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Of a calibration: share of truths in the central intervals of `LEVELS`, by parameter."""


def calibration(names: tuple[str, ...], truth: FloatArray, samples: FloatArray) -> PosteriorCheck:
    """Simulation-based calibration (Talts et al. 2018): posteriors of recordings whose truth is known.

    Ranks of the truth must be uniform by Kolmogorov and Smirnov's test.

    Args:
        names: k parameters.
        truth: shape (recordings, k).
        samples: of the posterior of each recording. Shape (recordings, samples, k). Samples that equal the
            truth, as whole numbers do, are ranked at random around it.
    """
    from scipy.stats import kstest

    rng = np.random.default_rng(0)
    below = (samples < truth[:, None]).sum(axis=1)
    equal = (samples == truth[:, None]).sum(axis=1)
    ranks = (below + rng.random(below.shape) * (equal + 1)) / (samples.shape[1] + 1)
    columns = dict(zip(names, ranks.T, strict=True))
    coverage = {
        name: tuple(float((np.abs(column - 0.5) <= level / 2).mean()) for level in LEVELS)
        for name, column in columns.items()
    }
    wrong = [name for name in names if kstest(columns[name], "uniform").pvalue < 0.01 / len(names)]
    if wrong:
        manners = "; ".join(f"{name} ({_manner(coverage[name], len(truth))})" for name in wrong)
        return PosteriorCheck(False, f"NOT CALIBRATED: {manners}; give it more simulations", coverage)
    lowest = min(held[-1] for held in coverage.values())
    verdict = (
        f"calibrated: ranks of {len(truth)} planted truths are uniform; 95 % intervals hold "
        f"{100 * lowest:.0f} % or more"
    )
    return PosteriorCheck(True, verdict, coverage)


def _manner(coverage: tuple[float, ...], count: int) -> str:
    """In which way intervals are wrong."""
    error = max(np.sqrt(level * (1 - level) / count) for level in LEVELS)
    shortfall = [got - level for got, level in zip(coverage, LEVELS, strict=True)]
    promised = f"its 80 % intervals hold {100 * coverage[1]:.0f} %"
    if min(shortfall) < -2 * error:
        return f"overconfident: {promised}"
    if max(shortfall) > 2 * error:
        return f"too wide: {promised}"
    return f"biased: {promised}, but the truth lies to one side"


def predictive(simulated: FloatArray, observed: FloatArray) -> PosteriorCheck:
    """Posterior-predictive check (Gelman et al. 1996): does a real recording look like the posterior's own?

    Args:
        simulated: summaries of recordings simulated from the posterior. Shape (n, numbers).
        observed: summary of the real one. Shape (numbers,).
    """
    middle = np.median(simulated, axis=0)
    width = np.median(np.abs(simulated - middle), axis=0) / 0.6745
    width = np.maximum(width, 1e-3 * max(float(width.max()), 1e-9))
    distance = np.mean(((simulated - middle) / width) ** 2, axis=1)
    real = float(np.mean(((observed - middle) / width) ** 2))
    p_value = float((1 + (distance >= real).sum()) / (1 + len(simulated)))
    if p_value >= 0.02:
        return PosteriorCheck(True, f"the posterior makes recordings like the real one (p = {p_value:.2g})")
    ratio = np.sqrt(real / max(float(np.median(distance)), 1e-12))
    verdict = (
        f"NOT COVERED: the real recording lies {ratio:.1f} times as far out as the posterior's own "
        f"(p = {p_value:.2g}); the truth is outside the ranges, or the world lacks an effect"
    )
    return PosteriorCheck(False, verdict)
