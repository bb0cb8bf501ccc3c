"""The SAGE project's layout: a folder per motion.

``control.csv`` (type, timestamp, positions), ``state_motor.csv`` (type, timestamp, positions,
velocities, torques), ``joint_list.txt`` (a name per line) and ``event.csv`` (type, timestamp,
event; may be missing). Timestamps are **microseconds**; lists of numbers are text like ``"[0.0,
0.5]"``, parsed as JSON and never evaluated. Control and state rows share their stamps; a log
where they don't is refused, because pairing them would be a guess.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from sim2real.errors import RecordingError
from sim2real.recordings.recording import FloatArray, Recording

SAGE_FILES = ("control.csv", "state_motor.csv", "joint_list.txt")
"""Files that every motion has."""

_SECONDS = 1e-6
_SAME_STAMP = 1.0  # microseconds

Rows = list[dict[str, str]]


def read_sage(folder: Path, name: str) -> Recording:
    """Read one motion.

    Args:
        folder: the motion's folder.
        name: what to call the recording.

    Returns:
        Recording: with the log's joint names and units.

    Raises:
        RecordingError: for a missing or damaged file, or numbers that can't be trusted.
    """
    for file in SAGE_FILES:
        if not (folder / file).is_file():
            raise RecordingError(
                f"{folder}: a SAGE motion needs {', '.join(SAGE_FILES)}, but {file} is missing"
            )
    joints = tuple(_text(folder / "joint_list.txt").split())
    control = _rows(folder / "control.csv", ("timestamp", "positions"))
    state = _rows(folder / "state_motor.csv", ("timestamp", "positions"))
    stamps = _stamps(folder / "state_motor.csv", state)
    _check_stamps(folder, _stamps(folder / "control.csv", control), stamps)
    within = _within(folder, stamps)
    velocity = None
    if state and "velocities" in state[0]:
        velocity = _lists(folder / "state_motor.csv", state, "velocities", joints)[within]
    return Recording(
        name=name,
        joints=joints,
        time=stamps[within] * _SECONDS,
        command=_lists(folder / "control.csv", control, "positions", joints)[within],
        position=_lists(folder / "state_motor.csv", state, "positions", joints)[within],
        velocity=velocity,
        source=folder,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error


def _rows(path: Path, columns: tuple[str, ...]) -> Rows:
    lines = _text(path).splitlines()
    try:
        rows = list(csv.DictReader(lines, strict=True))
    except csv.Error as error:
        raise RecordingError(f"{path}: not a complete CSV file ({error}); copy it again") from error
    header = next(csv.reader(lines), [])
    missing = [column for column in columns if column not in header]
    if missing:
        raise RecordingError(
            f"{path}: the header lacks {', '.join(missing)}; it has {', '.join(header) or 'nothing'}"
        )
    return rows


def _line(index: int) -> int:
    """Line of a data row in the file, counted from 1 as editors do."""
    return index + 2


def _stamps(path: Path, rows: Rows) -> FloatArray:
    stamps = np.empty(len(rows))
    for i, row in enumerate(rows):
        try:
            stamps[i] = float(row["timestamp"])
        except (TypeError, ValueError) as error:
            raise RecordingError(
                f"{path}, line {_line(i)}: the timestamp is {row['timestamp']!r}, "
                "not a number of microseconds"
            ) from error
    return stamps


def _lists(path: Path, rows: Rows, column: str, joints: tuple[str, ...]) -> FloatArray:
    values = np.empty((len(rows), len(joints)))
    for i, row in enumerate(rows):
        values[i] = _numbers(f"{path}, line {_line(i)}: {column}", row[column], len(joints))
    return values


def _numbers(where: str, text: str | None, count: int) -> list[float]:
    try:
        parsed = json.loads(text or "")
    except ValueError as error:
        raise RecordingError(f"{where} are {text!r}, not a list of numbers; is the file cut off?") from error
    if not isinstance(parsed, list) or not all(isinstance(x, int | float) for x in parsed):
        raise RecordingError(f"{where} are {text!r}, not a list of numbers")
    if len(parsed) != count:
        raise RecordingError(f"{where} hold {len(parsed)} numbers, but joint_list.txt names {count} joints")
    return parsed


def _check_stamps(folder: Path, control: FloatArray, state: FloatArray) -> None:
    if len(control) != len(state):
        raise RecordingError(
            f"{folder}: control.csv has {len(control)} rows and state_motor.csv has {len(state)}; "
            "they must be equal"
        )
    apart = np.flatnonzero(np.abs(control - state) > _SAME_STAMP)
    if apart.size:
        i = int(apart[0])
        raise RecordingError(
            f"{folder}: line {_line(i)} is stamped {control[i]:.0f} µs in control.csv and "
            f"{state[i]:.0f} µs in state_motor.csv; bring both on the same stamps"
        )


def _within(folder: Path, stamps: FloatArray) -> slice:
    """Rows from the start of the motion to its end, as far as the events tell."""
    path = folder / "event.csv"
    if not path.is_file():
        return slice(None)
    rows = _rows(path, ("timestamp", "event"))
    times = dict(zip((row["event"] for row in rows), _stamps(path, rows), strict=True))
    first = np.searchsorted(stamps, times.get("MOTION_START", -np.inf) - _SAME_STAMP)
    last = np.searchsorted(stamps, times.get("DISABLE", np.inf) + _SAME_STAMP)
    return slice(int(first), int(last))
