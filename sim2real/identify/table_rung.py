"""A table as one more rung of the ladder: a plane where motions touch something that the model lacks.

Every recording that touches is predicted with the plane that the *others* which do show, and the rung is kept
if that predicts better. Where only one recording touches, parts of it take the recordings' place, and the
rung's name says so: it is then judged on the same recording, though not on the same rows.

A table that is kept is the result's: the joints are fitted again to what is left without contact, the plane
to the contacts, its interval wide enough for what each recording alone would have said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.domain import Correlation, Domain
from sim2real.identify.conditioning import Combination, combinations
from sim2real.identify.diagnose import diagnose
from sim2real.identify.estimates import estimates_of
from sim2real.identify.free import Space, free_parameters
from sim2real.identify.ladder import Step
from sim2real.identify.plane import find_plane, plane_errors, plane_parameters, touching, unmoved
from sim2real.identify.problem import Problem
from sim2real.identify.result import Estimate, make_domain, widening_of
from sim2real.identify.uncertainty import bootstrap
from sim2real.opening import opened
from sim2real.replay import READ_DELAY, Motion, windows

FloatArray = NDArray[np.float64]
Values = Mapping[str, float]

_GAIN = 0.05
"""Share of the error where something is touched that the others' plane must take away."""
_CLEAR = 0.5
"""Share of the windows that must be free of contact for the joints to be fitted to those alone."""


