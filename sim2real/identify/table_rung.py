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

from sim2real.identify.diagnose import diagnose
from sim2real.identify.ladder import Step
from sim2real.identify.plane import find_plane, plane_errors, plane_parameters, touching
from sim2real.identify.problem import Problem
from sim2real.replay import READ_DELAY, Motion, windows

FloatArray = NDArray[np.float64]
Values = Mapping[str, float]

_GAIN = 0.05
"""Share of the error where something is touched that the others' plane must take away."""
CLEAR = 0.5
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
    names = tuple(plane_parameters(problem.world))
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
        plane = find_plane(problem.world, physics_at(problem, point), others, problem.threads)
        if plane is not None:
            each.append(plane.values)
            rows = [motions.index(m) for m in group]
            under = [list(plane.values.values())]
            after[rows] = plane_errors(
                problem.world, physics_at(problem, point), names, under, group, problem.threads
            )[0]
    if not each:
        return None
    return TableRung(
        _step(problem, (before, after), (motions, hits, len(held)), names), tuple(hits), tuple(each)
    )


def settle_plane(problem: Problem, point: FloatArray, hits: Sequence[Motion]) -> Values:
    """The plane that some contacts show with the joints at a point; empty if none gains."""
    plane = find_plane(problem.world, physics_at(problem, point), hits, problem.threads)
    return {} if plane is None else plane.values


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


def physics_at(problem: Problem, point: FloatArray) -> dict[str, float]:
    """A point as parameters of the world."""
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
