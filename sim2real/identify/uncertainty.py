"""How well the data fix each number, where errors are alike and the model lacks something; and the domain.

Three things make the error of a fitted number, and `Spread.interval` counts them all.

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
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from sim2real.distributions import Distribution, Normal, Point
from sim2real.domain import Correlation, Domain
from sim2real.identify.least_squares import steps
from sim2real.identify.problem import Linear
from sim2real.identify.space import FloatArray, FreeParameter

QUANTILE = 1.959964
MOST_STD = 0.29
"""Standard deviation, as a share of the range, of a parameter that could be anywhere in it."""

UNIFORM = 12.0
"""Curvature of what a range tells: a uniform has the variance 1/12."""

_RIDGE = 1e-6  # of the largest curvature: what no data see stays where it is, within its bounds
_CERTAIN = 0.25  # steps; a whole number that is known to less is known

Interval = tuple[FloatArray, FloatArray]
"""Lower and upper ends, in the unit cube. Shapes (p,)."""


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

    def widened(self, held: float, linear: Linear) -> Spread:
        """The spread, no narrower than that its predictions miss by as much as the held-out error.

        A model that lacks something is certain of the wrong values; what it gets wrong says how wrong.

        Args:
            held: mean square error on held-out data.
            linear: what the spread would change in the prediction, at the fitted point.
        """
        centred, curvature = self.draws - linear.point, linear.curvature.sum(axis=0)
        scatter = float(np.einsum("np,pq,nq->n", centred, curvature, centred).mean())
        factor = max(1.0, math.sqrt(held / max(scatter, 1e-30)))
        return Spread(linear.point + factor * centred, self.independent)

    def interval(self, point: FloatArray, beside: Interval | None = None) -> Interval:
        """Ends that hold 95 % of the draws, at least as wide as a normal's.

        With the intervals of the fit that has the usual missing effects beside it, they are to hold the truth
        in 95 % of all cases, even if the model lacks something.
        """
        half = QUANTILE * self.std
        low, high = np.quantile(self.draws, [0.025, 0.975], axis=0)
        low, high = np.minimum(low, point - half), np.maximum(high, point + half)
        return (low, high) if beside is None else (np.minimum(low, beside[0]), np.maximum(high, beside[1]))


def bootstrap(linear: Linear, draws: int = 400, ranges: float = 0.0) -> Spread:
    """Scatter of the fitted point from drawing blocks again, and no less than independent errors have.

    Few blocks, or few that count, scatter less than what they are drawn from: Student's t makes up for that,
    with the degrees of freedom that the blocks' shares have by their fourth moment (Satterthwaite 1946).
    Where the fit stopped short of its end, the step that is left is part of the scatter.

    Args:
        linear: at the fitted point.
        draws: resamples.
        ranges: curvature of what the range itself tells, which scatters with it (that of a uniform is 12).
    """
    hessian, (count, size) = linear.hessian, linear.slope.shape
    held = ranges or _RIDGE * max(float(np.diag(hessian).max()), 1e-30)
    ridge, prior = held * np.eye(size), linear.prior * np.eye(size)
    rng = np.random.default_rng(0)
    centred = linear.slope - linear.slope.sum(axis=0) / count
    found = np.empty((draws, size))
    for k in range(draws):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        slope = times @ centred
        if ranges:
            slope = slope + math.sqrt(ranges) * rng.normal(size=size)
        found[k] = -np.linalg.solve(np.tensordot(times, linear.curvature, 1) + prior + ridge, slope)
    inverted = np.linalg.inv(hessian + ridge)
    noise = linear.noise.sum(axis=0) + ranges * np.eye(size)
    independent = np.sqrt(np.maximum(np.diag(inverted @ noise @ inverted), 0.0))
    sizes = (centred @ inverted) ** 2
    freedom = 3 * sizes.sum(axis=0) ** 2 / np.maximum((sizes**2).sum(axis=0), 1e-300) - 2
    few = stdtrit(np.clip(freedom, 1, max(count - 1, 1)), 0.975) / QUANTILE
    # scores of few blocks may cancel by chance
    found *= np.maximum(few, independent / np.maximum(found.std(axis=0), 1e-30))
    found += rng.normal(size=(draws, 1)) * (steps(linear, np.full((1, size), 1e-6), ())[0] - linear.point)
    if linear.along is not None:
        way = linear.along / np.linalg.norm(linear.along)
        missing = max(1 / 12 - float((found @ way).var()), 0.0)
        found += math.sqrt(missing) * rng.normal(size=(draws, 1)) * way
    return Spread(linear.point + found, independent)


def make_domain(
    free: Sequence[FreeParameter],
    point: FloatArray,
    draws: FloatArray,
    fixed: Mapping[str, float],
) -> Domain:
    """A normal about the fitted point with the spread of the draws; what was fixed stays a point.

    So does a whole number that is certain.

    Args:
        free: of the columns.
        point: fitted, in the unit cube. Shape (p,).
        draws: refitted points. Shape (n, p).
        fixed: values that differ from the world's nominal ones.
    """
    centred = draws - point
    std = np.minimum(np.sqrt((centred**2).mean(axis=0)), MOST_STD)
    parameters: dict[str, Distribution] = {name: Point(value) for name, value in fixed.items()}
    for f, at, width in zip(free, point.tolist(), std.tolist(), strict=True):
        value = float(f.value(at))
        parameters[f.name] = Point(value)
        if not f.integer or width * f.span >= _CERTAIN:
            ends = dataclasses.replace(f, integer=False).value(np.clip([at - width, at + width], 0.0, 1.0))
            half = max(float(np.diff(ends)[0]) / 2, 1e-9 * max(abs(value), 1.0))
            parameters[f.name] = Normal(value, half, f.low, f.high)
        if f.quantity == "stribeck":  # the shape that replays have, whatever the world's own is
            parameters[f"{f.name}_exponent"] = Point(1.0)
    columns = [k for k, f in enumerate(free) if isinstance(parameters[f.name], Normal)]
    if len(columns) < 2:
        return Domain(parameters)
    names = tuple(free[k].name for k in columns)
    return Domain(parameters, Correlation.of(names, centred[:, columns].T @ centred[:, columns]))
