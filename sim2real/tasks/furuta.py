"""Swing a rotary pendulum up with a voltage on the arm's motor. Pole angle 0 is hanging, pi is upright."""

from __future__ import annotations

import math

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, TaskSpec
from sim2real.tasks.hold import HoldTask


class Furuta(HoldTask):
    """Swing-up and balance of the Furuta pendulum (Furuta et al. 1992), Quanser-like."""

    spec = TaskSpec(
        name="furuta",
        version=0,
        control_dt=0.01,
        max_steps=400,
        observation=(
            Signal("arm_cos", "1"),
            Signal("arm_sin", "1"),
            Signal("pole_cos", "1"),
            Signal("pole_sin", "1"),
            Signal("arm_velocity", "rad/s", 10.0),
            Signal("pole_velocity", "rad/s", 20.0),
        ),
        action=(Signal("voltage", "V", 6.0),),
        num_draws=2,
        success="the pole within 0.3 rad of upright for 90 % of the last second",
        joints=(Joint("arm_hinge"), Joint("pole_hinge")),
        drives=(Drive("motor", "arm_hinge"),),
    )

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Hanging at rest, arm and pole within 0.1 rad of zero."""
        self._forget(env_ids)
        angles = 0.2 * (u - 0.5)
        return angles, self._xp.zeros_like(angles), self._xp.zeros_like(angles[:, :1])

    def command(self, action: Array) -> Array:
        """Motor voltage, V. Shape (num_envs, 1)."""
        return 6.0 * action

    def outcome(self) -> tuple[Array, Mask]:
        """Reward in [0, 1]: high up, the arm forward; an arm that spins lifts the pole, but gains little."""
        xp = self._xp
        up = -xp.cos(self._qpos[:, 1])
        self._count(up > math.cos(0.3))
        forward = 0.5 + 0.5 * xp.cos(self._qpos[:, 0])
        return 0.5 * (1.0 + up) * forward, self._never

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 6)."""
        xp = self._xp
        cos, sin = xp.cos(self._qpos), xp.sin(self._qpos)
        seen: Array = xp.stack(
            (
                cos[:, 0],
                sin[:, 0],
                cos[:, 1],
                sin[:, 1],
                self._qvel[:, 0] / 10.0,
                self._qvel[:, 1] / 20.0,
            ),
            axis=1,
        )
        return seen

    def state(self, observation: Array) -> tuple[Array, Array]:
        """Angles and velocities that observations tell. Shapes (n, 2)."""
        xp = self._xp
        seen = observation
        arm, pole = xp.atan2(seen[:, 1], seen[:, 0]), xp.atan2(seen[:, 3], seen[:, 2])
        speeds = xp.stack((10.0 * seen[:, 4], 20.0 * seen[:, 5]), axis=1)
        return xp.stack((arm, pole), axis=1), speeds
