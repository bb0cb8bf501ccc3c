"""Whether a posterior may be believed: is it calibrated, and does it make recordings like the real one?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real.identify.space import FloatArray

LEVELS = (0.5, 0.8, 0.95)
"""Central intervals whose coverage is checked."""


@dataclass(frozen=True)
class Calibration:
    """Simulation-based calibration (Talts et al. 2018)."""

    passed: bool
    verdict: str
    """In words."""
    coverage: dict[str, tuple[float, ...]]
    """Share of truths in the central intervals of `LEVELS`, by parameter."""
    p_values: dict[str, float]
    """Of Kolmogorov and Smirnov's test that ranks are uniform, by parameter."""


@dataclass(frozen=True)
class Predictive:
    """Posterior-predictive check (Gelman et al. 1996)."""

    passed: bool
    verdict: str
    """In words."""
    p_value: float
    """Share of recordings simulated from the posterior that lie as far out as the real one."""


def calibration(names: tuple[str, ...], truth: FloatArray, samples: FloatArray) -> Calibration:
    """Check posteriors of recordings whose truth is known.

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
    p_values = {name: float(kstest(column, "uniform").pvalue) for name, column in columns.items()}
    middle = {name: np.abs(column - 0.5) for name, column in columns.items()}
    coverage = {name: tuple(float((x <= level / 2).mean()) for level in LEVELS) for name, x in middle.items()}
    wrong = [name for name in names if p_values[name] < 0.01 / len(names)]
    if wrong:
        manners = "; ".join(f"{name} ({_manner(coverage[name], len(truth))})" for name in wrong)
        return Calibration(False, f"NOT CALIBRATED: {manners}; give it more simulations", coverage, p_values)
    lowest = min(held[-1] for held in coverage.values())
    verdict = (
        f"calibrated: ranks of {len(truth)} planted truths are uniform; 95 % intervals hold "
        f"{100 * lowest:.0f} % or more"
    )
    return Calibration(True, verdict, coverage, p_values)


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


def predictive(simulated: FloatArray, observed: FloatArray) -> Predictive:
    """Check whether a real recording looks like those that the posterior makes.

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
        said = f"the posterior makes recordings like the real one (p = {p_value:.2g})"
        return Predictive(True, said, p_value)
    ratio = np.sqrt(real / max(float(np.median(distance)), 1e-12))
    verdict = (
        f"NOT COVERED: the real recording lies {ratio:.1f} times as far out as the posterior's own "
        f"(p = {p_value:.2g}); the truth is outside the ranges, or the world lacks an effect"
    )
    return Predictive(False, verdict, p_value)
