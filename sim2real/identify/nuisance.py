"""What a fit may have taken for something else: the usual effects that a model lacks, opened beside it.

    enlarge(problem, linear).missing    # estimates of motor.latency and what else makes the error

A robot that answers late, seen by a model without latency, looks heavy; no resampling of its recordings says
so, for all of them are biased alike. So the fit is done once more with nuisance parameters (Kennedy and
O'Hagan 2001; Brynjarsdóttir and O'Hagan 2014): latency, a late sensor, dry and viscous friction, rotor
inertia and a constant torque of every joint, and whatever else the world gives a range, for which they are
not free already. Each is held near its nominal value by a prior of the size at which it would make all of
the error that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.doctor.noise import white_errors
from sim2real.identify.estimates import ParameterEstimate
from sim2real.identify.identifiability import OF_SCALE, open_scale
from sim2real.identify.least_squares import calmer, least_squares
from sim2real.identify.problem import NOISES, Linear, RecordingProblem
from sim2real.identify.space import FloatArray, FreeParameter, ParameterSpace
from sim2real.identify.uncertainty import QUANTILE, Interval, bootstrap
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import READ_DELAY, is_servo_robot
from sim2real.replay.decoupled import can_stand_in, mass_matrices
from sim2real.world import drives

_PROBE = 0.05
"""Of a joint's typical torque, its inertia or a parameter's range: what an effect is tried at first."""
_TYPICAL = 0.1  # s in which a joint typically gains its speed
_REACH = 5.0
"""Prior standard deviations from the nominal value that an effect may reach."""
_TRACE = 0.01
"""Share of its column that an effect must have for itself. One that looks like what is free already (a weak
motor and heavy masses) could only be told by its prior: whoever fixes the scale fixes it."""
_CALM = 0.5
"""Share of the windows, those of smallest slopes, that tell of a robot that touches things."""
_ROUNDS, _SERVO_ROUNDS = 12, 3
_WHITE = 2.0
"""A measured state's white noise is in the residual once as it is, and once more by what grows from it in a
window that begins there; errors up to this many times the noise hide no effect."""
_GAIN = 0.25
"""Share of the error that all effects must take away to be called missing."""
_PART = 0.1
"""Share of that for which an effect must stand to be named."""


@dataclass(frozen=True, eq=False)
class Enlarged:
    """The fit with the usual missing effects beside it."""

    names: tuple[str, ...]
    """What was free: first what was free without them."""
    interval: Interval
    """95 % intervals of those, from chance and what this fit lacks."""
    error: float
    """Mean RMSE, scaled."""
    missing: tuple[ParameterEstimate, ...]
    """Effects that matter, the one that explains most first; none if together they take away little of the
    error, or if the noise or the step of the sensors makes it."""


def enlarge(problem: RecordingProblem, fitted: Linear) -> Enlarged | None:
    """Fit again with the usual missing effects; None if there are none that the data could show."""
    point, before, own = fitted.point, float(fitted.rmse.mean()), len(fitted.point)
    effects = _sized(problem, point, _usual_effects(problem))
    if not effects:
        return None
    larger, start = _with(problem, point, effects)
    at = least_squares(larger, start, _SERVO_ROUNDS if problem.decoupled else _ROUNDS).point
    linear, free = larger.linearize(at), larger.space.free
    white = np.array([white_errors(errors[0]) for errors in larger.errors(at[None])])
    covariance = _inverse(linear.hessian)
    scale, chance = np.sqrt(np.diag(covariance)), bootstrap(linear).std[:own]
    alike = covariance[:own, own:] / np.outer(scale[:own], scale[own:])
    unexplained = (linear.weight * np.maximum(linear.rmse**2 - (_WHITE * white) ** 2, 0.0)).sum()
    reach = QUANTILE * np.hypot(chance, scale[:own] * np.sqrt((alike**2).mean(axis=1) * unexplained))
    worth = ((at - larger.space.start) / scale)[own:] ** 2
    share = worth / max(float(worth.sum()), 1e-30)
    error, noise = float(linear.rmse.mean()), max(white.mean(), problem.sensor_floor.mean())
    matter = error <= before * (1 - _GAIN) and before >= NOISES * noise
    named = [own + k for k in np.argsort(-share) if share[k] >= _PART] if matter else []
    missing = tuple(ParameterEstimate.about(larger.world, free[k], at[k], scale[k]) for k in named)
    return Enlarged(larger.space.names, (at[:own] - reach, at[:own] + reach), error, missing)


def _inverse(curvature: FloatArray) -> FloatArray:
    """Of a curvature, with a ridge under which what no data see stays where it is. Shape (p, p)."""
    ridge = 1e-9 * max(float(np.diag(curvature).max()), 1e-30)
    return np.asarray(np.linalg.inv(curvature + ridge * np.eye(len(curvature))), dtype=np.float64)


def _usual_effects(problem: RecordingProblem) -> list[FreeParameter]:
    """Effects that are not free yet, each with a first guess of its size as its prior."""
    taken = {(f.quantity, element) for f in problem.space.free for element in f.elements}
    found = [
        _effect(problem, f"{element}.{quantity}", (element,), size)
        for quantity, element, size in _by_joint(problem)
        if (quantity, element) not in taken and size > 0
    ]
    split = {effect.quantity for effect in found} | {"latency"}
    for name, parameter in problem.world.parameters.items():
        size = _PROBE * (parameter.high - parameter.low)
        open_already = name in problem.space.names or parameter.quantity.name in split
        if parameter.quantity.acts == MODEL and size > 0 and not open_already:
            found.append(_effect(problem, name, parameter.elements, size))
    return [effect for effect in found if not problem.fast or can_stand_in([effect.name])]


def _by_joint(problem: RecordingProblem) -> list[tuple[str, str, float]]:
    """Quantity, element and first size of the effects that any joint and motor can have."""
    world, motions = problem.world, problem.motions
    model, joints = world.model, motions[0].joints
    steps = [np.diff(m.measured, axis=0) / np.diff(m.time)[:, None] for m in motions]
    speed = np.mean([np.sqrt((s**2).mean(axis=0)) for s in steps], axis=0)
    inertia = np.diag(mass_matrices(model, joints, motions[0].measured[:1])[0])
    period = float(np.median([np.median(np.diff(m.time)) for m in motions]))
    driven, actuators = drives(world.model)
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
    sizes = [size for size in sizes if world.can_have(f"{size[1]}.{size[0]}")]
    return [*sizes, *((READ_DELAY, joint, period / 2) for joint in joints)]


def _effect(problem: RecordingProblem, name: str, elements: tuple[str, ...], size: float) -> FreeParameter:
    """An effect about its nominal value, with a prior of standard deviation ``size``, in its unit."""
    nominal, low, high = 0.0, 0.0, np.inf
    if not name.endswith(READ_DELAY):
        nominal = problem.world.own_value(name, elements)
        low, high = quantity_of(name).low, quantity_of(name).high
    low, high = max(nominal - _REACH * size, low), min(nominal + _REACH * size, high)
    return FreeParameter(name, low, high, nominal, False, elements, prior=(nominal, size))


def _sized(problem: RecordingProblem, point: FloatArray, effects: list[FreeParameter]) -> list[FreeParameter]:
    """Effects with a trace of their own, each at the size at which it makes the error that is left."""
    if not effects:
        return []
    larger, start = _with(problem, point, effects)
    linear = larger.linearize(start)
    seen = calmer(linear, _CALM) if larger.fine else linear
    rows = np.bincount(seen.motion, seen.rows)[seen.motion]
    left = float((seen.weight[seen.motion] * seen.squares / rows[:, None]).sum())
    left = max(left, float((linear.weight * problem.sensor_floor**2).sum()))
    hessian, kept, found = seen.curvature.sum(axis=0), list(range(len(point))), []
    for column, effect in enumerate(effects, start=len(point)):
        own, beside = hessian[column, column], hessian[kept, column]
        if own <= 0 or own - beside @ _inverse(hessian[np.ix_(kept, kept)]) @ beside < _TRACE * own:
            continue
        kept.append(column)
        size = (effect.high - effect.low) * float(np.sqrt(left / own))
        found.append(_effect(problem, effect.name, effect.elements, size))
    return held_in_scale(*_with(problem, point, found), len(point))


def held_in_scale(problem: RecordingProblem, start: FloatArray, own: int) -> list[FreeParameter]:
    """The effects of a problem, less one if otherwise nothing but priors would hold the scale of all forces.

    They are the columns after the first ``own`` ones, which are free for themselves.
    """
    effects = list(problem.space.free[own:])
    scaled = [effect for effect in effects if effect.quantity in OF_SCALE]
    if not scaled or open_scale(problem, start) is None:
        return effects
    return [effect for effect in effects if effect is not scaled[-1]]


def _with(
    problem: RecordingProblem, point: FloatArray, effects: Sequence[FreeParameter]
) -> tuple[RecordingProblem, FloatArray]:
    """The problem with effects free as well, and where it begins.

    Slopes may be rough where geoms of different bodies collide.
    """
    space, model = ParameterSpace((*problem.space.free, *effects)), problem.world.model
    meets = (model.geom_contype[:, None] & model.geom_conaffinity[None]) != 0
    touches = bool((meets & (model.geom_bodyid[:, None] != model.geom_bodyid[None])).any())
    world = problem.world.with_parameters(ParameterSpace(tuple(effects)).elements)
    larger = problem.among(world, space, touches and not problem.decoupled)
    return larger, np.concatenate([point, space.start[len(point) :]])
