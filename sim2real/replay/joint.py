"""Physics steps of joints that are simulated alone: a motor, and a link that may have play against it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real.channels.laws import extra_friction, limits_at

FloatArray = NDArray[np.float64]


class Joint:
    """One physics step of every joint alone: implicit in the damping, sticking exactly."""

    def __init__(self, rows: Mapping[str, FloatArray], inertia: FloatArray, dt: float) -> None:
        """Take the numbers.

        Args:
            rows: every quantity of every row and joint. Shapes (rows, k).
            inertia: of what each joint carries, without its rotor, kg·m² or kg. Shape (k,).
            dt: physics step, s.
        """
        self.dt = dt
        self.kp, self.kd = rows["kp"] * rows["strength"], rows["kd"] * rows["strength"]
        self.bias, self.damping = rows["bias_torque"], rows["damping"]
        self.limit = rows["torque_limit"] * rows["strength"]
        self.link, self.rotor = inertia, rows["armature"]
        self.coulomb = rows["frictionloss"]
        self.law = {q: rows[q] for q in ("stribeck", "load_friction_motor") if rows[q].any()}
        self.varies = bool(self.law)
        if "stribeck" in self.law:
            self.law["stribeck_velocity"] = rows["stribeck_velocity"]
            if (rows["stribeck_exponent"] != 1.0).any():
                self.law["stribeck_exponent"] = rows["stribeck_exponent"]
        self.loss = rows["speed_loss"] if rows["speed_loss"].any() else None
        self.friction = self.coulomb

    def drive(self, goal: FloatArray, position: FloatArray, velocity: FloatArray) -> FloatArray:
        """Torque of the servos, their damping aside; sets the dry friction that goes with it."""
        torque = self.kp * (goal - position) + self.bias
        if self.loss is None:
            drive = np.clip(torque, -self.limit, self.limit)
        else:
            limits = np.stack([-self.limit, self.limit], axis=-1)
            least, most = np.moveaxis(limits_at(np, limits, self.loss, velocity), -1, 0)
            drive = np.clip(torque, least, most)
        if self.varies:
            motor = drive - self.kd * velocity
            self.friction = self.coulomb + extra_friction(np, self.law, velocity, motor, None)
        return drive

    def slowed(self, momentum: FloatArray, inertia: FloatArray) -> FloatArray:
        """Velocity that dry friction and damping leave of a momentum."""
        held = self.dt * self.friction
        heavy = inertia + self.dt * (self.damping + self.kd)
        return np.asarray((momentum - np.clip(momentum, -held, held)) / heavy)

    def step(
        self, goal: FloatArray, position: FloatArray, velocity: FloatArray, gravity: FloatArray
    ) -> FloatArray:
        """Velocity after a physics step. Shape (rows, k)."""
        inertia = self.link + self.rotor
        drive = self.drive(goal, position, velocity)
        return self.slowed(inertia * velocity + self.dt * (drive - gravity), inertia)


class Loose:
    """The same with play: the link moves freely within it and takes the motor's speed at its ends.

    Servo, friction and damping act on the motor, gravity on the link; at the ends they meet without a
    rebound, as a joint with a stiff range in MuJoCo does.
    """

    def __init__(self, joint: Joint, backlash: FloatArray) -> None:
        """Begin in the middle of the play, ``backlash`` from end to end, rad or m. Shape (rows, k)."""
        self.joint, self.half = joint, backlash / 2
        self.play = np.zeros_like(backlash)
        """Where the link is, from where the motor is."""
        self._link_velocity: FloatArray | None = None

    def step(
        self, goal: FloatArray, position: FloatArray, velocity: FloatArray, gravity: FloatArray
    ) -> FloatArray:
        """Velocity of the motor after a physics step; moves `play`."""
        joint, dt = self.joint, self.joint.dt
        drive = joint.drive(goal, position, velocity)
        link_velocity = velocity if self._link_velocity is None else self._link_velocity
        push, fall = joint.rotor * velocity + dt * drive, joint.link * link_velocity - dt * gravity
        motor, link = joint.slowed(push, joint.rotor), fall / joint.link
        play = self.play + dt * (link - motor)
        apart = np.abs(play) < self.half
        together = joint.slowed(push + fall, joint.link + joint.rotor)
        self.play = np.clip(play, -self.half, self.half)
        self._link_velocity = np.where(apart, link, together)
        return np.where(apart, motor, together)
