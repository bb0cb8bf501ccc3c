"""Physics steps of joints that are simulated alone: a motor, and a link that may have play against it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real.channels.laws import extra_friction, limits_at

FloatArray = NDArray[np.float64]


class Joint:
    """One physics step of every joint alone: implicit in the damping, sticking exactly.

    Forces are impulses in here, times the step, and arrays are written over where they may be: with many
    small steps, what an operation costs is the calling of it.
    """

    def __init__(self, rows: Mapping[str, FloatArray], inertia: FloatArray, dt: float) -> None:
        """Take the numbers.

        Args:
            rows: every quantity of every row. Shapes (motions, lines).
            inertia: of what each joint carries, without its rotor, kg·m² or kg. Shape (motions, lines).
            dt: physics step, s.
        """
        strength = dt * rows["strength"]
        self._kp, self._kd, self._bias = (
            rows["kp"] * strength,
            rows["kd"] * strength,
            dt * rows["bias_torque"],
        )
        self._most = rows["torque_limit"] * strength
        self._least = -self._most
        self.link, self.rotor, self.inertia = inertia, rows["armature"], inertia + rows["armature"]
        self.slowing = dt * rows["damping"] + self._kd
        self._heavy = self.inertia + self.slowing
        self._coulomb = dt * rows["frictionloss"]
        self._held, self._driven = self._coulomb.copy(), -self._coulomb
        self._varies = some = _among((rows["stribeck"] != 0) | (rows["load_friction_motor"] != 0))
        self._law = {q: rows[q][some].copy() for q in ("stribeck", "load_friction_motor") if rows[q].any()}
        if "stribeck" in self._law:
            self._law["stribeck"] *= dt
            self._law["stribeck_velocity"] = rows["stribeck_velocity"][some]
            if (rows["stribeck_exponent"] != 1.0).any():
                self._law["stribeck_exponent"] = rows["stribeck_exponent"][some]
        self._fades = _among(rows["speed_loss"] != 0)
        self._loss = rows["speed_loss"][self._fades]
        self._limits = np.stack([limit[self._fades] for limit in (self._least, self._most)], axis=-1)

    def drive(self, goal: FloatArray, position: FloatArray, velocity: FloatArray) -> FloatArray:
        """Impulse of the servos, their damping aside; sets the dry friction that goes with it."""
        drive = goal - position
        drive *= self._kp
        drive += self._bias
        np.maximum(drive, self._least, out=drive)
        np.minimum(drive, self._most, out=drive)
        if self._loss.size:
            some = self._fades
            limits = limits_at(np, self._limits, self._loss, velocity[some])
            drive[some] = np.minimum(np.maximum(drive[some], limits[..., 0]), limits[..., 1])
        if self._law:
            some, speed = self._varies, velocity[self._varies]
            friction = extra_friction(np, self._law, speed, drive[some] - self._kd[some] * speed, None)
            np.add(self._coulomb[some], friction, out=self._held[some])
            np.negative(self._held[some], out=self._driven[some])
        return drive

    def slowed(self, momentum: FloatArray, heavy: FloatArray) -> FloatArray:
        """Velocity that dry friction leaves of a momentum; ``heavy`` is inertia and `slowing`."""
        held = np.maximum(momentum, self._driven)
        np.minimum(held, self._held, out=held)
        np.subtract(momentum, held, out=held)
        held /= heavy
        return held

    def step(
        self, goal: FloatArray, position: FloatArray, velocity: FloatArray, gravity: FloatArray
    ) -> FloatArray:
        """Velocity after a physics step, under gravity's impulse. Shape (motions, lines)."""
        momentum = self.drive(goal, position, velocity)
        momentum -= gravity
        momentum += self.inertia * velocity
        return self.slowed(momentum, self._heavy)


class Loose:
    """The same with play: the link moves freely within it and takes the motor's speed at its ends.

    Servo, friction and damping act on the motor, gravity on the link; at the ends they meet without a
    rebound, as a joint with a stiff range in MuJoCo does.
    """

    def __init__(self, joint: Joint, backlash: FloatArray, dt: float) -> None:
        """Begin in the middle of the play, ``backlash`` from end to end, rad or m. Shape (motions, lines)."""
        self._joint, self._half, self._least, self._dt = joint, backlash / 2, -backlash / 2, dt
        self._motor, self._both = joint.rotor + joint.slowing, joint.inertia + joint.slowing
        self.plays = [np.zeros_like(backlash)]
        """Where the link is, from where the motor is, by step."""
        self._link_velocity: FloatArray | None = None

    def step(
        self, goal: FloatArray, position: FloatArray, velocity: FloatArray, gravity: FloatArray
    ) -> FloatArray:
        """Velocity of the motor after a physics step; adds to `plays`."""
        joint = self._joint
        push = joint.drive(goal, position, velocity)
        push += joint.rotor * velocity
        fall = joint.link * (velocity if self._link_velocity is None else self._link_velocity) - gravity
        motor, link = joint.slowed(push, self._motor), fall / joint.link
        play = self.plays[-1] + self._dt * (link - motor)
        apart = np.abs(play) < self._half
        together = joint.slowed(push + fall, self._both)
        self.plays.append(np.minimum(np.maximum(play, self._least), self._half))
        self._link_velocity = np.where(apart, link, together)
        return np.where(apart, motor, together)

    def take_plays(self) -> FloatArray:
        """`plays` since they were taken; the last begins the next. Shape (steps + 1, motions, lines)."""
        taken, self.plays = self.plays, self.plays[-1:]
        return np.array(taken)


def _among(chosen: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The lines from the first that is chosen to the last, of every motion."""
    lines = np.flatnonzero(chosen.any(axis=0))
    return slice(None), slice(int(lines[0]), int(lines[-1]) + 1) if len(lines) else slice(0, 0)
