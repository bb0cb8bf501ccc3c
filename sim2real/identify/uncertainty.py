"""How well the data fix each number: intervals that know that neighbouring errors are alike.

The residual of a robot's replay is no white noise: what the model lacks pushes the same way for seconds.
Intervals from independent errors (σ² (J'J)⁻¹, what `mujoco.sysid` reports) are then many times too short.
Here whole blocks of time are drawn again with replacement (Künsch 1989), each draw refitted to first order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.problem import Linear

FloatArray = NDArray[np.float64]

_RIDGE = 1e-6  # of the largest curvature: what no data see stays where it is, within its bounds
_QUANTILE = 1.959964


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
        half = _QUANTILE * self.std * share / 0.95
        return np.minimum(low, point - half), np.maximum(high, point + half)


def bootstrap(linear: Linear, draws: int = 400, seed: int = 0, by_motion: bool = False) -> Spread:
    """Scatter of the fitted point from drawing blocks again.

    Args:
        linear: at the fitted point.
        draws: resamples.
        seed: of the resamples.
        by_motion: draw whole motions rather than blocks; needs a good number of them.
    """
    hessian = linear.curvature.sum(axis=0)
    ridge = _RIDGE * max(float(np.diag(hessian).max()), 1e-30) * np.eye(len(hessian))
    mean = linear.slope.sum(axis=0)
    rng = np.random.default_rng(seed)
    curvature, slope = linear.curvature, linear.slope
    if by_motion:
        groups = np.unique(linear.motion)
        curvature = np.stack([curvature[linear.motion == g].sum(axis=0) for g in groups])
        slope = np.stack([slope[linear.motion == g].sum(axis=0) for g in groups])
    count = len(slope)
    # the fit stopped where the slope is nearly nothing; what is left of it is not scatter
    centred = slope - mean / count
    found = np.empty((draws, len(hessian)))
    for k in range(draws):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        found[k] = -np.linalg.solve(np.tensordot(times, curvature, 1) + ridge, times @ centred)
    inverse = np.linalg.inv(hessian + ridge)
    independent = inverse @ linear.noise.sum(axis=0) @ inverse
    return Spread(linear.point + found, np.sqrt(np.maximum(np.diag(independent), 0.0)))
