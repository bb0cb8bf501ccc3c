"""What a world expects of recordings: joints, units, limits, and how late things may come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sim2real.recordings.recording import FloatArray
from sim2real.world import World

# mjTRN_JOINT and mjTRN_JOINTINPARENT; mjJNT_SLIDE and mjJNT_HINGE
_OF_A_JOINT, _SCALAR = (0, 1), (2, 3)
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
    slides: frozenset[str] = frozenset()
    """Joints of the world that are in m; all others are in rad."""
    latency_window: float = LATENCY_WINDOW
    """Seconds; a shorter recording shows no command's whole effect."""
    goals: frozenset[str] | None = None
    """Joints of the world whose command is where they should go; the command of any other is a force, or
    there is none. None where no world says: then every command is taken for a goal."""

    drives: Mapping[str, str] | None = None
    """The joint that each actuator drives alone, by the actuator's name; empty for one that pulls a tendon or
    the like. None where no world says."""

    def knows(self, column: str) -> bool:
        """Whether a column is for a joint, or tells an actuator what to do."""
        return bool(self.joint(column)) or column in (self.drives or ())

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Joints that an actuator drives alone, or all of them, and that no column is for."""
        given = {self.joint(column) for column in columns}
        if self.drives is None:
            wanted = {str(entry.get("joint", "")) for entry in self.table.values()} or set(self.limits)
        else:
            wanted = {joint for name, joint in self.drives.items() if joint and name not in columns}
        return sorted(wanted - given)

    def joint(self, column: str) -> str:
        """The world's joint that a column is for; empty if it has none."""
        target = str(self.table.get(column, {}).get("joint", column))
        return target if target in self.limits else ""

    def rescales(self, column: str) -> bool:
        """Whether the world says what a number of a column is in rad or m."""
        return "scale" in self.table.get(column, {})

    def follows(self, column: str) -> bool:
        """Whether a column's command is where its joint should go."""
        return self.goals is None or self.joint(column) in self.goals

    def moves(self, column: str) -> bool:
        """Whether an actuator drives a column's joint alone, as far as a world says."""
        return self.drives is None or self.joint(column) in self.drives.values() or column in self.drives

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
    scalar = np.flatnonzero(np.isin(model.jnt_type, _SCALAR))
    ends = np.where(model.jnt_limited[:, None], model.jnt_range, [-np.inf, np.inf])
    limits = {model.joint(int(j)).name: (float(ends[j, 0]), float(ends[j, 1])) for j in scalar}
    steps = [p.high for name, p in world.parameters.items() if name.endswith(".latency")]
    window = max([LATENCY_WINDOW, *(step * float(model.opt.timestep) for step in steps)])
    drives, goals = {}, set()
    for k in range(model.nactuator):
        of_joint = int(model.actuator_trntype[k]) in _OF_A_JOINT
        joint = model.joint(int(model.actuator_trnid[k, 0])).name if of_joint else ""
        drives[model.actuator(k).name or joint] = joint if joint in limits else ""
        if joint in limits and model.actuator_biasprm[k, 1] < 0:
            goals.add(joint)
    slides = frozenset(joint for joint in limits if model.joint(joint).type[0] == _SCALAR[0])
    return Expected(world.name, world.recordings, limits, slides, window, frozenset(goals), drives)


def _number(entry: Mapping[str, object], key: str, default: float) -> float:
    value = entry.get(key, default)
    return float(value) if isinstance(value, int | float) else default
