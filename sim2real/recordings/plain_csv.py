"""Plain CSV files, one motion each: a header, then a row per stamp.

Which column is what says a mapping file (`sim2real.recordings.columns`). Columns that it does not
name are left alone.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from sim2real.errors import RecordingError
from sim2real.recordings.columns import MAPPING_FILE, Clock, LogMap
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray


def read_csv(path: Path, name: str, columns: LogMap | None) -> RawLog:
    """Read one motion.

    Args:
        path: the file.
        name: what to call the recording.
        columns: the mapping file that is for it.

    Raises:
        RecordingError: for a file that is no text, has no header, or lacks a column of the mapping.
    """
    table = _Cells(path, "," if columns is None else columns.text.get("delimiter", ","))
    if columns is None:
        raise RecordingError(
            f"{path}: nothing says what its columns are ({', '.join(table.header)}); "
            f"write a {MAPPING_FILE} beside it (see sim2real.recordings.columns)"
        )
    if columns.clock is None and columns.period is None:
        raise RecordingError(f'{columns.path}: say which column is the time, time = {{ column = "t" }}')
    joints = columns.joints.values()
    time = _clock(table, columns.clock, columns.period)
    velocities = [joint.velocity for joint in joints]
    if any(velocities) and not all(velocities):
        raise RecordingError(f"{columns.path}: give a velocity for every joint, or for none")
    state_time = _clock(table, columns.state_clock, None) if columns.state_clock else time
    origin = _first(time)
    return RawLog(
        name=name,
        joints=tuple(columns.joints),
        command_time=time - origin,
        command=columns.scaled(table.columns([_given(columns, joint.command) for joint in joints])),
        time=state_time - origin,
        position=columns.scaled(table.columns([_given(columns, joint.position) for joint in joints])),
        velocity=columns.scaled(table.columns(velocities), offset=False) if any(velocities) else None,
        units=columns.units,
        robot=columns.text.get("robot", ""),
        damage=tuple(table.damage),
        source=path,
    )


def _given(columns: LogMap, column: str) -> str:
    if not column:
        raise RecordingError(f"{columns.path}: every joint of a CSV needs command and position columns")
    return column


def _first(time: FloatArray) -> float:
    known = time[np.isfinite(time)]
    return float(known[0]) if known.size else 0.0


def _clock(table: _Cells, clock: Clock | None, period: float | None) -> FloatArray:
    if clock is None:
        return np.arange(len(table.rows), dtype=np.float64) * (period or 0.0)
    stamps = table.columns([clock.column])[:, 0]
    # An epoch in ns does not fit a float; what is left after the first stamp does.
    return (stamps - _first(stamps)) * clock.seconds + _first(stamps) * clock.seconds


class _Cells:
    """Rows of text; a cell that is no number is noted and becomes NaN."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path = path
        self.damage: list[Damage] = []
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            table = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
        except (OSError, UnicodeDecodeError, csv.Error, TypeError) as error:
            raise RecordingError(f"{path}: not a complete CSV file ({error}); copy it again") from error
        if not table:
            raise RecordingError(f"{path}: the file is empty; a header and a row per stamp are needed")
        self.header = [cell.strip() for cell in table[0]]
        self.rows = table[1:]
        short = [i for i, row in enumerate(self.rows) if len(row) != len(self.header)]
        if short:
            said = (
                f"{path}: data row {short[0]} has {len(self.rows[short[0]])} cells and the header "
                f"{len(self.header)} ({len(short)} such rows); is the file cut off? Copy it again"
            )
            self.damage.append(Damage(said, tuple(short)))

    def columns(self, names: list[str]) -> FloatArray:
        """Numbers of the named columns. Shape (n, len(names))."""
        missing = [name for name in names if name not in self.header]
        if missing:
            raise RecordingError(
                f"{self.path}: it has no column {missing[0]!r}; it has {', '.join(self.header)}"
            )
        values = np.full((len(self.rows), len(names)), np.nan)
        for j, name in enumerate(names):
            place = self.header.index(name)
            for i, row in enumerate(self.rows):
                if place < len(row):
                    values[i, j] = self._number(i, name, row[place])
        return values

    def _number(self, row: int, column: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            said = (
                f"{self.path}: {column} in data row {row} is {text!r}, not a number; mend or remove the row"
            )
            self.damage.append(Damage(said, (row,)))
            return np.nan
