"""Walk on four legs at a commanded speed, by moving the goals of twelve position servos."""

from __future__ import annotations

import dataclasses
import math

from array_api_compat import array_namespace, device

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, Simulator, TaskSpec
from sim2real.tasks.rotation import to_body, up_in_body

_JOINTS = tuple(f"{leg}_{joint}" for leg in ("FR", "FL", "RR", "RL") for joint in ("hip", "thigh", "calf"))
_CROUCH = (0.0, 0.9, -1.8) * 4
_REACH = (0.15, 0.4, 0.4) * 4  # rad that a full action moves a servo's goal off the crouch
_STRIDE = 20  # control steps to a turn of the clock: 0.4 s
_HEIGHT = 0.26  # m, of the trunk in the crouch


class Quadruped:
    """Velocity tracking (Rudin et al. 2022) from an IMU, encoders, a command and a clock alone."""

    spec = TaskSpec(
        name="quadruped",
        version=0,
        control_dt=0.02,
        max_steps=300,
        observation=(
            Signal("commanded_velocity_x", "m/s"),
            Signal("clock_cos", "1"),
            Signal("clock_sin", "1"),
            *(Signal(f"up_{axis}", "1", 0.5) for axis in "xyz"),
            *(Signal(f"turn_rate_{axis}", "rad/s", 2.0) for axis in "xyz"),
            *(Signal(f"{joint}_angle_off_crouch", "rad", 0.5) for joint in _JOINTS),
            *(Signal(f"{joint}_velocity", "rad/s", 10.0) for joint in _JOINTS),
            *(Signal(f"{joint}_last_action", "1") for joint in _JOINTS),
        ),
        action=tuple(
            Signal(f"{joint}_goal_off_crouch", "rad", reach)
            for joint, reach in zip(_JOINTS, _REACH, strict=True)
        ),
        num_draws=16,
        success="no fall, and a mean forward speed within 0.1 m/s of the command over the second half",
        joints=(Joint("trunk_free", "free"), *(Joint(f"{joint}_joint") for joint in _JOINTS)),
        drives=tuple(Drive(f"{joint}_servo", f"{joint}_joint", "servo") for joint in _JOINTS),
    )

    def __init__(self, simulator: Simulator, max_steps: int | None = None) -> None:
        """Bind the task to the simulations that it is done in."""
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        xp, qpos, qvel = array_namespace(simulator.qpos), simulator.qpos, simulator.qvel
        self._xp, self._attitude, self._height = xp, qpos[:, 3:7], qpos[:, 2]
        self._angles, self._rates = qpos[:, 7:], qvel[:, 6:]
        self._velocity, self._turn_rate = qvel[:, :3], qvel[:, 3:6]
        kind = {"dtype": qpos.dtype, "device": device(qpos)}
        self._crouch: Array = xp.asarray(_CROUCH, **kind)
        self._reach: Array = xp.asarray(_REACH, **kind)
        self._action, self._last = xp.zeros_like(self._angles), xp.zeros_like(self._angles)
        self._command = xp.zeros_like(self._height)
        self._walked = xp.zeros_like(self._height)
        self._fallen = self._height > 1e9
        self._step = xp.zeros_like(self._height)

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Crouching within 0.1 rad, at rest, up to 0.05 rad off level; told to walk at 0.2 to 0.8 m/s."""
        xp = self._xp
        still = xp.zeros_like(u)
        self._command[env_ids] = 0.2 + 0.6 * u[:, 0]
        self._action[env_ids], self._last[env_ids] = 0.0, 0.0
        self._walked[env_ids], self._step[env_ids] = 0.0, 0.0
        half = 0.05 * (u[:, 1:4] - 0.5)
        w = xp.sqrt(1.0 - xp.sum(half * half, axis=1, keepdims=True))
        angles = self._crouch + 0.2 * (u[:, 4:] - 0.5)
        qpos = xp.concat((still[:, :2], still[:, :1] + 0.31, w, half, angles), axis=1)
        return qpos, xp.concat((still, still[:, :2]), axis=1), self._crouch + still[:, :12]

    def command(self, action: Array) -> Array:
        """Goals of the servos, rad: offsets from the crouch. Shape (num_envs, 12)."""
        self._last[:] = self._action
        self._action[:] = action
        return self._crouch + self._reach * action

    def outcome(self) -> tuple[Array, Mask]:
        """Reward in [0.1, 1.1]: speed near the command, less what is not walking straight and level."""
        xp = self._xp
        up, velocity = up_in_body(self._attitude), to_body(self._attitude, self._velocity)
        self._step += 1
        self._walked += velocity[:, 0] * (self._step > self.spec.max_steps // 2)
        change = self._action - self._last
        turning = self._turn_rate * self._turn_rate
        cost = (
            1.0 * velocity[:, 1] ** 2
            + 1.0 * velocity[:, 2] ** 2
            + 0.03 * (turning[:, 0] + turning[:, 1])
            + 0.3 * turning[:, 2]
            + 1.0 * (up[:, 0] ** 2 + up[:, 1] ** 2)
            + 10.0 * (self._height - _HEIGHT) ** 2
            + 0.01 * xp.vecdot(change, change)
            + 0.01 * xp.vecdot(self._action, self._action)
        )
        track = xp.exp(-(((velocity[:, 0] - self._command) / 0.25) ** 2))  # wider, and lunging pays
        self._fallen = (self._height < 0.15) | (up[:, 2] < 0.7)
        return 0.1 + xp.maximum(track - cost, xp.zeros_like(cost)), self._fallen

    def succeeded(self) -> Mask:
        """Whether the robot stands and walked at the commanded speed. Shape (num_envs,)."""
        xp, half = self._xp, self.spec.max_steps - self.spec.max_steps // 2
        kept: Mask = (xp.abs(self._walked / half - self._command) < 0.1) & ~self._fallen
        return kept

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 45)."""
        xp, phase = self._xp, self._step * (2.0 * math.pi / _STRIDE)
        seen: Array = xp.concat(
            (
                xp.stack((self._command, xp.cos(phase), xp.sin(phase)), axis=1),
                up_in_body(self._attitude) / 0.5,
                self._turn_rate / 2.0,
                (self._angles - self._crouch) / 0.5,
                self._rates / 10.0,
                self._action,
            ),
            axis=1,
        )
        return seen
