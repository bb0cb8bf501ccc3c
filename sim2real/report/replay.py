"""Files of a replay gap, each written whole or not at all: ``gap.json``, ``.png`` and ``.html``.

All trajectories are in the page, so that any motion can be opened, laid over its predictions and zoomed into.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.evaluate.replay import SIMULATION, ReplayedMotion, ReplayGap
from sim2real.evaluate.replay_detail import detail_rows, replay_detail
from sim2real.evaluate.replay_summary import (
    DEFINITIONS,
    PREDICTORS,
    overall,
    per_joint,
    summary,
    verdict,
)
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.tracking import FloatArray
from sim2real.replay.baselines import COMMAND, DELAYED
from sim2real.replay.residuals import MEANINGS, Hint
from sim2real.report.chart import Chart, Take
from sim2real.report.page import Page, Section, render
from sim2real.report.plots import bare, bars, sheet
from sim2real.report.style import COLOURS, INK, style, write_results
from sim2real.report.tables import Cell, Rows, Table, Value, long, numeral

SERIES = {"measured": "ink", SIMULATION: "series-2", DELAYED: "series-1", COMMAND: "series-0"}
"""Colours of the page's style."""

_COLUMNS = (
    ("RMSE", "rmse_mrad", PREDICTORS, ".1f", ""),
    ("moving RMSE", "moving_rmse_mrad", (SIMULATION,), ".1f", ""),
    ("resting error", "resting_error_mrad", (SIMULATION,), ".1f", ""),
    ("NRMSE", "nrmse", (SIMULATION,), ".1f", " %"),
    ("real comes later", "lag_ms", (SIMULATION, DELAYED), ".0f", " ms"),
)
"""Columns of the table per joint: name, metric, predictors, format, unit."""
_OF = {"measured": INK, SIMULATION: COLOURS[2], DELAYED: COLOURS[1], COMMAND: COLOURS[0]}
_LINE = 140  # letters that fit the width
_LETTERS = 18  # of a joint's name
_WINDOW = 12.0  # seconds shown of one motion


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
        Section("What the numbers mean", tables=[_meanings()]),
    ]
    tiles = [_tile(gap, name) for name in PREDICTORS]
    lead = [(sentence, "") for sentence in _sentences(gap)]
    page = Page("replay gap", gap.world, lead, sections, tiles, facts=facts)
    write_results(folder, {"gap.json": summary(gap), "gap.png": figure, "gap.html": render(page)})
    return folder / "gap.html"


def replay_tables(gap: ReplayGap) -> list[Table]:
    """Per joint, per motion, and what the gap is made of."""
    detail = [Table(title, head, rows) for title, head, rows in detail_rows(replay_detail(gap))]
    follows = [hints_table(gap.hints)] if gap.hints else []
    return [_joints(gap), _motions(gap), *follows, *detail]


def hints_table(hints: Sequence[Hint]) -> Table:
    """Which signals an error follows, and what that points to."""
    head = ["joint", "signal", "explains", "of", "what that points to"]
    rows: Rows = [
        [h.joint, h.signal, f"{100 * h.share:.0f} %", f"{1000 * h.rms:.2f} mrad", long(MEANINGS[h.signal])]
        for h in hints
    ]
    return Table("What the error follows", head, rows)


def _meanings() -> Table:
    rows: Rows = [[name, long(text)] for name, text in DEFINITIONS.items()]
    return Table("What the numbers mean", ["number", "meaning"], rows)


def _tile(gap: ReplayGap, name: str) -> tuple[str, str, str, str]:
    """Number, name, interval, colour."""
    found = overall(gap, name)
    low, high = found.interval or (np.nan, np.nan)
    interval = "" if found.interval is None else f"95 % interval {low:.1f} to {high:.1f}"
    return f"{found.value:.1f} mrad", name, interval, SERIES[name]


def _joints(gap: ReplayGap) -> Table:
    metrics = {name: per_joint(gap, name) for name in PREDICTORS}
    head: list[str] = ["joint"]
    columns: list[list[Value]] = [[*gap.joints, "mean"]]
    for title, metric, names, form, unit in _COLUMNS:
        for name in names:
            head.append(f"{title}: {name}" if len(names) > 1 else title)
            values = (100 if unit == " %" else 1) * metrics[name][metric]
            mean = overall(gap, name) if title == "RMSE" else ""
            columns.append([*(numeral(value, form, unit) for value in values), mean])
    note = "Mean over motions; RMSE and resting error in mrad."
    return Table("Per joint", head, list(zip(*columns, strict=True)), note, head[-1:])


def _motions(gap: ReplayGap) -> Table:
    errors = zip(*(1000 * gap.per_motion(name) for name in PREDICTORS), strict=True)
    rows = [
        [
            Cell(motion.name, chart=i),
            numeral(motion.time[-1] - motion.time[0], ".0f"),
            *(numeral(error, ".1f") for error in own),
            numeral(1000 * motion.delay, ".0f"),
        ]
        for i, (motion, own) in enumerate(zip(gap.motions, errors, strict=True))
    ]
    head = ["motion", "seconds", *PREDICTORS, "delay, ms"]
    return Table("Per motion", head, rows, "Mean RMSE over joints, mrad.")


