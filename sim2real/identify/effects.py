"""The usual effects that a model of a robot lacks, each with a prior of a size that it could have.

effects = usual_effects(problem)    # latency, a late sensor, friction, rotor inertia, a constant torque …
effects = held_in_scale(larger, start, effects, own)
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.identify.free import Free
from sim2real.identify.problem import Problem
from sim2real.opening import drives, own_value
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import READ_DELAY, is_servo_robot
from sim2real.replay.decoupled import can_stand_in

FloatArray = NDArray[np.float64]

_PROBE = 0.05
"""Of a joint's typical torque, its inertia or a parameter's range: what an effect is tried at first."""
_TYPICAL = 0.1  # s in which a joint typically gains its speed
_REACH = 5.0
"""Prior standard deviations from the nominal value that an effect may reach."""
OF_SCALE = ("mass", "armature", "damping", "frictionloss", "strength")
"""Quantities that change nothing if all of them grow together."""
_GROWN = 1.01
_STILL = 0.1
"""Share of what one of them does alone, below which all together do nothing."""


def usual_effects(problem: Problem) -> list[Free]:
    """Effects that are not free yet, each with a first guess of its size as its prior.

    Args:
        problem: whose world and motions say what its joints and motors can have.
    """
    taken = {(f.quantity, element) for f in problem.space.free for element in f.elements}
    sizes = [(q, e, size) for q, e, size in _by_joint(problem) if (q, e) not in taken and size > 0]
    found = [
        effect_of(problem, f"{element}.{quantity}", (element,), size) for quantity, element, size in sizes
    ]
    split = {effect.quantity for effect in found} | {"latency"}
    for name, parameter in problem.world.parameters.items():
        size = _PROBE * (parameter.high - parameter.low)
        open_already = name in problem.space.names or parameter.quantity.name in split
        if parameter.quantity.acts == MODEL and size > 0 and not open_already:
            found.append(effect_of(problem, name, parameter.elements, size))
    return [effect for effect in found if not problem.fast or can_stand_in([effect.name])]


def can_touch(model: mujoco.MjModel) -> bool:
    """Whether any two geoms of different bodies may collide, so that slopes may be rough."""
    meets = (model.geom_contype[:, None] & model.geom_conaffinity[None]) != 0
    body = model.geom_bodyid
    return bool((meets & (body[:, None] != body[None])).any())


def _by_joint(problem: Problem) -> list[tuple[str, str, float]]:
    """Quantity, element and first size of the effects that any joint and motor can have."""
    world, motions = problem.world, problem.motions
    model, joints = world.model, motions[0].joints
    speed = np.mean([_speed(m.measured, m.time) for m in motions], axis=0)
    inertia = _inertia(model, joints, motions[0].measured[0])
    period = float(np.median([np.median(np.diff(m.time)) for m in motions]))
    driven, actuators = drives(world)
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


def effect_of(problem: Problem, name: str, elements: tuple[str, ...], size: float) -> Free:
    """An effect about its nominal value, with a prior of standard deviation ``size``, in its unit."""
    nominal, low, high = 0.0, 0.0, np.inf
    if not name.endswith(READ_DELAY):
        nominal = own_value(problem.world, name, elements)
        low, high = quantity_of(name).low, quantity_of(name).high
    low, high = max(nominal - _REACH * size, low), min(nominal + _REACH * size, high)
    return Free(name, low, high, nominal, False, elements, prior=(nominal, size))


def held_in_scale(problem: Problem, start: FloatArray, own: int) -> list[Free]:
    """The effects of a problem, less one if all forces and inertias can grow together without a trace.

    Masses, rotor inertias, friction and the strength of motors in proportion are the same motion: were all
    of them free, nothing but priors would hold any. Slopes don't tell where feet strike the ground, so the
    quantities are made to grow.

    Args:
        problem: whose first columns are free for themselves and whose others are effects.
        start: in the unit cube. Shape (p,).
        own: how many the first columns are.
    """
    space = problem.space
    effects = list(space.free[own:])
    scaled = [k for k, free in enumerate(space.free) if free.quantity in OF_SCALE]
    last = max(scaled, default=-1)
    if problem.decoupled or last < own:
        return effects
    values = np.tile(space.values(start), (2, 1))
    values[0, scaled] *= _GROWN
    values[1, last] *= _GROWN
    errors = problem.errors(np.vstack([start, space.units(values)]))
    together, alone = (np.array([float(((e[k] - e[0]) ** 2).mean()) for e in errors]) ** 0.5 for k in (1, 2))
    if np.median(together) > _STILL * np.median(alone):
        return effects
    return [effect for k, effect in enumerate(effects, start=own) if k != last]


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
