"""Ladders of nested actuator models: of position servos, and of motors that are told a force or a voltage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim2real.identify.setting import masses_of, trained_parameters
from sim2real.opening import drives
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.decoupled import stand_alone
from sim2real.world import World


@dataclass(frozen=True)
class Rung:
    """One step of a ladder of models."""

    name: str
    per_joint: tuple[str, ...] = ()
    """Quantities that every driven joint gets one of, or its actuator."""
    shared: tuple[str, ...] = ()
    """Names of single parameters."""


def ladder_of(world: World, motions: Sequence[Motion]) -> tuple[Rung, ...]:
    """The ladder of position servos, or that of motors that are told a force or a voltage.

    Args:
        world: whose actuators they are.
        motions: what they are fitted to.
    """
    if not is_servo_robot(world):
        return motor_ladder(world)
    return servo_ladder(world, geared=stand_alone(world, motions))


def servo_ladder(world: World, geared: bool) -> tuple[Rung, ...]:
    """Position servos: linear, dry friction, a goal with limits, masses, friction by speed and load, play.

    The torque-speed line comes last, and only for servos that have a force limit to fall with speed.

    Args:
        world: whose servos they are.
        geared: whether rotors outweigh links. Where they don't, servos can't be told before the masses are:
            both make the first rung.
    """
    linear, masses = ("kp", "damping", "latency", "bias_torque"), masses_of(world)
    first = [Rung("linear servo", linear)] if geared else [Rung("linear servo and masses", linear, masses)]
    rungs = [
        *first,
        Rung("+ Coulomb friction", ("frictionloss",)),
        Rung("+ braking of the goal", ("goal_braking",)),
        Rung("+ top speed of the goal", ("rate_limit",)),
        *([Rung("+ masses", (), masses)] if geared else []),
        Rung("+ Stribeck friction", ("stribeck", "stribeck_velocity")),
        Rung("+ load friction", ("load_friction_motor",)),
    ]
    if (world.model.body_jntnum <= 1).all():
        rungs.append(Rung("+ backlash", ("backlash",)))
    if world.model.actuator_forcelimited.all():
        rungs.append(Rung("+ torque-speed line", ("speed_loss",)))
    return tuple(rungs)


def motor_ladder(world: World) -> tuple[Rung, ...]:
    """Motors: linear with viscous friction, latency, dry friction, by speed and load, torque by speed.

    The first rung frees what the world's training range names, less what later rungs are about. A motor with
    a force limit gets a line that falls with speed; any other loses torque by its back-EMF, unless its joint
    has a damping of its own, which is the same column.
    """
    model = world.model
    trained = [n for n in trained_parameters(world) if quantity_of(n).acts == MODEL]
    late = tuple(n for n in trained if n.endswith(".latency"))
    dry = tuple(n for n in trained if n.endswith(".frictionloss"))
    first = tuple(n for n in trained if n not in (*late, *dry))
    driven, names = drives(world)
    at_rest = tuple(f"{joint}.{q}" for joint in driven for q in ("stribeck", "stribeck_velocity"))
    damped = {p.elements for n, p in world.parameters.items() if n in first and n.endswith(".damping")}
    line = [
        f"{name}.speed_loss" if model.actuator_forcelimited[k] else f"{name}.back_emf"
        for k, name in enumerate(names)
        if model.actuator_forcelimited[k] or (driven[k],) not in damped
    ]
    rungs = [
        Rung("linear motor", (), first),
        Rung("+ latency", (), late or tuple(f"{name}.latency" for name in names)),
        Rung("+ Coulomb friction", (), dry or tuple(f"{joint}.frictionloss" for joint in driven)),
        Rung("+ Stribeck friction", (), at_rest),
        Rung("+ load friction", (), tuple(f"{joint}.load_friction_motor" for joint in driven)),
        Rung("+ torque-speed line", (), tuple(line)),
    ]
    return tuple(rung for rung in rungs if rung.shared)
