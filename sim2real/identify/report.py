"""From a fitted point to the result: errors before and after, intervals, verdicts, the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.domain import Domain
from sim2real.identify.conditioning import combinations
from sim2real.identify.diagnose import Hint, diagnose
from sim2real.identify.estimates import estimates_of
from sim2real.identify.free import Space
from sim2real.identify.judge import (
    FITTED,
    NOMINAL,
    Findings,
    baselines,
    gap_row,
    judge,
    unexcited,
)
from sim2real.identify.ladder import Step
from sim2real.identify.missing import enlarge
from sim2real.identify.plane import Plane, find_plane, touching
from sim2real.identify.problem import Linear, Problem
from sim2real.identify.result import (
    Estimate,
    GapRow,
    Identification,
    Trace,
    make_domain,
    widening_of,
)
from sim2real.identify.solve import prior_curvature
from sim2real.identify.table import Table, joined, table_of
from sim2real.identify.table_rung import TableRung
from sim2real.identify.uncertainty import QUANTILE, Spread, bootstrap
from sim2real.opening import opened
from sim2real.parameters import quantity_of
from sim2real.replay import READ_DELAY, Motion, is_servo_robot
from sim2real.world import World

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Manner:
    """How intervals are found."""

    beside: bool
    """With the usual missing effects fitted beside what is free."""
    profile: bool
    """And with their likelihood profiled."""


@dataclass(frozen=True)
class Report:
    """What is known when a fit has ended."""

    world: World
    """As it was loaded."""
    base: World
    """With what is fixed."""
    fixed: Mapping[str, float]
    final: Problem
    """On windows of all recordings."""
    points: tuple[FloatArray, FloatArray]
    """Fitted without the held-out recordings, and with them."""
    parts: tuple[Sequence[Motion], Sequence[Motion]]
    """Recordings that were fitted first, and those that were held out; or windows of them."""
    ladder: tuple[Step, ...]
    manner: Manner
    complaints: tuple[str, ...] = ()
    """Of the log doctor."""
    table: tuple[TableRung, Mapping[str, float]] | None = None
    """A table that was kept, and the plane as the recordings that were fitted first show it."""

    def write(self, threads: int, seconds: float, counts: tuple[int, int]) -> Identification:
        """Measure in the full simulation, judge, and make the domain."""
        space, point = self.final.space, self.points[1]
        linear = self.final.linearize(point, central=True)
        spread = bootstrap(linear)
        enlarged = enlarge(self.final, point) if self.manner.beside else None
        estimates = estimates_of(self.final, point, spread, enlarged, self.manner.profile)
        table = self._table(spread, estimates)
        gap, nominal, predicted = self._gaps(threads, table)
        motions = [*self.parts[0], *self.parts[1]]
        hints = diagnose(self.world, motions, predicted)
        priors = prior_curvature(self.final, point, linear)
        driven = [self.world.model.joint(int(k)).name for k in self.world.model.actuator_trnid[:, 0]]
        told = combinations(self.final, linear, priors)
        values = dict(zip(space.names, map(float, space.values(point)), strict=True))
        domain, found = self._domain(linear, spread, gap), {}
        if table is not None:
            estimates += table.estimates
            told += table.told
            domain, found = joined(domain, table.domain), dict(table.values)
        plane = None if found else self._plane(hints, values, predicted, threads)
        complaints = [*self.complaints, *unexcited(motions, driven)]
        lack = enlarged.lack if enlarged is not None else None
        findings = Findings(estimates, told, hints, gap, complaints, plane, lack)
        physical = {n: v for n, v in values.items() if not n.endswith(READ_DELAY)}
        return Identification(
            world=self.world.name,
            joints=self.final.motions[0].joints,
            domain=domain,
            point={**self.fixed, **{n: _whole(n, v) for n, v in physical.items()}, **found},
            signals={n: v for n, v in values.items() if n.endswith(READ_DELAY)},
            estimates=estimates,
            gap=gap,
            ladder=self.ladder,
            hints=tuple(hints),
            verdicts=judge(findings),
            fitted=_names(self.parts[0]),
            held=_names(self.parts[1]),
            seconds=seconds,
            simulations=counts[0],
            diverged=counts[1],
            traces=self._traces(nominal, predicted),
            suspects=lack.suspects if lack is not None else (),
        )

    def _table(self, spread: Spread, estimates: Sequence[Estimate]) -> Table | None:
        """The table that was kept, its interval no narrower than the joints' own intervals make it."""
        if self.table is None:
            return None
        free = self.final.space.free
        ends = [(float(f.unit(e.low)), float(f.unit(e.high))) for f, e in zip(free, estimates, strict=True)]
        std = np.array([(high - low) / (2 * QUANTILE) for low, high in ends])
        joints = spread.correlation * np.outer(std, std)
        return table_of(self.final, self.points[1], *self.table, joints)

    def _plane(
        self,
        hints: Sequence[Hint],
        values: Mapping[str, float],
        predicted: Sequence[FloatArray],
        threads: int,
    ) -> Plane | None:
        """A table, if the height of the tip explains what is left."""
        motions = touching(self.world, [*self.parts[0], *self.parts[1]], predicted)
        if not motions or not any(hint.signal == "tip height" for hint in hints):
            return None
        return find_plane(self.final.world, values, motions, threads)

    def _traces(self, nominal: Sequence[FloatArray], fitted: Sequence[FloatArray]) -> tuple[Trace, ...]:
        motions = [*self.parts[0], *self.parts[1]]
        return tuple(
            Trace(m.name, k >= len(self.parts[0]), m.time, {"measured": m.measured, NOMINAL: n, FITTED: f})
            for k, (m, n, f) in enumerate(zip(motions, nominal, fitted, strict=True))
        )

    def _gaps(
        self, threads: int, table: Table | None
    ) -> tuple[tuple[GapRow, ...], list[FloatArray], list[FloatArray]]:
        """Errors of every predictor, and what the nominal and the fitted world predict.

        Of whole recordings; of robots without servos, of windows of them.
        """
        fitted, held = self.parts
        motions = [*fitted, *held]
        planes = ({}, {}) if table is None else (table.first, table.values)
        worlds = [opened(self.base, {}, plane) for plane in planes]
        full = [Problem.of(world, self.final.space, motions, threads) for world in worlds]
        before = Problem.of(self.world, Space(()), motions, threads)
        nominal = [np.nan_to_num(p[0]) for p in before.predict(np.zeros((1, 0)))]
        predicted = [
            [np.nan_to_num(p[0]) for p in problem.predict(point[None])]
            for problem, point in zip(full, self.points, strict=True)
        ]
        scale = self.final.scale
        rows = {
            NOMINAL: _rmse(motions, nominal, scale),
            FITTED: _rmse(motions, predicted[0], scale),
        }
        if is_servo_robot(self.world):
            model = self.world.model
            driven = [model.joint(int(k)).name for k in model.actuator_trnid[:, 0]]
            rows |= baselines(motions, [driven.index(joint) for joint in motions[0].joints])
        split = len(fitted)
        gaps = tuple(gap_row(n, r[:split], r[split:] if held else None) for n, r in rows.items())
        return gaps, nominal, predicted[1]

    def _domain(self, linear: Linear, spread: Spread, gap: Sequence[GapRow]) -> Domain:
        hessian = linear.curvature.sum(axis=0)
        centred = spread.draws - linear.point
        scatter = float(np.einsum("np,pq,nq->n", centred, hessian, centred).mean())
        rows = {row.predictor: row for row in gap}
        share = rows[FITTED].held / max(rows[FITTED].fitted, 1e-12) if np.isfinite(rows[FITTED].held) else 1.0
        held = float((linear.weight * linear.rmse**2).sum()) * max(1.0, share**2)
        space = self.final.space
        keep = [k for k, f in enumerate(space.free) if f.quantity != READ_DELAY]
        return make_domain(
            [space.free[k] for k in keep],
            linear.point[keep],
            spread.draws[:, keep],
            widening_of(held, scatter),
            self.fixed,
        )


def _rmse(motions: Sequence[Motion], predicted: Sequence[FloatArray], scale: FloatArray) -> FloatArray:
    """By motion and joint. Shape (motions, k)."""
    pairs = zip(motions, predicted, strict=True)
    return np.stack([np.sqrt((((p - m.measured) / scale) ** 2).mean(axis=0)) for m, p in pairs])


def _names(motions: Sequence[Motion]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(motion.name.split("@")[0] for motion in motions))


def _whole(name: str, value: float) -> float:
    return float(round(value)) if quantity_of(name).integer else value
