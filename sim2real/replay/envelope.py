"""What a robot was seen to do, and may be made to do again without harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.doctor.noise import speeds
from sim2real.replay.motion import FloatArray, Motion, is_servo_robot
from sim2real.world import World
from sim2real.world.ground import plane_parameters, tip_height
from sim2real.world.poses import in_poses

_MARGIN = 0.05
"""Share of every range that is left at either end."""
_LOOKS = 60  # poses of a motion in which contacts are looked for
_CLEARANCE = 0.02  # m over a table


@dataclass(frozen=True, eq=False)
class CommandLimits:
    """What commands may do."""

    low: FloatArray
    """Least command of each actuator. Shape (nu,)."""
    high: FloatArray
    speed: FloatArray
    """Most that a command of a servo changes, rad/s or m/s. Shape (nu,)."""
    start: FloatArray
    """First command. Shape (nu,)."""
    servos: bool


class Envelope:
    """What a robot was seen to do, and may do again without harm."""

    def __init__(
        self, world: World, motions: Sequence[Motion], top_speed: float | None, point: Mapping[str, float]
    ) -> None:
        """Look at what motions show.

        Args:
            world: of the robot, all of whose joints are measured.
            motions: what it did.
            top_speed: of every joint, rad/s or m/s; by default about the highest that was seen of it.
            point: physics that were found, with the height of a table if there is one.
        """
        self.world, self.motions, self.servos = world, list(motions), is_servo_robot(world)
        kinds, limited = world.model.jnt_type, world.model.jnt_limited.astype(bool)[:, None]
        self.low, self.high = np.where(limited, world.model.jnt_range, [-np.inf, np.inf]).T
        own = np.max([speeds(m.time, m.measured).max(axis=0) for m in motions], axis=0)
        # one that was moved slowly may be as fast as the others of its kind
        own = np.maximum(own, [np.median(own[kinds == kind]) for kind in kinds])
        self.speed = own if top_speed is None else np.full(len(kinds), top_speed)
        self._touched: set[tuple[int, ...]] = set()
        self._lowest = -np.inf
        if self.servos:
            self._touched.update(*(self._contacts(m.measured) for m in motions))
            planes = plane_parameters(world.model)
            tables = [v for n, v in point.items() if n in planes and n.endswith(".height")]
            seen = min(float(self._heights(m.measured).min()) for m in motions)
            self._lowest = max([seen, *(height + _CLEARANCE for height in tables)])

    def commands(self) -> CommandLimits:
        """What an actuator may be told."""
        model, driven = self.world.model, self.world.model.actuator_trnid[:, 0]
        told = np.vstack([m.command for m in self.motions])
        limited = model.actuator_ctrllimited.astype(bool)[:, None]
        seen = np.stack([told.min(axis=0), told.max(axis=0)], axis=1)
        low, high = np.where(limited, model.actuator_ctrlrange, seen).T
        if self.servos:
            low, high = np.maximum(low, self.low[driven]), np.minimum(high, self.high[driven])
        margin = _MARGIN * (high - low)
        start = np.clip(told[0], low + margin, high - margin)
        return CommandLimits(low + margin, high - margin, self.speed[driven], start, self.servos)

    def holds(self, time: FloatArray, positions: FloatArray) -> bool:
        """Whether a motion keeps within the ranges and speeds; of an arm, clear of what it never touched."""
        if not np.isfinite(positions).all() or (positions < self.low).any() or (positions > self.high).any():
            return False
        if (speeds(time, positions) > 1.05 * self.speed).any():
            return False
        if not self.servos:
            return True
        clear = bool(self._heights(positions).min() >= self._lowest)
        return clear and self._contacts(positions) <= self._touched

    def _heights(self, positions: FloatArray) -> FloatArray:
        return tip_height(self.world.model, positions[::5], self.motions[0].joints)

    def _contacts(self, positions: FloatArray) -> set[tuple[int, ...]]:
        """Pairs of geoms that touch in some pose of a motion; what a found table is near, its height says."""
        model, pairs = self.world.model, set()
        rows = np.linspace(0, len(positions) - 1, _LOOKS).astype(int)
        for data in in_poses(model, self.motions[0].joints, positions[rows]):
            mujoco.mj_collision(model, data)
            pairs |= {tuple(pair) for pair in data.contact.geom.tolist()}
        return pairs
