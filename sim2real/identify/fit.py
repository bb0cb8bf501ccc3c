"""The physics under which a world does what recordings show: which model, and its values.

Some recordings are held out. Models of growing structure are fitted to the others and judged on those
(`sim2real.identify.model_selection`); the chosen one is fitted again to all. A robot of position servos is
fitted joint by joint in a fast stand-in and checked in the full simulation, in which it is fitted again if
the two disagree; any other world is fitted in that one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from sim2real.errors import RecordingError, UnknownName
from sim2real.identify.assess import FittedModel
from sim2real.identify.checkpoint import Checkpoint
from sim2real.identify.contacts import CLEAR, Contacts, find_contacts
from sim2real.identify.defaults import FREE_WINDOW, cut, fixed_values, problem_of, trained_parameters
from sim2real.identify.identifiability import traceless
from sim2real.identify.least_squares import least_squares, settle_integers
from sim2real.identify.model_selection import EFFECTS, Comparison, ModelSelection, Structure, candidate_models
from sim2real.identify.options import Options
from sim2real.identify.problem import RecordingProblem, rmse_of
from sim2real.identify.search import SearchSettings, search
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.replay import Motion, is_servo_robot, stays_put
from sim2real.replay.motion import LEAST_ROWS, liveliest
from sim2real.world import World

Watch = Callable[[str, int, float], None]
"""Is told the stage, the number of the round and the least error so far (mean RMSE, rad or m)."""

_LIVELY = 8.0  # s of the windows that the global search sees
_NUM_LIVELY = 12
_HOLD_EVERY = 4
_APART, _WORSE = 0.3, 1.25
"""What the two simulations may differ by, as a share of the error that is left, and factor on the error of
the fit's start, up to which the result of the fast one is taken."""
_ROUNDS = 12
_AGAIN = " beside a table"


class _Joints(NamedTuple):
    """All but a plane that the robot touches."""

    problem: RecordingProblem
    point: FloatArray
    selection: tuple[Comparison, ...]
    fixed: Mapping[str, float]


