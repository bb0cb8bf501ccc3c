"""Nested candidate models of actuators: of position servos, and of motors told a force or a voltage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim2real.identify.defaults import masses_of, trained_parameters
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.decoupled import stand_alone
from sim2real.world import World, drives

EFFECTS = ("goal_braking", "rate_limit", "stribeck", "load_friction_motor", "backlash", "speed_loss")
"""Quantities that stand for an effect, which is not there without them."""


@dataclass(frozen=True)
class Extension:
    """What a candidate model frees beyond the one before."""

    name: str
    per_joint: tuple[str, ...] = ()
    """Quantities that every driven joint gets one of, or its actuator."""
    shared: tuple[str, ...] = ()
    """Names of single parameters."""

    def names(self, world: World, joints: Sequence[str]) -> list[str]:
        """Parameters of some joints, then the shared ones."""
        own = [world.of_joint(joint, quantity) for quantity in self.per_joint for joint in joints]
        return [*own, *self.shared]


def candidate_models(world: World, motions: Sequence[Motion]) -> tuple[Extension, ...]:
    """Those of position servos, or those of motors that are told a force or a voltage.

    Args:
        world: whose actuators they are.
        motions: what they are fitted to.
    """
    if not is_servo_robot(world):
        return motor_models(world)
    return servo_models(world, geared=stand_alone(world, motions))


def servo_models(world: World, geared: bool) -> tuple[Extension, ...]:
    """Position servos: linear, dry friction, a goal with limits, masses, friction by speed, load, backlash.

    The torque-speed line comes last, and only for servos that have a force limit to fall with speed.

    Args:
        world: whose servos they are.
        geared: whether rotors outweigh links. Where they don't, servos can't be told before the masses are:
            both make the first model.
    """
    linear, masses = ("kp", "damping", "latency", "bias_torque"), masses_of(world)
    first = (
        Extension("linear servo", linear) if geared else Extension("linear servo and masses", linear, masses)
    )
    models = [
        first,
        Extension("+ Coulomb friction", ("frictionloss",)),
        Extension("+ braking of the goal", ("goal_braking",)),
        Extension("+ top speed of the goal", ("rate_limit",)),
        *([Extension("+ masses", (), masses)] if geared else []),
        Extension("+ Stribeck friction", ("stribeck", "stribeck_velocity")),
        Extension("+ load friction", ("load_friction_motor",)),
    ]
    if (world.model.body_jntnum <= 1).all():
        models.append(Extension("+ backlash", ("backlash",)))
    if world.model.actuator_forcelimited.all():
        models.append(Extension("+ torque-speed line", ("speed_loss",)))
    return tuple(models)


def motor_models(world: World) -> tuple[Extension, ...]:
    """Motors: linear with viscous friction, latency, dry friction, by speed and load, torque by speed.

    The first model frees what the world's training range names, less what later ones are about. A motor with
    a force limit gets a line that falls with speed; any other loses torque by its back-EMF, unless its joint
    has a damping of its own, which is the same column.
    """
    model = world.model
    trained = [n for n in trained_parameters(world) if quantity_of(n).acts == MODEL]
    late = tuple(n for n in trained if n.endswith(".latency"))
    dry = tuple(n for n in trained if n.endswith(".frictionloss"))
    first = tuple(n for n in trained if n not in (*late, *dry))
    driven, names = drives(world.model)
    joints = [joint for joint in driven if joint]
    at_rest = tuple(f"{joint}.{q}" for joint in joints for q in ("stribeck", "stribeck_velocity"))
    damped = {p.elements for n, p in world.parameters.items() if n in first and n.endswith(".damping")}
    line = [
        f"{name}.speed_loss" if model.actuator_forcelimited[k] else f"{name}.back_emf"
        for k, name in enumerate(names)
        if model.actuator_forcelimited[k] or (driven[k],) not in damped
    ]
    line = [name for name in line if world.can_have(name)]
    models = [
        Extension("linear motor", (), first),
        Extension("+ latency", (), late or tuple(f"{name}.latency" for name in names)),
        Extension("+ Coulomb friction", (), dry or tuple(f"{joint}.frictionloss" for joint in joints)),
        Extension("+ Stribeck friction", (), at_rest),
        Extension("+ load friction", (), tuple(f"{joint}.load_friction_motor" for joint in joints)),
        Extension("+ torque-speed line", (), tuple(line)),
    ]
    return tuple(extension for extension in models if extension.shared)
