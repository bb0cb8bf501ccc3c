"""Files of a replay gap, each written whole or not at all: ``gap.json``, ``.png`` and ``.html``.

All trajectories are in the page, so that any motion can be opened, laid over its predictions and zoomed into.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sim2real.evaluate.replay import COMMAND, DELAYED, SIMULATION, ReplayGap
from sim2real.evaluate.replay_detail import detail_rows, replay_detail
from sim2real.evaluate.replay_summary import (
    DEFINITIONS,
    PREDICTORS,
    overall,
    per_joint,
    shown,
    summary,
)
from sim2real.files import Write, write_together
from sim2real.report.chart import Chart, Take
from sim2real.report.page import Page, Section, render
from sim2real.report.plain import as_json
from sim2real.report.replay_figure import draw_replay, verdict_lines
from sim2real.report.style import save_png
from sim2real.report.tables import Cell, Row, Table, estimate

SERIES = {"measured": "ink", SIMULATION: "series-2", DELAYED: "series-1", COMMAND: "series-0"}
"""Colours of the page's style."""

_COLUMNS = (
    ("RMSE", "rmse_mrad", PREDICTORS, "", 1, 1.0),
    ("moving RMSE", "moving_rmse_mrad", (SIMULATION,), "", 1, 1.0),
    ("resting error", "resting_error_mrad", (SIMULATION,), "", 1, 1.0),
    ("NRMSE", "nrmse", (SIMULATION,), " %", 1, 100.0),
    ("real comes later", "lag_ms", (SIMULATION, DELAYED), " ms", 0, 1.0),
)
"""Columns of the table per joint: name, metric, predictors, unit, digits, factor."""


def write_replay_report(gap: ReplayGap, folder: Path, facts: Mapping[str, str] | None = None) -> Path:
    """Write the three files, replacing older ones.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; older files are then still there.
    """
    figure = draw_replay(gap)
    sections = [
        Section("At a glance", figure=figure, label="Error per joint, and a typical motion"),
        Section("Every motion, laid over its predictions", "Angles in rad.", charts=[_chart(gap)]),
        *(Section(table.title, tables=[table]) for table in replay_tables(gap)),
    ]
    known = dict(facts or {})
    tiles = [_tile(gap, name) for name in PREDICTORS]
    lead, command = [(sentence, "") for sentence in verdict_lines(gap)], known.pop("command", "")
    page = Page("replay gap", gap.world, lead, sections, tiles, command, facts=known)
    files: dict[str, Write] = {
        "gap.json": as_json(summary(gap)),
        "gap.png": lambda path: save_png(figure, path),
        "gap.html": render(page, "replay.html", terms=DEFINITIONS),
    }
    write_together(folder, files)
    return folder / "gap.html"


def replay_tables(gap: ReplayGap) -> list[Table]:
    """Per joint, per motion, and what the gap is made of."""
    detail = [Table(title, head, rows) for title, head, rows in detail_rows(replay_detail(gap))]
    return [_joints(gap), _motions(gap), *detail]


def _tile(gap: ReplayGap, name: str) -> tuple[str, str, str, str]:
    """Number, name, interval, colour."""
    found = overall(gap, name)
    low, high = found.interval or (np.nan, np.nan)
    interval = "" if found.interval is None else f"95 % interval {low:.1f} to {high:.1f}"
    return f"{found.value:.1f} mrad", name, interval, SERIES[name]


def _joints(gap: ReplayGap) -> Table:
    metrics = {name: per_joint(gap, name) for name in PREDICTORS}
    head = [
        f"{title}: {name}" if len(names) > 1 else title for title, _, names, *_ in _COLUMNS for name in names
    ]
    rows: list[Row] = [
        [
            joint,
            *(
                _number(factor * metrics[name][metric][j], unit, digits)
                for _, metric, names, unit, digits, factor in _COLUMNS
                for name in names
            ),
        ]
        for j, joint in enumerate(gap.joints)
    ]
    empty = [""] * (len(head) - len(PREDICTORS))
    rows.append(["mean", *(estimate(overall(gap, name)) for name in PREDICTORS), *empty])
    note = "Mean over motions; RMSE and resting error in mrad."
    return Table("Per joint", ["joint", *head], rows, note, head[-1:])


def _number(value: float, unit: str = "", digits: int = 1) -> Cell:
    return Cell(shown(value, unit, digits), value=float(value) if np.isfinite(value) else None)


def _motions(gap: ReplayGap) -> Table:
    errors = {name: 1000 * gap.per_motion(name) for name in PREDICTORS}
    rows = [
        [
            Cell(motion.name, chart=i),
            _number(float(motion.time[-1] - motion.time[0]), digits=0),
            *(_number(errors[name][i]) for name in PREDICTORS),
            _number(1000 * motion.delay, digits=0),
        ]
        for i, motion in enumerate(gap.motions)
    ]
    head = ["motion", "seconds", *PREDICTORS, "delay, ms"]
    return Table("Per motion", head, rows, "Mean RMSE over joints, mrad.")


def _chart(gap: ReplayGap) -> Chart:
    takes = [Take(m.name, m.time - m.time[0], {"measured": m.measured, **m.predictions}) for m in gap.motions]
    middle = int(np.argsort(gap.per_motion(SIMULATION))[len(gap.motions) // 2])
    return Chart(gap.joints, takes, SERIES, "s", middle, held=(COMMAND, DELAYED), reference="measured")
