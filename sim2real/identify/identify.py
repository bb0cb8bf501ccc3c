"""From recordings to a domain in one call.

    found = identify(World.load("so101"), load_recordings(folder))
    found.save(Path("runs/identified"))         # train so101 --domain runs/identified/identified.toml

Some recordings are held out. Models of growing structure are fitted to the others and judged on those
(`sim2real.identify.ladder`); the chosen one is fitted again to all. A robot of position servos is fitted
joint by joint in a fast stand-in and checked in the full simulation, in which it is fitted again if the two
disagree; any other world is fitted in that one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import RecordingError, UnknownName
from sim2real.identify.checkpoint import Checkpoint, Structure
from sim2real.identify.conditioning import traceless
from sim2real.identify.free import Space, free_parameters
from sim2real.identify.ladder import EFFECTS, Climber, Step
from sim2real.identify.problem import Problem
from sim2real.identify.report import Manner, Report
from sim2real.identify.result import Identification
from sim2real.identify.rungs import ladder_of
from sim2real.identify.search import search
from sim2real.identify.setting import (
    FREE_WINDOW,
    cut,
    fixed_values,
    motions_of,
    trained_parameters,
)
from sim2real.identify.solve import least_squares, settle_integers
from sim2real.identify.table_rung import CLEAR, TableRung, settle_plane, table_rung
from sim2real.opening import opened
from sim2real.recordings import Recording
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.decoupled import can_stand_in
from sim2real.replay.motion import liveliest
from sim2real.world import World

FloatArray = NDArray[np.float64]
Watch = Callable[[str, int, float], None]

_LIVELY = 8.0  # s of the windows that the global search sees
_NUM_LIVELY = 12
_HOLD_EVERY = 4
_APART, _WORSE = 0.3, 1.25
"""What the two simulations may differ by, as a share of the error that is left, and factor on the error of
the fit's start, up to which the result of the fast one is taken."""
_ROUNDS = 12
_NOWHERE: Mapping[str, float] = {}
_AGAIN = " beside a table"


