"""The mapping file: which column of a foreign log is what, in which unit.

``mapping.toml`` stands in the folder of the logs, or in one above it. A plain CSV and a Minari data
set need one, because nothing in them says which column is which; for the other formats it may rename
joints and convert units::

    robot = "two link arm"
    time = { column = "t", unit = "ms" }              # s (default), ms, us, ns
    state_time = { column = "t_read", unit = "ms" }   # only if measurements have stamps of their own

    [joints.elbow]
    command = "goal_2"        # column; in Minari a place such as "actions[0]"
    position = "angle_2"      # column; in Minari a place such as "observations[3]"
    velocity = "speed_2"      # optional
    unit = "deg"              # rad (default), deg, rev, m, cm, mm, or any name if a scale says the rest
    scale = -1.0              # optional, after the unit: a number below 0 turns the sign
    offset = 0.1              # optional, rad or m

    [joints.gripper]
    source = "Jaw"            # instead of columns, where the format knows its joints by name

The result is scale · value + offset in rad or m. Optional keys: ``period`` (s per row, where a
format has no stamps), ``delimiter`` (of a CSV; by default the one that its header has), and of an MCAP file
``state_topic`` and ``command_topic``, a topic or a list of them whose joints belong together, and
``state_joints`` and ``command_joints``, the joints in order where messages are bare numbers. A file of these
four alone leaves the joints of an MCAP file as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real.documents import Section
from sim2real.errors import RecordingError
from sim2real.recordings.raw import RawLog, unreadable
from sim2real.recordings.recording import FloatArray
from sim2real.recordings.units import SECONDS, UNITS, unit_named

MAPPING_FILE = "mapping.toml"

_TEXT = ("robot", "delimiter")
_LISTS = ("state_topic", "command_topic", "state_joints", "command_joints")
_KEYS = (*_TEXT, *_LISTS, "time", "state_time", "period", "joints")
_JOINT_KEYS = ("source", "command", "position", "velocity", "unit", "scale", "offset")


@dataclass(frozen=True)
class Clock:
    """A column of stamps."""

    column: str
    unit: str
    seconds: float
    """Seconds per unit of the column."""
    told: bool
    """Whether the file says the unit."""


@dataclass(frozen=True)
class JointColumns:
    """Where a joint's signals stand in the source, and how they become rad or m."""

    source: str
    """The joint's name in the source."""
    command: str
    position: str
    velocity: str
    stated: str
    """Unit of the source."""
    unit: str
    """Of the result."""
    scale: float
    offset: float
    rescaled: bool
    """Whether the file gives a scale besides the unit, which then says little."""
    told: bool
    """Whether the file says the unit."""


@dataclass(frozen=True)
class LogMap:
    """A mapping file that was read."""

    path: Path
    joints: Mapping[str, JointColumns]
    clock: Clock | None
    state_clock: Clock | None
    period: float | None
    text: Mapping[str, str]
    """``robot`` and ``delimiter``, those that are given."""
    lists: Mapping[str, tuple[str, ...]]
    """``state_topic``, ``command_topic``, ``state_joints``, ``command_joints``, those that are given."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that it names."""
        clocks = [clock.column for clock in (self.clock, self.state_clock) if clock is not None]
        signals = [(joint.command, joint.position, joint.velocity) for joint in self.joints.values()]
        return tuple(dict.fromkeys(name for name in (*clocks, *sum(signals, ())) if name))

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each joint of the result."""
        return tuple(joint.unit for joint in self.joints.values())

    def scaled(self, values: FloatArray, offset: bool = True) -> FloatArray:
        """Values of the joints, in their order, in rad or m; rates without the offset. Shape (n, k)."""
        joints = self.joints.values()
        result: FloatArray = values * np.array([joint.scale for joint in joints])
        return result + np.array([joint.offset for joint in joints]) if offset else result


def read_log_map(path: Path) -> LogMap:
    """Read a mapping file.

    Raises:
        RecordingError: for a key or a value that is not known.
    """
    file = Section.read_toml(path, RecordingError).only(*_KEYS)
    joints = file.section("joints")
    if not joints.values and not any(key in file for key in _LISTS):
        raise RecordingError(f"{path}: it maps no joints; add a table [joints.NAME] for each")
    if "time" in file and "period" in file:
        raise RecordingError(f"{path}: it has a column of stamps (time) and a period; leave one")
    return LogMap(
        path=path,
        joints={name: _joint(name, entry) for name, entry in joints.sections().items()},
        clock=_clock(file, "time"),
        state_clock=_clock(file, "state_time"),
        period=file.number("period") if "period" in file else None,
        text={key: file.text(key) for key in _TEXT if key in file},
        lists={
            key: (file.text(key),) if isinstance(file.values[key], str) else file.texts(key)
            for key in _LISTS
            if key in file
        },
    )


def map_file_for(path: Path) -> Path | None:
    """The nearest mapping file: in a log's folder, or in one above it."""
    whole = path.resolve()
    folders = [whole, *whole.parents] if whole.is_dir() else whole.parents
    return next((folder / MAPPING_FILE for folder in folders if (folder / MAPPING_FILE).is_file()), None)


