"""Hop forward on one leg in the plane without falling."""

from __future__ import annotations

import dataclasses

from array_api_compat import array_namespace, device

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, Simulator, TaskSpec

_JOINTS = ("hip", "knee", "ankle")


class Hopper:
    """The planar hopper of Erez et al. 2011, as in gymnasium's Hopper, with direct-drive-like motors."""

    spec = TaskSpec(
        name="hopper",
        version=0,
        control_dt=0.01,
        max_steps=400,
        observation=(
            Signal("torso_height", "m"),
            Signal("torso_pitch", "rad"),
            *(Signal(f"{joint}_angle", "rad") for joint in _JOINTS),
            Signal("torso_velocity_x", "m/s", 2.0),
            Signal("torso_velocity_z", "m/s", 2.0),
            Signal("torso_pitch_rate", "rad/s", 5.0),
            *(Signal(f"{joint}_velocity", "rad/s", 10.0) for joint in _JOINTS),
        ),
        action=tuple(Signal(f"{joint}_torque", "of full torque") for joint in _JOINTS),
        num_draws=6,
        success="no fall, and at least 2 m forward",
        joints=(
            *(Joint(f"root_{axis}", "slide") for axis in "xz"),
            *(Joint(name) for name in ("root_pitch", *_JOINTS)),
        ),
        drives=tuple(Drive(f"{joint}_motor", joint) for joint in _JOINTS),
    )

    def __init__(self, simulator: Simulator, max_steps: int | None = None) -> None:
        """Bind the task to the simulations that it is done in."""
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        xp = self._xp = array_namespace(simulator.qpos)
        self._qpos, self._qvel = simulator.qpos, simulator.qvel
        self._action = xp.zeros_like(self._qpos[:, :3])
        self._fallen = self._qpos[:, 0] > 1e9
        scale = [1.0 / signal.scale for signal in self.spec.observation[5:]]
        self._scale = xp.asarray(scale, dtype=self._qpos.dtype, device=device(self._qpos))

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Standing 1.25 m high, every coordinate but the forward one within 0.01."""
        still = self._xp.zeros_like(u)
        qpos = self._xp.concat((still[:, :1], 0.02 * (u[:, :5] - 0.5)), axis=1)
        qpos[:, 1] += 1.25
        return qpos, still, still[:, :3]

    def command(self, action: Array) -> Array:
        """Motor torques as a share of the full torque. Shape (num_envs, 3)."""
        self._action[:] = action
        return action

    def outcome(self) -> tuple[Array, Mask]:
        """Alive bonus and forward speed up to 2 m/s, less effort; a fall ends the episode."""
        xp = self._xp
        effort = xp.vecdot(self._action, self._action)
        speed = xp.minimum(xp.maximum(self._qvel[:, 0], -1.0), 2.0)  # xp.clip is ten times slower
        reward = 0.5 + 0.5 * speed - 0.005 * effort
        self._fallen = (self._qpos[:, 1] < 0.7) | (xp.abs(self._qpos[:, 2]) > 0.5)
        return reward, self._fallen

    def succeeded(self) -> Mask:
        """Whether the robot stands and got somewhere. Shape (num_envs,)."""
        far: Mask = (self._qpos[:, 0] > 2.0) & ~self._fallen
        return far

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 11)."""
        seen: Array = self._xp.concat((self._qpos[:, 1:], self._qvel * self._scale), axis=1)
        return seen

    def state(self, observation: Array) -> tuple[Array, Array]:
        """State that observations tell, which know no place: at the origin. Shapes (n, 6)."""
        nowhere = self._xp.zeros_like(observation[:, :1])
        return self._xp.concat((nowhere, observation[:, :5]), axis=1), observation[:, 5:] / self._scale
