"""The picture of a replay gap: how far each joint is off, and what that looks like over time."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec

from sim2real.evaluate.replay import COMMAND, DELAYED, SIMULATION, ReplayedMotion, ReplayGap
from sim2real.evaluate.replay_summary import PREDICTORS, verdict
from sim2real.evaluate.tracking import FloatArray
from sim2real.report.style import COLOURS, INK, bare, blank, style

_OF = {"measured": INK, SIMULATION: COLOURS[2], DELAYED: COLOURS[1], COMMAND: COLOURS[0]}
_LINE = 140  # letters that fit the width
_LETTERS = 18  # of a joint's name
_WINDOW = 12.0  # seconds shown of one motion


@style()
def draw_replay(gap: ReplayGap) -> Figure:
    """Left, the error per joint of every predictor; right, a stretch of a typical motion."""
    height = 0.9 * max(len(gap.joints), 4) + 2.2
    figure = blank(12.0, height)
    heading = "\n".join(textwrap.fill(line, _LINE) for line in verdict_lines(gap))
    figure.text(0.012, 1 - 0.16 / height, heading, fontsize=11, va="top", linespacing=1.4)
    top, bottom = 1 - 1.55 / height, 0.55 / height
    grid = figure.add_gridspec(
        1, 2, width_ratios=(1, 1.5), left=0.105, right=0.985, top=top, bottom=bottom, wspace=0.2
    )
    _bars(figure.add_subplot(grid[0]), gap)
    _traces(figure, grid[1], gap)
    return figure


def verdict_lines(gap: ReplayGap) -> list[str]:
    """The verdict, a sentence a line."""
    return verdict(gap).replace(". ", ".\n").split("\n")


def _bars(axes: Axes, gap: ReplayGap) -> None:
    rng = np.random.default_rng(0)
    rows = np.arange(len(gap.joints))
    bare(axes)
    for i, name in enumerate(PREDICTORS):
        errors = 1000 * gap.errors[name].rmse
        at = rows + 0.27 * (i - 1)
        axes.barh(at, errors.mean(axis=0), 0.24, color=_OF[name], zorder=2)
        spread = np.repeat(at[None], len(errors), axis=0) + rng.uniform(-0.07, 0.07, errors.shape)
        axes.plot(errors, spread, ".", color=INK, alpha=0.3, ms=3, mew=0, zorder=3)
    axes.set_yticks(rows, [_short(joint) for joint in gap.joints], color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08 * _largest(gap))
    axes.set_xlabel("RMSE, mrad: bar = mean over motions, dot = one motion")
    axes.set_title("How far off", fontsize=11, pad=17)


def _short(name: str) -> str:
    """A name that fits beside the bars; the panels on the right have it whole."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS // 2]}…{name[-_LETTERS // 3 :]}"


def _largest(gap: ReplayGap) -> float:
    """Where the axis ends: nearly all dots fit, one outlier does not squeeze the rest."""
    errors = np.concatenate([1000 * gap.errors[name].rmse.ravel() for name in PREDICTORS])
    means = [1000 * gap.errors[name].rmse.mean(axis=0).max() for name in PREDICTORS]
    return max(float(np.percentile(errors, 98)), *map(float, means), 1e-9)


def _traces(figure: Figure, place: SubplotSpec, gap: ReplayGap) -> None:
    motion = _typical(gap)
    rows = _liveliest(motion)
    panels = GridSpecFromSubplotSpec(len(gap.joints), 1, subplot_spec=place, hspace=0.48)
    for j, joint in enumerate(gap.joints):
        axes = figure.add_subplot(panels[j])
        bare(axes, ("bottom", "left"), "both")
        lines = {**motion.predictions, "measured": motion.measured}
        for name in (COMMAND, DELAYED, SIMULATION, "measured"):
            style = "steps-post" if name in (COMMAND, DELAYED) else "default"
            axes.plot(
                motion.time[rows],
                lines[name][rows, j],
                color=_OF[name],
                lw=1.6 if name == "measured" else 1.1,
                drawstyle=style,
                label=name,
            )
        axes.set_xlim(motion.time[rows][0], motion.time[rows][-1])
        axes.margins(y=0.12)
        axes.set_title(joint, fontsize=8.5, fontweight="normal", pad=2)
        axes.tick_params(labelbottom=j == len(gap.joints) - 1, labelsize=7.5, length=2)
        if j == 0:
            _heading_of_traces(axes, motion)
    axes.set_xlabel("time, s (angles in rad)")


def _heading_of_traces(axes: Axes, motion: ReplayedMotion) -> None:
    title = f"What it looks like: {motion.name}"
    axes.annotate(title, (0, 1), (0, 26), "axes fraction", "offset points", fontsize=11, fontweight="bold")
    axes.legend(ncols=4, loc="lower right", bbox_to_anchor=(1.01, 0.99))


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
