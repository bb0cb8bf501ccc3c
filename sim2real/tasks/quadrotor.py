"""Fly a quadrotor to a waypoint and hover there, with the thrust of each rotor."""

from __future__ import annotations

from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, Simulator, TaskSpec
from sim2real.tasks.hold import HoldTask
from sim2real.tasks.rotation import tilted, to_body, to_world, up_in_body

_HOVER = 1.325 * 9.81 / 4  # N a rotor, of the nominal body: what it is built for, not what it weighs
_SPAN = 3.0  # N that a full action adds to it
_START_HEIGHT = 1.5  # m


class Quadrotor(HoldTask):
    """Waypoint flight from thrusts (Hwangbo et al. 2017), seen from the body; its heading is free."""

    spec = TaskSpec(
        name="quadrotor",
        version=0,
        control_dt=0.02,
        max_steps=250,
        observation=(
            *(Signal(f"waypoint_{axis}", "m") for axis in "xyz"),
            *(Signal(f"velocity_{axis}", "m/s", 2.0) for axis in "xyz"),
            *(Signal(f"up_{axis}", "1") for axis in "xyz"),
            *(Signal(f"turn_rate_{axis}", "rad/s", 5.0) for axis in "xyz"),
            *(Signal(f"last_action_{k}", "1") for k in range(1, 5)),
        ),
        action=tuple(Signal(f"rotor_{k}_thrust_above_hover", "N", _SPAN) for k in range(1, 5)),
        num_draws=9,
        success="within 0.15 m of the waypoint for all of the last second",
        joints=(Joint("trunk_free", "free"),),
        drives=tuple(Drive(f"rotor_{k}") for k in range(1, 5)),
    )

    hold_seconds, hold_share = 1.0, 1.0

    def __init__(self, simulator: Simulator, max_steps: int | None = None) -> None:
        """Bind the task to the simulations that it is done in."""
        super().__init__(simulator, max_steps)
        xp = self._xp
        self._place, self._attitude = self._qpos[:, :3], self._qpos[:, 3:7]
        self._velocity, self._turn_rate = self._qvel[:, :3], self._qvel[:, 3:]
        self._waypoint = xp.zeros_like(self._place)
        self._action = xp.zeros_like(self._attitude)

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """1.5 m up, tilted up to 0.2 rad about each axis, slow; a waypoint up to 1 m away along each axis."""
        xp = self._xp
        self._forget(env_ids)
        spread = 2.0 * u - 1.0
        still = xp.zeros_like(spread)
        self._waypoint[env_ids] = spread[:, :3]
        self._waypoint[env_ids, 2] += _START_HEIGHT
        self._action[env_ids] = 0.0
        half = 0.1 * spread[:, 3:6]
        w = xp.sqrt(1.0 - xp.sum(half * half, axis=1, keepdims=True))
        qpos = xp.concat((still[:, :2], still[:, :1] + _START_HEIGHT, w, half), axis=1)
        qvel = xp.concat((0.3 * spread[:, 6:], still[:, :3]), axis=1)
        return qpos, qvel, still[:, :4] + _HOVER

    def command(self, action: Array) -> Array:
        """Thrust of each rotor, N. Shape (num_envs, 4)."""
        self._action[:] = action
        return _HOVER + _SPAN * action

    def outcome(self) -> tuple[Array, Mask]:
        """Reward up to 1.5: close (0.5 m scale) and very close (0.1 m), less turning and effort."""
        xp = self._xp
        error = self._waypoint - self._place
        distance = xp.sqrt(xp.vecdot(error, error))
        self._count(distance < 0.15)
        near = xp.exp(-distance / 0.5) + 0.5 * xp.exp(-((distance / 0.1) ** 2))
        turning = xp.minimum(xp.vecdot(self._turn_rate, self._turn_rate), 100.0)
        effort = xp.vecdot(self._action, self._action)
        lost = (up_in_body(self._attitude)[:, 2] < 0.0) | (distance > 4.0)
        return near - 0.005 * turning - 0.01 * effort, lost

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, 16)."""
        seen: Array = self._xp.concat(
            (
                to_body(self._attitude, self._waypoint - self._place),
                to_body(self._attitude, self._velocity) / 2.0,
                up_in_body(self._attitude),
                self._turn_rate / 5.0,
                self._action,
            ),
            axis=1,
        )
        return seen

    def state(self, observation: Array) -> tuple[Array, Array]:
        """State that observations tell, which know neither place nor heading. Shapes (n, 7), (n, 6).

        With the waypoint over the origin, at the height of the start, and a heading along x.
        """
        xp = self._xp
        attitude = tilted(observation[:, 6:9])
        place = -to_world(attitude, observation[:, :3])
        place[:, 2] += _START_HEIGHT
        velocity = to_world(attitude, 2.0 * observation[:, 3:6])
        return xp.concat((place, attitude), axis=1), xp.concat((velocity, 5.0 * observation[:, 9:12]), axis=1)

    def take_up(self, env_ids: Ids, observation: Array) -> None:
        """Want what was wanted when the present state was seen so. Shape (len(env_ids), 16)."""
        way = to_world(self._attitude[env_ids], observation[:, :3])
        self._waypoint[env_ids] = self._place[env_ids] + way
        self._action[env_ids] = observation[:, 12:]
