"""Push a free block to a point on the table with a fingertip, and leave it there."""

from __future__ import annotations

from array_api_compat import device

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, Simulator, TaskSpec
from sim2real.tasks.hold import HoldTask

_STEP = 0.04  # m that a full action moves a servo's goal: 1 m/s
_BLOCK_HEIGHT = 0.019  # m, of the block's centre when it lies on the table


class Push(HoldTask):
    """Planar pushing (Mason 1986): the finger begins behind the block, the goal lies in a sector ahead."""

    spec = TaskSpec(
        name="push",
        version=0,
        control_dt=0.04,
        max_steps=60,
        observation=(
            *(Signal(f"finger_{axis}", "m", 0.3) for axis in "xy"),
            *(Signal(f"finger_velocity_{axis}", "m/s", 0.5) for axis in "xy"),
            *(Signal(f"servo_goal_error_{axis}", "m", 0.05) for axis in "xy"),
            Signal("block_yaw_cos", "1"),
            Signal("block_yaw_sin", "1"),
            *(Signal(f"block_velocity_{axis}", "m/s", 0.5) for axis in "xy"),
            Signal("block_yaw_rate", "rad/s", 5.0),
            *(Signal(f"block_from_finger_{axis}", "m", 0.1) for axis in "xy"),
            *(Signal(f"goal_from_block_{axis}", "m", 0.1) for axis in "xy"),
        ),
        action=tuple(Signal(f"servo_goal_step_{axis}", "m", _STEP) for axis in "xy"),
        num_draws=7,
        success="the block's centre within 25 mm of the goal for all of the last 0.4 s",
        joints=(Joint("carriage_x", "slide"), Joint("finger_y", "slide"), Joint("block_free", "free")),
        drives=(Drive("servo_x", "carriage_x", "servo"), Drive("servo_y", "finger_y", "servo")),
    )

    hold_seconds, hold_share = 0.4, 1.0

    def __init__(self, simulator: Simulator, max_steps: int | None = None) -> None:
        """Bind the task to the simulations that it is done in."""
        super().__init__(simulator, max_steps)
        xp = self._xp
        self._finger, self._block = self._qpos[:, :2], self._qpos[:, 2:4]
        kind = {"dtype": self._qpos.dtype, "device": device(self._qpos)}
        self._low, self._high = xp.asarray((-0.2, -0.3), **kind), xp.asarray((0.45, 0.3), **kind)
        self._goal = xp.zeros_like(self._finger)
        self._target: Array = xp.zeros_like(self._finger)
        self._action = xp.zeros_like(self._finger)

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Block within 3 cm and 0.5 rad, finger 8 to 12 cm behind, goal 15 to 30 cm ahead within 0.6 rad."""
        xp = self._xp
        self._forget(env_ids)
        still = xp.zeros_like(u)
        block, finger = 0.06 * (u[:, 0:2] - 0.5), 0.04 * (u[:, 2:4] - 0.5)
        finger = xp.stack((block[:, 0] - 0.1 + finger[:, 0], block[:, 1] + finger[:, 1]), axis=1)
        half_yaw, height = 0.5 * (u[:, 4:5] - 0.5), still[:, :1] + _BLOCK_HEIGHT
        azimuth, distance = 1.2 * (u[:, 5] - 0.5), 0.15 + 0.15 * u[:, 6]
        ahead = xp.stack((distance * xp.cos(azimuth), distance * xp.sin(azimuth)), axis=1)
        self._goal[env_ids] = block + ahead
        self._target[env_ids] = finger
        self._action[env_ids] = 0.0
        parts = (finger, block, height, xp.cos(half_yaw), still[:, :2], xp.sin(half_yaw))
        return xp.concat(parts, axis=1), xp.concat((still, still[:, :1]), axis=1), finger

    def command(self, action: Array) -> Array:
        """Goals of the two servos, m: the last goals moved by the action, within the work space."""
        self._action[:] = action
        moved = self._target + _STEP * action
        self._target[:] = self._xp.minimum(self._xp.maximum(moved, self._low), self._high)
        return self._target

    def outcome(self) -> tuple[Array, Mask]:
        """Reward up to 1.6: block close (10 cm scale) and very close (2 cm), finger at it, less effort."""
        xp = self._xp
        error, gap = self._goal - self._block, self._block - self._finger
        distance = xp.sqrt(xp.vecdot(error, error))
        self._count(distance < 0.025)
        near = xp.exp(-distance / 0.1) + 0.5 * xp.exp(-((distance / 0.02) ** 2))
        touching = 0.1 * xp.exp(-xp.vecdot(gap, gap) / 0.1**2)
        return near + touching - 0.01 * xp.vecdot(self._action, self._action), self._never

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 15)."""
        xp, qvel = self._xp, self._qvel
        w, z = self._qpos[:, 5:6], self._qpos[:, 8:9]
        seen: Array = xp.concat(
            (
                self._finger / 0.3,
                qvel[:, :2] / 0.5,
                (self._target - self._finger) / 0.05,
                1.0 - 2.0 * z * z,  # a lying block turns about the vertical alone
                2.0 * w * z,
                qvel[:, 2:4] / 0.5,
                qvel[:, 7:8] / 5.0,
                (self._block - self._finger) / 0.1,
                (self._goal - self._block) / 0.1,
            ),
            axis=1,
        )
        return seen

    def state(self, observation: Array) -> tuple[Array, Array]:
        """State that observations tell, with the block lying flat. Shapes (n, 9), (n, 8)."""
        xp, seen = self._xp, observation
        finger, still = 0.3 * seen[:, :2], xp.zeros_like(seen[:, :1])
        half_yaw = xp.atan2(seen[:, 7:8], seen[:, 6:7]) / 2
        block = finger + 0.1 * seen[:, 11:13]
        lying = (still + _BLOCK_HEIGHT, xp.cos(half_yaw), still, still, xp.sin(half_yaw))
        speeds = (0.5 * seen[:, 2:4], 0.5 * seen[:, 8:10], still, still, still, 5.0 * seen[:, 10:11])
        return xp.concat((finger, block, *lying), axis=1), xp.concat(speeds, axis=1)

    def take_up(self, env_ids: Ids, observation: Array) -> None:
        """Want what was wanted when the present state was seen so. Shape (len(env_ids), 15)."""
        self._target[env_ids] = self._finger[env_ids] + 0.05 * observation[:, 4:6]
        self._goal[env_ids] = self._block[env_ids] + 0.1 * observation[:, 13:15]
