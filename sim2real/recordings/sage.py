"""The SAGE project's layout: a folder per motion.

``control.csv`` (type, timestamp, positions), ``state_motor.csv`` (type, timestamp, positions,
velocities, torques), ``joint_list.txt`` (a name per line) and ``event.csv`` (type, timestamp,
event; may be missing). Timestamps are **microseconds**; lists of numbers are text like ``"[0.0,
0.5]"``, parsed as JSON and never evaluated. Control and state rows share their stamps; a log
where they don't is damaged, because pairing them would be a guess.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from sim2real.documents import is_number, read_text
from sim2real.errors import RecordingError
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray

SAGE_FILES = ("control.csv", "state_motor.csv", "joint_list.txt")
"""Files that every motion has."""

_NEEDED = ("timestamp", "positions")
_SECONDS = 1e-6
_SAME_STAMP = 1.0  # microseconds


def read_sage(folder: Path, name: str) -> RawLog:
    """Read one motion.

    Args:
        folder: the motion's folder.
        name: what to call the recording.

    Returns:
        RawLog: with the log's joint names and units.

    Raises:
        RecordingError: for a missing or foreign file.
    """
    for file in SAGE_FILES:
        if not (folder / file).is_file():
            raise RecordingError(
                f"{folder}: a SAGE motion needs {', '.join(SAGE_FILES)}, but {file} is missing"
            )
    joints = tuple(filter(None, map(str.strip, _text(folder / "joint_list.txt").splitlines())))
    damage: list[Damage] = []
    control = _Table(folder / "control.csv", damage)
    state = _Table(folder / "state_motor.csv", damage)
    sent, read = control.stamps(), state.stamps()
    command, position = control.lists("positions", joints), state.lists("positions", joints)
    extra = {key: state.lists(key, joints) for key in ("velocities", "torques") if key in state.header}
    _compare_stamps(folder, sent, read, damage)
    of_control, of_state = _within(folder, sent, damage), _within(folder, read, [])
    return RawLog(
        name=name,
        joints=joints,
        command_time=sent[of_control] * _SECONDS,
        command=command[of_control],
        time=read[of_state] * _SECONDS,
        position=position[of_state],
        velocity=extra["velocities"][of_state] if "velocities" in extra else None,
        effort=extra["torques"][of_state] if "torques" in extra else None,
        damage=tuple(damage),
        source=folder,
    )


def _text(path: Path) -> str:
    return read_text(path, RecordingError)


class _Table:
    """Rows of a CSV file; a cell that is no number is noted and becomes NaN."""

    def __init__(self, path: Path, damage: list[Damage], needed: tuple[str, ...] = _NEEDED) -> None:
        self.path, self.damage = path, damage
        lines = _text(path).splitlines()
        self.header = next(csv.reader(lines), [])
        self.rows: list[dict[str, str]] = []
        try:
            self.rows.extend(csv.DictReader(lines, strict=True))
        except csv.Error as error:  # what came before it is in the rows
            row = (len(self.rows),)
            self.damage.append(Damage(f"{path}: not a complete CSV file ({error}); copy it again", row))
        missing = [column for column in needed if column not in self.header]
        if missing:
            raise RecordingError(
                f"{path}: the header lacks {', '.join(missing)}; it has {', '.join(self.header) or 'nothing'}"
            )

    def stamps(self) -> FloatArray:
        """Microseconds. Shape (n,)."""
        stamps = np.full(len(self.rows), np.nan)
        for i, row in enumerate(self.rows):
            try:
                stamps[i] = float(row["timestamp"])
            except (TypeError, ValueError):
                self._note(i, f"the timestamp is {row['timestamp']!r}, not a number of microseconds")
        return stamps

    def lists(self, column: str, joints: tuple[str, ...]) -> FloatArray:
        """One number per joint. Shape (n, k)."""
        values = np.full((len(self.rows), len(joints)), np.nan)
        for i, row in enumerate(self.rows):
            parsed = _numbers(row[column])
            if parsed is None:
                said = f"{column} are {row[column]!r}, not a list of numbers; is the file cut off?"
                self._note(i, said)
            elif len(parsed) != len(joints):
                said = f"{column} hold {len(parsed)} numbers, but joint_list.txt names {len(joints)} joints"
                self._note(i, said)
            else:
                values[i] = parsed
        return values

    def _note(self, row: int, said: str) -> None:
        self.damage.append(Damage(f"{self.path}, line {_line(row)}: {said}", (row,)))


def _line(index: int) -> int:
    """Line of a data row in the file, counted from 1 as editors do."""
    return index + 2


def _numbers(text: str | None) -> list[float] | None:
    try:
        parsed = json.loads(text or "")
        if isinstance(parsed, list) and all(is_number(x) for x in parsed):
            return [float(x) for x in parsed]
    except (ValueError, OverflowError, RecursionError):
        return None
    return None


def _compare_stamps(folder: Path, control: FloatArray, state: FloatArray, damage: list[Damage]) -> None:
    if len(control) != len(state):
        damage.append(
            Damage(
                f"{folder}: control.csv has {len(control)} rows and state_motor.csv has {len(state)}; "
                "they must be equal"
            )
        )
        return
    apart = np.flatnonzero(np.abs(control - state) > _SAME_STAMP)
    if apart.size:
        i = int(apart[0])
        said = (
            f"{folder}: line {_line(i)} is stamped {control[i]:.0f} µs in control.csv and "
            f"{state[i]:.0f} µs in state_motor.csv; bring both on the same stamps"
        )
        damage.append(Damage(said, tuple(apart.tolist())))


def _within(folder: Path, stamps: FloatArray, damage: list[Damage]) -> slice:
    """Rows from the start of the motion to its end, as far as the events tell."""
    path = folder / "event.csv"
    if not path.is_file():
        return slice(None)
    notes: list[Damage] = []
    events = _Table(path, notes, ("timestamp", "event"))
    ends: dict[str, float] = {}
    for row, time in zip(events.rows, events.stamps(), strict=True):
        event = str(row.get("event"))
        if event == "MOTION_START" and event in ends:
            notes.append(Damage(f"{path}: it has two of {event}; write each motion to a folder of its own"))
        ends[event] = float(time)
    first, last = ends.get("MOTION_START", -np.inf), ends.get("DISABLE", np.inf)
    known = np.isfinite(stamps)
    within = np.flatnonzero((stamps >= first - _SAME_STAMP) & (stamps <= last + _SAME_STAMP))
    if known.any() and not within.size and not (np.isnan(first) or np.isnan(last)):
        notes.append(Damage(f"{path}: no row is between MOTION_START and DISABLE; bring all on one clock"))
    damage += [Damage(note.text) for note in notes]
    return slice(int(within[0]), int(within[-1]) + 1) if within.size else slice(None)