@dataclass
class Fitter:
    """One fit on its way."""

    world: World
    motions: list[Motion]
    options: Options
    watch: Watch
    checkpoint: Checkpoint
    simulations: int = 0
    diverged: int = 0

    def run(self) -> FittedModel:
        """Choose the model and fit it.

        Raises:
            RecordingError: if nothing is left to fit.
            UnknownName: for a parameter or a held-out recording that does not exist.
        """
        fitted, held = split(self.motions, self.options.held_out)
        if len(self.motions) == 1:  # which may be split in time
            self.motions = [*fitted, *held]
        servos = is_servo_robot(self.world)
        found = self._joints(self._cut(fitted), self._cut(held))
        contacts, every = None, self._cut(self.motions)
        first: Mapping[str, float] = {}
        if found.selection and servos:
            contacts = find_contacts(found.problem, found.point, self._cut(fitted), self._cut(held))
        if contacts is not None and contacts.kept:
            found, contacts = self._beside(found, contacts, fitted, held)
            first = contacts.plane_in(fitted)
            seen = found.problem.motions
            every = contacts.clear(every) if contacts.clear(seen) == seen else every
        problem, held_point, selection, fixed = found
        if contacts is not None:
            selection += (contacts.comparison,)
        final = problem.on(every) if held else problem
        point = self._solve("refit", final, held_point, settled=True) if held else held_point
        self._count(problem, final)
        parts = (fitted, held) if servos else (self._cut(fitted), self._cut(held))
        plane = (contacts, first) if contacts is not None and contacts.kept else None
        base = self.world.with_parameters({}, fixed)
        return FittedModel(self.world, base, fixed, final, (held_point, point), parts, selection, plane)

    def _joints(self, fitted: list[Motion], held: list[Motion], before: _Joints | None = None) -> _Joints:
        """Structure and values of all but a plane, from some windows and judged on others.

        A second model selection begins where the first one ended, and searches no more.
        """
        again = "" if before is None else _AGAIN
        found = self._structure(fitted, held, before)
        selection, base = tuple(found.steps), self.world.with_parameters({}, found.fixed)
        problem = problem_of(base, fitted, found.names, self.options, found.values)
        point = self._solve(f"fit{again}", problem, problem.space.start, not selection)
        if selection:
            problem, point = _without_idle_effects(problem, point)
        return _Joints(*self._in_earnest(problem, point, again), selection, found.fixed)

    def _in_earnest(
        self, problem: RecordingProblem, point: FloatArray, again: str
    ) -> tuple[RecordingProblem, FloatArray]:
        """The fit; done again in the full simulation if what the fast one found is not true there."""
        if not problem.fast:
            return problem, point
        full = problem.on(problem.motions, fast=False)
        errors = full.errors(np.stack((problem.space.start, point)))
        start, end = full.sizes(errors)
        pairs = zip(problem.errors(point[None]), errors, strict=True)
        apart = rmse_of([a[0] - b[1] for a, b in pairs]).mean()
        if apart <= _APART * end and end <= _WORSE * start:
            self._count(full)
            return problem, point
        self._count(problem)
        better = point if end < start else problem.space.start
        return full, self._solve(f"fit in full{again}", full, better)

    def _beside(
        self, found: _Joints, contacts: Contacts, fitted: list[Motion], held: list[Motion]
    ) -> tuple[_Joints, Contacts]:
        """The joints once more, in windows without contact; and the plane judged again with those.

        Contacts look like friction, load and backlash. Where there is hardly anything without them, the
        joints that were found are fitted again to all of it in the full simulation, with the plane in place.
        """
        self._count(found.problem)
        seen, judges = self._cut(fitted), self._cut(held)
        clear = contacts.clear(seen)
        if len(clear) >= CLEAR * len(seen) and contacts.clear(judges):
            found = self._joints(clear, contacts.clear(judges), found)
            again = find_contacts(found.problem, found.point, seen, judges, contacts.each[0])
            if again is not None and again.kept:
                return found, again
            return found, contacts.at(found.problem, found.point)
        plane = contacts.plane_in(fitted) or contacts.each[0]
        problem = found.problem.on(seen, fast=False)
        problem = dataclasses.replace(problem, world=problem.world.with_parameters({}, plane))
        point = self._solve(f"fit{_AGAIN}", problem, found.point, settled=True)
        return found._replace(problem=problem, point=point), contacts.at(problem, point)

    def _cut(self, motions: Sequence[Motion]) -> list[Motion]:
        return cut(self.world, motions, self.options.window)

    def _lively(self, motions: Sequence[Motion]) -> list[Motion]:
        usual = _LIVELY if stays_put(self.world) else FREE_WINDOW
        return liveliest(motions, min(_LIVELY, self.options.window or usual), _NUM_LIVELY)

    def _count(self, *problems: RecordingProblem) -> None:
        self.simulations += sum(problem.simulations for problem in problems)
        self.diverged += sum(problem.diverged for problem in problems)

    def _structure(self, fitted: list[Motion], held: list[Motion], before: _Joints | None) -> Structure:
        """What is free and fixed, and where the fit begins; by model selection, unless it was named."""
        fixed, servos = fixed_values(self.world, self.options), is_servo_robot(self.world)
        if self.options.free:
            return Structure(list(self.options.free), fixed=fixed)
        if not (servos or self.options.select) or not held:
            return Structure(trained_parameters(self.world), fixed=fixed)
        name = f"structure{'' if before is None else _AGAIN}"
        chosen = self.checkpoint.once(name, lambda: self._selected(fitted, held, before).to_json())
        return Structure.of(chosen)

    def _selected(self, fitted: list[Motion], held: list[Motion], before: _Joints | None) -> Structure:
        """The model that predicts what is held out best, begun where an earlier fit ended if there is one."""
        models, joints = candidate_models(self.world, fitted), self.motions[0].joints
        windows = fitted, self._lively(fitted), held
        if before is None:
            begun: list[tuple[ModelSelection, Structure]] = []
            for published in (False, True):
                fixed = fixed_values(self.world, self.options, published)
                if begun and begun[0][1].fixed == fixed:
                    break
                world = self.world.with_parameters({}, fixed)
                selection = ModelSelection(world, *windows, self.options, self.watch)
                begun.append((selection, selection.select(models[:1], joints, Structure(fixed=fixed))))
            selection, first = min(begun, key=lambda pair: pair[1].steps[0].held_out)
        else:
            space, world = before.problem.space, self.world.with_parameters({}, before.fixed)
            values = dict(zip(space.names, map(float, space.values(before.point)), strict=True))
            options = dataclasses.replace(self.options, generations=0)
            selection = ModelSelection(world, *windows, options, self.watch)
            first = Structure(values=values, fixed=dict(before.fixed))
        return selection.select(models, joints, first)

    def _solve(
        self,
        name: str,
        problem: RecordingProblem,
        start: FloatArray,
        anew: bool = False,
        settled: bool = False,
    ) -> FloatArray:
        """Where a fit ends, begun with a search if anew; latencies that are settled stay."""

        def solve() -> list[float]:
            begun = start
            if anew and self.options.generations:
                lively = problem.on(self._lively(problem.motions))
                settings = SearchSettings(self.options.generations, seed=self.options.seed)
                begun = search(lively, start, settings, partial(self.watch, f"{name}: search")).point
                self._count(lively)
            # what the fast simulation found may lie far from what is true in the full one
            rounds = _ROUNDS if problem.decoupled and problem.fast else 2 * _ROUNDS
            frozen, watch = problem.space.late() if settled else [], partial(self.watch, name)
            point = least_squares(problem, begun, rounds, watch=watch, frozen=frozen).point
            if not settled:
                point = settle_integers(problem, point, partial(self.watch, f"{name}: whole steps"))
            return [float(x) for x in point]

        return np.array(self.checkpoint.once(f"{name} of {', '.join(problem.space.names)}", solve))


