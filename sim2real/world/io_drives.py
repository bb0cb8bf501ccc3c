"""Drives as ``io.toml`` has them: the scene's actuators become servos of the policy's own gains.

An affine actuator of MuJoCo, ``force = kp · command - kp · length - kd · velocity``, is the law that a bridge
by hand computes before every physics step. With the Euler integrator it is that but for rounding. Implicit
integrators take ``kd`` within their step, unless `sim2real.channels.physics_rate` writes it; Runge-Kutta's
evaluates the law at each of its stages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco

from sim2real.errors import InvalidValue, UnknownName
from sim2real.io_table import TOUCH, IoTable, PolicyJoint

_NONE, _FIXED = mujoco.mjtBias.mjBIAS_NONE, mujoco.mjtGain.mjGAIN_FIXED
_TRN = mujoco.mjtTrn


def drive_by_io(spec: mujoco.MjSpec, io: IoTable) -> None:
    """Give the joints of a policy the drives that it was trained with, and sensors to contacts that matter.

    Raises:
        UnknownName: for a body that the scene lacks.
        InvalidValue: for a joint that the scene lacks, that several actuators drive, or that has neither
            gains here nor a drive there.
    """
    for key in list(spec.keys) if io.start_pose == "qpos0" else ():
        spec.delete(key)
    known = {joint.name for joint in spec.joints}
    for name, term in io.driven.items():
        joint = io.joint[name]
        if name not in known:
            raise InvalidValue(
                f"{io.path} drives joint {name!r}, which the scene lacks; it has: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        own = [a for a in spec.actuators if a.trntype == _TRN.mjTRN_JOINT and a.target == name]
        if len(own) > 1:
            raise InvalidValue(
                f"{io.path}: {len(own)} actuators of the scene drive joint {name!r}; leave it one"
            )
        gains = _gains(term, joint)
        if gains is None and not own:
            raise InvalidValue(
                f"{io.path}: nothing in the scene drives joint {name!r}; give it stiffness and damping"
            )
        if gains is not None:
            new = () if own else (spec.add_actuator(name=name, trntype=_TRN.mjTRN_JOINT, target=name),)
            _drive((*own, *new)[0], gains, joint.effort)
    bodies = [body.name for body in spec.bodies]
    for body in io.touched:
        if body not in bodies:
            raise UnknownName(f"body in {io.path}:", body, bodies)
        found = [1, 0, 1]  # whether there is a contact: data, reduction, number
        spec.add_sensor(
            name=TOUCH + body,
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=body,
            intprm=found,
        )


def damped_within_step(model: mujoco.MjModel, io: IoTable | None) -> list[str]:
    """Joints with damping that an implicit integrator would take within its step against what ``io`` says."""
    if io is None or io.implicit_damping or int(model.opt.integrator) not in _IMPLICIT:
        return []
    return [name for name, term in io.driven.items() if (_gains(term, io.joint[name]) or (0.0,))[-1] > 0]


_IMPLICIT = (int(mujoco.mjtIntegrator.mjINT_IMPLICIT), int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST))


def _gains(term: str, joint: PolicyJoint) -> tuple[float, float, float] | None:
    """Effort on the joint per command, per place and per speed; None for the scene's own drive."""
    if term == "joint_effort":
        return 1.0, 0.0, 0.0
    stiffness, damping = joint.stiffness or 0.0, joint.damping or 0.0
    if term == "joint_velocity":
        return damping, 0.0, damping
    return None if joint.stiffness is None else (stiffness, stiffness, damping)


def _drive(actuator: mujoco._specs.MjsActuator, gains: tuple[float, float, float], effort: float) -> None:
    """Make an actuator one of these gains on the joint, within what it gave before."""
    gear = float(actuator.gear[0])
    low, high = _limits(actuator, effort / abs(gear))
    command, place, speed = gains
    actuator.set_to_motor()
    actuator.gaintype, actuator.gainprm[0] = _FIXED, command / gear
    if place or speed:
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        actuator.biasprm[:3] = 0.0, -place / gear**2, -speed / gear**2
    actuator.ctrllimited, actuator.ctrlrange[:] = mujoco.mjtLimited.mjLIMITED_FALSE, 0.0
    actuator.inheritrange = 0.0
    if math.isfinite(high):
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.forcerange[:] = low, high


def _limits(actuator: mujoco._specs.MjsActuator, most: float) -> tuple[float, float]:
    """Least and most force: by the scene's range of forces, a motor's range of commands, and ``most``."""
    low, high = -most, most
    if _is_limited(actuator.forcelimited, actuator.forcerange):
        low, high = max(low, float(actuator.forcerange[0])), min(high, float(actuator.forcerange[1]))
    motor = actuator.biastype == _NONE and actuator.gaintype == _FIXED
    if motor and _is_limited(actuator.ctrllimited, actuator.ctrlrange):
        ends = sorted(float(end) * float(actuator.gainprm[0]) for end in actuator.ctrlrange)
        low, high = max(low, ends[0]), min(high, ends[1])
    return low, high


def _is_limited(said: int, limits: Sequence[float]) -> bool:
    """As the compiler decides it: a range without a word is one."""
    given = said == mujoco.mjtLimited.mjLIMITED_AUTO and limits[0] < limits[1]
    return bool(given or said == mujoco.mjtLimited.mjLIMITED_TRUE)
