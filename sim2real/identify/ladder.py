"""Which actuator model the recordings pay for: nested models, judged on recordings that were not fitted.

Rungs come one after another, each begun where the last kept one ended. A rung is kept for the joints whose
held-out error it lowers, and for no other: what does not predict is not part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.free import Space, free_parameters
from sim2real.identify.problem import Problem
from sim2real.identify.rungs import Rung
from sim2real.identify.search import search
from sim2real.identify.solve import Fit, least_squares
from sim2real.opening import of_joint
from sim2real.replay import Motion
from sim2real.world import World

FloatArray = NDArray[np.float64]
Bounds = Mapping[str, tuple[float, float]]

EFFECTS = ("goal_braking", "rate_limit", "stribeck", "load_friction_motor", "backlash", "speed_loss")
"""Quantities that stand for an effect, which is not there without them."""

GAIN = 0.01
"""Share of the held-out error that a rung must take away to be kept."""


@dataclass(frozen=True)
class Step:
    """What a rung bought."""

    rung: str
    parameters: int
    fit: float
    """Mean RMSE on the fitted recordings."""
    held: float
    """Mean RMSE on the held-out recordings."""
    kept: tuple[str, ...]
    """Joints, or shared parameters, for which it was kept."""
    held_joints: tuple[float, ...]


@dataclass
class Climb:
    """State of a climb: what has been kept, and the way so far."""

    names: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    best: FloatArray | None = None
    """Held-out error by joint of what has been kept."""


@dataclass(frozen=True)
class Climber:
    """Fits rungs to some motions and judges them on others."""

    world: World
    fitted: Sequence[Motion]
    """Windows that the fit sees."""
    lively: Sequence[Motion]
    """Those that the global search sees."""
    held: Sequence[Motion]
    """Windows of the recordings that the fit does not see."""
    bounds: Bounds
    generations: int
    watch: Callable[[str, int, float], None]
    fast: bool = True
    """Each joint alone while climbing, where joints stand alone; for robots of position servos only."""
    threads: int = 1

    def climb(
        self, rungs: Sequence[Rung], joints: Sequence[str], seed: int = 0, state: Climb | None = None
    ) -> Climb:
        """Try every rung in turn; those that a state has behind it are not tried again."""
        state = state or Climb()
        for number, rung in list(enumerate(rungs))[len(state.steps) :]:
            names = state.names + self._added(rung, joints) + list(rung.shared)
            space = Space(tuple(free_parameters(self.world, names, self.bounds))).with_start(state.values)
            problem = Problem.of(self.world, space, self.fitted, self.threads, self.fast)
            start = space.start
            # the first rungs are far from the nominal values, the later ones near the last
            wide = number < _FAR
            generations = self.generations if wide else self.generations // 3
            if generations:
                start = search(
                    problem.on(self.lively),
                    start,
                    generations,
                    sigma=0.25 if wide else 0.08,
                    seed=seed,
                    watch=self._watching(f"{rung.name}: search"),
                )
            fit = self._fitted(problem, start, rung.name)
            held = problem.on(self.held).rmse(fit.point[None])[0].mean(axis=0)
            kept = self._kept(rung, joints, held, state.best)
            values = dict(zip(names, map(float, space.values(fit.point)), strict=True))
            self._keep(state, rung, kept, values)
            if state.best is None:
                state.best = held
            else:
                state.best = self._best(rung, joints, (held, state.best), kept)
            shown = tuple(float(x) for x in held)
            state.steps.append(Step(rung.name, len(names), fit.cost, float(held.mean()), kept, shown))
        return state

    def _fitted(self, problem: Problem, start: FloatArray, name: str) -> Fit:
        """Least squares; of motors until no fresh start of it gains, so that no rung gets another's gain."""
        fit = least_squares(problem, start, rounds=8 if problem.decoupled else 24, watch=self._watching(name))
        for _ in range(0 if problem.fast else _AGAIN):
            before = fit.cost
            fit = least_squares(problem, fit.point, watch=self._watching(name))
            if fit.cost > before * (1 - GAIN / 2):
                break
        return fit

    @staticmethod
    def _best(
        rung: Rung, joints: Sequence[str], errors: tuple[FloatArray, FloatArray], kept: tuple[str, ...]
    ) -> FloatArray:
        """Held-out error by joint of what is kept so far."""
        held, best = errors
        if rung.shared:
            return held if kept else best
        return np.where([joint in kept for joint in joints], held, best)

    def _kept(
        self, rung: Rung, joints: Sequence[str], held: FloatArray, best: FloatArray | None
    ) -> tuple[str, ...]:
        if best is None:
            return tuple(joints)
        if rung.shared:
            return rung.shared if held.mean() < best.mean() * (1 - GAIN) else ()
        gained = held < best * (1 - GAIN)
        return tuple(joint for joint, gain in zip(joints, gained, strict=True) if gain)

    def _keep(self, state: Climb, rung: Rung, kept: tuple[str, ...], values: dict[str, float]) -> None:
        """Take over the values of the joints that gained; the others stay as they were."""
        if not kept:
            return
        state.names += [*self._added(rung, kept), *rung.shared]
        if rung.shared:
            state.values.update(values)
            return
        theirs = {of_joint(self.world, joint, n.rpartition(".")[2]) for n in values for joint in kept}
        state.values.update({n: v for n, v in values.items() if n in theirs})

    def _added(self, rung: Rung, joints: Sequence[str]) -> list[str]:
        return [of_joint(self.world, joint, quantity) for quantity in rung.per_joint for joint in joints]

    def _watching(self, what: str) -> Callable[[int, float, FloatArray], None]:
        return lambda number, cost, _: self.watch(what, number, cost)


_AGAIN = 5
_FAR = 2
"""Rungs whose search begins far from the answer."""
