"""What actuators are told in a log, and the controls that this becomes.

A position servo on a joint is told the joint's angle; the control that asks for it follows from the servo's
own law, force = gain · control + b₀ + b₁ · gear · angle + b₂ · speed, as the one that is without force there.
Everything else is told its control: torque motors and velocity servos in the column of their joint, what
pulls a tendon in the column of a joint that the tendon moves, and whatever has a column of its own name.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue
from sim2real.simulators.activation import clipped
from sim2real.world import drive_of, element_name, element_names
from sim2real.world.drives import Drive, inputs_of
from sim2real.world.levers import is_scalar, tendon_joints

FloatArray = NDArray[np.float64]

_TRN, _DYN = mujoco.mjtTrn, mujoco.mjtDyn
_OF_JOINTS = (int(_TRN.mjTRN_JOINT), int(_TRN.mjTRN_JOINTINPARENT))
_FILTERS = (_DYN.mjDYN_FILTER, _DYN.mjDYN_FILTEREXACT)


@dataclass(frozen=True)
class Order:
    """What one actuator is told, and how that becomes its control."""

    name: str
    """Of the actuator."""
    actuator: int
    control: int
    """Column of its control."""
    joint: str
    """The hinge or slide that it drives; empty for what drives something else."""
    tendon: tuple[str, ...]
    """The joints that the tendon moves which it pulls."""
    servo: bool
    """Whether it is told an angle of its joint."""
    scale: float
    """Control per rad or m of what it is told; 1 for what is told its control."""
    offset: float
    gear: float

    def control_of(self, told: FloatArray) -> FloatArray:
        """Controls that are meant by what the actuator is told."""
        return told * self.scale + self.offset

    def told_by(self, control: FloatArray) -> FloatArray:
        """The inverse of `control_of`."""
        return (control - self.offset) / self.scale


def orders_of(model: mujoco.MjModel) -> list[Order]:
    """Of the actuators of a model that take a command, in its order."""
    return [_order(model, k) for k in range(model.nactuator) if model.actuator_ctrlnum[k]]


def joint_controls(model: mujoco.MjModel) -> dict[str, int]:
    """Column of the control that the command of a joint is for: of its servo, else of its motor."""
    orders = orders_of(model)
    meant = sorted(orders, key=lambda o: _meant(model, o.joint, orders) == [o])  # the last of a joint stays
    return {order.joint: order.control for order in meant if order.joint}


def scalar_joints(model: mujoco.MjModel) -> list[str]:
    """Names of the hinges and slides, in the model's order."""
    names = element_names(model, "joint")
    return [name for j, name in enumerate(names) if is_scalar(model, j)]


def _order(model: mujoco.MjModel, actuator: int) -> Order:
    kind, target = int(model.actuator_trntype[actuator]), int(model.actuator_trnid[actuator, 0])
    gear = float(model.actuator_gear[model.actuator_outadr[actuator], 0])
    single = kind in _OF_JOINTS and is_scalar(model, target)
    joint = element_name(model, "joint", target) if single else ""
    servo, scale, offset = bool(single and gear and _settles(model, actuator)), 1.0, 0.0
    if servo and drive_of(model, actuator) is Drive.PID:
        scale = gear  # its setpoint is a length as it is
    elif servo:
        gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator]
        scale, offset = float(-bias[1] * gear / gain), float(-bias[0] / gain)
    tendon: tuple[str, ...] = ()
    if kind == int(_TRN.mjTRN_TENDON):
        tendon = tuple(element_name(model, "joint", j) for j in sorted(tendon_joints(model, target)))
    name, column = element_name(model, "actuator", actuator), int(model.actuator_ctrladr[actuator])
    return Order(name, actuator, column, joint, tendon, servo, scale, offset, gear)


def _settles(model: mujoco.MjModel, actuator: int) -> bool:
    """Whether an actuator moves to a length that its control names, at once or through a filter."""
    kind, dynamics = drive_of(model, actuator), int(model.actuator_dyntype[actuator])
    if kind is Drive.PID:
        return "pos" in inputs_of(model, actuator)
    return kind is Drive.SERVO and dynamics in map(int, (_DYN.mjDYN_NONE, *_FILTERS))


def told(
    model: mujoco.MjModel,
    columns: Mapping[str, FloatArray],
    positions: Mapping[str, FloatArray],
    start: FloatArray,
) -> tuple[FloatArray, list[str]]:
    """What every control of a model is told, and a sentence on each that a log says nothing of.

    An actuator that the log does not command holds still: a servo where it starts, anything else at 0.

    Args:
        model: of the robot.
        columns: commands of the log by name of a joint, an actuator or a tendon. Shape (n,) each.
        positions: what the log measured, by the same names.
        start: coordinates at the start. Shape (nq,).

    Returns:
        Shape (n, nu), angles for servos on joints and controls for the rest; and the sentences.

    Raises:
        InvalidValue: for joints of one tendon whose columns command different things, a command of a joint
            that several actuators may be meant by, or one column for an orientation.
    """
    orders = orders_of(model)
    _refuse_unheard(model, orders, columns, positions)
    rows = len(next(iter(columns.values())))
    found = np.zeros((rows, model.nu))
    silent, sentences = [], []
    for order in orders:
        column = _column(model, order, orders, columns, positions)
        inputs = int(model.actuator_ctrlnum[order.actuator])
        if column is not None and inputs > 1:
            sentences.append(_first_alone(model, order, inputs))
        if column is None:
            silent.append(order.name)
            found[:, order.control] = _held(model, order, start)
        else:
            found[:, order.control] = column
    if silent:
        taken = [name for name in silent if name in scalar_joints(model)]
        sentences.append(
            f"the log has no command for {', '.join(silent)}: a servo holds its start and anything else gets "
            "0; a column of an actuator's own name commands it"
            + (f", once scene.xml calls {', '.join(taken)} otherwise than a joint" if taken else "")
        )
    return found, sentences


