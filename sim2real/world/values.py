"""Nominal values: what a quantity of an element is in the compiled model."""

from __future__ import annotations

import mujoco
import numpy as np

from sim2real.parameters import QUANTITIES
from sim2real.world.drives import Drive, drive_of
from sim2real.world.entries import locate
from sim2real.world.levers import levers, limited_joints


def nominal_value(model: mujoco.MjModel, quantity: str, element: str) -> float:
    """Value of a quantity in a compiled model, in the quantity's unit.

    Args:
        model: the compiled model.
        quantity: a name in `sim2real.parameters.QUANTITIES`.
        element: name of the MJCF element; ignored for world quantities.

    Raises:
        UnknownName: for an element that does not exist.
    """
    kind, axis = QUANTITIES[quantity], "xyz".find(quantity[-1])
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