def _chart(gap: ReplayGap) -> Chart:
    takes = [Take(m.name, m.time - m.time[0], {"measured": m.measured, **m.predictions}) for m in gap.motions]
    middle = int(np.argsort(gap.per_motion(SIMULATION))[len(gap.motions) // 2])
    return Chart(gap.joints, takes, SERIES, "s", middle, held=(COMMAND, DELAYED), reference="measured")


@style()
def draw_replay(gap: ReplayGap) -> Figure:
    """Left, the error per joint of every predictor; right, a stretch of a typical motion."""
    figure = sheet(0.9 * max(len(gap.joints), 4) + 2.2, width=12.0)
    said = "\n".join(textwrap.fill(line, _LINE) for line in _sentences(gap))
    figure.suptitle(said, x=0.008, ha="left", fontsize=11, fontweight="normal")
    mosaic = [["errors", joint] for joint in range(len(gap.joints))]
    axes = figure.subplot_mosaic(mosaic, width_ratios=(1, 1.5))
    _errors(axes.pop("errors"), gap)
    _traces(list(axes.values()), gap)
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower right", ncols=4)
    return figure


def _sentences(gap: ReplayGap) -> list[str]:
    """The verdict, a sentence a line."""
    return verdict(gap).replace(". ", ".\n").split("\n")


def _errors(axes: Axes, gap: ReplayGap) -> None:
    rng = np.random.default_rng(0)
    bare(axes)
    errors = {name: 1000 * gap.errors[name].rmse for name in PREDICTORS}
    names = [_short(joint) for joint in gap.joints]
    means = {
        name: (
            _OF[name],
            {j: Estimate(float(e), None, 1) for j, e in zip(names, own.mean(axis=0), strict=True)},
        )
        for name, own in errors.items()
    }
    bars(axes, names, means)
    for i, own in enumerate(errors.values()):
        at = np.arange(len(names)) + 0.24 * (i - 1) + rng.uniform(-0.07, 0.07, own.shape)
        axes.plot(own, at, ".", color=INK, alpha=0.3, ms=3, mew=0, zorder=3)
    axes.set_xlim(0, 1.08 * _largest(gap))
    axes.set_xlabel("RMSE, mrad: bar = mean over motions, dot = one motion")
    axes.set_title("How far off", fontsize=11)


def _short(name: str) -> str:
    """A name that fits beside the bars; the panels on the right have it whole."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS // 2]}…{name[-_LETTERS // 3 :]}"


def _largest(gap: ReplayGap) -> float:
    """Where the axis ends: nearly all dots fit, one outlier does not squeeze the rest."""
    errors = np.concatenate([1000 * gap.errors[name].rmse.ravel() for name in PREDICTORS])
    means = [1000 * gap.errors[name].rmse.mean(axis=0).max() for name in PREDICTORS]
    return max(float(np.percentile(errors, 98)), *map(float, means), 1e-9)


def _traces(panels: Sequence[Axes], gap: ReplayGap) -> None:
    motion = _typical(gap)
    rows = _liveliest(motion)
    lines = {**motion.predictions, "measured": motion.measured}
    for j, (axes, joint) in enumerate(zip(panels, gap.joints, strict=True)):
        bare(axes, "both")
        for name in (COMMAND, DELAYED, SIMULATION, "measured"):
            axes.plot(
                motion.time[rows],
                lines[name][rows, j],
                color=_OF[name],
                lw=1.6 if name == "measured" else 1.1,
                drawstyle="steps-post" if name in (COMMAND, DELAYED) else "default",
                label=name,
            )
        axes.set_xlim(motion.time[rows][0], motion.time[rows][-1])
        axes.margins(y=0.12)
        axes.set_title(joint, fontsize=8.5, fontweight="normal", pad=2, loc="right")
        axes.tick_params(labelbottom=axes is panels[-1], labelsize=7.5)
    panels[0].set_title(f"What it looks like: {motion.name}", fontsize=11, pad=2)
    panels[-1].set_xlabel("time, s (angles in rad)")


def _typical(gap: ReplayGap) -> ReplayedMotion:
    """The motion with the median simulation error among those in which most joints move."""
    moving = np.isfinite(gap.errors[SIMULATION].nrmse).sum(axis=1)
    busy = np.flatnonzero(moving == moving.max())
    order = busy[np.argsort(gap.per_motion(SIMULATION)[busy])]
    return gap.motions[int(order[len(order) // 2])]


def _liveliest(motion: ReplayedMotion) -> slice:
    """The rows of the window in which the command travels farthest."""
    travel = np.zeros(len(motion.time))
    steps: FloatArray = np.abs(np.diff(motion.predictions[COMMAND], axis=0))
    travel[1:] = np.cumsum((steps / np.maximum(steps.sum(axis=0), 1e-9)).sum(axis=1))
    ends = np.searchsorted(motion.time, motion.time + _WINDOW)
    fits = ends < len(motion.time)
    if not fits.any():
        return slice(None)
    starts = np.flatnonzero(fits)
    start = int(starts[np.argmax(travel[ends[starts]] - travel[starts])])
    return slice(start, int(ends[start]) + 1)
