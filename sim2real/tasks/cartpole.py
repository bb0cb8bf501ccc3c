"""Swing a pole up by pushing its cart, and keep it up. Pole angle 0 is upright, pi is hanging."""

from __future__ import annotations

import math

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, TaskSpec
from sim2real.tasks.hold import HoldTask


class CartPole(HoldTask):
    """The swing-up of dm_control's suite (Tassa et al. 2018), with a force on the cart."""

    spec = TaskSpec(
        name="cartpole",
        version=0,
        control_dt=0.02,
        max_steps=250,
        observation=(
            Signal("cart_position", "m", 1.8),
            Signal("pole_cos", "1"),
            Signal("pole_sin", "1"),
            Signal("cart_velocity", "m/s", 4.0),
            Signal("pole_velocity", "rad/s", 10.0),
        ),
        action=(Signal("force", "N", 10.0),),
        num_draws=2,
        success="the pole within 0.3 rad of upright for 90 % of the last second",
        joints=(Joint("slider", "slide"), Joint("hinge")),
        drives=(Drive("motor", "slider"),),
    )

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Hanging, within 0.1 rad and 0.1 m."""
        self._forget(env_ids)
        offset = 0.2 * (u - 0.5)
        offset[:, 1] += math.pi
        return offset, self._xp.zeros_like(offset), self._xp.zeros_like(offset[:, :1])

    def command(self, action: Array) -> Array:
        """Force on the cart, N. Shape (num_envs, 1)."""
        return 10.0 * action

    def outcome(self) -> tuple[Array, Mask]:
        """Reward in [0, 1]: high up, near the middle, not spinning; the rail's ends are walls."""
        xp, cart = self._xp, self._qpos[:, 0]
        up = xp.cos(self._qpos[:, 1])
        self._count(up > math.cos(0.3))
        centred = xp.exp(-((cart / 1.2) ** 2))
        calm = 0.5 + 0.5 * xp.exp(-((self._qvel[:, 1] / 5.0) ** 2))
        return 0.5 * (1.0 + up) * centred * calm, self._never

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 5)."""
        xp, angle = self._xp, self._qpos[:, 1]
        seen: Array = xp.stack(
            (
                self._qpos[:, 0] / 1.8,
                xp.cos(angle),
                xp.sin(angle),
                self._qvel[:, 0] / 4.0,
                self._qvel[:, 1] / 10.0,
            ),
            axis=1,
        )
        return seen

    def state(self, observation: Array) -> tuple[Array, Array]:
        """Position, angle and velocities that observations tell. Shapes (n, 2)."""
        xp, seen = self._xp, observation
        qpos = xp.stack((1.8 * seen[:, 0], xp.atan2(seen[:, 2], seen[:, 1])), axis=1)
        return qpos, xp.stack((4.0 * seen[:, 3], 10.0 * seen[:, 4]), axis=1)
