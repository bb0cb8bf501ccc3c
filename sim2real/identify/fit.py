"""The physics under which a world does what recordings show: which model, and its values.

Some recordings are held out. Models of growing structure are fitted to the others and judged on those
(`sim2real.identify.model_selection`); the chosen one is fitted again to all. A robot of position servos is
fitted joint by joint in a fast stand-in and checked in the full simulation, in which it is fitted again if
the two disagree; any other world is fitted in that one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from sim2real.errors import RecordingError, UnknownName
from sim2real.identify.assess import FittedModel
from sim2real.identify.contacts import CLEAR, Contacts, find_contacts
from sim2real.identify.defaults import cut, fixed_values, problem_of, trained_parameters
from sim2real.identify.identifiability import traceless
from sim2real.identify.least_squares import least_squares, settle_integers
from sim2real.identify.model_selection import EFFECTS, ModelSelection, Structure, candidate_models
from sim2real.identify.options import Options
from sim2real.identify.problem import RecordingProblem, Tally, rmse_of
from sim2real.identify.search import SearchSettings, search
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.kept import Kept
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.motion import LEAST_ROWS
from sim2real.world import World

Watch = Callable[[str, int, float], None]
"""Is told the stage, the number of the round and the least error so far (mean RMSE, rad or m)."""

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
    structure: Structure


@dataclass
class Fitter:
    """One fit on its way."""

    world: World
    motions: list[Motion]
    options: Options
    watch: Watch
    kept: Kept
    key: str = ""
    """Of what is settled: what goes into the fit."""
    tally: Tally = field(default_factory=Tally)

    def run(self) -> FittedModel:
        """Choose the model and fit it; raises what `split` and `free_parameters` do."""
        whole = split(self.motions, self.options.held_out)
        if len(self.motions) == 1:  # which may be split in time
            self.motions = [*whole[0], *whole[1]]
        fitted, held = (cut(self.world, part, self.options.window) for part in whole)
        servos, every = is_servo_robot(self.world), cut(self.world, self.motions, self.options.window)
        found, contacts = self._joints(fitted, held), None
        if found.structure.steps and servos:
            contacts = find_contacts(found.problem, found.point, fitted, held)
        if contacts is not None and contacts.kept:
            found, contacts = self._beside(found, contacts, fitted, held)
            seen = found.problem.motions
            every = contacts.clear(every) if contacts.clear(seen) == seen else every
        problem, held_point, structure = found
        final = problem.on(every) if held else problem
        point = self._solve("refit", final, held_point, settled=True) if held else held_point
        return FittedModel(
            world=self.world,
            base=self.world.with_parameters({}, structure.fixed),
            fixed=structure.fixed,
            problem=final,
            points=(held_point, point),
            parts=whole if servos else (fitted, held),
            selection=structure.steps + (() if contacts is None else (contacts.comparison,)),
            contacts=contacts if contacts is not None and contacts.kept else None,
        )

    def _joints(self, fitted: list[Motion], held: list[Motion], before: _Joints | None = None) -> _Joints:
        """Structure and values of all but a plane, from some windows and judged on others.

        The structure is selected, unless it was named. A second model selection begins where the first one
        ended, and searches no more.
        """
        again, servos = "" if before is None else _AGAIN, is_servo_robot(self.world)
        names = self.options.free or tuple(trained_parameters(self.world))
        found = Structure(names, fixed=fixed_values(self.world, self.options))
        if held and not self.options.free and (servos or self.options.select):
            chosen = partial(self._selected, fitted, held, before)
            found = self.kept.once(f"structure{again}", self.key, Structure, chosen)
        base = self.world.with_parameters({}, found.fixed)
        problem = problem_of(base, fitted, found.names, self.options, found.values, self.tally)
        point = self._solve(f"fit{again}", problem, problem.space.start, anew=not found.steps)
        if found.steps:
            problem, point = _without_idle_effects(problem, point)
        return _Joints(*self._in_earnest(problem, point, again), found)

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
            return problem, point
        better = point if end < start else problem.space.start
        return full, self._solve(f"fit in full{again}", full, better)

    def _beside(
        self, found: _Joints, contacts: Contacts, fitted: list[Motion], held: list[Motion]
    ) -> tuple[_Joints, Contacts]:
        """The joints once more, in windows without contact; and the plane judged again with those.

        Contacts look like friction, load and backlash. Where there is hardly anything without them, the
        joints that were found are fitted again to all of it in the full simulation, with the plane in place.
        """
        clear, judges = contacts.clear(fitted), contacts.clear(held)
        if len(clear) >= CLEAR * len(fitted) and judges:
            found = self._joints(clear, judges, found)
            again = find_contacts(found.problem, found.point, fitted, held, contacts.each[0])
            if again is not None and again.kept:
                return found, again
            return found, contacts.at(found.problem, found.point)
        plane = contacts.plane_in(fitted) or contacts.each[0]
        problem = found.problem.on(fitted, fast=False)
        problem = dataclasses.replace(problem, world=problem.world.with_parameters({}, plane))
        point = self._solve(f"fit{_AGAIN}", problem, found.point, settled=True)
        return found._replace(problem=problem, point=point), contacts.at(problem, point)

    def _selected(self, fitted: list[Motion], held: list[Motion], before: _Joints | None) -> Structure:
        """The model that predicts what is held out best, begun where an earlier fit ended if there is one."""
        models = candidate_models(self.world, fitted)
        selection = ModelSelection(self.world, fitted, held, self.options, self.watch, self.tally)
        if before is not None:
            values = before.problem.space.named(before.point)
            first = Structure(values=values, fixed=before.structure.fixed)
            options = dataclasses.replace(self.options, generations=0)
            return dataclasses.replace(selection, options=options).select(models, first)
        fixed, published = (fixed_values(self.world, self.options, k) for k in (False, True))
        tried = [fixed] if published == fixed else [fixed, published]
        begun = [selection.select(models[:1], Structure(fixed=values)) for values in tried]
        return selection.select(models, min(begun, key=lambda first: first.steps[0].held_out))

    def _solve(
        self,
        name: str,
        problem: RecordingProblem,
        start: FloatArray,
        anew: bool = False,
        settled: bool = False,
    ) -> FloatArray:
        """Where a fit ends, begun with a search if anew; latencies that are settled stay."""

        def solve() -> tuple[float, ...]:
            begun = start
            if anew and self.options.generations:
                settings = SearchSettings(self.options.generations, seed=self.options.seed)
                watch = partial(self.watch, f"{name}: search")
                begun = search(problem.lively(), start, settings, watch).point
            # what the fast simulation found may lie far from what is true in the full one
            rounds = _ROUNDS if problem.decoupled and problem.fast else 2 * _ROUNDS
            late, watch = problem.space.late(), partial(self.watch, name)
            frozen = late if settled else []
            point = least_squares(problem, begun, rounds, watch=watch, frozen=frozen).point
            if late and not settled:
                point = settle_integers(problem, point, partial(self.watch, f"{name}: whole steps"))
            return tuple(point.tolist())

        settled_as = f"{name} of {', '.join(problem.space.names)}"
        return np.array(self.kept.once(settled_as, self.key, tuple[float, ...], solve))


def split(motions: Sequence[Motion], held: Sequence[str] | None) -> tuple[list[Motion], list[Motion]]:
    """Motions to fit and motions to hold out: those named, or every fourth; of a single one its last quarter.

    Raises:
        UnknownName: for a held-out recording that does not exist.
        RecordingError: if nothing is left to fit.
    """
    names = [motion.name for motion in motions]
    if held is None and len(motions) == 1:
        return _in_time(motions[0])
    chosen = (names[_HOLD_EVERY - 1 :: _HOLD_EVERY] or names[-1:]) if held is None else held
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
    notes = (*motion.notes, f"{motion.name} is the only recording, so its last quarter is held out")
    named, last = f"{motion.name} (last quarter)", motion.part(slice(rows, None))
    return [first], [dataclasses.replace(last, name=named, window_of="", notes=notes)]


def _without_idle_effects(
    problem: RecordingProblem, point: FloatArray
) -> tuple[RecordingProblem, FloatArray]:
    """The problem and the point without effects that were kept, but of which nothing is left to see."""
    seen = problem.linearize(point, central=True)
    idle = {name for name in traceless(problem, seen) if name.rpartition(".")[2] in EFFECTS}
    idle |= {f"{n}_velocity" for n in idle if n.endswith(".stribeck")}  # it shapes nothing then
    keep = [k for k, f in enumerate(problem.space.free) if f.name not in idle]
    if len(keep) == len(point):
        return problem, point
    parameters = {name: p for name, p in problem.world.parameters.items() if name not in idle}
    space = ParameterSpace(tuple(problem.space.free[k] for k in keep))
    return problem.among(dataclasses.replace(problem.world, parameters=parameters), space), point[keep]
