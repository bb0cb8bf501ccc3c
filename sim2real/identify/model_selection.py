"""Which actuator model the recordings pay for: nested models, judged on recordings that were not fitted.

Models come one after another, each an extension of the last one that was kept and begun where that ended. An
extension is kept for the joints whose held-out error it lowers, and for no other: what does not predict is
not part of the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from sim2real.identify.defaults import masses_of, problem_of, trained_parameters
from sim2real.identify.least_squares import least_squares
from sim2real.identify.options import Options
from sim2real.identify.problem import RecordingProblem, Tally
from sim2real.identify.search import Found, SearchSettings, Watch, search
from sim2real.identify.space import FloatArray
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.decoupled import stand_alone
from sim2real.world import World, drives

_GAIN = 0.01
"""Least share of the held-out error that an extension must take away to be kept."""
_AGAIN = 5
_FAR = 2
"""Models whose search begins far from the answer."""

EFFECTS = ("goal_braking", "rate_limit", "stribeck", "load_friction_motor", "backlash", "speed_loss")
"""Quantities that stand for an effect, which is not there without them."""


@dataclass(frozen=True)
class Extension:
    """What a candidate model frees beyond the one before."""

    name: str
    per_joint: tuple[str, ...] = ()
    """Quantities that every driven joint gets one of, or its actuator."""
    shared: tuple[str, ...] = ()
    """Names of single parameters."""

    def names(self, world: World, joints: Sequence[str]) -> list[str]:
        """Parameters of some joints, then the shared ones."""
        own = [world.of_joint(joint, quantity) for quantity in self.per_joint for joint in joints]
        return [*own, *self.shared]

    def kept(
        self, joints: Sequence[str], held: FloatArray, best: Sequence[float], rows: int
    ) -> tuple[str, ...]:
        """Joints, or shared parameters, for which it lowers the held-out error; all of a first model.

        An error of so many rows is known to one part in √(2 rows), and smaller gains may be chance.
        """
        if not best:
            return tuple(joints)
        least = 1 - max(_GAIN, (2 * rows) ** -0.5)
        if self.shared:
            return self.shared if held.mean() < np.mean(best) * least else ()
        return tuple(np.array(joints)[held < np.array(best) * least].tolist())


@dataclass(frozen=True)
class Comparison:
    """What an extension bought."""

    model: str
    """Name of the candidate."""
    parameters: int
    fit: float
    """Mean RMSE on the fitted recordings."""
    held_out: float
    """Mean RMSE on the held-out recordings."""
    kept: tuple[str, ...]
    """Joints, or shared parameters, for which it was kept."""
    held_out_joints: tuple[float, ...]


@dataclass(frozen=True)
class Structure:
    """A model: what is free and fixed, and the way there."""

    names: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    """Where a fit of it begins."""
    steps: tuple[Comparison, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Values that differ from the world's and stay."""
    best: tuple[float, ...] = ()
    """Held-out error by joint of what has been kept."""


