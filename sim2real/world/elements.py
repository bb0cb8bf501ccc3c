"""Quantities of a compiled model's elements: their nominal values, and when one has no effect."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import MODEL, QUANTITIES, Parameter


def check_parameter(model: mujoco.MjModel, path: Path, parameter: Parameter) -> None:
    """Refuse a nominal value that the compiled model does not have."""
    quantity = parameter.quantity
    if quantity.name == "gravity" and parameter.nominal == 0:
        raise InvalidValue(
            f"{path.name}: {parameter.name} of 0 has no direction to keep; give gravity in scene.xml"
        )
    for element in parameter.elements or ("world",):
        if quantity.acts != MODEL and quantity.neutral is None:
            continue  # only the shape of an effect, as the speed at which friction falls
        compiled = nominal_value(model, quantity.name, element)
        if not np.isclose(compiled, parameter.nominal, rtol=1e-6, atol=1e-12):
            raise InvalidValue(
                f"{path.name}: physics.toml says {parameter.name} = {parameter.nominal:g}, but "
                f"{element!r} in scene.xml compiles to {compiled:g}; make the two agree"
            )


def nominal_value(model: mujoco.MjModel, quantity: str, element: str) -> float:
    """Value of a quantity in a compiled model, in the quantity's unit.

    Args:
        model: the compiled model.
        quantity: a name in `sim2real.parameters.QUANTITIES`.
        element: name of the MJCF element; ignored for world quantities.
    """
    kind, axis = QUANTITIES[quantity], "xyz".find(quantity[-1])
    if kind.neutral is not None:
        return kind.neutral
    if kind.element == "world":
        return _of_options(model.opt, quantity, axis)
    if kind.element == "actuator":
        return _of_actuator(model, quantity, actuator_of(model, element))
    if kind.element == "body":
        body = model.body(element)
        return float(body.mass[0] if quantity == "mass" else body.ipos[axis])
    if kind.element == "geom":
        geom = model.geom(element)
        return float(geom.pos[2] if quantity == "height" else geom.friction[0])
    return float(np.ravel(getattr(model.joint(element), quantity))[0])


def _of_options(option: mujoco.MjOption, quantity: str, axis: int) -> float:
    if quantity == "gravity":
        return float(np.linalg.norm(option.gravity))
    return float(option.density if quantity == "air_density" else option.wind[axis])


def _of_actuator(
    model: mujoco.MjModel, quantity: str, actuator: mujoco._structs._MjModelActuatorViews
) -> float:
    if quantity == "strength":
        return 1.0
    if quantity == "torque_limit":
        return float(actuator.forcerange[1])
    if quantity == "latency":
        return float(max(0.0, np.ceil(model.actuator_delay[actuator.id] / model.opt.timestep - 1e-9)))
    return -float(actuator.biasprm[1 if quantity == "kp" else 2])  # kd and back-EMF


def actuator_of(model: mujoco.MjModel, name: str) -> mujoco._structs._MjModelActuatorViews:
    """An actuator by its name or, as many models leave them unnamed, by the joint that it drives.

    Raises:
        UnknownName: if there is neither.
    """
    known = {}
    for actuator in map(model.actuator, range(model.nu)):
        driven = model.joint(actuator.trnid[0]).name if actuator.trntype[0] == _DRIVES_JOINT else ""
        known[actuator.name or driven] = actuator
    if name not in known:
        raise UnknownName("actuator", name, known)
    return known[name]


_DRIVES_JOINT = int(mujoco.mjtTrn.mjTRN_JOINT)


def check_friction(model: mujoco.MjModel, path: Path, lowest: tuple[str, float], element: str) -> None:
    """Refuse a friction that MuJoCo's rule (the larger of the two geoms counts) makes ineffective."""
    (name, value), geom = lowest, model.geom(element)
    for other in map(model.geom, range(model.ngeom)):
        touches = (geom.contype[0] & other.conaffinity[0]) or (other.contype[0] & geom.conaffinity[0])
        if other.id == geom.id or other.bodyid[0] == geom.bodyid[0] or not touches:
            continue
        ruled_out = other.priority[0] > geom.priority[0] or (
            other.priority[0] == geom.priority[0] and other.friction[0] > value
        )
        if ruled_out:
            raise InvalidValue(
                f"{path.name}: {name} has no effect below {other.friction[0]:g} against "
                f"geom {other.name!r}, because the larger friction of a contact counts; give "
                f'{element!r} priority="1" or {other.name!r} less friction'
            )


def check_backlash(model: mujoco.MjModel, widest: tuple[str, float], element: str) -> None:
    """Refuse a free play that is wider than its joint's range, or has no motor's side."""
    (name, value), joint = widest, model.joint(element)
    width = float(joint.range[1] - joint.range[0])
    if joint.limited[0] and value >= width:
        raise InvalidValue(
            f"{name} of {value:g} is wider than the range of joint {element!r}, {width:g}; give less"
        )
    if value and not joint.armature[0]:
        raise InvalidValue(
            f"{name} needs an inertia on the motor's side of joint {element!r}; give it an armature"
        )