def _first_alone(model: mujoco.MjModel, order: Order, inputs: int) -> str:
    """A sentence on the inputs of a controller that a log can't have.

    Raises:
        InvalidValue: for an actuator whose inputs mean nothing apart.
    """
    if drive_of(model, order.actuator) is Drive.ORIENTATION:
        raise InvalidValue(
            f"actuator {order.name!r} takes an orientation of {inputs} numbers, which one column of its name "
            "can't give; leave the column out, and all of them are 0"
        )
    return f"of the {inputs} commands that {order.name} takes the log has the first alone: the others stay 0"


def _column(
    model: mujoco.MjModel,
    order: Order,
    orders: Sequence[Order],
    columns: Mapping[str, FloatArray],
    positions: Mapping[str, FloatArray],
) -> FloatArray | None:
    """What one actuator is told; None if nothing."""
    own = [order.name]
    if int(model.actuator_trntype[order.actuator]) == int(_TRN.mjTRN_TENDON):
        own.append(element_name(model, "tendon", int(model.actuator_trnid[order.actuator, 0])))
    joints = scalar_joints(model)
    mine = [name for name in own if name in columns and name not in joints]
    if order.joint in columns and _meant(model, order.joint, orders, columns) == [order]:
        told = columns[order.joint]
        if not mine:
            return told
        if _says(told, positions[order.joint]) and not np.allclose(told, order.told_by(columns[mine[0]])):
            raise InvalidValue(
                f"the columns of {order.joint} and {mine[0]} both command actuator {order.name!r}, and "
                "differently; leave one of the two commands out, or 0 throughout"
            )
    if mine:
        return order.told_by(columns[mine[0]])
    others = {joint for other in orders if other is not order for joint in (other.joint, *other.tendon)}
    given = [j for j in order.tendon if j in columns and j not in others]
    # a joint without an actuator of its own may repeat what was measured, or say nothing, as its command
    said = [j for j in given if _says(columns[j], positions[j])] or given
    if any(not np.array_equal(columns[j], columns[said[0]]) for j in said):
        raise InvalidValue(
            f"the columns of {', '.join(said)} command different things, but one actuator, {order.name!r}, "
            f"pulls them all; name a column {order.name!r} and give its control there"
        )
    return columns[said[0]] if said else None


def _says(command: FloatArray, position: FloatArray) -> bool:
    """Whether a column commands anything; where nothing was told, logs repeat the position or have zeros."""
    return bool(np.any(command)) and not np.array_equal(command, position)


def _meant(
    model: mujoco.MjModel, joint: str, orders: Sequence[Order], columns: Container[str] = ()
) -> list[Order]:
    """Whom a joint's column may be for: its servo, else its motor, else any other; one is certain.

    Of several, one that is called as the joint is meant, and none that has a column of its own.
    """
    rivals = [order for order in orders if order.joint == joint]
    motors = [order for order in rivals if drive_of(model, order.actuator) is Drive.MOTOR]
    meant = [order for order in rivals if order.servo] or motors or rivals
    if len(meant) > 1:
        joints = scalar_joints(model)
        meant = [order for order in meant if order.name in joints or order.name not in columns]
        meant = [order for order in meant if order.name == joint] or meant
    return meant


def _refuse_unheard(
    model: mujoco.MjModel,
    orders: Sequence[Order],
    columns: Mapping[str, FloatArray],
    positions: Mapping[str, FloatArray],
) -> None:
    """Refuse a command of a joint of which nobody knows which of its actuators it is for.

    Raises:
        InvalidValue: for one.
    """
    driven = dict.fromkeys(order.joint for order in orders if order.joint in columns)
    for joint in driven:
        if len(_meant(model, joint, orders, columns)) != 1 and _says(columns[joint], positions[joint]):
            names = [order.name for order in orders if order.joint == joint]
            raise InvalidValue(
                f"the column of {joint} commands something, and any of {', '.join(names)} could be meant, "
                "which all drive it; give each a column of its own name, and the joint's no command"
            )


def _held(model: mujoco.MjModel, order: Order, start: FloatArray) -> float:
    """What an actuator without a column is told."""
    if order.servo:
        return float(start[model.joint(order.joint).qposadr[0]])
    if drive_of(model, order.actuator) is not Drive.SERVO or not _settles(model, order.actuator):
        return 0.0
    data = mujoco.MjData(model)
    data.qpos[:] = start
    mujoco.mj_forward(model, data)
    length = data.actuator_length[int(model.actuator_outadr[order.actuator])]
    bias = model.actuator_biasprm[order.actuator]
    return float(-(bias[0] + bias[1] * length) / model.actuator_gainprm[order.actuator, 0])


def controls(model: mujoco.MjModel, told: FloatArray) -> FloatArray:
    """Controls of what actuators are told, clipped to their ranges as the engine does. Shape (n, nu)."""
    found = np.array(told, dtype=np.float64)
    for order in orders_of(model):
        found[:, order.control] = order.control_of(found[:, order.control])
    return clipped(model, found)