@dataclass(frozen=True)
class ModelSelection:
    """Fits extensions to some motions and judges them on others."""

    world: World
    fitted: Sequence[Motion]
    """Windows that the fit sees."""
    held_out: Sequence[Motion]
    """Windows of the recordings that the fit does not see."""
    options: Options
    watch: Callable[[str, int, float], None] = lambda *_: None
    tally: Tally = field(default_factory=Tally)

    def select(self, models: Sequence[Extension], state: Structure) -> Structure:
        """Try every extension in turn; those that a state has behind it are not tried again."""
        generations, joints = self.options.generations, self.fitted[0].joints
        world = self.world.with_parameters({}, state.fixed)
        for number, extension in list(enumerate(models))[len(state.steps) :]:
            names = (*state.names, *extension.names(self.world, joints))
            problem = problem_of(world, self.fitted, names, self.options, state.values, self.tally)
            start = problem.space.start
            # the first models are far from the nominal values, the later ones near the last
            far = number < _FAR
            few, spread = (generations, 0.25) if far else (generations // 3, 0.08)
            if few:
                settings = SearchSettings(few, spread=spread, seed=self.options.seed)
                watch = partial(self.watch, f"{extension.name}: search")
                found = search(problem.lively(), start, settings, watch).point
                start = np.stack([start, found])
            # what joints share is found once, and again at the end: in between they are fitted apart
            mixed = problem.owners if problem.fast else []
            still = [k for k, owner in enumerate(mixed) if owner is None and names[k] not in extension.shared]
            fit = self._fitted(problem, start, still, partial(self.watch, extension.name))
            held = problem.on(self.held_out).rmse(fit.point[None])[0].mean(axis=0)
            rows = sum(len(motion.time) for motion in self.held_out)
            kept = extension.kept(joints, held, state.best, rows)
            numbers = fit.cost, float(held.mean()), kept, tuple(held.tolist())
            steps = (*state.steps, Comparison(extension.name, len(names), *numbers))
            gained = [joint in kept or bool(kept and extension.shared) for joint in joints]
            best = tuple(np.where(gained, held, state.best or held).tolist())
            state = dataclasses.replace(state, steps=steps, best=best)
            if kept:  # values of joints that did not gain stay as they were
                theirs = [k for k, its in enumerate(gained) if its]
                own = {
                    name: value
                    for k, (name, value) in enumerate(problem.space.named(fit.point).items())
                    if extension.shared or problem.about(k) in theirs
                }
                names = (*state.names, *extension.names(self.world, kept))
                state = dataclasses.replace(state, names=names, values={**state.values, **own})
        return state

    @staticmethod
    def _fitted(problem: RecordingProblem, start: FloatArray, still: Sequence[int], watch: Watch) -> Found:
        """Least squares; of motors until no fresh start of it gains, so that no model gets another's gain."""
        fit = least_squares(problem, start, 8 if problem.decoupled else 24, watch=watch, frozen=still)
        for _ in range(0 if problem.fast else _AGAIN):
            before = fit.cost
            fit = least_squares(problem, fit.point, watch=watch)
            if fit.cost > before * (1 - _GAIN / 2):
                break
        return fit


def candidate_models(world: World, motions: Sequence[Motion] | None = None) -> tuple[Extension, ...]:
    """Nested models of position servos, or of motors that are told a force or a voltage.

    What they are fitted to need not be known yet.
    """
    if not is_servo_robot(world):
        return _motor_models(world)
    return _servo_models(world, geared=motions is None or stand_alone(world, motions))


def _servo_models(world: World, geared: bool) -> tuple[Extension, ...]:
    """Position servos: linear, dry friction, a goal with limits, masses, friction by speed, load, backlash.

    The torque-speed line comes last, and only for servos that have a force limit to fall with speed. Unless
    they are geared, rotors outweighing links, servos can't be told before the masses are: both make the first
    model.
    """
    linear, masses = ("kp", "damping", "latency", "bias_torque"), masses_of(world)
    first = (
        Extension("linear servo", linear) if geared else Extension("linear servo and masses", linear, masses)
    )
    models = [
        first,
        Extension("+ Coulomb friction", ("frictionloss",)),
        Extension("+ braking of the goal", ("goal_braking",)),
        Extension("+ top speed of the goal", ("rate_limit",)),
        *([Extension("+ masses", (), masses)] if geared else []),
        Extension("+ Stribeck friction", ("stribeck", "stribeck_velocity")),
        Extension("+ load friction", ("load_friction_motor",)),
    ]
    if (world.model.body_jntnum <= 1).all():
        models.append(Extension("+ backlash", ("backlash",)))
    if world.model.actuator_forcelimited.all():
        models.append(Extension("+ torque-speed line", ("speed_loss",)))
    return tuple(models)


def _motor_models(world: World) -> tuple[Extension, ...]:
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
    driven, names = drives(world.model)
    joints = [joint for joint in driven if joint]
    at_rest = tuple(f"{joint}.{q}" for joint in joints for q in ("stribeck", "stribeck_velocity"))
    damped = {p.elements for n, p in world.parameters.items() if n in first and n.endswith(".damping")}
    line = [
        f"{name}.speed_loss" if model.actuator_forcelimited[k] else f"{name}.back_emf"
        for k, name in enumerate(names)
        if model.actuator_forcelimited[k] or (driven[k],) not in damped
    ]
    line = [name for name in line if world.can_have(name)]
    models = [
        Extension("linear motor", (), first),
        Extension("+ latency", (), late or tuple(f"{name}.latency" for name in names)),
        Extension("+ Coulomb friction", (), dry or tuple(f"{joint}.frictionloss" for joint in joints)),
        Extension("+ Stribeck friction", (), at_rest),
        Extension("+ load friction", (), tuple(f"{joint}.load_friction_motor" for joint in joints)),
        Extension("+ torque-speed line", (), tuple(line)),
    ]
    return tuple(extension for extension in models if extension.shared)
