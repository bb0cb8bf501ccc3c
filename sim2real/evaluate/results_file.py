"""Results that anyone can write, as CSV or Parquet: two columns of them, or a row for each episode.

One row per policy or trial, two columns to compare::

    policy,simulated,real
    rt-1-x,0.567,0.760

One row per episode; ``environment`` says where (an episode table of `sim2real evaluate` calls it
``variant``)::

    policy,seed,environment,episode,success
    walker-0,0,mujoco,0,1
    walker-0,0,robot,0,0

``seed`` may be left out, and ``return`` stand beside ``success`` or in its place. An episode of one number is
the same start in every environment. Commas, semicolons and tabs separate; true, yes and 1 are successes; a
line that begins with # is a remark.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim2real.documents import read_text
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.predictivity import PolicyResults
from sim2real.evaluate.statistics import Array

Columns = Mapping[str, Sequence[object]]

_PLACES = ("environment", "variant")
_MEASURES = ("success", "return")
_DECIMAL_COMMA = re.compile(r"^(\s*[-+]?\d+),(\d+\s*)$")
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def read_columns(path: str | Path) -> Columns:
    """The columns of a CSV or Parquet file, as they stand there.

    Raises:
        InvalidValue: if it is none, or has no row, a row too short or long, or two columns of one name.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidValue(f"there is no file {path}; give a CSV or Parquet of results")
    columns = _parquet(path) if path.suffix in (".parquet", ".pq") else _csv(path)
    if not columns or not len(next(iter(columns.values()))):
        raise InvalidValue(f"{path} has no row of results; a policy needs at least one")
    return columns


def results_of(columns: Columns, names: Sequence[str], measure: str | None = None) -> list[PolicyResults]:
    """What every policy did in each of some environments, in the same order of policies.

    Args:
        columns: of a file; see `read_columns`.
        names: two or more columns of numbers, or else values of the column ``environment``.
        measure: ``success`` or ``return``; by default the first of these that is there.

    Raises:
        InvalidValue: if a column is missing, a value is no finite number, a success is no share, or an
            episode is there twice.
        UnknownName: if an environment isn't there.
    """
    if all(name in columns for name in names):
        _need(columns, ["policy"])
        policies = [str(policy) for policy in columns["policy"]]
        starts = [str(row) for row in range(len(policies))]
        return [_by_policy(policies, starts, _numbers(columns, name)) for name in names]
    place = next((name for name in _PLACES if name in columns), _PLACES[0])
    measure = measure or next((name for name in _MEASURES if name in columns), _MEASURES[0])
    if place not in columns and "policy" in columns:
        raise InvalidValue(
            f"{' and '.join(repr(n) for n in names if n not in columns)} is no column of "
            f"{', '.join(columns)}, and there is no column {_PLACES[0]} whose values it could be one of"
        )
    _need(columns, ["policy", place, "episode", measure])
    places = [str(value) for value in columns[place]]
    for name in names:
        if name not in places:
            raise UnknownName(place, name, set(places))
    _refuse_twins(columns, place)
    values = _numbers(columns, measure)
    shares = values if measure == _MEASURES[0] else values[:0]
    off = [row for row, value in enumerate(shares) if not 0.0 <= value <= 1.0]
    if off:
        raise InvalidValue(
            f"row {off[0] + 1} has {columns[measure][off[0]]!r} as {measure}, which is a share from 0 to 1; "
            "divide per cent by 100, or name the column return"
        )
    found = []
    for name in names:
        rows = [row for row, there in enumerate(places) if there == name]
        policies = [str(columns["policy"][row]) for row in rows]
        starts = [_start(columns, row) for row in rows]
        found.append(_by_policy(policies, starts, values[rows]))
    return _shared(found, names)


def split(columns: Columns, name: str) -> dict[str, Columns]:
    """The rows of each value of a column apart, such as those of a task.

    Raises:
        InvalidValue: if there is no such column.
    """
    _need(columns, [name])
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(columns[name]):
        rows.setdefault(str(value), []).append(row)
    return {
        value: {key: [column[row] for row in own] for key, column in columns.items()}
        for value, own in rows.items()
    }


def _by_policy(policies: Sequence[str], starts: Sequence[str], values: Array) -> PolicyResults:
    members: dict[str, list[int]] = {}
    for row, policy in enumerate(policies):
        members.setdefault(policy, []).append(row)
    return PolicyResults(
        tuple(members),
        tuple(values[rows] for rows in members.values()),
        tuple(tuple(starts[row] for row in rows) for rows in members.values()),
    )


def _shared(found: Sequence[PolicyResults], names: Sequence[str]) -> list[PolicyResults]:
    """Only the policies that were in every environment."""
    both = [p for p in found[0].policies if all(p in other.policies for other in found)]
    if not both:
        have = "; ".join(f"{n} has {', '.join(t.policies[:3])}" for n, t in zip(names, found, strict=True))
        raise InvalidValue(f"no policy was in all of {', '.join(names)}, so nothing can be compared: {have}")
    return [results.of(both) for results in found]


def _start(columns: Columns, row: int) -> str:
    """What tells an episode of a policy from the others."""
    parts = [columns[name][row] for name in ("seed", "episode") if name in columns]
    return " ".join(map(str, parts))


def _refuse_twins(columns: Columns, place: str) -> None:
    keys = ["policy", *(["seed"] if "seed" in columns else []), place, "episode"]
    seen: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(zip(*(map(str, columns[name]) for name in keys), strict=True)):
        if key in seen:
            told = ", ".join(f"{name} {value}" for name, value in zip(keys, key, strict=True))
            raise InvalidValue(
                f"{told} is there twice, in rows {seen[key] + 1} and {row + 1}; keep one, or number them "
                "apart"
            )
        seen[key] = row


def _need(columns: Columns, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise InvalidValue(
            f"the results have no column {', '.join(missing)} but {', '.join(columns)}; a row for each "
            "episode needs policy, environment, episode, and success or return"
        )


def _numbers(columns: Columns, name: str) -> Array:
    values = [_number(value) for value in columns[name]]
    bad = next((row for row, value in enumerate(values) if not math.isfinite(value)), None)
    if bad is not None:
        raise InvalidValue(
            f"row {bad + 1} has {columns[name][bad]!r} as {name}, which is no finite number; correct or "
            "drop it"
        )
    return np.array(values)


def _number(value: object) -> float:
    text = str(value).strip().lower()
    try:
        return _WORDS[text] if text in _WORDS else float(text)
    except ValueError:
        return math.nan


def _csv(path: Path) -> Columns:
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return {}
    mark = max((",", ";", "\t"), key=lines[0].count)
    try:
        header, *rows = csv.reader(lines, delimiter=mark)
    except csv.Error as error:
        raise InvalidValue(f"{path} is no readable CSV ({error}); write it again") from error
    names = [name.strip() for name in header]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidValue(f"{path} has two columns {twice[0]!r}; name them apart")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise InvalidValue(
                f"row {number} of {path} has {len(row)} values for the {len(names)} columns "
                f"{', '.join(names)}"
            )
    if mark != ",":
        rows = [[_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in row] for row in rows]
    return {name: [row[k].strip() for row in rows] for k, name in enumerate(names)}


def _parquet(path: Path) -> Columns:
    try:
        table = pq.read_table(path)
        return {name: table[name].to_pylist() for name in table.column_names}
    except (pa.ArrowException, UnicodeDecodeError, KeyError) as error:
        raise InvalidValue(f"{path} is not a readable Parquet file ({error}); write it again") from error
