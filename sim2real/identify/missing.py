"""What a fit may have taken for something else: the usual effects that a model lacks, opened beside it.

    enlarged = enlarge(problem, point)
    print(enlarged.lack.text)           # "with motor.latency = 2 physics steps the error would be …"

A robot that answers late, seen by a model without latency, looks heavy; no resampling of its recordings says
so, for all of them are biased alike. So the fit is done once more with nuisance parameters (Kennedy and
O'Hagan 2001; Brynjarsdóttir and O'Hagan 2014): latency, a late sensor, dry and viscous friction, rotor
inertia and a constant torque of every joint, and whatever else the world gives a range, for which they are
not free already. Each is held near its nominal value by a prior of the size at which it would make all of
the error that is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.effects import can_touch, effect_of, held_in_scale, usual_effects
from sim2real.identify.free import Free, Space
from sim2real.identify.problem import Linear, Problem
from sim2real.identify.solve import calmer, least_squares, prior_curvature
from sim2real.opening import opened
from sim2real.replay import READ_DELAY

FloatArray = NDArray[np.float64]

_TRACE = 0.01
"""Share of its column that an effect must have for itself. One that looks like what is free already (a weak
motor and heavy masses) could only be told by its prior: whoever fixes the scale fixes it."""
_CALM = 0.5
"""Share of the windows, those of smallest slopes, that tell of a robot that touches things."""
_ROUNDS, _SERVO_ROUNDS = 12, 3
_GAIN = 0.25
"""Share of the error that all effects must take away to be called missing."""
_WHITE = 1.5
"""Errors up to this many times the white noise of the measurement lack nothing."""
_PART = 0.1
"""Share of that for which an effect must stand to be named."""


@dataclass(frozen=True)
class Suspect:
    """An effect that the model lacks and that would explain much of what is left."""

    name: str
    unit: str
    nominal: float
    value: float


@dataclass(frozen=True)
class Lack:
    """What the model lacks, as far as the usual effects can say."""

    suspects: tuple[Suspect, ...]
    """The one that explains most first."""
    before: float
    """Mean RMSE as fitted, scaled."""
    after: float
    """And with all usual effects beside it."""

    @property
    def text(self) -> str:
        """In one sentence."""
        named = ", ".join(f"{s.name} = {s.value:.3g} {s.unit}".rstrip() for s in self.suspects)
        return (
            f"with {named} the error would be {1000 * self.after:.1f} in place of {1000 * self.before:.1f} "
            "(mrad, or thousandths of what joints of unlike units move); free that too"
        )


@dataclass(frozen=True, eq=False)
class Enlarged:
    """The fit with the usual missing effects beside it."""

    problem: Problem
    """Its first columns are those of the problem that was enlarged."""
    own: int
    """How many those are."""
    point: FloatArray
    """In the unit cube. Shape (p,)."""
    linear: Linear
    """At the point."""
    white: FloatArray
    """Standard deviation of what is white in the residual, by motion and joint. Shape (motions, k)."""
    before: float
    """Mean RMSE without the effects, scaled."""

    @property
    def prior(self) -> FloatArray:
        """Curvature that the priors add. Shape (p,)."""
        return prior_curvature(self.problem, self.point, self.linear)

    @property
    def covariance(self) -> FloatArray:
        """Inverse of the curvature with the priors. Shape (p, p)."""
        return inverse(self.linear.curvature.sum(axis=0) + np.diag(self.prior))

    @property
    def lack(self) -> Lack | None:
        """Effects that matter, if together they take away a good part of the error."""
        after = float(self.linear.rmse.mean())
        if after > self.before * (1 - _GAIN) or self.before < _WHITE * self.white.mean():
            return None
        free, scale = self.problem.space.free[self.own :], np.diag(self.covariance)[self.own :]
        start = np.array([float(f.unit(f.start)) for f in free])
        worth = (self.point[self.own :] - start) ** 2 / scale
        share = worth / max(float(worth.sum()), 1e-30)
        order = [int(k) for k in np.argsort(-share) if share[k] >= _PART]
        values = self.problem.space.values(self.point)[self.own :]
        suspects = [
            Suspect(free[k].name, self._unit(free[k]), free[k].start, float(values[k])) for k in order
        ]
        return Lack(tuple(suspects), self.before, after)

    def _unit(self, free: Free) -> str:
        return "s" if free.quantity == READ_DELAY else self.problem.world.parameters[free.name].unit


def enlarge(problem: Problem, point: FloatArray) -> Enlarged | None:
    """Fit again with the usual missing effects; None if there are none that the data could show.

    Args:
        problem: that was fitted.
        point: where the fit ended. Shape (p,).
    """
    effects, before = _sized(problem, point, usual_effects(problem))
    if not effects:
        return None
    larger = _with(problem, effects)
    start = np.concatenate([point, larger.space.start[len(point) :]])
    fit = least_squares(larger, start, _SERVO_ROUNDS if problem.decoupled else _ROUNDS)
    linear = larger.linearize(fit.point)
    white = np.array([_white(errors[0]) for errors in larger.errors(fit.point[None])])
    return Enlarged(larger, len(point), fit.point, linear, white, before)


def inverse(curvature: FloatArray) -> FloatArray:
    """Of a curvature, with a ridge under which what no data see stays where it is. Shape (p, p)."""
    ridge = 1e-9 * max(float(np.diag(curvature).max()), 1e-30)
    return np.asarray(np.linalg.inv(curvature + ridge * np.eye(len(curvature))), dtype=np.float64)


def _sized(problem: Problem, point: FloatArray, effects: list[Free]) -> tuple[list[Free], float]:
    """Effects with a trace of their own, each at the size at which it makes the error that is left.

    And the mean RMSE that is left.
    """
    if not effects:
        return [], 0.0
    larger = _with(problem, effects)
    start = np.concatenate([point, larger.space.start[len(point) :]])
    linear = larger.linearize(start)
    seen = calmer(linear, _CALM) if larger.fine else linear
    hessian, left = seen.curvature.sum(axis=0), _left(seen)
    kept, found = list(range(len(point))), []
    for column, effect in enumerate(effects, start=len(point)):
        if _trace(hessian, kept, column) < _TRACE:
            continue
        kept.append(column)
        size = (effect.high - effect.low) * float(np.sqrt(left / hessian[column, column]))
        found.append(effect_of(problem, effect.name, effect.elements, size))
    larger = _with(problem, found)
    start = np.concatenate([point, larger.space.start[len(point) :]])
    return held_in_scale(larger, start, len(point)), float(linear.rmse.mean())


def _left(linear: Linear) -> float:
    """Weighted mean square error of the blocks, summed over joints."""
    rows = np.bincount(linear.motion, linear.rows)[linear.motion]
    return float((linear.weight[linear.motion] * linear.squares / rows[:, None]).sum())


def _trace(curvature: FloatArray, kept: Sequence[int], column: int) -> float:
    """Share of a column that is not a sum of those that are kept."""
    own, beside = curvature[column, column], curvature[kept, column]
    if own <= 0:
        return 0.0
    return float((own - beside @ inverse(curvature[np.ix_(kept, kept)]) @ beside) / own)


def _with(problem: Problem, effects: Sequence[Free]) -> Problem:
    elements = {f.name: f.elements for f in effects if f.quantity != READ_DELAY}
    return dataclasses.replace(
        problem.on(problem.motions),
        world=opened(problem.world, elements),
        space=Space((*problem.space.free, *effects)),
        fine=not problem.decoupled and can_touch(problem.world.model),
    )


def _white(error: FloatArray) -> FloatArray:
    """From second differences, the median of them: contacts make a few large ones. Shape (k,)."""
    if len(error) < 4:
        return np.zeros(error.shape[1])
    return np.asarray(np.median(np.abs(np.diff(error, 2, axis=0)), axis=0) / 0.6745 / np.sqrt(6.0))
