"""Nominal values: what a quantity of an element is in the compiled model."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from sim2real.parameters import quantity_named, quantity_of
from sim2real.world.drives import Drive, drive_of
from sim2real.world.entries import locate
from sim2real.world.levers import is_fixed, levers, limited_joints, tendon_joints


def nominal_value(model: mujoco.MjModel, quantity: str, element: str) -> float:
    """Value of a quantity in a compiled model, in the quantity's unit.

    Args:
        model: the compiled model.
        quantity: by name.
        element: name of the MJCF element; ignored for world quantities.

    Raises:
        UnknownName: for an element or a quantity that does not exist.
    """
    kind, axis = quantity_named(quantity), "xyz".find(quantity[-1])
    if kind.neutral is not None:
        return kind.neutral
    if kind.element == "world":
        return _of_options(model.opt, quantity, axis)
    what, number = locate(model, kind.element, element, kind.element)
    if what == "actuator":
        return _of_actuator(model, quantity, number)
    if what == "body":
        return float(model.body_mass[number] if quantity == "mass" else model.body_ipos[number, axis])
    if what == "geom":
        return float(model.geom_pos[number, 2] if quantity == "height" else model.geom_friction[number, 0])
    if what == "tendon":
        return float(getattr(model, f"tendon_{quantity}")[number])
    if quantity == "stiffness":
        return float(model.jnt_stiffness[number])
    return float(getattr(model, f"dof_{quantity}")[model.jnt_dofadr[number]])


def unit_of(model: mujoco.MjModel, name: str, elements: Sequence[str]) -> str:
    """Unit of a parameter: what turns has another than what slides. Empty for what has no unit of its own.

    Raises:
        UnknownName: for an element or a quantity that does not exist.
    """
    quantity = quantity_of(name)
    units = quantity.units or ("",)
    if len(set(units)) == 1 or not elements:
        return units[0]
    return units[_slides(model, *locate(model, quantity.element, elements[0], quantity.element))]


def _slides(model: mujoco.MjModel, kind: str, number: int) -> bool:
    """Whether an element moves along something, so that what it gives is a force and no torque."""
    if kind == "joint":
        return int(model.jnt_type[number]) == int(mujoco.mjtJoint.mjJNT_SLIDE)
    if kind == "tendon":
        joints = tendon_joints(model, number)
        return not is_fixed(model, number) or all(_slides(model, "joint", joint) for joint in joints)
    trn, target = int(model.actuator_trntype[number]), int(model.actuator_trnid[number, 0])
    if trn in (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT):
        return _slides(model, "joint", target)
    if trn == mujoco.mjtTrn.mjTRN_TENDON:
        return _slides(model, "tendon", target)
    return bool(model.actuator_gear[model.actuator_outadr[number], :3].any())


def _of_options(option: mujoco.MjOption, quantity: str, axis: int) -> float:
    if quantity == "gravity":
        return float(np.linalg.norm(option.gravity))
    return float(option.density if quantity == "air_density" else option.wind[axis])


def _of_actuator(model: mujoco.MjModel, quantity: str, actuator: int) -> float:
    gain, bias = model.actuator_gainprm[actuator], model.actuator_biasprm[actuator]
    kind = drive_of(model, actuator)
    if quantity == "strength":
        return 1.0
    if quantity == "torque_limit":
        return _limit(model, actuator)
    if quantity == "latency":
        return float(max(0.0, np.ceil(model.actuator_delay[actuator] / model.opt.timestep - 1e-9)))
    if kind is Drive.DC_MOTOR:
        return float(gain[4 if quantity == "kp" else 6])
    if int(model.actuator_biastype[actuator]) == int(mujoco.mjtBias.mjBIAS_NONE):
        return 0.0
    return -float(bias[1 if quantity == "kp" else 2])  # kd and back-EMF


def _limit(model: mujoco.MjModel, actuator: int) -> float:
    """At the actuator, or else at its only joint, in forces of the actuator."""
    if not model.actuator_forcelimited[actuator]:
        for joint in limited_joints(model, actuator):
            return float(model.jnt_actfrcrange[joint, 1] / abs(levers(model, joint)[actuator] or 1.0))
    return float(model.actuator_forcerange[actuator, 1])
