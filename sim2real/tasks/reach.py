"""Bring the tip of a servo-driven arm to a point and hold it there, by moving the servos' goals."""

from __future__ import annotations

from array_api_compat import device

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, Simulator, TaskSpec
from sim2real.tasks.hold import HoldTask

_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
_STEP = 0.12  # rad that a full action moves a servo's goal: 3 rad/s


class Reach(HoldTask):
    """Random goals in front of the arm, in a shell around its shoulder."""

    spec = TaskSpec(
        name="reach",
        version=0,
        control_dt=0.04,
        max_steps=80,
        observation=(
            *(Signal(f"{joint}_angle", "rad") for joint in _JOINTS),
            *(Signal(f"{joint}_velocity", "rad/s", 3.0) for joint in _JOINTS),
            *(Signal(f"{joint}_goal_error", "rad", 0.3) for joint in _JOINTS),
            *(Signal(f"goal_{axis}", "m", 0.3) for axis in "xyz"),
            *(Signal(f"tip_error_{axis}", "m", 0.1) for axis in "xyz"),
        ),
        action=tuple(Signal(f"{joint}_goal_step", "rad", _STEP) for joint in _JOINTS),
        num_draws=9,
        success="the tip within 15 mm of the goal for all of the last 0.8 s",
        joints=tuple(Joint(joint) for joint in _JOINTS),
        drives=tuple(Drive(joint, joint, "servo") for joint in _JOINTS),
    )

    hold_seconds, hold_share = 0.8, 1.0

    def __init__(self, simulator: Simulator, max_steps: int | None = None) -> None:
        """Bind the task to the simulations that it is done in."""
        super().__init__(simulator, max_steps)
        xp = self._xp
        ranges = [simulator.limits(joint) for joint in _JOINTS]
        limits = xp.asarray(ranges, dtype=self._qpos.dtype, device=device(self._qpos))
        self._low, self._high = limits[:, 0], limits[:, 1]
        self._tip = simulator.site("gripperframe")
        self._goal = xp.zeros_like(self._tip)
        self._target: Array = xp.zeros_like(self._qpos)
        self._action = xp.zeros_like(self._qpos)

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Joints within 0.25 rad of the rest pose; a goal 0.18 to 0.30 m in front of the shoulder."""
        xp = self._xp
        self._forget(env_ids)
        rest = xp.asarray([0.0, -0.4, 0.4, 0.6, 0.0, 0.4], dtype=u.dtype, device=device(u))
        qpos = rest + 0.5 * (u[:, :6] - 0.5)
        azimuth, radius = 1.6 * (u[:, 6] - 0.5), 0.18 + 0.12 * u[:, 7]
        elevation = 1.0 * (u[:, 8] - 0.4)
        reach = radius * xp.cos(elevation)
        self._goal[env_ids] = xp.stack(
            (
                0.04 + reach * xp.cos(azimuth),
                reach * xp.sin(azimuth),
                0.12 + radius * xp.sin(elevation),
            ),
            axis=1,
        )
        self._target[env_ids] = qpos
        self._action[env_ids] = 0.0
        return qpos, xp.zeros_like(qpos), qpos

    def command(self, action: Array) -> Array:
        """Goals of the servos, rad: the last goals moved by the action. Shape (num_envs, 6)."""
        self._action[:] = action
        self._target[:] = self._xp.minimum(
            self._xp.maximum(self._target + _STEP * action, self._low), self._high
        )
        return self._target

    def outcome(self) -> tuple[Array, Mask]:
        """Reward up to 1.5: close (10 cm scale) and very close (1 cm scale), less effort."""
        xp = self._xp
        error = self._tip - self._goal
        distance = xp.sqrt(xp.vecdot(error, error))
        self._count(distance < 0.015)
        effort = xp.vecdot(self._action, self._action)
        near = xp.exp(-distance / 0.1) + 0.5 * xp.exp(-((distance / 0.015) ** 2))
        return near - 0.02 * effort, self._never

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 24)."""
        seen: Array = self._xp.concat(
            (
                self._qpos,
                self._qvel / 3.0,
                (self._target - self._qpos) / 0.3,
                self._goal / 0.3,
                (self._goal - self._tip) / 0.1,
            ),
            axis=1,
        )
        return seen

    def state(self, observation: Array) -> tuple[Array, Array]:
        """Angles and velocities that observations tell. Shapes (n, 6)."""
        return observation[:, :6], 3.0 * observation[:, 6:12]

    def take_up(self, env_ids: Ids, observation: Array) -> None:
        """Want what was wanted when the present state was seen so. Shape (len(env_ids), 24)."""
        self._target[env_ids] = self._qpos[env_ids] + 0.3 * observation[:, 12:18]
        self._goal[env_ids] = 0.3 * observation[:, 18:21]
