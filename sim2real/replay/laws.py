"""What acts once a physics step: a servo's goal that can't jump, dry friction that depends on speed and load.

The goal: many servos move an inner goal towards the commanded one, no faster than their top speed and no
faster than they can brake before reaching it, v² = 2 · braking · distance.
The friction: Coulomb + Stribeck · exp(-|speed| / stribeck_velocity) + load_friction_motor · |torque| (laws
M2 to M4 of Duclusaud et al. 2025, "Extended friction models for the physics simulation of servo actuators").
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
