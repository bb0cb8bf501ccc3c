"""Profile likelihood: how far one number can go while all others follow, before the error rises too much.

For each end of each interval the number is held, the others are fitted again, and the end is moved until the
cost has risen by as much as it would at that end were the cost a parabola (Venzon and Moolgavkar 1988). What
rise is allowed comes from the scatter that is known, not from a count of rows: errors are correlated and the
model is wrong (the vertical adjustment of Chandler and Bate 2007). On a parabola this returns what the
scatter says; where the cost is bent or cut off by a bound, the ends move apart unevenly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.problem import Linear, Problem
from sim2real.identify.solve import follow

FloatArray = NDArray[np.float64]

_ROUNDS = 2
_FACTOR = 2.5
"""Most that a round moves an end, either way, as a factor of its distance."""


def profile(
    problem: Problem, linear: Linear, covariance: FloatArray, reach: FloatArray, columns: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends of some columns.

    Columns that are changed together (`Problem.colours`) share their simulations. An end costs two
    linearizations and as many rounds of steps.

    Args:
        problem: whose cost is profiled.
        linear: at the fitted point.
        covariance: inverse of the curvature there, with priors. Shape (p, p).
        reach: distance of an end if the cost were a parabola, in the unit cube. Shape (p,).
        columns: which.

    Returns:
        In the unit cube, each of shape (len(columns),).
    """
    low, high = linear.point - reach, linear.point + reach
    for group in problem.colours():
        chosen = [k for k in group if k in columns]
        if not chosen:
            continue
        for side, ends in ((-1.0, low), (1.0, high)):
            ends[chosen] = linear.point[chosen] + side * _distances(
                problem, linear, covariance, reach, (chosen, side)
            )
    return low[list(columns)], high[list(columns)]


def _distances(
    problem: Problem,
    linear: Linear,
    covariance: FloatArray,
    reach: FloatArray,
    end: tuple[list[int], float],
) -> FloatArray:
    """How far the columns of a group get to one side. Shape (len(group),)."""
    group, side = end
    allowed = 0.5 * reach[group] ** 2 / np.diag(covariance)[group]
    distance = reach[group].copy()
    found = distance
    for _ in range(_ROUNDS):
        moves = np.zeros_like(linear.point)
        for k, d in zip(group, distance, strict=True):
            moves += side * d * covariance[:, k] / covariance[k, k]
        start = np.clip(linear.point + moves, 0.0, 1.0)
        reached = np.abs(start[group] - linear.point[group])
        rise = _rises(problem, linear, follow(problem, start, group), group)
        factor = np.sqrt(allowed / np.maximum(rise, 1e-30))
        found = reached * np.clip(factor, 1 / _FACTOR, _FACTOR)
        distance = found
    return found


def _rises(problem: Problem, linear: Linear, rmse: FloatArray, group: Sequence[int]) -> FloatArray:
    """By how much the summed RMSE rose, of the joint that a column is about. Shape (len(group),)."""
    change = rmse - linear.rmse
    owners = [problem.owner(k) if problem.decoupled else None for k in group]
    return np.array([change.sum() if owner is None else change[:, owner].sum() for owner in owners])
