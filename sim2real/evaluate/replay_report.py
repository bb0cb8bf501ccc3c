"""Files of a replay gap, each written whole or not at all: ``gap.json``, ``.png`` and ``.html``.

The page needs no network: style, script and all trajectories are in it (angles as compressed
steps of 0.1 mrad), so that any motion can be opened, laid over the predictions and zoomed into.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from pathlib import Path

import numpy as np

from sim2real.evaluate.figure import save_png, svg
from sim2real.evaluate.replay import DELAYED, SIMULATION, Motion, ReplayGap
from sim2real.evaluate.replay_detail import detail_rows, replay_detail
from sim2real.evaluate.replay_figure import COLOURS, draw_replay
from sim2real.evaluate.replay_summary import (
    DEFINITIONS,
    PREDICTORS,
    overall,
    per_joint,
    shown,
    summary,
    verdict,
)
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.tracking import FloatArray
from sim2real.files import Write, write_together
from sim2real.pages import Html, embedded, fill

_QUANTUM = 1e-4  # rad


def write_replay_report(gap: ReplayGap, folder: Path) -> Path:
    """Write the three files, replacing older ones.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; older files are then still there.
    """
    figure = draw_replay(gap)
    text = json.dumps(summary(gap), indent=1, allow_nan=False, ensure_ascii=False)
    files: dict[str, Write] = {
        "gap.json": text + "\n",
        "gap.png": lambda path: save_png(figure, path),
        "gap.html": _page(gap, svg(figure)),
    }
    write_together(folder, files)
    return folder / "gap.html"


def _page(gap: ReplayGap, picture: str) -> str:
    terms = (f"<dt>{html.escape(k)}</dt><dd>{html.escape(text)}</dd>" for k, text in DEFINITIONS.items())
    parts = {
        "world": gap.world,
        "verdict": verdict(gap),
        "tiles": Html("".join(map(_tile, PREDICTORS, [overall(gap, name) for name in PREDICTORS]))),
        "figure": Html(picture),
        "joints": Html(_joint_rows(gap)),
        "motions": Html(_motion_rows(gap)),
        "detail": Html("".join(_detail(*table) for table in detail_rows(replay_detail(gap)))),
        "definitions": Html("".join(terms)),
        "data": _data(gap),
    }
    return fill("sim2real.evaluate", "replay_page.html", parts)


def _tile(name: str, estimate: Estimate) -> str:
    low, high = estimate.interval or (np.nan, np.nan)
    interval = "" if estimate.interval is None else f"95 % interval {low:.1f} to {high:.1f}"
    return (
        f'<div class="tile" style="--c:{COLOURS[name]}"><h3>{name}</h3>'
        f"<p><b>{estimate.value:.1f}</b> mrad</p><small>{interval}</small></div>"
    )


def _joint_rows(gap: ReplayGap) -> str:
    metrics = {name: per_joint(gap, name) for name in PREDICTORS}
    rows = []
    for j, joint in enumerate(gap.joints):
        cells = [
            shown(factor * metrics[name][metric][j], unit, digits)
            for metric, names, unit, digits, factor in _COLUMNS
            for name in names
        ]
        rows.append(_row(html.escape(joint), cells))
    return "".join(rows)


_COLUMNS = (
    ("rmse_mrad", PREDICTORS, "", 1, 1.0),
    ("moving_rmse_mrad", (SIMULATION,), "", 1, 1.0),
    ("resting_error_mrad", (SIMULATION,), "", 1, 1.0),
    ("nrmse", (SIMULATION,), " %", 1, 100.0),
    ("lag_ms", (SIMULATION, DELAYED), "", 0, 1.0),
)
"""Columns of the page's table per joint: metric, predictors, unit, digits, factor."""


def _motion_rows(gap: ReplayGap) -> str:
    errors = {name: 1000 * gap.per_motion(name) for name in PREDICTORS}
    return "".join(
        _row(
            f'<a href="#traces" data-motion="{i}">{html.escape(motion.name)}</a>',
            [
                f"{motion.time[-1] - motion.time[0]:.0f}",
                *(shown(errors[name][i]) for name in PREDICTORS),
                f"{1000 * motion.delay:.0f}",
            ],
        )
        for i, motion in enumerate(gap.motions)
    )


def _detail(title: str, head: list[str], rows: list[list[str]]) -> str:
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(_row(html.escape(row[0]), [html.escape(cell) for cell in row[1:]]) for row in rows)
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>{html.escape(title)}</h2><div class="card">{table}</div>'


def _row(head: str, cells: list[str]) -> str:
    return f"<tr><th>{head}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _data(gap: ReplayGap) -> Html:
    """Names, colours and compressed trajectories."""
    table = {
        "joints": list(gap.joints),
        "series": [{"name": name, "colour": COLOURS[name]} for name in ("measured", *PREDICTORS)],
        "quantum": _QUANTUM,
        "start": int(np.argsort(gap.per_motion(SIMULATION))[len(gap.motions) // 2]),
        "motions": [_packed(motion) for motion in gap.motions],
    }
    return embedded(table)


def _packed(motion: Motion) -> dict[str, object]:
    """Time in 0.1 ms and angles in 0.1 mrad as deflated differences, column after column."""
    angles = [motion.measured, *(motion.predictions[name] for name in PREDICTORS)]
    columns = np.concatenate([motion.time[:, None] - motion.time[0], *angles], axis=1)
    return {
        "name": motion.name,
        "rows": len(motion.time),
        "data": base64.b64encode(zlib.compress(_deltas(columns), 9)).decode("ascii"),
    }


def _deltas(columns: FloatArray) -> bytes:
    whole = np.rint(columns / _QUANTUM).astype(np.int64)
    return np.diff(whole, axis=0, prepend=0).T.astype("<i4").tobytes()
