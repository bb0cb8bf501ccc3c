"""From a fitted point to numbers with intervals, and from predictions to errors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from sim2real.identify.problem import Problem
from sim2real.identify.space import FloatArray, FreeParameter
from sim2real.identify.uncertainty import QUANTILE, Interval, Spread
from sim2real.replay import READ_DELAY
from sim2real.world import World

MEASURED, NOMINAL, FITTED = "measured", "nominal", "identified"

IDENTIFIABLE = 0.5
"""Share of its range that the interval of a parameter that is identifiable must not exceed."""

_EDGE = 1e-3  # share of its range within which a parameter is on its bound


@dataclass(frozen=True)
class ParameterEstimate:
    """One number, as a fit found it, or as well as data can tell it at best."""

    name: str
    unit: str
    value: float
    low: float
    """Lower end of the 95 % interval; of a fit to recordings one that counts correlated errors and what the
    model may lack (`sim2real.identify.uncertainty`)."""
    high: float
    nominal: float
    range: tuple[float, float]
    """What a fit can choose from."""
    share: float
    """Of the range, on the fit's scale, that the interval covers."""
    on_bound: bool
    """Whether it is where the range ends, and that end is not the absence of an effect."""
    bootstrap: tuple[float, float] | None = None
    """Ends from a block bootstrap alone, as if the model lacked nothing."""
    with_nuisance: float | None = None
    """Value with nuisance effects fitted beside it (`sim2real.identify.nuisance`)."""
    independent: float | None = None
    """Half width of the interval that errors taken for independent would give."""

    @classmethod
    def of(cls, world: World, free: FreeParameter, at: float, low: float, high: float) -> ParameterEstimate:
        """A number of a space, from its value and the ends of its interval in the unit cube."""
        nominal, unit = free.start, "s"
        if free.quantity != READ_DELAY:  # which belongs to no world
            nominal, unit = world.parameters[free.name].nominal, world.parameters[free.name].unit
        # no friction at all is an answer, too: the neutral end of an effect is no bound
        neutral = free.low == 0.0 or nominal < free.low if at < _EDGE else nominal > free.high
        value, first, last = (float(free.value(x)) for x in (at, low, high))
        # not clipped: near an end of the range, half an interval must not look like a narrow one
        share, at_end = min(high - low, 1.0), not _EDGE <= at <= 1 - _EDGE
        on_bound, ends = at_end and not neutral, (free.low, free.high)
        return cls(free.name, unit, value, first, last, nominal, ends, float(share), on_bound)

    @classmethod
    def about(cls, world: World, free: FreeParameter, at: float, std: float) -> ParameterEstimate:
        """A number of a space that is known like a normal's mean, in the unit cube."""
        return cls.of(world, free, float(at), float(at - QUANTILE * std), float(at + QUANTILE * std))

    @property
    def identifiable(self) -> bool:
        """Whether the data narrow the range down."""
        return self.share <= IDENTIFIABLE

    @property
    def moved(self) -> bool:
        """Whether nuisance effects move the value out of the interval of the bootstrap."""
        if self.bootstrap is None or self.with_nuisance is None:
            return False
        return not self.bootstrap[0] <= self.with_nuisance <= self.bootstrap[1]


@dataclass(frozen=True)
class GapRow:
    """Mean RMSE of one predictor, rad or m."""

    predictor: str
    fitted: float
    held_out: float
    """NaN where nothing was held out."""
    joints: tuple[float, ...] = ()
    """Of the held-out recordings, or of the fitted ones where none were held out."""
    fitted_joints: tuple[float, ...] = ()
    """Of the fitted recordings."""


def estimates_of(
    problem: Problem, point: FloatArray, spread: Spread, beside: Interval | None = None
) -> tuple[ParameterEstimate, ...]:
    """Every free number with its intervals, from the scatter of the fitted point, in the unit cube.

    And from the intervals of the fit that has the usual missing effects beside it.
    """
    naive, space = QUANTILE * spread.independent, problem.space
    centre = point if beside is None else np.mean(beside, axis=0)
    told = space.values(np.stack([*spread.interval(point), point - naive, point + naive, centre])).T
    whole = np.stack([point, *spread.interval(point, beside)]).T
    rows = zip(space.free, whole.tolist(), told.tolist(), strict=True)
    return tuple(
        dataclasses.replace(
            ParameterEstimate.of(problem.world, free, *ends),
            bootstrap=(first, last),
            with_nuisance=middle,
            independent=(most - least) / 2,
        )
        for free, ends, (first, last, least, most, middle) in rows
    )


def gap_row(predictor: str, fitted: FloatArray, held_out: FloatArray | None) -> GapRow:
    """Mean errors of a predictor, from its RMSE on fitted and on held-out motions. Shapes (motions, k)."""
    best, mean = (fitted, np.nan) if held_out is None else (held_out, float(held_out.mean()))
    joints = (tuple(rows.mean(axis=0).tolist()) for rows in (best, fitted))
    return GapRow(predictor, float(fitted.mean()), mean, *joints)