@dataclass(frozen=True)
class Options:
    """How to identify; the defaults suit a robot of servos."""

    free: tuple[str, ...] = ()
    """What may change; by default what the ladder of servo models, or the world's training range, names."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Values that differ from the world's and stay."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By parameter or by quantity."""
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and standard deviation by parameter; of its logarithm where its bounds span a factor."""
    held: tuple[str, ...] | None = None
    """Recordings to hold out, by name; by default every fourth. Empty to hold out none."""
    window: float = 0.0
    """Seconds of open loop that a fit sees at a time, each begun at the measured state; by default 20 for a
    robot of servos, else 1."""
    generations: int = 25
    """Of the global search; 0 to begin at the nominal values."""
    ladder: bool = False
    """Climb a ladder of nested models of motors, too, judged on what is held out; servos always do."""
    beside: bool = True
    """Fit the usual missing effects beside what is free once more, for intervals that cover; without, they
    are those of blocks of time."""
    profile: bool = False
    """Profile the likelihood for the ends of the intervals as well (`sim2real.identify.profile`); takes as
    long again as a fit."""
    seed: int = 0
    threads: int = 0
    complaints: tuple[str, ...] = ()
    """What the log doctor has against the recordings (`sim2real.doctor.intake`); it stays a verdict."""
    checkpoint: Path | None = None
    """File that an interrupted fit goes on from."""


def identify(
    world: World,
    recordings: Sequence[Recording],
    options: Options | None = None,
    watch: Watch = lambda *_: None,
) -> Identification:
    """Find the physics under which a world does what the recordings show.

    Args:
        world: whose published values the fit begins with.
        recordings: of the robot; their joints are mapped on the world's.
        options: what is free, fixed and held out.
        watch: called with what is going on, the number of the round and its cost (mean RMSE).

    Raises:
        RecordingError: for no recordings, joints that don't fit, or nothing left to fit.
        UnknownName: for a parameter or a held-out recording that does not exist.
        InvalidValue: for a world that recordings can't be replayed in.
    """
    options = options or Options()
    if not recordings:
        raise RecordingError("there are no recordings to identify from; load_recordings(folder) reads them")
    began = time.perf_counter()
    motions = motions_of(world, recordings)
    fit = _Fit(
        world,
        motions,
        options,
        watch,
        Checkpoint.at(
            options.checkpoint, world, motions, repr(dataclasses.replace(options, checkpoint=None))
        ),
    )
    return fit.run(began)


class _Joints(NamedTuple):
    """All but a table."""

    problem: Problem
    point: FloatArray
    ladder: tuple[Step, ...]
    fixed: Mapping[str, float]


@dataclass
class _Fit:
    """One identification on its way."""

    world: World
    motions: list[Motion]
    options: Options
    watch: Watch
    checkpoint: Checkpoint
    simulations: int = 0
    diverged: int = 0

    def run(self, began: float) -> Identification:
        fitted, held = split(self.motions, self.options.held)
        servos = is_servo_robot(self.world)
        found = self._joints(self._cut(fitted), self._cut(held))
        rung, first, cut = None, _NOWHERE, self._cut(self.motions)
        if found.ladder and servos:
            rung = table_rung(found.problem, found.point, self._cut(fitted), self._cut(held))
        if rung is not None and rung.kept:
            found, rung = self._beside(found, rung, fitted, held)
            first = settle_plane(found.problem, found.point, rung.hit_in(fitted))
            seen = found.problem.motions
            cut = rung.clear(cut) if rung.clear(seen) == seen else cut
        judged, held_point, ladder, fixed = found
        if rung is not None:
            ladder += (rung.step,)
        final = judged.on(cut) if held else judged
        point = self._solve("refit", final, held_point, False) if held else held_point
        table = (rung, first) if rung is not None and rung.kept else None
        parts = (fitted, held) if servos else (self._cut(fitted), self._cut(held))
        manner = Manner(self.options.beside, self.options.profile)
        points, complaints = (held_point, point), self.options.complaints
        base = opened(self.world, {}, fixed)
        full = Report(self.world, base, fixed, final, points, parts, ladder, manner, complaints, table)
        self._count(judged, final)
        seconds = time.perf_counter() - began
        return full.write(self.options.threads, seconds, (self.simulations, self.diverged))

    def _in_earnest(self, problem: Problem, point: FloatArray) -> tuple[Problem, FloatArray]:
        """The fit; done again in the full simulation if what the fast one found is not true there."""
        if not problem.fast:
            return problem, point
        full = problem.on(problem.motions, fast=False)
        start, end = full.rmse(np.stack((problem.space.start, point))).mean(axis=(1, 2))
        apart = np.mean(
            [
                np.sqrt(((one[0] - other[0]) ** 2).mean(axis=0)) / full.scale
                for one, other in zip(problem.predict(point[None]), full.predict(point[None]), strict=True)
            ]
        )
        if apart <= _APART * end and end <= _WORSE * start:
            self._count(full)
            return problem, point
        self._count(problem)
        better = point if end < start else problem.space.start
        return full, self._solve("fit in full", full, better, False)

    def _joints(self, fitted: list[Motion], held: list[Motion], again: str = "") -> _Joints:
        """Structure and values of all but a table, from some windows and judged on others."""
        names, start, ladder, fixed = self._structure(fitted, held, again)
        base = opened(self.world, {}, fixed)
        space = self._space(base, names).with_start(start)
        fast = is_servo_robot(self.world) and can_stand_in(names)
        judged = Problem.of(base, space, fitted, self.options.threads, fast)
        point = self._solve(f"fit{again}", judged, space.start, not ladder)
        if ladder:
            judged, point = _without_idle_effects(judged, point)
        return _Joints(*self._in_earnest(judged, point), ladder, fixed)

    def _beside(
        self, found: _Joints, rung: TableRung, fitted: list[Motion], held: list[Motion]
    ) -> tuple[_Joints, TableRung]:
        """The joints once more, in windows without contact; and the table judged again with those.

        Contacts look like friction, load and play. Where there is hardly anything without them, the joints
        that were found are fitted again to all of it in the full simulation, with the plane in place.
        """
        self._count(found.problem)
        cut, judges = self._cut(fitted), self._cut(held)
        clear = rung.clear(cut)
        if len(clear) >= CLEAR * len(cut) and rung.clear(judges):
            found = self._joints(clear, rung.clear(judges), _AGAIN)
            again = table_rung(found.problem, found.point, cut, judges)
            return found, again if again is not None and again.kept else rung
        plane = settle_plane(found.problem, found.point, rung.hit_in(fitted)) or rung.each[0]
        problem = found.problem.on(cut, fast=False)
        problem = dataclasses.replace(problem, world=opened(problem.world, {}, plane))
        return found._replace(
            problem=problem, point=self._solve(f"fit{_AGAIN}", problem, found.point, False)
        ), rung

    def _cut(self, motions: Sequence[Motion]) -> list[Motion]:
        return cut(self.world, motions, self.options.window)

    def _lively(self, motions: Sequence[Motion]) -> list[Motion]:
        seconds = min(
            _LIVELY, self.options.window or (_LIVELY if is_servo_robot(self.world) else FREE_WINDOW)
        )
        return liveliest(motions, seconds, _NUM_LIVELY)

    def _count(self, *problems: Problem) -> None:
        self.simulations += sum(problem.simulations for problem in problems)
        self.diverged += sum(problem.diverged for problem in problems)

    def _space(self, world: World, names: Sequence[str]) -> Space:
        free = free_parameters(world, names, self.options.bounds)
        priors = self.options.priors
        return Space(tuple(dataclasses.replace(f, prior=priors.get(f.name)) for f in free))

    def _structure(self, fitted: list[Motion], held: list[Motion], again: str) -> Structure:
        """What is free and fixed, and where the fit begins; by the ladder, unless it was named."""
        fixed, servos = fixed_values(self.world, self.options), is_servo_robot(self.world)
        if self.options.free:
            return Structure(list(self.options.free), {}, (), fixed)
        if not (servos or self.options.ladder) or not held:
            return Structure(trained_parameters(self.world), {}, (), fixed)
        saved = self.checkpoint.structure(again)
        if saved is not None:
            return saved
        climber = Climber(
            opened(self.world, {}, fixed),
            fitted,
            self._lively(fitted),
            held,
            self.options.bounds,
            self.options.generations,
            self.watch,
            fast=servos,
            threads=self.options.threads,
        )
        rungs, joints = ladder_of(self.world, fitted), self.motions[0].joints
        climb = climber.climb(rungs[:1], joints, self.options.seed)
        kept = fixed_values(self.world, self.options, published=True)
        if fixed != kept:
            published = dataclasses.replace(climber, world=opened(self.world, {}, kept))
            other = published.climb(rungs[:1], joints, self.options.seed)
            if other.steps[0].held < climb.steps[0].held:
                climber, climb, fixed = published, other, kept
        climb = climber.climb(rungs, joints, self.options.seed, climb)
        structure = Structure(climb.names, climb.values, tuple(climb.steps), fixed)
        self.checkpoint.keep_structure(structure, again)
        return structure

    def _solve(self, name: str, problem: Problem, start: FloatArray, search_first: bool) -> FloatArray:
        saved = self.checkpoint.point(name, problem.space.names)
        if saved is not None:
            return saved
        if search_first and self.options.generations:
            lively = problem.on(self._lively(problem.motions))
            start = search(
                lively,
                start,
                self.options.generations,
                seed=self.options.seed,
                watch=lambda k, cost, _: self.watch(f"{name}: search", k, cost),
            )
            self._count(lively)
        rounds = _ROUNDS if problem.decoupled else 2 * _ROUNDS
        fit = least_squares(problem, start, rounds, watch=lambda k, cost, _: self.watch(name, k, cost))
        point = settle_integers(
            problem, fit.point, lambda k, cost, _: self.watch(f"{name}: whole steps", k, cost)
        )
        self.checkpoint.keep_point(name, problem.space.names, point)
        return point


def split(motions: Sequence[Motion], held: Sequence[str] | None) -> tuple[list[Motion], list[Motion]]:
    """Motions to fit and motions to hold out: those named, or every fourth.

    Raises:
        UnknownName: for a held-out recording that does not exist.
        RecordingError: if nothing is left to fit.
    """
    names = [motion.name for motion in motions]
    chosen = names[_HOLD_EVERY - 1 :: _HOLD_EVERY] if held is None else list(held)
    if held is None and not chosen and len(names) > 1:
        chosen = names[-1:]
    for name in chosen:
        if name not in names:
            raise UnknownName("held-out recording", name, names)
    fitted = [m for m in motions if m.name not in chosen]
    if not fitted:
        raise RecordingError("every recording is held out; leave some to fit")
    return fitted, [m for m in motions if m.name in chosen]


def _without_idle_effects(problem: Problem, point: FloatArray) -> tuple[Problem, FloatArray]:
    """The problem and the point without effects that were kept, but of which nothing is left to see."""
    idle = {n for n in traceless(problem, problem.linearize(point, central=True)) if _is_effect(n)}
    idle |= {f"{n}_velocity" for n in idle if n.endswith(".stribeck")}  # it shapes nothing then
    keep = [k for k, f in enumerate(problem.space.free) if f.name not in idle]
    if len(keep) == len(point):
        return problem, point
    dropped = {f.name for f in problem.space.free} - {problem.space.free[k].name for k in keep}
    parameters = {name: p for name, p in problem.world.parameters.items() if name not in dropped}
    world = dataclasses.replace(problem.world, parameters=parameters)
    reduced = dataclasses.replace(
        problem, world=world, space=Space(tuple(problem.space.free[k] for k in keep))
    )
    return reduced.on(problem.motions), point[keep]


def _is_effect(name: str) -> bool:
    return name.rpartition(".")[2] in EFFECTS
