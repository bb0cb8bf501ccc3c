"""Episode tables as Parquet files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim2real.errors import InvalidValue
from sim2real.evaluate.episode_table import COLUMNS, LATER, Episodes, checked
from sim2real.files import write_atomically

_COLUMNS = {**COLUMNS, **LATER}
_PLAIN = {np.str_: (str,), np.int64: (int,), np.float64: (float, int), np.bool_: (bool,)}
"""What a value in a column of each kind is."""


def write_episodes(episodes: Episodes, path: str | Path) -> None:
    """Write an episode table, whole or not at all.

    Raises:
        InvalidValue: if the table is malformed.
    """
    table = checked(episodes)
    write_atomically(path, lambda temporary: write_rows(table, temporary))


def write_rows(table: Episodes, path: Path) -> None:
    """Fill a file with a table that was checked; text is dictionary-encoded: few names stand there often."""
    columns = {
        name: pa.array(table[name].tolist()).dictionary_encode() if kind is np.str_ else pa.array(table[name])
        for name, kind in _COLUMNS.items()
        if name in table
    }
    pq.write_table(pa.table(columns), path)


def read_episodes(path: str | Path) -> Episodes:
    """Read an episode table written by `write_episodes` or with a report.

    Raises:
        FileNotFoundError: if there is no such file.
        InvalidValue: if the file is damaged or its columns are not those of an episode table.
    """
    try:
        table = pq.read_table(path)
        known = {name: table[name].to_pylist() for name in _COLUMNS if name in table.column_names}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InvalidValue(
            f"{Path(path).name} is not a readable Parquet file ({error}); run the evaluation again"
        ) from error
    for name, values in known.items():
        plain = _PLAIN[_COLUMNS[name]]
        odd = [value for value in values if type(value) not in plain]
        if odd:
            raise InvalidValue(
                f"{Path(path).name} has {odd[0]!r} in the column {name}, where a {plain[0].__name__} is "
                "meant; run the evaluation again"
            )
    return checked({name: np.asarray(values) for name, values in known.items()})
