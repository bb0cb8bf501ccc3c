"""What a fit may have taken for something else: the usual effects that a model lacks, opened beside it.

    enlarged = enlarge(problem, point)
    print(enlarged.lack.text)           # "with motor.latency = 2 physics steps the error would be …"

A robot that answers late, seen by a model without latency, looks heavy; no resampling of its recordings says
so, for all of them are biased alike. So the fit is done once more with nuisance parameters (Kennedy and
O'Hagan 2001; Brynjarsdóttir and O'Hagan 2014): latency, a late sensor, dry and viscous friction, rotor
inertia and a constant torque of every joint, and whatever else the world gives a range, for which they are
not free already. Each is held near its nominal value by a prior of the size at which it would make all of
the error that is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.identify.free import Free, Space
from sim2real.identify.problem import Linear, Problem
from sim2real.identify.solve import least_squares, prior_curvature
from sim2real.opening import opened, own_value
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import READ_DELAY, is_servo_robot
from sim2real.replay.decoupled import can_stand_in
from sim2real.world import World

FloatArray = NDArray[np.float64]

_PROBE = 0.05
"""Of a joint's typical torque, its inertia or a parameter's range: what an effect is tried at first."""
_TYPICAL = 0.1  # s in which a joint typically gains its speed
_REACH = 5.0
"""Prior standard deviations from the nominal value that an effect may reach."""
_TRACE = 0.01
"""Share of its column that an effect must have for itself. One that looks like what is free already (a weak
motor and heavy masses) could only be told by its prior: whoever fixes the scale fixes it."""
_ROUNDS, _SERVO_ROUNDS = 8, 3
_GAIN = 0.25
"""Share of the error that all effects must take away to be called missing."""
_WHITE = 3.0
"""Errors up to this many times the white noise of the measurement lack nothing."""
_PART = 0.1
"""Share of that for which an effect must stand to be named."""


@dataclass(frozen=True)
class Suspect:
    """An effect that the model lacks and that would explain much of what is left."""

    name: str
    unit: str
    nominal: float
    value: float


@dataclass(frozen=True)
class Lack:
    """What the model lacks, as far as the usual effects can say."""

    suspects: tuple[Suspect, ...]
    """The one that explains most first."""
    before: float
    """Mean RMSE as fitted, scaled."""
    after: float
    """And with all usual effects beside it."""

    @property
    def text(self) -> str:
        """In one sentence."""
        named = ", ".join(f"{s.name} = {s.value:.3g} {s.unit}".rstrip() for s in self.suspects)
        return (
            f"with {named} the error would be {1000 * self.after:.1f} in place of {1000 * self.before:.1f} "
            "(mrad, or thousandths of what joints of unlike units move); free that too"
        )


@dataclass(frozen=True, eq=False)
class Enlarged:
    """The fit with the usual missing effects beside it."""

    problem: Problem
    """Its first columns are those of the problem that was enlarged."""
    own: int
    """How many those are."""
    point: FloatArray
    """In the unit cube. Shape (p,)."""
    linear: Linear
    """At the point."""
    white: FloatArray
    """Standard deviation of what is white in the residual, by motion and joint. Shape (motions, k)."""
    before: float
    """Mean RMSE without the effects, scaled."""

    @property
    def prior(self) -> FloatArray:
        """Curvature that the priors add. Shape (p,)."""
        return prior_curvature(self.problem, self.point, self.linear)

    @property
    def covariance(self) -> FloatArray:
        """Inverse of the curvature with the priors. Shape (p, p)."""
        return inverse(self.linear.curvature.sum(axis=0) + np.diag(self.prior))

    @property
    def lack(self) -> Lack | None:
        """Effects that matter, if together they take away a good part of the error."""
        after = float(self.linear.rmse.mean())
        if after > self.before * (1 - _GAIN) or self.before < _WHITE * self.white.mean():
            return None
        free, scale = self.problem.space.free[self.own :], np.diag(self.covariance)[self.own :]
        start = np.array([float(f.unit(f.start)) for f in free])
        worth = (self.point[self.own :] - start) ** 2 / scale
        share = worth / max(float(worth.sum()), 1e-30)
        order = [int(k) for k in np.argsort(-share) if share[k] >= _PART]
        values = self.problem.space.values(self.point)[self.own :]
        suspects = [
            Suspect(free[k].name, self._unit(free[k]), free[k].start, float(values[k])) for k in order
        ]
        return Lack(tuple(suspects), self.before, after)

    def _unit(self, free: Free) -> str:
        return "s" if free.quantity == READ_DELAY else self.problem.world.parameters[free.name].unit


def enlarge(problem: Problem, point: FloatArray) -> Enlarged | None:
    """Fit again with the usual missing effects; None if there are none that the data could show.

    Args:
        problem: that was fitted.
        point: where the fit ended. Shape (p,).
    """
    effects, before = _sized(problem, point, _candidates(problem))
    if not effects:
        return None
    larger = _with(problem, effects)
    start = np.concatenate([point, larger.space.start[len(point) :]])
    fit = least_squares(larger, start, _SERVO_ROUNDS if problem.decoupled else _ROUNDS)
    white = np.array([_white(errors[0]) for errors in larger.errors(fit.point[None])])
    return Enlarged(larger, len(point), fit.point, larger.linearize(fit.point), white, before)


def inverse(curvature: FloatArray) -> FloatArray:
    """Of a curvature, with a ridge under which what no data see stays where it is. Shape (p, p)."""
    ridge = 1e-9 * max(float(np.diag(curvature).max()), 1e-30)
    return np.asarray(np.linalg.inv(curvature + ridge * np.eye(len(curvature))), dtype=np.float64)


def _candidates(problem: Problem) -> list[Free]:
    """Effects that are not free yet, each with a first guess of its size as its prior."""
    taken = {(f.quantity, element) for f in problem.space.free for element in f.elements}
    sizes = [(q, e, size) for q, e, size in _by_joint(problem) if (q, e) not in taken and size > 0]
    found = [_effect(problem, f"{element}.{quantity}", (element,), size) for quantity, element, size in sizes]
    split = {effect.quantity for effect in found} | {"latency"}
    for name, parameter in problem.world.parameters.items():
        size = _PROBE * (parameter.high - parameter.low)
        open_already = name in problem.space.names or parameter.quantity.name in split
        if parameter.quantity.acts == MODEL and size > 0 and not open_already:
            found.append(_effect(problem, name, parameter.elements, size))
    return [effect for effect in found if not problem.fast or can_stand_in([effect.name])]


def _by_joint(problem: Problem) -> list[tuple[str, str, float]]:
    """Quantity, element and first size of the effects that any joint and motor can have."""
    world, motions = problem.world, problem.motions
    model, joints = world.model, motions[0].joints
    speed = np.mean([_speed(m.measured, m.time) for m in motions], axis=0)
    inertia = _inertia(model, joints, motions[0].measured[0])
    period = float(np.median([np.median(np.diff(m.time)) for m in motions]))
    driven, actuators = _drives(world)
    named = {e for p in world.parameters.values() if p.quantity.name == "damping" for e in p.elements}
    sizes = [("latency", a, period / float(model.opt.timestep)) for a in actuators]
    for number, joint in enumerate(joints):
        torque = _PROBE * inertia[number] * speed[number] / _TYPICAL
        if joint in driven or joint in named:
            sizes.append(("frictionloss", joint, torque))
            sizes.append(("damping", joint, torque / max(speed[number], 1e-9)))
        if joint in driven:
            sizes.append(("armature", joint, _PROBE * inertia[number]))
        if is_servo_robot(world):
            sizes.append(("bias_torque", actuators[driven.index(joint)], torque))
    return [*sizes, *((READ_DELAY, joint, period / 2) for joint in joints)]


def _effect(problem: Problem, name: str, elements: tuple[str, ...], size: float) -> Free:
    nominal, low, high = 0.0, 0.0, np.inf
    if not name.endswith(READ_DELAY):
        nominal = own_value(problem.world, name, elements)
        low, high = quantity_of(name).low, quantity_of(name).high
    low, high = max(nominal - _REACH * size, low), min(nominal + _REACH * size, high)
    return Free(name, low, high, nominal, False, elements, prior=(nominal, size))


def _sized(problem: Problem, point: FloatArray, effects: list[Free]) -> tuple[list[Free], float]:
    """Effects with a trace of their own, each at the size at which it makes the error that is left.

    And the mean RMSE that is left.
    """
    if not effects:
        return [], 0.0
    larger = _with(problem, effects)
    linear = larger.linearize(np.concatenate([point, larger.space.start[len(point) :]]))
    hessian = linear.curvature.sum(axis=0)
    left = float((linear.weight * linear.rmse**2).sum())
    kept, found = list(range(len(point))), []
    for column, effect in enumerate(effects, start=len(point)):
        own, beside = hessian[column, column], hessian[kept, column]
        if own <= 0 or own - beside @ inverse(hessian[np.ix_(kept, kept)]) @ beside < _TRACE * own:
            continue
        kept.append(column)
        size = (effect.high - effect.low) * float(np.sqrt(left / own))
        found.append(_effect(problem, effect.name, effect.elements, size))
    return found, float(linear.rmse.mean())


def _with(problem: Problem, effects: Sequence[Free]) -> Problem:
    elements = {f.name: f.elements for f in effects if f.quantity != READ_DELAY}
    return dataclasses.replace(
        problem.on(problem.motions),
        world=opened(problem.world, elements),
        space=Space((*problem.space.free, *effects)),
    )


def _drives(world: World) -> tuple[list[str], list[str]]:
    """The joint and the name of each actuator."""
    model = world.model
    driven = [str(model.joint(int(k)).name) for k in model.actuator_trnid[:, 0]]
    return driven, [str(model.actuator(k).name) or driven[k] for k in range(model.nu)]


def _speed(measured: FloatArray, time: FloatArray) -> FloatArray:
    """Root mean square speed of each joint. Shape (k,)."""
    return np.asarray(np.sqrt(((np.diff(measured, axis=0) / np.diff(time)[:, None]) ** 2).mean(axis=0)))


def _inertia(model: mujoco.MjModel, joints: Sequence[str], pose: FloatArray) -> FloatArray:
    """Inertia that each joint sees in a pose, kg·m² or kg. Shape (k,)."""
    data = mujoco.MjData(model)
    dofs = [int(model.joint(joint).dofadr[0]) for joint in joints]
    for joint, value in zip(joints, pose, strict=True):
        data.qpos[model.joint(joint).qposadr[0]] = value
    mujoco.mj_forward(model, data)
    full = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, full)
    return np.diag(full)[dofs]


def _white(error: FloatArray) -> FloatArray:
    """From second differences, the median of them: contacts make a few large ones. Shape (k,)."""
    if len(error) < 4:
        return np.zeros(error.shape[1])
    return np.asarray(np.median(np.abs(np.diff(error, 2, axis=0)), axis=0) / 0.6745 / np.sqrt(6.0))
