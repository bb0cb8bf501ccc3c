"""Which actuator model the recordings pay for: nested models, judged on recordings that were not fitted.

Models come one after another, each an extension of the last one that was kept and begun where that ended. An
extension is kept for the joints whose held-out error it lowers, and for no other: what does not predict is
not part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim2real.identify.actuator_models import Extension
from sim2real.identify.least_squares import Fit, least_squares
from sim2real.identify.options import Options
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.search import search_recordings
from sim2real.identify.space import FloatArray, ParameterSpace, free_parameters
from sim2real.replay import Motion
from sim2real.world import World

_GAIN = 0.01
"""Share of the held-out error that an extension must take away to be kept."""
_AGAIN = 5
_FAR = 2
"""Models whose search begins far from the answer."""


@dataclass(frozen=True)
class Comparison:
    """What an extension bought."""

    model: str
    """Name of the candidate."""
    parameters: int
    fit: float
    """Mean RMSE on the fitted recordings."""
    held: float
    """Mean RMSE on the held-out recordings."""
    kept: tuple[str, ...]
    """Joints, or shared parameters, for which it was kept."""
    held_joints: tuple[float, ...]


@dataclass
class Structure:
    """A model: what is free and fixed, and the way there."""

    names: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    """Where a fit of it begins."""
    steps: list[Comparison] = field(default_factory=list)
    fixed: dict[str, float] = field(default_factory=dict)
    """Values that differ from the world's and stay."""
    best: FloatArray | None = None
    """Held-out error by joint of what has been kept."""


@dataclass(frozen=True)
class ModelSelection:
    """Fits extensions to some motions and judges them on others."""

    world: World
    fitted: Sequence[Motion]
    """Windows that the fit sees."""
    lively: Sequence[Motion]
    """Those that the global search sees."""
    held: Sequence[Motion]
    """Windows of the recordings that the fit does not see."""
    options: Options
    watch: Callable[[str, int, float], None] = lambda *_: None
    fast: bool = True
    """Each joint alone meanwhile, where joints stand alone; for robots of position servos only."""

    def select(self, models: Sequence[Extension], joints: Sequence[str], state: Structure) -> Structure:
        """Try every extension in turn; those that a state has behind it are not tried again."""
        generations, seed = self.options.generations, self.options.seed
        for number, extension in list(enumerate(models))[len(state.steps) :]:
            names = state.names + extension.names(self.world, joints)
            free = free_parameters(self.world, names, self.options.bounds)
            space = ParameterSpace(tuple(free)).with_start(state.values)
            problem = RecordingProblem.of(self.world, space, self.fitted, self.options.threads, self.fast)
            start = space.start
            # the first models are far from the nominal values, the later ones near the last
            far = number < _FAR
            few, spread = (generations, 0.25) if far else (generations // 3, 0.08)
            if few:
                watch = self._watching(f"{extension.name}: search")
                start = search_recordings(problem.on(self.lively), start, few, seed, spread, watch)
            fit = self._fitted(problem, start, extension.name)
            held = problem.on(self.held).rmse(fit.point[None])[0].mean(axis=0)
            kept = self._kept(extension, joints, held, state.best)
            self._keep(
                state, extension, kept, dict(zip(names, map(float, space.values(fit.point)), strict=True))
            )
            if state.best is None or (extension.shared and kept):
                state.best = held
            else:
                state.best = np.where([joint in kept for joint in joints], held, state.best)
            by_joint = tuple(float(x) for x in held)
            comparison = Comparison(extension.name, len(names), fit.cost, float(held.mean()), kept, by_joint)
            state.steps.append(comparison)
        return state

    def _fitted(self, problem: RecordingProblem, start: FloatArray, name: str) -> Fit:
        """Least squares; of motors until no fresh start of it gains, so that no model gets another's gain."""
        fit = least_squares(problem, start, 8 if problem.decoupled else 24, watch=self._watching(name))
        for _ in range(0 if problem.fast else _AGAIN):
            before = fit.cost
            fit = least_squares(problem, fit.point, watch=self._watching(name))
            if fit.cost > before * (1 - _GAIN / 2):
                break
        return fit

    @staticmethod
    def _kept(
        extension: Extension, joints: Sequence[str], held: FloatArray, best: FloatArray | None
    ) -> tuple[str, ...]:
        if best is None:
            return tuple(joints)
        if extension.shared:
            return extension.shared if held.mean() < best.mean() * (1 - _GAIN) else ()
        gained = held < best * (1 - _GAIN)
        return tuple(joint for joint, gain in zip(joints, gained, strict=True) if gain)

    def _keep(
        self, state: Structure, extension: Extension, kept: tuple[str, ...], values: dict[str, float]
    ) -> None:
        """Take over the values of the joints that gained; the others stay as they were."""
        if kept:
            state.names += extension.names(self.world, kept)
            if not extension.shared:
                theirs = {self.world.of_joint(joint, n.rpartition(".")[2]) for n in values for joint in kept}
                values = {n: v for n, v in values.items() if n in theirs}
            state.values.update(values)

    def _watching(self, what: str) -> Callable[[int, float], None]:
        return lambda number, cost: self.watch(what, number, cost)
