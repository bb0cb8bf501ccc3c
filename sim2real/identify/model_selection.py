"""Which actuator model the recordings pay for: nested models, judged on recordings that were not fitted.

Models come one after another, each an extension of the last one that was kept and begun where that ended. An
extension is kept for the joints whose held-out error it lowers, and for no other: what does not predict is
not part of the result. There is a ladder of them for position servos, and one for motors that are told a
force or a voltage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim2real.identify.defaults import masses_of, trained_parameters
from sim2real.identify.least_squares import Fit, least_squares
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.search import search_recordings
from sim2real.identify.space import FloatArray, ParameterSpace, free_parameters
from sim2real.opening import drives, of_joint
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.decoupled import stand_alone
from sim2real.world import World

EFFECTS = ("goal_braking", "rate_limit", "stribeck", "load_friction_motor", "backlash", "speed_loss")
"""Quantities that stand for an effect, which is not there without them."""

_GAIN = 0.01
"""Share of the held-out error that an extension must take away to be kept."""
_AGAIN = 5
_FAR = 2
"""Models whose search begins far from the answer."""


@dataclass(frozen=True)
class Extension:
    """What a model of the ladder frees beyond the one before."""

    name: str
    per_joint: tuple[str, ...] = ()
    """Quantities that every driven joint gets one of, or its actuator."""
    shared: tuple[str, ...] = ()
    """Names of single parameters."""

    def names(self, world: World, joints: Sequence[str]) -> list[str]:
        """Parameters of some joints, then the shared ones."""
        own = [of_joint(world, joint, quantity) for quantity in self.per_joint for joint in joints]
        return [*own, *self.shared]


@dataclass(frozen=True)
class Comparison:
    """What an extension bought."""

    rung: str
    """Its name."""
    parameters: int
    fit: float
    """Mean RMSE on the fitted recordings."""
    held: float
    """Mean RMSE on the held-out recordings."""
    kept: tuple[str, ...]
    """Joints, or shared parameters, for which it was kept."""
    held_joints: tuple[float, ...]


@dataclass
class Selected:
    """The model so far: what has been kept, and the way there."""

    names: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    steps: list[Comparison] = field(default_factory=list)
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
    bounds: Mapping[str, tuple[float, float]]
    generations: int
    watch: Callable[[str, int, float], None]
    fast: bool = True
    """Each joint alone meanwhile, where joints stand alone; for robots of position servos only."""
    threads: int = 1

    def select(
        self,
        ladder: Sequence[Extension],
        joints: Sequence[str],
        seed: int = 0,
        state: Selected | None = None,
    ) -> Selected:
        """Try every extension in turn; those that a state has behind it are not tried again."""
        state = state or Selected()
        for number, extension in list(enumerate(ladder))[len(state.steps) :]:
            names = state.names + extension.names(self.world, joints)
            free = free_parameters(self.world, names, self.bounds)
            space = ParameterSpace(tuple(free)).with_start(state.values)
            problem = RecordingProblem.of(self.world, space, self.fitted, self.threads, self.fast)
            start = space.start
            # the first models are far from the nominal values, the later ones near the last
            far = number < _FAR
            generations = self.generations if far else self.generations // 3
            if generations:
                watch = self._watching(f"{extension.name}: search")
                lively = problem.on(self.lively)
                start = search_recordings(lively, start, generations, seed, 0.25 if far else 0.08, watch)
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
        self, state: Selected, extension: Extension, kept: tuple[str, ...], values: dict[str, float]
    ) -> None:
        """Take over the values of the joints that gained; the others stay as they were."""
        if kept:
            state.names += extension.names(self.world, kept)
            if not extension.shared:
                theirs = {of_joint(self.world, joint, n.rpartition(".")[2]) for n in values for joint in kept}
                values = {n: v for n, v in values.items() if n in theirs}
            state.values.update(values)

    def _watching(self, what: str) -> Callable[[int, float], None]:
        return lambda number, cost: self.watch(what, number, cost)


def ladder_of(world: World, motions: Sequence[Motion]) -> tuple[Extension, ...]:
    """The ladder of position servos, or that of motors that are told a force or a voltage.

    Args:
        world: whose actuators they are.
        motions: what they are fitted to.
    """
    if not is_servo_robot(world):
        return motor_ladder(world)
    return servo_ladder(world, geared=stand_alone(world, motions))


def servo_ladder(world: World, geared: bool) -> tuple[Extension, ...]:
    """Position servos: linear, dry friction, a goal with limits, masses, friction by speed and load, play.

    The torque-speed line comes last, and only for servos that have a force limit to fall with speed.

    Args:
        world: whose servos they are.
        geared: whether rotors outweigh links. Where they don't, servos can't be told before the masses are:
            both make the first model.
    """
    linear, masses = ("kp", "damping", "latency", "bias_torque"), masses_of(world)
    first = (
        Extension("linear servo", linear) if geared else Extension("linear servo and masses", linear, masses)
    )
    ladder = [
        first,
        Extension("+ Coulomb friction", ("frictionloss",)),
        Extension("+ braking of the goal", ("goal_braking",)),
        Extension("+ top speed of the goal", ("rate_limit",)),
        *([Extension("+ masses", (), masses)] if geared else []),
        Extension("+ Stribeck friction", ("stribeck", "stribeck_velocity")),
        Extension("+ load friction", ("load_friction_motor",)),
    ]
    if (world.model.body_jntnum <= 1).all():
        ladder.append(Extension("+ backlash", ("backlash",)))
    if world.model.actuator_forcelimited.all():
        ladder.append(Extension("+ torque-speed line", ("speed_loss",)))
    return tuple(ladder)


def motor_ladder(world: World) -> tuple[Extension, ...]:
    """Motors: linear with viscous friction, latency, dry friction, by speed and load, torque by speed.

    The first model frees what the world's training range names, less what later ones are about. A motor with
    a force limit gets a line that falls with speed; any other loses torque by its back-EMF, unless its joint
    has a damping of its own, which is the same column.
    """
    model = world.model
    trained = [n for n in trained_parameters(world) if quantity_of(n).acts == MODEL]
    late = tuple(n for n in trained if n.endswith(".latency"))
    dry = tuple(n for n in trained if n.endswith(".frictionloss"))
    first = tuple(n for n in trained if n not in (*late, *dry))
    driven, names = drives(world)
    at_rest = tuple(f"{joint}.{q}" for joint in driven for q in ("stribeck", "stribeck_velocity"))
    damped = {p.elements for n, p in world.parameters.items() if n in first and n.endswith(".damping")}
    line = [
        f"{name}.speed_loss" if model.actuator_forcelimited[k] else f"{name}.back_emf"
        for k, name in enumerate(names)
        if model.actuator_forcelimited[k] or (driven[k],) not in damped
    ]
    ladder = [
        Extension("linear motor", (), first),
        Extension("+ latency", (), late or tuple(f"{name}.latency" for name in names)),
        Extension("+ Coulomb friction", (), dry or tuple(f"{joint}.frictionloss" for joint in driven)),
        Extension("+ Stribeck friction", (), at_rest),
        Extension("+ load friction", (), tuple(f"{joint}.load_friction_motor" for joint in driven)),
        Extension("+ torque-speed line", (), tuple(line)),
    ]
    return tuple(extension for extension in ladder if extension.shared)