@dataclass(frozen=True, eq=False)
class TableRung:
    """What a table bought."""

    step: Step
    hits: tuple[Motion, ...]
    """Windows in which something is touched."""
    each: tuple[Values, ...]
    """The plane as it is found without one recording (or part of one) after the other."""

    @property
    def kept(self) -> bool:
        """Whether it is part of the result."""
        return bool(self.step.kept)

    def hit_in(self, motions: Sequence[Motion]) -> list[Motion]:
        """Windows with contact that are of some recordings."""
        names = {_recording(m) for m in motions}
        return [hit for hit in self.hits if _recording(hit) in names]

    def clear(self, cut: Sequence[Motion]) -> list[Motion]:
        """Windows without contact."""
        names = {hit.name for hit in self.hits}
        return [m for m in cut if not any(name == m.name or name.startswith(f"{m.name}@") for name in names)]

    def enough_clear(self, cut: Sequence[Motion]) -> bool:
        """Whether the joints can be fitted to the windows without contact alone."""
        return len(self.clear(cut)) >= max(1, _CLEAR * len(cut))


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is part of a result."""

    first: Values
    """As the recordings show it that were fitted first; empty if those touch nothing."""
    values: Values
    """As all of them do."""
    estimates: tuple[Estimate, ...]
    domain: Domain
    told: tuple[Combination, ...]
    """What contacts leave open."""


def table_rung(
    problem: Problem, point: FloatArray, fitted: Sequence[Motion], held: Sequence[Motion]
) -> TableRung | None:
    """Look for a table and judge it; None where nothing is touched that the model lacks.

    Args:
        problem: the fit so far.
        point: where it ended, in the unit cube. Shape (p,).
        fitted: windows that were fitted.
        held: windows of the recordings that were held out.
    """
    names = plane_parameters(problem.world)
    motions = [*fitted, *held]
    predicted = _predicted(problem, point, motions)
    hits = touching(problem.world, motions, predicted)
    if not names or not hits or not _of_height(problem, hits, motions, predicted):
        return None
    if len(hits) == 1:
        place = motions.index(hits[0])
        motions[place : place + 1] = windows(hits[0], hits[0].duration / 2)
        predicted = _predicted(problem, point, motions)
        hits = touching(problem.world, motions, predicted)
    groups = _groups(hits)
    before = _rmse(motions, predicted)
    after, each = before.copy(), []
    for group in groups:
        others = [m for other in groups if other is not group for m in other]
        plane = find_plane(problem.world, _physics(problem, point), others, problem.threads)
        if plane is not None:
            each.append(plane.values)
            rows = [motions.index(m) for m in group]
            under = [list(plane.values.values())]
            after[rows] = plane_errors(
                problem.world, _physics(problem, point), names, under, group, problem.threads
            )[0]
    return TableRung(
        _step(problem, (before, after), (motions, hits, len(held)), names), tuple(hits), tuple(each)
    )


def settle_plane(problem: Problem, point: FloatArray, hits: Sequence[Motion]) -> Values:
    """The plane that some contacts show with the joints at a point; empty if none gains."""
    plane = find_plane(problem.world, _physics(problem, point), hits, problem.threads)
    return {} if plane is None else plane.values


def table_of(problem: Problem, point: FloatArray, rung: TableRung, first: Values) -> Table:
    """The table of a result, with its intervals.

    Args:
        problem: the last fit of the joints.
        point: where it ended.
        rung: that was kept.
        first: the plane as the fitted recordings show it.
    """
    values = settle_plane(problem, point, rung.hits) or dict(rung.each[0])
    base = opened(problem.world, {}, _physics(problem, point))
    space = Space(tuple(free_parameters(base, list(values)))).with_start(values)
    alone = Problem.of(base, space, rung.hits, problem.threads)
    linear = alone.linearize(space.start, central=True)
    spread = bootstrap(linear)
    told = tuple(combinations(alone, linear))
    seen = np.array([[each[name] for name in values] for each in rung.each])
    units = np.clip(space.units(seen), 0.0, 1.0)
    estimates = estimates_of(alone, space.start, spread)
    wider = tuple(
        dataclasses.replace(
            e, low=min(e.low, *column), high=max(e.high, *column), nominal=unmoved(base, e.name)
        )
        for e, column in zip(estimates, seen.T.tolist(), strict=True)
    )
    draws = np.vstack([spread.draws, np.repeat(units, max(1, len(spread.draws) // len(units)), axis=0)])
    centred = draws - linear.point
    scatter = float(np.einsum("np,pq,nq->n", centred, linear.curvature.sum(axis=0), centred).mean())
    widening = widening_of(float((linear.weight * linear.rmse**2).sum()), scatter)
    return Table(first, values, wider, make_domain(space.free, space.start, draws, widening, {}), told)


def joined(one: Domain, other: Domain) -> Domain:
    """Both domains as one, independent of each other."""
    parameters = {**one.parameters, **other.parameters}
    blocks = [domain.correlation for domain in (one, other) if domain.correlation is not None]
    if not blocks:
        return Domain(parameters)
    names = tuple(name for block in blocks for name in block.names)
    matrix, start = np.zeros((len(names), len(names))), 0
    for block in blocks:
        end = start + len(block.names)
        matrix[start:end, start:end] = block.matrix
        start = end
    return Domain(parameters, Correlation(names, tuple(tuple(row) for row in matrix.tolist())))


def _step(
    problem: Problem,
    errors: tuple[FloatArray, FloatArray],
    parts: tuple[Sequence[Motion], Sequence[Motion], int],
    names: tuple[str, ...],
) -> Step:
    (before, after), (motions, hits, held) = errors, parts
    rows = [k for k, m in enumerate(motions) if m in hits]
    least, most = float(after[rows].mean()), float(before[rows].mean())
    recordings = sorted({_recording(m) for m in hits})
    where = f"where {len(recordings)} recordings touch, each with the others' table"
    if len(recordings) == 1:
        where = f"in {recordings[0]}, each part with the others' table; nothing else touches"
    kept = names if least < most * (1 - _GAIN) else ()
    text = f"+ a table ({1000 * most:.2f} to {1000 * least:.2f} {where})"
    split = len(motions) - held
    shown = after[split:] if held else after
    count = len(problem.space.names) + len(names)
    joints = tuple(float(x) for x in shown.mean(axis=0))
    return Step(text, count, float(after[:split].mean()), float(shown.mean()), kept, joints)


def _of_height(
    problem: Problem, hits: Sequence[Motion], motions: Sequence[Motion], predicted: Sequence[FloatArray]
) -> bool:
    """Whether the height of the tip explains what is left where something seems to be touched."""
    found = diagnose(problem.world, hits, [predicted[motions.index(hit)] for hit in hits])
    return any(hint.signal == "tip height" for hint in found)


def _predicted(problem: Problem, point: FloatArray, motions: Sequence[Motion]) -> list[FloatArray]:
    """In the full simulation; where that diverges, as measured."""
    full = dataclasses.replace(problem.on(motions, fast=False), width=1)
    pairs = zip(full.predict(point[None]), motions, strict=True)
    return [np.where(np.isfinite(p[0]), p[0], m.measured) for p, m in pairs]


def _rmse(motions: Sequence[Motion], predicted: Sequence[FloatArray]) -> FloatArray:
    """By window and joint, rad. Shape (windows, k)."""
    pairs = zip(predicted, motions, strict=True)
    return np.stack([np.sqrt(((p - m.measured) ** 2).mean(axis=0)) for p, m in pairs])


def _physics(problem: Problem, point: FloatArray) -> dict[str, float]:
    """The point as parameters of the world."""
    values = zip(problem.space.names, map(float, problem.space.values(point)), strict=True)
    return {name: value for name, value in values if not name.endswith(READ_DELAY)}


def _groups(hits: Sequence[Motion]) -> list[list[Motion]]:
    """Windows by recording; one by one if all are of the same."""
    found: dict[str, list[Motion]] = {}
    for hit in hits:
        found.setdefault(_recording(hit), []).append(hit)
    return list(found.values()) if len(found) > 1 else [[hit] for hit in hits]


def _recording(motion: Motion) -> str:
    return motion.name.split("@")[0]
