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
format has no stamps), ``delimiter`` (of a CSV, ``","``), ``state_topic`` and ``command_topic`` (of
an MCAP file).
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real.errors import RecordingError, UnknownName
from sim2real.recordings.raw import RawLog, unreadable
from sim2real.recordings.recording import FloatArray

MAPPING_FILE = "mapping.toml"

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UNITS = {
    "rad": (1.0, "rad"),
    "deg": (math.pi / 180, "rad"),
    "rev": (2 * math.pi, "rad"),
    "m": (1.0, "m"),
    "cm": (1e-2, "m"),
    "mm": (1e-3, "m"),
}
_TEXT = ("robot", "delimiter", "state_topic", "command_topic")
_KEYS = (*_TEXT, "time", "state_time", "period", "joints")
_JOINT_KEYS = ("source", "command", "position", "velocity", "unit", "scale", "offset")


@dataclass(frozen=True)
class Clock:
    """A column of stamps."""

    column: str
    seconds: float
    """Seconds per unit of the column."""


@dataclass(frozen=True)
class JointColumns:
    """Where a joint's signals stand in the source, and how they become rad or m."""

    source: str
    """The joint's name in the source."""
    command: str
    position: str
    velocity: str
    unit: str
    """Of the result."""
    scale: float
    offset: float


@dataclass(frozen=True)
class LogMap:
    """A mapping file that was read."""

    path: Path
    joints: Mapping[str, JointColumns]
    clock: Clock | None
    state_clock: Clock | None
    period: float | None
    text: Mapping[str, str]
    """``robot``, ``delimiter``, ``state_topic``, ``command_topic``, those that are given."""

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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecordingError(f"{path}: not a readable mapping file ({error})") from error
    _check_keys(path, "", table, _KEYS)
    joints = table.get("joints", {})
    if not isinstance(joints, dict) or not joints:
        raise RecordingError(f"{path}: it maps no joints; add a table [joints.NAME] for each")
    period = table.get("period")
    return LogMap(
        path=path,
        joints={name: _joint(path, name, entry) for name, entry in joints.items()},
        clock=_clock(path, table, "time"),
        state_clock=_clock(path, table, "state_time"),
        period=None if period is None else _number(path, "period", period),
        text={key: _string(path, key, table[key]) for key in _TEXT if key in table},
    )


def map_file_for(path: Path) -> Path | None:
    """The nearest mapping file: in a log's folder, or in one above it."""
    whole = path.resolve()
    folders = [whole, *whole.parents] if whole.is_dir() else whole.parents
    return next((folder / MAPPING_FILE for folder in folders if (folder / MAPPING_FILE).is_file()), None)


def mapped(log: RawLog, columns: LogMap | None) -> RawLog:
    """A log whose format names its joints, with those of the mapping file, in rad or m."""
    if columns is None or not log.joints:
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


def _joint(path: Path, name: str, entry: object) -> JointColumns:
    if not isinstance(entry, dict):
        raise RecordingError(f"{path}: joints.{name} is {entry!r}; it must be a table")
    _check_keys(path, f"joints.{name}.", entry, _JOINT_KEYS)
    given = {
        key: _string(path, f"joints.{name}.{key}", entry[key]) for key in _JOINT_KEYS[:4] if key in entry
    }
    unit = _string(path, f"joints.{name}.unit", entry.get("unit", "rad"))
    if unit not in _UNITS and "scale" not in entry:
        raise RecordingError(
            f"{path}: joints.{name} is in {unit!r}, which is none of {', '.join(_UNITS)}; "
            "give a scale that makes it rad or m"
        )
    factor, result = _UNITS.get(unit, (1.0, "rad"))
    scale = _number(path, f"joints.{name}.scale", entry.get("scale", 1.0))
    if scale == 0:
        raise RecordingError(f"{path}: joints.{name}.scale is 0; give the factor to rad or m")
    return JointColumns(
        source=given.get("source", name),
        command=given.get("command", ""),
        position=given.get("position", ""),
        velocity=given.get("velocity", ""),
        unit=result,
        scale=scale * factor,
        offset=_number(path, f"joints.{name}.offset", entry.get("offset", 0.0)),
    )


def _clock(path: Path, table: Mapping[str, object], key: str) -> Clock | None:
    entry = table.get(key)
    if entry is None:
        return None
    if not isinstance(entry, dict) or "column" not in entry:
        raise RecordingError(f'{path}: {key} is {entry!r}; write {key} = {{ column = "t", unit = "ms" }}')
    _check_keys(path, f"{key}.", entry, ("column", "unit"))
    unit = _string(path, f"{key}.unit", entry.get("unit", "s"))
    if unit not in _SECONDS:
        raise RecordingError(f"{path}: {key}.unit is {unit!r}; known: {', '.join(_SECONDS)}")
    return Clock(_string(path, f"{key}.column", entry["column"]), _SECONDS[unit])


def _check_keys(path: Path, where: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise RecordingError(f"{path}: {UnknownName('key', where + key, [where + k for k in known])}")


def _string(path: Path, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise RecordingError(f"{path}: {key} is {value!r}, not a text")
    return value


def _number(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RecordingError(f"{path}: {key} is {value!r}, not a number")
    return float(value)
