"""A gap report as files: ``episodes.parquet``, ``summary.json``, ``report.png``, ``report.html``.

::

    write_report(gap_report(episodes, references), episodes, Path("runs/furuta"))

Everything is computed before the first file is written, and each file is replaced whole: a kill
or a full disk leaves old files, never half of a new one. The four are not replaced in one step.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim2real.errors import InvalidValue
from sim2real.evaluate.figure import draw, save_png, svg
from sim2real.evaluate.gap import GapReport
from sim2real.evaluate.page import page
from sim2real.evaluate.profile_figure import draw_profiles
from sim2real.evaluate.table import COLUMNS, Episodes, checked
from sim2real.evaluate.verdict import verdict
from sim2real.files import Write, write_atomically, write_together

_PLAIN = {np.str_: (str,), np.int64: (int,), np.float64: (float, int), np.bool_: (bool,)}
"""What a value in a column of each kind is."""

_PACKAGES = ("sim2real", "mujoco", "gymnasium", "numpy", "torch", "stable-baselines3")


def write_report(
    report: GapReport,
    episodes: Episodes,
    folder: str | Path,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the table, the summary, the plot and the page into a folder.

    Args:
        report: made from ``episodes``.
        episodes: the episode table.
        folder: made if missing; the four files in it are replaced.
        facts: further lines of provenance, such as ``{"command": "sim2real evaluate furuta"}``.

    Returns:
        Path of the page, ``report.html``.

    Raises:
        InvalidValue: if the table is malformed.
        OSError: as raised by the file system.
    """
    folder = Path(folder)
    rows = _to_arrow(episodes)
    provenance = _provenance(report) | dict(facts or {})
    sentences = dict(zip(("gap", "closed", "hurt"), verdict(report), strict=True))
    summary = {"verdict": sentences, "provenance": provenance, **report.plain()}
    text = json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False)
    figure = draw(report)
    profiles = draw_profiles(report)
    html = page(report, svg(figure), "" if profiles is None else svg(profiles), provenance)
    files: dict[str, Write] = {
        "episodes.parquet": lambda path: pq.write_table(rows, path),
        "summary.json": text + "\n",
        "report.png": lambda path: save_png(figure, path),
        "report.html": html,
    }
    write_together(folder, files)
    return folder / "report.html"


def write_episodes(episodes: Episodes, path: str | Path) -> None:
    """Write an episode table alone, whole or not at all.

    Raises:
        InvalidValue: if the table is malformed.
    """
    rows = _to_arrow(episodes)
    write_atomically(path, lambda temporary: pq.write_table(rows, temporary))


def read_episodes(path: str | Path) -> Episodes:
    """Read an episode table written by ``write_report`` or ``write_episodes``.

    Raises:
        FileNotFoundError: if there is no such file.
        InvalidValue: if the file is damaged or its columns are not those of an episode table.
    """
    try:
        table = pq.read_table(path)
        known = {name: table[name].to_pylist() for name in COLUMNS if name in table.column_names}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InvalidValue(
            f"{Path(path).name} is not a readable Parquet file ({error}); run the evaluation again"
        ) from error
    for name, values in known.items():
        plain = _PLAIN[COLUMNS[name]]
        odd = [value for value in values if type(value) not in plain]
        if odd:
            raise InvalidValue(
                f"{Path(path).name} has {odd[0]!r} in the column {name}, where a {plain[0].__name__} is "
                "meant; run the evaluation again"
            )
    return checked({name: np.asarray(values) for name, values in known.items()})


def _to_arrow(episodes: Episodes) -> pa.Table:
    """Text is dictionary-encoded: a table holds few names many times."""
    table = checked(episodes)
    columns = {
        name: pa.array(table[name].tolist()).dictionary_encode() if kind is np.str_ else pa.array(table[name])
        for name, kind in COLUMNS.items()
        if name in table
    }
    return pa.table(columns)


def _provenance(report: GapReport) -> dict[str, str]:
    versions = [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    return {
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "episodes": f"{report.episodes:,}",
        "training seeds": ", ".join(map(str, report.seeds)),
        "methods × variants": f"{len(report.labels)} × {len(report.variants)}",
        "versions": ", ".join([*versions, f"Python {platform.python_version()}"]),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
