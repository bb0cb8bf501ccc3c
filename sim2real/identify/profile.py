"""Profile likelihood: how far one number can go while all others follow, before the error rises too much.

For each end of each interval the number is held, the others are fitted again, and the end is moved until the
cost has risen by as much as it would at that end were the cost a parabola (Venzon and Moolgavkar 1988). What
rise is allowed comes from the scatter that is known, not from a count of rows: errors are correlated and the
model lacks something (the vertical adjustment of Chandler and Bate 2007). On a parabola this returns what the
scatter says; where the cost is bent or cut off by a bound, the ends move apart unevenly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.missing import Enlarged
from sim2real.identify.solve import follow
from sim2real.identify.uncertainty import QUANTILE, deviations

FloatArray = NDArray[np.float64]

_ROUNDS = 2
_FACTOR = 2.5
"""Most that a round moves an end, either way, as a factor of its distance."""


def profile(enlarged: Enlarged) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends of the numbers of a fit, the usual missing effects following as well.

    Numbers that are changed together (`Problem.colours`) share their simulations. An end costs two
    linearizations and as many rounds of steps.

    Returns:
        In the unit cube, each of shape (own,).
    """
    reach = QUANTILE * deviations(enlarged)
    low, high = np.empty((2, enlarged.own))
    for group in enlarged.problem.colours():
        chosen = [k for k in group if k < enlarged.own]
        if chosen:
            at = enlarged.point[chosen]
            low[chosen] = at - _distances(enlarged, reach[chosen], chosen, -1.0)
            high[chosen] = at + _distances(enlarged, reach[chosen], chosen, 1.0)
    return low, high


def _distances(enlarged: Enlarged, reach: FloatArray, group: list[int], side: float) -> FloatArray:
    """How far the numbers of a group get to one side. Shape (len(group),)."""
    covariance, point = enlarged.covariance, enlarged.point
    allowed = 0.5 * reach**2 / np.diag(covariance)[group]
    distance = reach
    for _ in range(_ROUNDS):
        moves = np.zeros_like(point)
        for k, d in zip(group, distance, strict=True):
            moves += side * d * covariance[:, k] / covariance[k, k]
        start = np.clip(point + moves, 0.0, 1.0)
        reached = np.abs(start[group] - point[group])
        rise = _rises(enlarged, follow(enlarged.problem, start, group), group)
        factor = np.sqrt(allowed / np.maximum(rise, 1e-30))
        distance = reached * np.clip(factor, 1 / _FACTOR, _FACTOR)
    return distance


def _rises(enlarged: Enlarged, rmse: FloatArray, group: Sequence[int]) -> FloatArray:
    """By how much the summed RMSE rose, of the joint that a number is about. Shape (len(group),)."""
    problem, change = enlarged.problem, rmse - enlarged.linear.rmse
    owners = [problem.owner(k) if problem.decoupled else None for k in group]
    return np.array([change.sum() if owner is None else change[:, owner].sum() for owner in owners])
