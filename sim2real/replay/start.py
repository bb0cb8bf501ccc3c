"""Where a replay begins: what was measured, and all the rest where the scene and its constraints put it."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.replay.commands import orders_of, scalar_joints
from sim2real.simulators.named import at_rest
from sim2real.world import drive_of
from sim2real.world.drives import Drive

FloatArray = NDArray[np.float64]

_ROUNDS = 30
_CLOSED = 1e-12


def start_pose(model: mujoco.MjModel, joints: Sequence[str], measured: FloatArray) -> FloatArray:
    """Coordinates of a whole model of which some joints were measured.

    What was not measured (the base, objects, other joints) is where the scene puts it, or a keyframe if one
    is nearer to the measured joints; hinges and slides that equalities tie to the measured ones follow them.

    Args:
        model: of the world.
        joints: names of the measured hinges and slides.
        measured: their positions, rad or m. Shape (k,).

    Returns:
        Shape (nq,).
    """
    columns = [int(model.joint(joint).qposadr[0]) for joint in joints]
    poses = np.vstack([model.qpos0, model.key_qpos])
    nearest = int(np.argmin(np.abs(poses[:, columns] - measured).sum(axis=1)))
    qpos = poses[nearest].copy()
    qpos[columns] = measured
    loose = [name for name in scalar_joints(model) if name not in joints]
    return _closed(model, qpos, loose) if loose and model.neq else qpos


def _closed(model: mujoco.MjModel, qpos: FloatArray, loose: Sequence[str]) -> FloatArray:
    """With some joints moved until equalities hold, as far as they can (Gauss-Newton)."""
    data = at_rest(model)
    at, dofs = ([int(getattr(model.joint(j), a)[0]) for j in loose] for a in ("qposadr", "dofadr"))
    data.qpos[:], data.qvel[:] = qpos, 0.0
    for _ in range(_ROUNDS):
        mujoco.mj_forward(model, data)
        rows = data.efc_type[: data.nefc] == int(mujoco.mjtConstraint.mjCNSTR_EQUALITY)
        error = data.efc_pos[: data.nefc][rows]
        if np.abs(error).max(initial=0.0) < _CLOSED:
            break
        jacobian = _dense(model, data)[rows][:, dofs]
        data.qpos[at] -= np.linalg.lstsq(jacobian, error, rcond=1e-9)[0]
    return np.array(data.qpos)


def _dense(model: mujoco.MjModel, data: mujoco.MjData) -> FloatArray:
    """Jacobian of all constraints. Shape (nefc, nv)."""
    if not mujoco.mj_isSparse(model):
        return np.reshape(data.efc_J, (data.nefc, model.nv))
    dense = np.zeros((data.nefc, model.nv))
    for row in range(data.nefc):
        first = int(data.efc_J_rowadr[row])
        places = slice(first, first + int(data.efc_J_rownnz[row]))
        dense[row, data.efc_J_colind[places]] = data.efc_J[places]
    return dense


def holding(model: mujoco.MjModel, qpos: FloatArray) -> dict[int, float]:
    """Activation with which each integrating servo holds a pose at rest, by address.

    A log does not have it; the robot rests when the log begins.
    """
    found: dict[int, float] = {}
    integrates = int(mujoco.mjtDyn.mjDYN_INTEGRATOR)
    orders = [d for d in orders_of(model) if int(model.actuator_dyntype[d.actuator]) == integrates]
    orders = [d for d in orders if d.joint and d.gear and drive_of(model, d.actuator) is Drive.SERVO]
    if not orders:
        return found
    data = at_rest(model)
    data.qpos[:], data.qvel[:] = qpos, 0.0
    mujoco.mj_inverse(model, data)
    for order in orders:
        joint, bias = model.joint(order.joint), model.actuator_biasprm[order.actuator]
        force = data.qfrc_inverse[joint.dofadr[0]] / order.gear
        length = order.gear * qpos[joint.qposadr[0]]
        held = (force - bias[0] - bias[1] * length) / model.actuator_gainprm[order.actuator, 0]
        if model.actuator_actlimited[order.actuator]:
            held = np.clip(held, *model.actuator_actrange[order.actuator])
        found[int(model.actuator_actadr[order.actuator])] = float(held)
    return found
