"""How well the data fix each number: errors are alike, and the model lacks something.

Three things make the error of a fitted number, and the interval of `covering` counts them all.

1. Chance. The residual of a robot's replay is no white noise, neighbouring errors are alike; intervals from
   independent errors (σ² (J'J)⁻¹, what `mujoco.sysid` reports) are many times too short. Whole blocks of
   time, or episodes, are drawn again with replacement (Künsch 1989), each draw refitted to first order
   (`bootstrap`).
2. What the model lacks biases every block alike, so no resampling sees it. The fit is done again with the
   usual missing effects beside it (`sim2real.identify.nuisance`): where the numbers go then, and the blocks'
   scatter there, belongs to the interval too.
3. What is missing and not among the usual effects. It left an error r in the larger fit. Had that the shape
   of a number's own column it could have moved the number by r √P, with P the diagonal of the inverse
   curvature; usual effects look like it by a correlation ρ, so r ρ √P is taken as one standard deviation.

Not covered: an effect that looks just like the free numbers (a weaker motor and heavier masses). How often
these intervals hold the truth is measured by `scripts/coverage_identify.py`.

`profile` replaces the parabola of the third part by the likelihood itself: each end is held while the others
follow, and moved until the cost has risen by as much as it would at that end were the cost a parabola (Venzon
and Moolgavkar 1988; what rise is allowed comes from the scatter that is known, as errors are correlated:
Chandler and Bate 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim2real.identify.least_squares import follow
from sim2real.identify.nuisance import Enlarged
from sim2real.identify.problem import Linear
from sim2real.identify.space import FloatArray

QUANTILE = 1.959964
MOST_STD = 0.29
"""Standard deviation, as a share of the range, of a parameter that could be anywhere in it."""

_WHITE = 2.0
"""A measured state's white noise is in the residual once as it is, and once more by what grows from it in a
window that begins there; errors up to this many times the noise hide no effect."""
_RIDGE = 1e-6  # of the largest curvature: what no data see stays where it is, within its bounds
_ROUNDS, _FACTOR = 2, 2.5  # of a profile, and most that a round moves an end, as a factor of its distance


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
    ranges: float = 0.0,
) -> Spread:
    """Scatter of the fitted point from drawing blocks again, and no less than independent errors have.

    Args:
        linear: at the fitted point.
        draws: resamples.
        seed: of the resamples.
        prior: curvature that priors add. Shape (p,).
        ranges: curvature of what the range itself tells, which scatters with it (that of a uniform is 12).
    """
    hessian = linear.curvature.sum(axis=0)
    size = len(hessian)
    held = _RIDGE * max(float(np.diag(hessian).max()), 1e-30) + ranges
    ridge = np.diag(np.full(size, held) + (0.0 if prior is None else prior))
    rng = np.random.default_rng(seed)
    count = len(linear.slope)
    # the fit stopped where the slope is nearly nothing; what is left of it is not scatter
    centred = linear.slope - linear.slope.sum(axis=0) / count
    found = np.empty((draws, size))
    for k in range(draws):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        slope = times @ centred
        if ranges:
            slope = slope + math.sqrt(ranges) * rng.normal(size=size)
        found[k] = -np.linalg.solve(np.tensordot(times, linear.curvature, 1) + ridge, slope)
    inverted = np.linalg.inv(hessian + ridge)
    noise = linear.noise.sum(axis=0) + ranges * np.eye(size)
    independent = np.sqrt(np.maximum(np.diag(inverted @ noise @ inverted), 0.0))
    # scores of few blocks may cancel by chance
    found *= np.maximum(1.0, independent / np.maximum(found.std(axis=0), 1e-30))
    return Spread(linear.point + found, independent)


def deviations(enlarged: Enlarged) -> FloatArray:
    """Standard deviations in the larger fit, from chance and from what that lacks. Shape (own,)."""
    own, linear = enlarged.own, enlarged.linear
    chance = bootstrap(linear, prior=enlarged.prior).std[:own]
    covariance = enlarged.covariance
    scale = np.sqrt(np.diag(covariance))
    alike = covariance[:own, own:] / np.outer(scale[:own], scale[own:])
    left = np.maximum(linear.rmse**2 - (_WHITE * enlarged.white) ** 2, 0.0)
    unexplained = float(np.sqrt((linear.weight * left).sum()))
    return np.asarray(np.hypot(chance, scale[:own] * np.sqrt((alike**2).mean(axis=1)) * unexplained))


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


def profile(enlarged: Enlarged) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends of the numbers of a fit, the usual missing effects following as well.

    Numbers that are changed together (`Problem.colours`) share their simulations. An end costs two
    linearizations and as many rounds of steps.

    Returns:
        In the unit cube, each of shape (own,).
    """
    reach = QUANTILE * deviations(enlarged)
    ends = np.empty((2, enlarged.own))
    for group in enlarged.problem.colours():
        chosen = [k for k in group if k < enlarged.own]
        for row, side in enumerate((-1.0, 1.0)) if chosen else ():
            distance = _distances(enlarged, reach[chosen], chosen, side)
            ends[row, chosen] = enlarged.point[chosen] + side * distance
    return ends[0], ends[1]


def _distances(enlarged: Enlarged, reach: FloatArray, group: list[int], side: float) -> FloatArray:
    """How far the numbers of a group get to one side. Shape (len(group),)."""
    problem, covariance, point = enlarged.problem, enlarged.covariance, enlarged.point
    allowed = 0.5 * reach**2 / np.diag(covariance)[group]
    owners = [problem.owner(k) if problem.decoupled else None for k in group]
    distance = reach
    for _ in range(_ROUNDS):
        moves = sum(
            (side * d * covariance[:, k] / covariance[k, k] for k, d in zip(group, distance, strict=True)),
            np.zeros_like(point),
        )
        start = np.clip(point + moves, 0.0, 1.0)
        reached = np.abs(start[group] - point[group])
        # by how much the summed RMSE rose, of the joint that a number is about
        change = follow(problem, start, group) - enlarged.linear.rmse
        rise = np.array([change[:, slice(None) if o is None else o].sum() for o in owners])
        factor = np.sqrt(allowed / np.maximum(rise, 1e-30))
        distance = reached * np.clip(factor, 1 / _FACTOR, _FACTOR)
    return distance
