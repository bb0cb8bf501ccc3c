"""Plain CSV files, one motion each: a header, then a row per stamp.

Which column is what says a mapping file (`sim2real.recordings.columns`). Columns that it does not
name are left alone. As spreadsheets and loggers leave them: with a byte-order mark, separated by commas,
semicolons, tabs or blanks, with decimal commas, with a row of units below the header, with remarks (``#``,
``%``) or whatever else above it.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from sim2real.documents import read_text
from sim2real.errors import RecordingError
from sim2real.recordings.columns import MAPPING_FILE, Clock, LogMap
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray
from sim2real.recordings.units import SECONDS, UNITS, unit_named

_BLANK = " "
_DELIMITERS = (",", ";", "\t", _BLANK)
_ABOVE = 500  # lines in which the header is looked for
_FIXED = 9  # rows whose numbers have as many places each, so that all should
_REMARKS, _MARKS = ("#", "%"), "#% "
_NOTHING = ("", "nan", "null", "none", "na", "n/a", "-")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_IN_HEADER = re.compile(r"[\[(]([^\])]+)[\])]\s*$")
_AT_THE_END = re.compile(
    r"[_ .](deg|degrees?|rad|radians?|mrad|revs?|turns|ticks|counts|pct|percent|rpm|mm|cm|ms|msec|us|usec|ns)"
    r"((_per_|_|/)s(ec)?)?$",
    re.IGNORECASE,
)
"""A unit that is part of a name, as in ``hip_deg`` or ``t_ms``."""


def read_csv(path: Path, name: str, columns: LogMap | None) -> RawLog:
    """Read one motion.

    Args:
        path: the file.
        name: what to call the recording.
        columns: the mapping file that is for it.

    Raises:
        RecordingError: for a file that is no text, has no header, or lacks a column of the mapping.
    """
    wanted = () if columns is None else columns.names
    table = _Cells(path, "" if columns is None else columns.text.get("delimiter", ""), wanted)
    if columns is None or not columns.joints:
        raise RecordingError(
            f"{path}: nothing says what its columns are ({', '.join(table.header)}); "
            f"write a {MAPPING_FILE} beside it (see sim2real.recordings.columns)"
        )
    if columns.clock is None and columns.period is None:
        raise RecordingError(f'{columns.path}: say which column is the time, time = {{ column = "t" }}')
    _check_units(table, columns)
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
    """Rows of text; a cell that is no number is noted and becomes NaN, an empty one just that."""

    def __init__(self, path: Path, delimiter: str, wanted: Sequence[str]) -> None:
        """Find header, delimiter (any of `_DELIMITERS` if none is given) and rows of the columns wanted."""
        self.path, self.wanted = path, wanted
        self.damage: list[Damage] = []
        text = read_text(path, RecordingError)
        lines = [line for line in text.splitlines() if line.strip()]
        if lines and lines[0].lower().startswith("sep="):  # as spreadsheets write it
            delimiter = delimiter or lines[0][4:].strip()
            lines = lines[1:]
        if not lines:
            raise RecordingError(f"{path}: the file is empty; a header and a row per stamp are needed")
        head, self.delimiter, first = _header(path, lines, delimiter, wanted)
        self.header = [cell.strip() for cell in _split(path, [head], self.delimiter)[0]]
        width = len(self.header)
        rows = _split(path, lines[first:], self.delimiter)
        # a delimiter at the end of each row
        self.rows = [row if any(cell.strip() for cell in row[width:]) else row[:width] for row in rows]
        self._check_rows()
        if not text[-1].isspace():
            self._check_end()

    def _check_end(self) -> None:
        """Note a last number that has fewer places than any above: what was cut off of it nobody knows."""
        places = [len(row[-1].strip().partition(".")[2]) for row in self.rows if len(row) == len(self.header)]
        if len(places) > _FIXED and places[-1] < min(places[:-1]) == max(places[:-1]):
            row = len(self.rows) - 1
            cell = self.rows[row][-1]
            said = f"{self.path}: the last number, {cell!r} in data row {row}, is cut off; copy it again"
            self.damage.append(Damage(said, (row,)))

    def _check_rows(self) -> None:
        short = [i for i, row in enumerate(self.rows) if len(row) != len(self.header)]
        if not short:
            return
        said = (
            f"{self.path}: data row {short[0]} has {len(self.rows[short[0]])} cells and the header "
            f"{len(self.header)} ({len(short)} such rows); is the file cut off? Copy it again"
        )
        if len(short) == len(self.rows) and self.delimiter == "," and len(self.rows[0]) > len(self.header):
            said = (
                f"{self.path}: rows have {len(self.rows[0])} cells and the header {len(self.header)}; if "
                "numbers have decimal commas, write the file again with another delimiter"
            )
        self.damage.append(Damage(said, tuple(short)))

    def take_units(self) -> dict[str, str]:
        """Units by column, if they are in the row below the header; it is then no row of numbers."""
        if not self.rows:
            return {}
        cells = dict(zip(self.header, self.rows[0], strict=False))
        named = {name: cells.get(name, "").strip() for name in self.wanted}
        if not any(named.values()) or any(cell[:1] in "+-.,0123456789" for cell in named.values() if cell):
            return {}
        self.rows = self.rows[1:]
        self.damage = [
            dataclasses.replace(d, rows=tuple(row - 1 for row in d.rows if row)) for d in self.damage
        ]
        return named

    def columns(self, names: Sequence[str]) -> FloatArray:
        """Numbers of the named columns. Shape (n, len(names))."""
        self._check_names(names)
        values = np.full((len(self.rows), len(names)), np.nan)
        comma = self.decimal_commas
        for j, name in enumerate(names):
            place = self.header.index(name)
            for i, row in enumerate(self.rows):
                if place < len(row):
                    values[i, j] = self._number(
                        i, name, row[place].replace(",", ".") if comma else row[place]
                    )
        return values

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.header:
                raise RecordingError(
                    f"{self.path}: it has no column {name!r}; it has {', '.join(self.header)}"
                )
            if self.header.count(name) > 1:
                raise RecordingError(f"{self.path}: it has two columns {name!r}; give each its own name")

    @cached_property
    def decimal_commas(self) -> bool:
        """Whether numbers are written as 1,5.

        Raises:
            RecordingError: where commas could be either, or points and commas are mixed.
        """
        comma = next((cell for cell in self._wanted_cells() if "," in cell), None)
        if comma is None:
            return False
        point = next((cell for cell in self._wanted_cells() if "." in cell), None)
        if point is not None:
            raise RecordingError(
                f"{self.path}: numbers are written as {comma!r} and as {point!r}; write all alike"
            )
        if self.delimiter == "," and all(_THOUSANDS.fullmatch(c) for c in self._wanted_cells() if "," in c):
            raise RecordingError(
                f"{self.path}: {comma!r} can be a decimal comma or thousands; write decimal points"
            )
        return True

    def _wanted_cells(self) -> Iterator[str]:
        """Every cell of the columns wanted."""
        places = [self.header.index(name) for name in self.wanted if name in self.header]
        return (row[k].strip() for row in self.rows for k in places if k < len(row))

    def _number(self, row: int, column: str, text: str) -> float:
        number = _number(text)
        if number is None:
            said = (
                f"{self.path}: {column} in data row {row} is {text!r}, not a number; mend or remove the row"
            )
            self.damage.append(Damage(said, (row,)))
            return np.nan
        return number


def _header(path: Path, lines: Sequence[str], delimiter: str, wanted: Sequence[str]) -> tuple[str, str, int]:
    """The line that names most of the columns wanted, what separates them, and the first line below it.

    Where none names any, it is the first that is no remark; NumPy writes the header itself as a remark.
    """
    remarks = 0
    while remarks < len(lines) - 1 and lines[remarks].startswith(_REMARKS):
        remarks += 1
    order = [*range(remarks, min(len(lines), _ABOVE)), *reversed(range(remarks))]

    def names(each: tuple[int, str, str]) -> tuple[int, bool]:
        cells = _cells(*each[1:])
        return len({*wanted} & {*cells}), None in map(_number, cells)

    # a mark may be of a name, as of ROS's %time
    heads = [(k, text) for k in order for text in dict.fromkeys((lines[k].lstrip(_MARKS), lines[k]))]
    tries = ((k, text, mark) for k, text in heads for mark in delimiter or _DELIMITERS)
    k, head, mark = max(tries, key=names)
    for line in lines[:k]:
        numbers = [_number(cell) for cell in _cells(line, mark)]
        if len(numbers) > 1 and None not in numbers and np.isfinite(np.array(numbers, dtype=float)).any():
            raise RecordingError(
                f"{path}: numbers ({line[:40]!r}) stand above the header ({lines[k][:40]!r}); part logs that "
                "are in one file"
            )
    return head, mark, k + 1


def _cells(line: str, delimiter: str) -> list[str]:
    """Of a line that can be anything."""
    try:
        return [cell.strip() for cell in next(csv.reader([_plain(line, delimiter)], delimiter=delimiter), [])]
    except (csv.Error, TypeError, ValueError):
        return []


def _plain(line: str, delimiter: str) -> str:
    """A line in which blanks that line columns up are one."""
    return _BLANK.join(line.split()) if delimiter == _BLANK else line


def _split(path: Path, lines: Iterable[str], delimiter: str) -> list[list[str]]:
    try:
        plain = (_plain(line, delimiter) for line in lines)
        return [row for row in csv.reader(plain, delimiter=delimiter, strict=True) if row]
    except (csv.Error, TypeError, ValueError) as error:
        raise RecordingError(f"{path}: not a complete CSV file ({error}); copy it again") from error


def _number(text: str) -> float | None:
    """The number in a cell; NaN for one that is empty or says that there is none, None for anything else."""
    text = text.strip()
    if text.lower() in _NOTHING:
        return np.nan
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _check_units(table: _Cells, columns: LogMap) -> None:
    """Refuse a name (``angle [deg]``, ``t_ms``) or a row of units that says another unit than the mapping."""
    said = [(name, "the row of units below the header", unit) for name, unit in table.take_units().items()]
    stated: dict[str, str] = {}
    told: set[str] = set()
    for clock in (columns.clock, columns.state_clock):
        if clock is not None:
            stated[clock.column] = clock.unit
            told |= {clock.column} if clock.told else set()
    for joint in columns.joints.values():
        if not joint.rescaled:
            of_joint = (joint.command, joint.position, joint.velocity)
            stated |= dict.fromkeys(of_joint, joint.stated)
            told |= set(of_joint) if joint.told else set()
    for name in table.wanted:
        found = _IN_HEADER.search(name) or (None if name in told else _AT_THE_END.search(name))
        said += [(name, "the header", found[1])] if found else []
    for column, where, text in said:
        unit, meant = unit_named(text), stated.get(column)
        if unit and meant and unit != meant:
            raise RecordingError(
                f"{table.path}: {where} says that {column} is in {text}, and {columns.path.name} that it is "
                f"in {meant}; {_advice(unit)}, or correct the file"
            )


def _advice(unit: str) -> str:
    if unit in UNITS or unit in SECONDS:
        return f"say unit = {unit!r} there"
    return f"say unit = {unit!r} there and give a scale that makes it rad or m"
