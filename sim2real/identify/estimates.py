"""From a fitted point to numbers with intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.free import Free
from sim2real.identify.missing import Enlarged
from sim2real.identify.problem import Problem
from sim2real.identify.profile import profile
from sim2real.identify.result import Estimate
from sim2real.identify.uncertainty import QUANTILE, Spread, covering
from sim2real.replay import READ_DELAY

FloatArray = NDArray[np.float64]

_EDGE = 1e-3  # share of its range within which a parameter is on its bound


def estimates_of(
    problem: Problem,
    point: FloatArray,
    spread: Spread,
    enlarged: Enlarged | None = None,
    profiled: bool = False,
) -> tuple[Estimate, ...]:
    """Every free number with its intervals.

    Args:
        problem: what was fitted.
        point: where the fit ended, in the unit cube. Shape (p,).
        spread: its scatter, from blocks.
        enlarged: the fit with the usual missing effects beside it, for intervals that count those.
        profiled: profile that fit's likelihood as well.
    """
    low, high = (np.clip(ends, 0.0, 1.0) for ends in covering(point, spread, enlarged))
    blocks = np.clip(spread.interval(point), 0.0, 1.0)
    ends: FloatArray | None = None
    if profiled and enlarged is not None:
        ends = np.clip(covering(point, spread, enlarged, profile(enlarged)), 0.0, 1.0)
    beside = point if enlarged is None else enlarged.point[: len(point)]
    naive = spread.independent * QUANTILE
    found = []
    for k, free in enumerate(problem.space.free):
        sides = free.value(np.clip([point[k] - naive[k], point[k] + naive[k]], 0.0, 1.0))
        nominal = _nominal(problem, free.name)
        found.append(
            Estimate(
                free.name,
                "s" if free.quantity == READ_DELAY else problem.world.parameters[free.name].unit,
                float(free.value(point[k])),
                float(free.value(low[k])),
                float(free.value(high[k])),
                _ends(free, blocks[:, k]),
                float(free.value(beside[k])),
                float(sides[1] - sides[0]) / 2,
                free.start if free.quantity == READ_DELAY else nominal,
                (free.low, free.high),
                _stopped(float(point[k]), free.low, free.high, nominal),
                None if ends is None else _ends(free, ends[:, k]),
            )
        )
    return tuple(found)


def _nominal(problem: Problem, name: str) -> float:
    return 0.0 if name.endswith(READ_DELAY) else problem.world.parameters[name].nominal


def _ends(free: Free, units: FloatArray) -> tuple[float, float]:
    low, high = free.value(units)
    return float(low), float(high)


def _stopped(at: float, low: float, high: float, nominal: float) -> bool:
    """On a bound that is not the neutral end of an effect: no friction at all is an answer, too."""
    if at < _EDGE:
        return not (low == 0.0 or nominal <= low)
    return at > 1 - _EDGE and not nominal >= high
