"""Laws of drives and joints, as functions of arrays: what channels and replays of recordings share.

    goal, speed = goal_law(np, (top, braking), dt)((goal, speed), command)
    friction = base + extra_friction(np, coefficients, speed, motor, load)
    limits = limits_at(np, base, loss, speed)

Every array has a row for each simulation and a column for each joint or actuator; ``xp`` is the namespace of
the arrays, numpy's or torch's. A coefficient at its neutral value changes no bit of what comes out.

The goal: many servos move an inner goal towards the commanded one, no faster than their top speed and no
faster than they can brake before reaching it, v² = 2 · braking · distance.

Friction is the family M1 to M6 of Duclusaud et al. 2024 ("Extended friction models for the physics
simulation of servo actuators"): the engine's dry friction is written before every physics step as

    K_c + |K_e τ_e - K_m τ_m| + exp(-|ω/ω_s|^α) (K_s + |K_es τ_e - K_ms τ_m| + Q)

of the torques of motor and load and the speed in the step before. K_c is ``frictionloss``, and viscous
friction is ``damping`` (M1); K_s is ``stribeck`` (M2); K_m and K_e are ``load_friction_motor`` and
``_external``, the same number in M3; K_ms and K_es are ``load_stribeck_…``, the same number in M4, different
ones in M5. Q (M6) acts while the torques oppose: ``load_quadratic_external`` τ_e² where the motor drives,
``load_quadratic_motor`` τ_m² where the load drives back.

The torque-speed line of a motor at full voltage: towards its speed it gives (1 - speed_loss |ω|) of its
limit, and all of it against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

from sim2real.interface import Array
from sim2real.parameters import QUANTITIES

UNLIMITED = QUANTITIES["rate_limit"].neutral or 1e6
"""Top speed and braking from here on change nothing."""

_FAR = 1e30

AT_REST = (
    "stribeck",
    "load_stribeck_motor",
    "load_stribeck_external",
    "load_quadratic_motor",
    "load_quadratic_external",
)
"""Coefficients of friction that fades with speed."""

OF_LOAD = tuple(name for name in QUANTITIES if name.startswith("load_"))
"""Coefficients of friction that grows with the torques."""


def goal_law(
    xp: ModuleType, limits: tuple[Array, Array], dt: float
) -> Callable[[tuple[Array, Array], Array], tuple[Array, Array]]:
    """How a servo's inner goal moves in a physics step.

    It speeds up at once, as the motion profile of a hobby servo does, but slows down, and turns round, no
    faster than it brakes.

    Args:
        xp: namespace of the arrays.
        limits: top speed and braking; where both are `UNLIMITED` the goal is the command.
        dt: physics step, s.

    Returns:
        From goal and its speed, and where the goal is to be, to the next goal and speed.
    """
    speed, braking = limits
    slower, twice = braking * dt, 2 * braking
    # the speed from which whole steps of braking end at the command: v²/2b + v dt/2 = distance
    half = slower / 2
    square = half**2
    free = (speed >= UNLIMITED) & (braking >= UNLIMITED)

    def moved(state: tuple[Array, Array], command: Array) -> tuple[Array, Array]:
        goal, velocity = state
        away = command - goal
        top = xp.minimum(xp.sqrt(twice * xp.abs(away) + square) - half, speed)
        wanted = xp.minimum(xp.maximum(away / dt, -top), top)
        # a goal faster than one step of braking is bound on its own side of rest; any other is not
        least, most = velocity - slower, velocity + slower
        wanted = xp.maximum(wanted, xp.minimum(least, least * _FAR))
        velocity = xp.minimum(wanted, xp.maximum(most, most * _FAR))
        return xp.where(free, command, goal + velocity * dt), velocity

    return moved


def extra_friction(
    xp: ModuleType, law: Mapping[str, Array], speed: Array, motor: Array, load: Array | None
) -> Array:
    """Dry friction beyond Coulomb's.

    Args:
        xp: namespace of the arrays.
        law: coefficients by quantity; those that are left out are 0, the exponent 1.
        speed: of the joints, rad/s or m/s.
        motor: torque or force of the motors on the joints in the step before.
        load: what else acted on them; None where no coefficient asks for it.
    """

    def geared(name: str) -> Array | float:
        """Friction per torque through the gear, from either side."""
        driving, driven = law.get(f"{name}_motor"), law.get(f"{name}_external")
        if driving is None and driven is None:
            return 0.0
        both: Array = motor * (0.0 if driving is None else driving)
        if driven is not None and load is not None:
            both = load * driven - both
        friction: Array = xp.abs(both)
        return friction

    total = geared("load_friction")
    if any(name in law for name in AT_REST):
        slowness = xp.abs(speed) / law["stribeck_velocity"]
        if "stribeck_exponent" in law:
            slowness = slowness ** law["stribeck_exponent"]
        excess = law.get("stribeck", 0.0) + geared("load_stribeck")
        if load is not None and ("load_quadratic_motor" in law or "load_quadratic_external" in law):
            excess = excess + _opposing(xp, law, motor, load)
        total = total + xp.exp(-slowness) * excess
    return xp.zeros_like(speed) + total if isinstance(total, float) else total


def _opposing(xp: ModuleType, law: Mapping[str, Array], motor: Array, load: Array) -> Array:
    """The quadratic term of M6."""
    drives = xp.abs(load) < xp.abs(motor)
    driven = xp.abs(load) > xp.abs(motor)
    term: Array = (motor * load < 0.0) * (
        drives * law.get("load_quadratic_external", 0.0) * load**2
        + driven * law.get("load_quadratic_motor", 0.0) * motor**2
    )
    return term


def limits_at(xp: ModuleType, limits: Array, loss: Array, speed: Array) -> Array:
    """Least and most that motors give at a speed.

    Args:
        xp: namespace of the arrays.
        limits: least and most at rest. Shape (rows, n, 2).
        loss: share of the limit lost per speed, s/rad or s/m. Shape (rows, n).
        speed: of the motors, positive where they push positively. Shape (rows, n).
    """
    lost = loss * speed
    none = xp.zeros_like(lost)
    whole = none + 1.0
    at_speed: Array = xp.empty_like(limits)
    # many times faster than clip and stack, for small arrays
    at_speed[..., 0] = limits[..., 0] * xp.minimum(xp.maximum(whole + lost, none), whole)
    at_speed[..., 1] = limits[..., 1] * xp.minimum(xp.maximum(whole - lost, none), whole)
    return at_speed


def rounded(xp: ModuleType, numbers: Array, step: Array) -> Array:
    """The nearest whole multiples of a step, half-way cases to the even one; a step of 0 rounds nothing."""
    rounds = step > 0.0
    multiples: Array = xp.where(rounds, xp.round(numbers / xp.where(rounds, step, 1.0)) * step, numbers)
    return multiples
