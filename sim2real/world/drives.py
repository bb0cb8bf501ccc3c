"""What kind of drive an actuator is, read off its compiled numbers.

MuJoCo knows one actuator, ``force = gain · command + bias``; what the shortcuts of MJCF (``<position>``,
``<velocity>``, ``<damper>``, …) make of it is told apart here by the numbers alone, so that a ``<general>``
with the same numbers is the same drive.
"""

from __future__ import annotations

from enum import StrEnum

import mujoco
import numpy as np

from sim2real.world.names import element_names

_GAIN, _BIAS, _TRN = mujoco.mjtGain, mujoco.mjtBias, mujoco.mjtTrn


class Drive(StrEnum):
    """Kinds of actuators."""

    MOTOR = "motor"
    """gain · command + constant - back-EMF · speed, whatever spring it has (motor, cylinder, adhesion)."""
    VARYING = "actuator whose gain varies with length or speed"
    """The same with a gain that is affine in both (damper, general)."""
    SERVO = "position servo"
    """kp · (goal - length) - kd · speed + constant, the goal perhaps filtered or integrated (position,
    intvelocity, general with another gain for the command)."""
    VELOCITY = "velocity servo"
    """kd · (goal - speed) + constant."""
    PID = "PID controller"
    ORIENTATION = "orientation servo"
    MUSCLE = "muscle"
    DC_MOTOR = "DC motor"
    PLUGIN = "plugin"
    USER = "actuator with a law of the user's own"


def drive_of(model: mujoco.MjModel, actuator: int) -> Drive:
    """The kind of an actuator, by its number."""
    gain, bias = int(model.actuator_gaintype[actuator]), int(model.actuator_biastype[actuator])
    if model.actuator_plugin[actuator] >= 0:
        return Drive.PLUGIN
    laws = {
        (_GAIN.mjGAIN_PID, _BIAS.mjBIAS_AFFINE): Drive.PID,
        (_GAIN.mjGAIN_SO3, _BIAS.mjBIAS_SO3): Drive.ORIENTATION,
        (_GAIN.mjGAIN_MUSCLE, _BIAS.mjBIAS_MUSCLE): Drive.MUSCLE,
        (_GAIN.mjGAIN_MUSCLE, _BIAS.mjBIAS_NONE): Drive.MUSCLE,
        (_GAIN.mjGAIN_DCMOTOR, _BIAS.mjBIAS_DCMOTOR): Drive.DC_MOTOR,
        (_GAIN.mjGAIN_AFFINE, _BIAS.mjBIAS_AFFINE): Drive.VARYING,
        (_GAIN.mjGAIN_AFFINE, _BIAS.mjBIAS_NONE): Drive.VARYING,
        (_GAIN.mjGAIN_FIXED, _BIAS.mjBIAS_NONE): Drive.MOTOR,
    }
    for (its_gain, its_bias), drive in laws.items():
        if (gain, bias) == (int(its_gain), int(its_bias)):
            return drive
    if (gain, bias) != (int(_GAIN.mjGAIN_FIXED), int(_BIAS.mjBIAS_AFFINE)):
        return Drive.USER
    factor, (_, spring, damping) = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator, :3]
    pressure = int(model.actuator_ctrlspec[actuator]) == _PRESSURE
    if spring < 0 and factor != 0 and not pressure:
        return Drive.SERVO
    servo = spring == 0 and damping < 0 and np.isclose(factor, -damping, rtol=1e-9, atol=0.0)
    return Drive.VELOCITY if servo and not pressure else Drive.MOTOR


_PRESSURE = 32  # declared input of a cylinder in actuator_ctrlspec

_INPUTS = {"pos": 1, "vel": 2, "ff": 4}  # of controllers


def inputs_of(model: mujoco.MjModel, actuator: int) -> set[str]:
    """Inputs of the controller of a PID or a DC motor: setpoints ``pos``, ``vel``, a torque ``ff`` beside."""
    return {name for name, bit in _INPUTS.items() if int(model.actuator_ctrlspec[actuator]) & bit}


def reads_position(model: mujoco.MjModel, actuator: int) -> bool:
    """Whether a drive compares its goal with an angle that it measures."""
    kind = drive_of(model, actuator)
    board = kind is Drive.DC_MOTOR and inputs_of(model, actuator) and model.actuator_gainprm[actuator, 4]
    return kind in (Drive.SERVO, Drive.PID) or bool(board)


def drives(model: mujoco.MjModel) -> tuple[list[str], list[str]]:
    """The joint of each actuator, empty for one that drives no single joint, and the actuator's name."""
    joints = element_names(model, "joint")
    own = (int(_TRN.mjTRN_JOINT), int(_TRN.mjTRN_JOINTINPARENT))
    driven = [
        joints[int(joint)] if int(kind) in own else ""
        for kind, joint in zip(model.actuator_trntype, model.actuator_trnid[:, 0], strict=True)
    ]
    return driven, element_names(model, "actuator")


def commanded(model: mujoco.MjModel) -> list[int]:
    """The actuator that each command goes to; one of several inputs takes several."""
    return [int(k) for k in np.repeat(np.arange(model.nactuator), model.actuator_ctrlnum)]