def split(motions: Sequence[Motion], held: Sequence[str] | None) -> tuple[list[Motion], list[Motion]]:
    """Motions to fit and motions to hold out: those named, or every fourth; of a single one its last quarter.

    Raises:
        UnknownName: for a held-out recording that does not exist.
        RecordingError: if nothing is left to fit.
    """
    names = [motion.name for motion in motions]
    chosen = names[_HOLD_EVERY - 1 :: _HOLD_EVERY] if held is None else list(held)
    if held is None and len(motions) == 1:
        return _in_time(motions[0])
    if held is None and not chosen:
        chosen = names[-1:]
    for name in chosen:
        if name not in names:
            raise UnknownName("held-out recording", name, names)
    fitted = [m for m in motions if m.name not in chosen]
    if not fitted:
        raise RecordingError("every recording is held out; leave some to fit")
    return fitted, [m for m in motions if m.name in chosen]


def _in_time(motion: Motion) -> tuple[list[Motion], list[Motion]]:
    """A motion but for its last quarter, and that, if they are long enough and it can be cut."""
    rows = len(motion.time) * 3 // 4
    if motion.whole or len(motion.time) - rows < LEAST_ROWS:
        return [motion], []
    first = dataclasses.replace(motion.part(slice(0, rows)), name=motion.name)
    note = f"{motion.name} is the only recording, so its last quarter is held out"
    last = dataclasses.replace(
        motion.part(slice(rows, None)),
        name=f"{motion.name} (last quarter)",
        window_of="",
        notes=(*motion.notes, note),
    )
    return [first], [last]


def _without_idle_effects(
    problem: RecordingProblem, point: FloatArray
) -> tuple[RecordingProblem, FloatArray]:
    """The problem and the point without effects that were kept, but of which nothing is left to see."""
    seen = problem.linearize(point, central=True)
    idle = {
        n
        for n in traceless(problem, seen.curvature.sum(axis=0), seen.loss)
        if n.rpartition(".")[2] in EFFECTS
    }
    idle |= {f"{n}_velocity" for n in idle if n.endswith(".stribeck")}  # it shapes nothing then
    keep = [k for k, f in enumerate(problem.space.free) if f.name not in idle]
    if len(keep) == len(point):
        return problem, point
    parameters = {name: p for name, p in problem.world.parameters.items() if name not in idle}
    space = ParameterSpace(tuple(problem.space.free[k] for k in keep))
    return problem.among(dataclasses.replace(problem.world, parameters=parameters), space), point[keep]
