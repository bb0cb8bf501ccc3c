"""From a fitted point to numbers with intervals, and from predictions to errors beside simple predictors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.identify.nuisance import Enlarged, unit_of
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import FloatArray
from sim2real.identify.uncertainty import QUANTILE, Spread, covering, profile
from sim2real.replay import READ_DELAY, Motion

NOMINAL, FITTED, COMMAND, DELAYED = "nominal", "identified", "command", "delayed command"

_EDGE = 1e-3  # share of its range within which a parameter is on its bound
_DELAYS = np.arange(0.0, 0.301, 0.01)


@dataclass(frozen=True)
class Estimate:
    """One number that was fitted."""

    name: str
    unit: str
    value: float
    low: float
    """Lower end of the 95 % interval that counts correlated errors and what the model may lack
    (`sim2real.identify.uncertainty`)."""
    high: float
    blocks: tuple[float, float]
    """Ends from drawing blocks of time again alone, as if the model lacked nothing."""
    beside: float
    """Value when the usual missing effects are fitted beside it (`sim2real.identify.nuisance`)."""
    naive: float
    """Half width of the interval that errors taken for independent would give."""
    nominal: float
    range: tuple[float, float]
    """What the fit could choose from."""
    on_bound: bool
    profile: tuple[float, float] | None = None
    """Ends as `low` and `high`, from the profile likelihood in place of a parabola, if asked for."""


@dataclass(frozen=True)
class GapRow:
    """Mean RMSE of one predictor, rad or m."""

    predictor: str
    fitted: float
    held: float
    """NaN where nothing was held out."""
    joints: tuple[float, ...]
    """Of the held-out recordings, or of the fitted ones where none were held out."""
    fitted_joints: tuple[float, ...] = ()
    """Of the fitted recordings."""


def estimates_of(
    problem: RecordingProblem,
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
    covered = np.clip(covering(point, spread, enlarged), 0.0, 1.0)
    blocks = np.clip(spread.interval(point), 0.0, 1.0)
    ends = None
    if profiled and enlarged is not None:
        ends = np.clip(covering(point, spread, enlarged, profile(enlarged)), 0.0, 1.0)
    beside = point if enlarged is None else enlarged.point[: len(point)]
    naive = np.clip(point + np.array([[-QUANTILE], [QUANTILE]]) * spread.independent, 0.0, 1.0)
    found = []
    for k, free in enumerate(problem.space.free):
        late = free.quantity == READ_DELAY
        nominal = 0.0 if late else problem.world.parameters[free.name].nominal
        low, high = map(float, free.value(covered[:, k]))
        first, last = map(float, free.value(blocks[:, k]))
        sides = free.value(naive[:, k])
        at_end = point[k] < _EDGE or point[k] > 1 - _EDGE
        # no friction at all is an answer, too: the neutral end of an effect is no bound
        neutral = free.low == 0.0 or nominal <= free.low if point[k] < _EDGE else nominal >= free.high
        found.append(
            Estimate(
                free.name,
                unit_of(problem, free),
                float(free.value(point[k])),
                low,
                high,
                (first, last),
                float(free.value(beside[k])),
                float(sides[1] - sides[0]) / 2,
                free.start if late else nominal,
                (free.low, free.high),
                bool(at_end and not neutral),
                None if ends is None else (float(free.value(ends[0, k])), float(free.value(ends[1, k]))),
            )
        )
    return tuple(found)


def gap_row(predictor: str, fitted: FloatArray, held: FloatArray | None) -> GapRow:
    """Mean errors of a predictor.

    Args:
        predictor: its name.
        fitted: RMSE of the fitted motions. Shape (motions, k).
        held: of the held-out ones, or None.
    """
    best, every = (
        tuple(float(x) for x in rows.mean(axis=0)) for rows in (fitted if held is None else held, fitted)
    )
    mean = float("nan") if held is None else float(held.mean())
    return GapRow(predictor, float(fitted.mean()), mean, best, every)


def baselines(motions: Sequence[Motion], columns: Sequence[int]) -> dict[str, FloatArray]:
    """RMSE of the command itself and of the command a constant delay earlier, the delay of least error.

    Args:
        motions: of a robot whose every joint is commanded.
        columns: the actuator of each joint.
    """
    errors = np.array([[_late(m, columns, delay) for m in motions] for delay in _DELAYS])
    return {COMMAND: errors[0], DELAYED: errors[int(errors.mean(axis=(1, 2)).argmin())]}


def _late(motion: Motion, columns: Sequence[int], delay: float) -> FloatArray:
    rows = np.maximum(np.searchsorted(motion.time, motion.time - delay, side="right") - 1, 0)
    error = motion.command[rows][:, columns] - motion.measured
    return np.asarray(np.sqrt((error**2).mean(axis=0)))
