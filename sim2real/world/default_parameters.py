"""What the elements of a world that names no parameters could have, with ranges to begin with."""

from __future__ import annotations

import dataclasses

import mujoco

from sim2real.parameters import ENV, Parameter
from sim2real.world.names import element_name, element_names
from sim2real.world.world import World

_OF_JOINTS = ("damping", "frictionloss", "armature")
_OF_DRIVES = ("kp", "strength")
_HALF = 0.5
"""Of the nominal value, to either side."""

_FROM_ZERO = {"damping": 0.1, "frictionloss": 0.1, "armature": 0.01}
"""Upper ends where the nominal value is 0, in SI units."""


def with_default_parameters(world: World) -> World:
    """The same world if it names parameters, else one with those that most robots are identified by.

    Every joint has damping, dry friction and armature, every actuator a gain, every body that moves a mass;
    an element lacks what it can't have. The ranges are half of what the model says, to either side. A
    gymnasium env without a MuJoCo model has the numbers that it keeps as attributes.
    """
    if world.parameters:
        return world
    if world.env is not None and world.env.engine != "mujoco":
        own = {f"env.{name}": (ENV,) for name, value in world.env.attributes.items() if value}
        wide = world.with_parameters(own)
        return dataclasses.replace(wide, parameters={n: _ranged(p) for n, p in wide.parameters.items()})
    model = world.model
    names = [
        f"{joint}.{quantity}"
        for k, joint in enumerate(element_names(model, "joint"))
        for quantity in _OF_JOINTS
        if model.jnt_type[k] != mujoco.mjtJoint.mjJNT_FREE
    ]
    moving = [k for k in range(model.nbody) if model.body_weldid[k]]
    names += [f"{element_name(model, 'body', k)}.mass" for k in moving]
    names = [name for name in names if world.can_have(name)]
    for actuator in element_names(model, "actuator"):
        gains = [f"{actuator}.{quantity}" for quantity in _OF_DRIVES]
        names += [name for name in gains if world.can_have(name)][:1]
    wide = world.with_parameters({name: world.elements_of(name) for name in names})
    return dataclasses.replace(wide, parameters={n: _ranged(p) for n, p in wide.parameters.items()})


def _ranged(parameter: Parameter) -> Parameter:
    nominal, source = parameter.nominal, "the model, and half of it to either side"
    if not nominal:
        return dataclasses.replace(
            parameter, high=_FROM_ZERO[parameter.quantity.name], source="the model has none"
        )
    low, high = sorted(((1 - _HALF) * nominal, (1 + _HALF) * nominal))
    return dataclasses.replace(parameter, low=low, high=high, source=source)
