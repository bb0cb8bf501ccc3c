"""Where activations begin: as the first command leaves them, held for long, not at 0.

An activation is the state of an actuator that filters or integrates its control. A filter has settled at its
control, and so has the goal of a controller whose goal can't jump (``slewmax``). An integrator never settles:
that of a servo begins where the servo is without force, any other at 0, as does what has states of other
kinds (currents of DC motors, plugins, laws of a user's own).
"""

from __future__ import annotations

import mujoco
import numpy as np

from sim2real.interface import Array

_DYN = mujoco.mjtDyn
_SETTLES = tuple(map(int, (_DYN.mjDYN_FILTER, _DYN.mjDYN_FILTEREXACT, _DYN.mjDYN_MUSCLE)))
_SLEW = {int(_DYN.mjDYN_PID): 1, int(_DYN.mjDYN_DCMOTOR): 7}
"""Place in ``dynprm`` of the most that a controller's first goal changes per second; the first activation."""
_DRIVES_JOINT = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))


def settled(model: mujoco.MjModel, ctrl: Array, qpos: Array) -> Array:
    """Activations of simulations that begin with these commands.

    Args:
        model: with activations.
        ctrl: first commands. Shape (rows, nu).
        qpos: coordinates of the model. Shape (rows, nq).

    Returns:
        Shape (rows, na).
    """
    found = np.zeros((len(ctrl), model.na))
    held = clipped(model, ctrl)
    for actuator in range(model.nactuator):
        kind, address = int(model.actuator_dyntype[actuator]), int(model.actuator_actadr[actuator])
        if kind in _SETTLES or _slew(model, actuator):
            found[:, address] = held[:, model.actuator_ctrladr[actuator]]
            if kind == int(_DYN.mjDYN_MUSCLE):
                found[:, address] = np.clip(found[:, address], 0.0, 1.0)
        elif kind == int(_DYN.mjDYN_INTEGRATOR):
            found[:, address] = _without_force(model, actuator, qpos)
        if address >= 0 and model.actuator_actlimited[actuator]:
            found[:, address] = np.clip(found[:, address], *model.actuator_actrange[actuator])
    return found


def clipped(model: mujoco.MjModel, ctrl: Array) -> Array:
    """Controls within their ranges, as the engine takes them unless the scene lets it. Shape (..., nu)."""
    if model.opt.disableflags & int(mujoco.mjtDisableBit.mjDSBL_CLAMPCTRL):
        return ctrl
    return np.where(model.actuator_ctrllimited, np.clip(ctrl, *model.actuator_ctrlrange.T), ctrl)


def _slew(model: mujoco.MjModel, actuator: int) -> float:
    """Most that the goal of a controller changes per second; 0 for one that jumps."""
    place = _SLEW.get(int(model.actuator_dyntype[actuator]))
    return 0.0 if place is None else float(model.actuator_dynprm[actuator, place])


def _without_force(model: mujoco.MjModel, actuator: int, qpos: Array) -> Array | float:
    """What an integrating servo on a joint holds its joint with, but for loads."""
    gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator]
    if int(model.actuator_trntype[actuator]) not in _DRIVES_JOINT or not bias[1] or not gain:
        return 0.0
    joint, gear = (
        int(model.actuator_trnid[actuator, 0]),
        model.actuator_gear[model.actuator_outadr[actuator], 0],
    )
    held: Array = -(bias[0] + bias[1] * gear * qpos[:, model.jnt_qposadr[joint]]) / gain
    return held


def filtered(model: mujoco.MjModel, activation: Array, commands: Array) -> Array:
    """Activations after some physics steps of commands; of filters and goals, all others stay.

    Args:
        model: with activations.
        activation: before. Shape (rows, na).
        commands: within their ranges. Shape (steps, rows, nu).

    Returns:
        Shape (rows, na).
    """
    found, dt = np.array(activation), float(model.opt.timestep)
    for actuator in range(model.nactuator):
        kind, address = int(model.actuator_dyntype[actuator]), int(model.actuator_actadr[actuator])
        most = _slew(model, actuator) * dt
        if kind not in (int(_DYN.mjDYN_FILTER), int(_DYN.mjDYN_FILTEREXACT)) and not most:
            continue
        tau = max(float(model.actuator_dynprm[actuator, 0]), mujoco.mjMINVAL)
        share = 1 - np.exp(-dt / tau) if kind == int(_DYN.mjDYN_FILTEREXACT) else dt / tau
        told = commands[:, :, model.actuator_ctrladr[actuator]]
        state = found[:, address]
        if len(told):
            state = told[0]
        for row in told:
            step = row - state
            state = state + (np.clip(step, -most, most) if most else share * step)
        found[:, address] = state
    return found
