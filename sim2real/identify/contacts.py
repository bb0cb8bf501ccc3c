"""A table as one more candidate model: a plane where motions touch something that the world lacks.

Every recording that touches is predicted with the plane that the *others* which do show, and the plane is
kept if that predicts better. Where only one recording touches, parts of it take the recordings' place, and
the comparison's name says so: it is then judged on the same recording, though not on the same rows.

A plane that is kept is the result's: the joints are fitted again to what is left without contact, the plane
to the contacts. Its interval counts three things: which blocks of time were recorded, what is not known of
the joints that press on it, and what each recording alone would have said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.domain import Domain
from sim2real.identify.estimates import ParameterEstimate, estimates_of
from sim2real.identify.identifiability import combinations
from sim2real.identify.model_selection import Comparison
from sim2real.identify.problem import RecordingProblem, rmse_of
from sim2real.identify.space import FloatArray, ParameterSpace, free_parameters
from sim2real.identify.uncertainty import Spread, bootstrap, make_domain
from sim2real.identify.verdicts import Verdict
from sim2real.replay import Motion, windows
from sim2real.replay.residuals import diagnose
from sim2real.world import World
from sim2real.world.ground import plane_parameters, tip_height

Values = Mapping[str, float]

CLEAR = 0.5
"""Share of the windows that must be free of contact for the joints to be fitted to those alone."""
_GAIN = 0.05
"""Share of the error that a plane must take away."""

_MOST_FRICTION = 0.5  # more lets a simulated jaw that is pressed down lock, as no real one does
_GRIDS: tuple[tuple[FloatArray, tuple[float, ...]], ...] = (
    # a pressed tip is measured lower than the surface: links, clamp and table give way
    (np.arange(-0.01, 0.0251, 0.005), (0.1, 0.2, 0.3, 0.5)),
    (np.arange(-0.004, 0.0041, 0.001), (1.0,)),
    (np.arange(-0.004, 0.0041, 0.001) / 4, (0.8, 1.0, 1.25)),
)
"""Steps of height, m, and factors on friction, from the best so far."""
_DEEPER = 0.004  # m
_RESOLUTION = {"height": 2.5e-4, "friction": 0.25}
"""How far apart the planes are that are tried last: m, and a share."""
_FAR = 2.0  # m, or of friction, from where the world has it


class Planes:
    """Planes under motions of a robot whose physics is known; each is simulated once, whoever asks."""

    def __init__(
        self, world: World, point: Mapping[str, float], motions: Sequence[Motion], threads: int = 1
    ) -> None:
        """Of a world with a parameter for every name in ``point``, the fitted physics."""
        self.world, self.motions, self._own = world, list(motions), plane_parameters(world.model)
        around = {name: (min(value, 0.0) - _FAR, max(value, 0.0) + _FAR) for name, value in self._own.items()}
        base = world.with_parameters({}, point)
        space = ParameterSpace(tuple(free_parameters(base, list(self._own), around)))
        self._problem = RecordingProblem.of(base, space, self.motions, threads) if motions else None
        self._known: dict[tuple[float, ...], FloatArray] = {}

    def errors(self, planes: Sequence[Sequence[float]], motions: Sequence[Motion]) -> FloatArray:
        """RMSE of some of the motions under planes, rad. Shape (planes, motions, k).

        A plane is a value for each of `plane_parameters`.
        """
        new = [plane for plane in dict.fromkeys(map(tuple, planes)) if plane not in self._known]
        if new and self._problem is not None:
            errors = self._problem.rmse(self._problem.space.units(np.array(new)))
            self._known |= dict(zip(new, errors, strict=True))
        rows = [self.motions.index(motion) for motion in motions]
        return np.stack([self._known[tuple(plane)][rows] for plane in planes])

    def best(self, motions: Sequence[Motion] | None = None, near: Values | None = None) -> Values:
        """The plane that lowers the mean error of some motions most; empty without one to move, or a gain.

        Heights about the lowest that the tip was measured at are tried, each with a few frictions, then twice
        more in finer steps about the best. A search, not a descent: whether a tip slides or sticks is no
        smooth function.

        Args:
            motions: in which the robot is thought to touch something; by default all.
            near: a plane to look around; by default the lowest that the tip was measured at.
        """
        motions = self.motions if motions is None else motions
        if not self._own or not motions:
            return {}
        after = before = self.errors([[*self._own.values()]], motions)[0].mean(axis=1)
        if near:
            best, grids = [*near.values()], _GRIDS[1:]
        else:
            tips = [tip_height(self.world.model, m.measured[::5], m.joints) for m in self.motions]
            lowest = min(float(np.quantile(tip, 0.01)) for tip in tips)  # hardly ever undercut
            best, grids = [lowest, 1.0][: len(self._own)], _GRIDS
        for steps, factors in grids:
            frictions = [min(best[-1] * factor, _MOST_FRICTION) for factor in factors]
            planes = [[best[0] + step, f][: len(best)] for step in steps for f in frictions]
            errors = self.errors(planes, motions).mean(axis=2)
            k = int(errors.mean(axis=1).argmin())
            best, after = planes[k], errors[k]
            if after.mean() >= before.mean():  # finer steps about what is of no use are none either
                return {}
        if after.mean() >= before.mean() * (1 - _GAIN):
            return {}
        return dict(zip(self._own, map(float, best), strict=True))


@dataclass(frozen=True, eq=False)
class Contacts:
    """Where something is touched, and what a plane there bought."""

    comparison: Comparison
    hits: tuple[Motion, ...]
    """Windows in which something is touched."""
    each: tuple[Values, ...]
    """The plane as it is found without one recording (or part of one) after the other."""
    planes: Planes
    """What was tried there."""

    @property
    def kept(self) -> bool:
        """Whether the plane is part of the result."""
        return bool(self.comparison.kept)

    def plane_in(self, motions: Sequence[Motion]) -> Values:
        """The plane that contacts in the recordings of some motions show; empty if none gains."""
        names = {m.recording for m in motions}
        return self.planes.best([hit for hit in self.hits if hit.recording in names], self.each[0])

    def at(self, problem: RecordingProblem, point: FloatArray) -> Contacts:
        """The same for joints at another point."""
        planes = Planes(problem.world, problem.space.physics(point), self.hits, problem.threads)
        return dataclasses.replace(self, planes=planes)

    def clear(self, cut: Sequence[Motion]) -> list[Motion]:
        """Windows without contact."""
        names = {hit.name for hit in self.hits}
        return [m for m in cut if not any(name == m.name or name.startswith(f"{m.name}@") for name in names)]


@dataclass(frozen=True, eq=False)
class FittedPlane:
    """A plane that is part of a result."""

    values: Values
    """As all recordings show it."""
    estimates: tuple[ParameterEstimate, ...]
    domain: Domain
    untold: tuple[Verdict, ...]
    """What contacts leave open."""


def find_contacts(
    problem: RecordingProblem,
    point: FloatArray,
    fitted: Sequence[Motion],
    held: Sequence[Motion],
    near: Values | None = None,
) -> Contacts | None:
    """Look for a plane in windows that were fitted and held out, and judge it, with the joints as found.

    Around the plane that is near, if one is known. None where nothing is touched that the model lacks.
    """
    names = tuple(plane_parameters(problem.world.model))
    motions, split = [*fitted, *held], len(fitted)
    if not names:
        return None
    predicted, hits = _touched(problem, point, motions)
    hints = diagnose(problem.world, hits, [predicted[motions.index(hit)] for hit in hits]) if hits else []
    if not any(hint.signal == "tip height" for hint in hints):
        return None
    if len(hits) == 1:
        place, halves = motions.index(hits[0]), windows(hits[0], hits[0].duration / 2)
        motions[place : place + 1] = halves
        split += len(halves) - 1 if place < split else 0
        predicted, hits = _touched(problem, point, motions)
    before = rmse_of([p - m.measured for p, m in zip(predicted, motions, strict=True)])
    after, each = before.copy(), []
    planes = Planes(problem.world, problem.space.physics(point), hits, problem.threads)
    recordings = sorted({m.recording for m in hits})
    groups = [[m for m in hits if m.recording == name] for name in recordings]
    for group in groups if len(groups) > 1 else [[hit] for hit in hits]:
        plane = planes.best([m for m in hits if m not in group], near)
        if plane:
            each.append(plane)
            rows = [motions.index(m) for m in group]
            after[rows] = planes.errors([[*plane.values()]], group)[0]
    if not each:
        return None
    rows = [motions.index(m) for m in hits]
    least, most = float(after[rows].mean()), float(before[rows].mean())
    where = f"where {len(recordings)} recordings touch, each with the others' table"
    if len(recordings) == 1:
        where = f"in {recordings[0]}, each part with the others' table; nothing else touches"
    best = after[split:] if held else after
    comparison = Comparison(
        f"+ a table ({1000 * most:.2f} to {1000 * least:.2f} {where})",
        len(problem.space.names) + len(names),
        float(after[:split].mean()),
        float(best.mean()),
        names if least < most * (1 - _GAIN) else (),
        tuple(float(x) for x in best.mean(axis=0)),
    )
    return Contacts(comparison, tuple(hits), tuple(each), planes)


def touching(
    world: World, motions: Sequence[Motion], predicted: Sequence[FloatArray], deeper: float = _DEEPER
) -> list[Motion]:
    """Motions whose predicted tip goes lower than the measured one ever does."""

    def lowest(motion: Motion, positions: FloatArray) -> float:
        return float(tip_height(world.model, positions[::5], motion.joints).min())

    pairs = zip(motions, predicted, strict=True)
    return [m for m, positions in pairs if lowest(m, positions) < lowest(m, m.measured) - deeper]


def _touched(
    problem: RecordingProblem, point: FloatArray, motions: Sequence[Motion]
) -> tuple[list[FloatArray], list[Motion]]:
    """Predictions, in the full simulation where a tip gets low, and the motions that touch something."""
    found, low = _predicted(problem.on(motions), point), list(motions)
    if problem.fast:
        low = touching(problem.world, motions, found, _DEEPER / 2)
        exact = iter(_predicted(problem.on(low, fast=False), point) if low else ())
        found = [next(exact) if m in low else rough for m, rough in zip(motions, found, strict=True)]
    return found, [m for m in touching(problem.world, motions, found) if m in low]


def _predicted(problem: RecordingProblem, point: FloatArray) -> list[FloatArray]:
    """Of every motion; where that diverges, as measured."""
    pairs = zip(problem.predict(point[None]), problem.measured, strict=True)
    return [np.where(np.isfinite(p[0]), p[0], measured) for p, measured in pairs]


def plane_of(
    problem: RecordingProblem, point: FloatArray, contacts: Contacts, joints: FloatArray
) -> FittedPlane:
    """The plane of a result, with its intervals, beside the last fit of the joints.

    ``joints`` is the covariance of their numbers, in the unit cube. Shape (p, p).
    """
    values = contacts.at(problem, point).plane_in(contacts.hits) or dict(contacts.each[0])
    base = problem.world.with_parameters({}, problem.space.physics(point))
    plane = ParameterSpace(tuple(free_parameters(base, list(values)))).with_start(values)
    alone = RecordingProblem.of(base, plane, contacts.hits, problem.threads)
    part = alone.linearize(plane.start, central=True)
    blocks, unmoved = bootstrap(part), plane_parameters(problem.world.model)
    seen = plane.units(np.array([[each[name] for name in values] for each in contacts.each])).std(axis=0)
    # what lies between two planes that were tried is not known either
    steps = [
        _RESOLUTION[n.rpartition(".")[2]] * (1.0 if n.endswith("height") else v) for n, v in values.items()
    ]
    apart = np.abs(plane.units(np.array([*values.values()]) + steps) - plane.start) / 12**0.5
    rng = np.random.default_rng(0)
    others = rng.multivariate_normal(
        np.zeros(len(joints)), joints, len(blocks.draws), "ignore", method="eigh"
    )
    between = np.maximum(seen, apart) * rng.normal(size=blocks.draws.shape)
    # how the plane moves if the joints' numbers do, where something is touched
    both, own = ParameterSpace((*problem.space.free, *plane.free)), len(point)
    together = RecordingProblem.of(base, both, contacts.hits, problem.threads)
    hessian = together.linearize(np.concatenate([point, plane.start]), central=True).hessian
    follows = -np.linalg.lstsq(hessian[own:, own:], hessian[own:, :own], rcond=None)[0].T
    draws = blocks.draws + others @ follows + between
    spread = Spread(draws, blocks.independent)
    estimates = estimates_of(alone, plane.start, spread)
    estimates = tuple(dataclasses.replace(e, nominal=unmoved[e.name]) for e in estimates)
    wide = spread.widened(float(part.loss.sum()), part)
    domain = make_domain(plane.free, plane.start, wide.draws, {})
    return FittedPlane(values, estimates, domain, tuple(combinations(alone, part.hessian, part.loss)))
