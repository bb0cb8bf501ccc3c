"""What a world expects of recordings: joints, units, limits, and how late things may come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sim2real.recordings.recording import FloatArray
from sim2real.world import World

# mjTRN_JOINT and mjTRN_JOINTINPARENT; a tendon's or a site's number is no joint's
_OF_A_JOINT = (0, 1)
LATENCY_WINDOW = 0.5
"""Seconds within which a command's effect is looked for, where no world says more."""


@dataclass(frozen=True)
class Expected:
    """What logs are held against; empty where there is no world."""

    world: str = ""
    table: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The world's joint for each column of its recordings, with ``scale`` and ``offset``."""
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Range of each joint of the world, rad or m; infinite where it has none."""
    latency_window: float = LATENCY_WINDOW
    """Seconds; a shorter recording shows no command's whole effect."""
    goals: frozenset[str] | None = None
    """Joints of the world whose command is where they should go; the command of any other is a force, or
    there is none. None where no world says: then every command is taken for a goal."""

    def joint(self, column: str) -> str:
        """The world's joint that a column is for; empty if it has none."""
        target = str(self.table.get(column, {}).get("joint", column))
        return target if target in self.limits else ""

    def follows(self, column: str) -> bool:
        """Whether a column's command is where its joint should go."""
        return self.goals is None or self.joint(column) in self.goals

    def factors(self, columns: tuple[str, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Scale, offset and the velocity's scale that bring columns to the world's units."""
        entries = [self.table.get(column, {}) for column in columns]
        scale = [_number(entry, "scale", 1.0) for entry in entries]
        rate = [_number(entry, "velocity_scale", s) for entry, s in zip(entries, scale, strict=True)]
        offset = [_number(entry, "offset", 0.0) for entry in entries]
        return np.array(scale), np.array(offset), np.array(rate)


def expected_of(world: World) -> Expected:
    """What a world expects of recordings of its robot."""
    model = world.model
    ends = np.where(model.jnt_limited[:, None], model.jnt_range, [-np.inf, np.inf])
    limits = {model.joint(j).name: (float(low), float(high)) for j, (low, high) in enumerate(ends)}
    steps = [p.high for name, p in world.parameters.items() if name.endswith(".latency")]
    window = max([LATENCY_WINDOW, *(step * float(model.opt.timestep) for step in steps)])
    own = np.isin(model.actuator_trntype, _OF_A_JOINT) & (model.actuator_biasprm[:, 1] < 0)
    servos = model.actuator_trnid[own, 0]
    goals = frozenset(model.joint(int(j)).name for j in servos if 0 <= j < model.njnt)
    return Expected(world.name, world.recordings, limits, window, goals)


def _number(entry: Mapping[str, object], key: str, default: float) -> float:
    value = entry.get(key, default)
    return float(value) if isinstance(value, int | float) else default