def mapped(log: RawLog, columns: LogMap | None) -> RawLog:
    """A log whose format names its joints, with those of the mapping file, in rad or m."""
    if columns is None or not log.joints or not columns.joints:
        return log
    entries = list(columns.joints.values())
    missing = [entry.source for entry in entries if entry.source not in log.joints]
    if missing:
        reason = (
            f"{log.source}: it has no joint {missing[0]!r}, which {columns.path.name} asks for; it has "
            f"{', '.join(log.joints)}"
        )
        return unreadable(log.name, log.source, reason)
    pick = [log.joints.index(entry.source) for entry in entries]
    for entry, k in zip(entries, pick, strict=True):
        said = unit_named(log.units[k]) if k < len(log.units) else ""
        if said and said != entry.stated and not entry.rescaled:
            step = f"say unit = {said!r} there{'' if said in UNITS else ' and give a scale'}"
            reason = (
                f"{log.source}: it says that {entry.source} is in {log.units[k]}, and {columns.path.name} "
                f"that it is in {entry.stated}; {step}"
            )
            return unreadable(log.name, log.source, reason)
    return dataclasses.replace(
        log,
        joints=tuple(columns.joints),
        command=columns.scaled(log.command[:, pick]),
        position=columns.scaled(log.position[:, pick]),
        velocity=None if log.velocity is None else columns.scaled(log.velocity[:, pick], offset=False),
        effort=None if log.effort is None else log.effort[:, pick],
        units=columns.units,
        robot=columns.text.get("robot", log.robot),
    )


def _joint(name: str, entry: Section) -> JointColumns:
    entry.only(*_JOINT_KEYS)
    unit = entry.text("unit", "rad")
    if unit not in UNITS and "scale" not in entry:
        raise RecordingError(
            f"{entry.path}: joints.{name} is in {unit!r}, which is none of {', '.join(UNITS)}; "
            "give a scale that makes it rad or m"
        )
    factor, result = UNITS.get(unit, (1.0, "rad"))
    scale = entry.number("scale", 1.0)
    if scale == 0:
        raise RecordingError(f"{entry.path}: joints.{name}.scale is 0; give the factor to rad or m")
    return JointColumns(
        source=entry.text("source", name),
        command=entry.text("command", ""),
        position=entry.text("position", ""),
        velocity=entry.text("velocity", ""),
        stated=unit,
        unit=result,
        scale=scale * factor,
        offset=entry.number("offset", 0.0),
        rescaled=scale != 1.0,
        told="unit" in entry,
    )


def _clock(file: Section, key: str) -> Clock | None:
    if key not in file:
        return None
    if not isinstance(file.values[key], dict):
        value = file.values[key]
        raise RecordingError(
            f'{file.path}: {key} is {value!r}; write {key} = {{ column = "t", unit = "ms" }}'
        )
    entry = file.section(key).only("column", "unit")
    unit = entry.text("unit", "s")
    if unit not in SECONDS:
        raise RecordingError(f"{file.path}: {key}.unit is {unit!r}; known: {', '.join(SECONDS)}")
    return Clock(entry.text("column"), unit, SECONDS[unit], "unit" in entry)
