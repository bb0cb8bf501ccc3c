"""What acts once a physics step: a servo's goal that can't jump, dry friction that depends on speed and load.

The goal: many servos move an inner goal towards the commanded one, no faster than their top speed and no
faster than they can brake before reaching it, v² = 2 · braking · distance.
The friction: Coulomb + Stribeck · exp(-|speed| / stribeck_velocity) + load_friction_motor · |torque| (laws
M2 to M4 of Duclusaud et al. 2025, "Extended friction models for the physics simulation of servo actuators").
The torque: at full voltage a motor gives (1 - speed_loss |speed|) of its limit towards its speed, all of it
against (the torque-speed line of a DC motor).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

UNLIMITED = 1e6
"""Top speed and braking from here on change nothing."""


@dataclass
class GoalLimits:
    """Top speed, rad/s, and braking, rad/s², of the goals; shape (rows, nu) each."""

    speed: FloatArray
    braking: FloatArray
    goal: FloatArray
    velocity: FloatArray

    @classmethod
    def of(cls, speed: FloatArray, braking: FloatArray, start: FloatArray) -> GoalLimits | None:
        """The law, or None if it changes nothing."""
        if (speed >= UNLIMITED).all() and (braking >= UNLIMITED).all():
            return None
        return cls(speed, braking, start.copy(), np.zeros_like(start))

    def follow(self, target: FloatArray, rows: int, dt: float) -> FloatArray:
        """Goals of the first ``rows`` rows after a physics step towards ``target``. Shape (rows, nu)."""
        goal, velocity, braking = self.goal[:rows], self.velocity[:rows], self.braking[:rows]
        away = target - goal
        # the speed from which whole steps of braking end at the target: v²/2b + v dt/2 = distance
        half = braking * dt / 2
        top = np.minimum(np.sqrt(2 * braking * np.abs(away) + half**2) - half, self.speed[:rows])
        wanted = np.clip(away / dt, -top, top)
        # it speeds up at once, but slows down, and turns round, no faster than it brakes
        slowest = np.abs(velocity) - braking * dt
        too_fast = np.sign(velocity) * wanted < slowest
        velocity[:] = np.where(too_fast & (slowest > 0), np.sign(velocity) * slowest, wanted)
        goal += velocity * dt
        return goal


@dataclass
class DryFriction:
    """Dry friction by speed and load; shape (rows, nv) each."""

    coulomb: FloatArray
    stribeck: FloatArray
    stribeck_velocity: FloatArray
    load: FloatArray

    @property
    def changes(self) -> bool:
        """Whether it ever differs from Coulomb's."""
        return bool(self.stribeck.any() or self.load.any())

    def at(self, velocity: FloatArray, torque: FloatArray, rows: slice | NDArray[np.intp]) -> FloatArray:
        """Friction of some rows at a velocity and a torque of the actuators on the joints."""
        stribeck = self.stribeck[rows] * np.exp(-np.abs(velocity) / self.stribeck_velocity[rows])
        return np.asarray(self.coulomb[rows] + stribeck + self.load[rows] * np.abs(torque))


@dataclass
class TorqueLine:
    """Limits that fall with speed; shape (rows, nu) each, ``limits`` (rows, nu, 2)."""

    loss: FloatArray
    """Share of the limit lost per speed, s/rad or s/m."""
    limits: FloatArray

    @classmethod
    def of(cls, loss: FloatArray, limits: FloatArray) -> TorqueLine | None:
        """The law, or None if it changes nothing."""
        return cls(loss, limits) if loss.any() else None

    def at(self, speed: FloatArray, rows: slice) -> FloatArray:
        """Least and most that the actuators of some rows give at a speed. Shape (rows, nu, 2)."""
        lost = self.loss[rows] * speed
        shares = np.stack([1.0 + lost, 1.0 - lost], axis=-1).clip(0.0, 1.0)
        return np.asarray(self.limits[rows] * shares)
