"""How well the data fix each number: errors are alike, and the model lacks something.

Three things make the error of a fitted number, and the interval of `covering` counts them all.

1. Chance. The residual of a robot's replay is no white noise, neighbouring errors are alike; intervals from
   independent errors (σ² (J'J)⁻¹, what `mujoco.sysid` reports) are many times too short. Whole blocks of
   time are drawn again with replacement (Künsch 1989), each draw refitted to first order (`bootstrap`).
2. What the model lacks biases every block alike, so no resampling sees it. The fit is done again with the
   usual missing effects beside it (`sim2real.identify.missing`): where the numbers go then, and the blocks'
   scatter there, belongs to the interval too.
3. What is missing and not among the usual effects. It left an error r in the larger fit. Had that the shape
   of a number's own column it could have moved the number by r √P, with P the diagonal of the inverse
   curvature; usual effects look like it by a correlation ρ, so r ρ √P is taken as one standard deviation.

Not covered: an effect that looks just like the free numbers (a weaker motor and heavier masses). How often
these intervals hold the truth is measured by `scripts/coverage_identify.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.missing import Enlarged
from sim2real.identify.problem import Linear

FloatArray = NDArray[np.float64]

QUANTILE = 1.959964
_WHITE = 2.0
"""A measured state's white noise is in the residual once as it is, and once more by what grows from it in a
window that begins there; errors up to this many times the noise hide no effect."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Scatter of the fitted point, in the unit cube."""

    draws: FloatArray
    """Refitted points, one a resample; not clipped to the cube. Shape (n, p)."""
    independent: FloatArray
    """Standard deviations if the errors of all rows were independent. Shape (p,)."""

    @property
    def std(self) -> FloatArray:
        """Standard deviations from the blocks. Shape (p,)."""
        return np.asarray(self.draws.std(axis=0))

    @property
    def correlation(self) -> FloatArray:
        """Of the draws. Shape (p, p)."""
        std = np.maximum(self.std, 1e-15)
        covariance = np.atleast_2d(np.cov(self.draws.T))
        return np.asarray(np.clip(covariance / np.outer(std, std), -1.0, 1.0))

    def interval(self, point: FloatArray, share: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends that hold ``share`` of the draws, at least as wide as a normal's."""
        tail = (1 - share) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail], axis=0)
        half = QUANTILE * self.std * share / 0.95
        return np.minimum(low, point - half), np.maximum(high, point + half)


def bootstrap(
    linear: Linear,
    draws: int = 400,
    seed: int = 0,
    prior: FloatArray | None = None,
) -> Spread:
    """Scatter of the fitted point from drawing blocks again.

    Args:
        linear: at the fitted point.
        draws: resamples.
        seed: of the resamples.
        prior: curvature that priors add. Shape (p,).
    """
    hessian = linear.curvature.sum(axis=0)
    held = _RIDGE * max(float(np.diag(hessian).max()), 1e-30) * np.ones(len(hessian))
    ridge = np.diag(held if prior is None else held + prior)
    mean = linear.slope.sum(axis=0)
    rng = np.random.default_rng(seed)
    count = len(linear.slope)
    # the fit stopped where the slope is nearly nothing; what is left of it is not scatter
    centred = linear.slope - mean / count
    found = np.empty((draws, len(hessian)))
    for k in range(draws):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        found[k] = -np.linalg.solve(np.tensordot(times, linear.curvature, 1) + ridge, times @ centred)
    inverted = np.linalg.inv(hessian + ridge)
    independent = inverted @ linear.noise.sum(axis=0) @ inverted
    return Spread(linear.point + found, np.sqrt(np.maximum(np.diag(independent), 0.0)))


_RIDGE = 1e-6  # of the largest curvature: what no data see stays where it is, within its bounds


def deviations(enlarged: Enlarged) -> FloatArray:
    """Standard deviations in the larger fit, from chance and from what that lacks. Shape (own,)."""
    own = enlarged.own
    chance = bootstrap(enlarged.linear, prior=enlarged.prior).std[:own]
    covariance = enlarged.covariance
    scale = np.sqrt(np.diag(covariance))
    alike = covariance[:own, own:] / np.outer(scale[:own], scale[own:])
    lack = scale[:own] * np.sqrt((alike**2).mean(axis=1)) * _unexplained(enlarged)
    return np.asarray(np.hypot(chance, lack))


def covering(
    point: FloatArray,
    spread: Spread,
    enlarged: Enlarged | None,
    ends: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Ends of intervals that are to hold the truth in 95 % of all cases, even if the model lacks something.

    Args:
        point: fitted, in the unit cube. Shape (p,).
        spread: of the fit, from blocks.
        enlarged: the fit with the usual missing effects, or None if there are none.
        ends: of the intervals of that fit, in place of those that `deviations` makes. Shapes (p,).
    """
    low, high = spread.interval(point)
    if enlarged is None:
        return low, high
    if ends is None:
        other, half = enlarged.point[: enlarged.own], QUANTILE * deviations(enlarged)
        ends = other - half, other + half
    return np.minimum(low, ends[0]), np.maximum(high, ends[1])


def _unexplained(enlarged: Enlarged) -> float:
    """Root of the weighted square error that is left and is not noise."""
    linear = enlarged.linear
    left = np.maximum(linear.rmse**2 - (_WHITE * enlarged.white) ** 2, 0.0)
    return float(np.sqrt((linear.weight * left).sum()))
