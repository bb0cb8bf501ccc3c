"""Figures and what several have in common: panels without frames, bars with intervals, colours of many."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim2real.evaluate.statistics import Estimate
from sim2real.report.style import COLOURS, FAINT, GRID, INK, MARKERS

WIDTH = 9.6
"""Of a figure as wide as the page, inches."""
Grid: TypeAlias = Literal["x", "y", "both", ""]


def sheet(height: float, title: str = "", width: float = WIDTH) -> Figure:
    """An empty figure of a size in inches, which leaves room for what is around its panels.

    A title is broken where it is too long.
    """
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(textwrap.fill(title, int(9 * width)), x=0.008, ha="left")
    return figure


def panels(
    height: float, title: str = "", count: int = 1, grid: Grid = "x", width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """A figure of bare panels beside each other on a common y axis.

    Args:
        height: inches.
        title: of the whole, broken where it is too long.
        count: of panels.
        grid: lines across x, y, both or none; its axes have a line at their end, too.
        width: inches.
    """
    figure = sheet(height, title, width)
    axes = figure.subplots(1, count, squeeze=False, sharey=True)[0].tolist()
    for each in axes:
        bare(each, grid)
    return figure, axes


def look(k: int) -> dict[str, Any]:
    """Colour and marker of the k-th of many, the first grey; no two of 30 are alike."""
    colour = 0 if k == 0 else 1 + (k - 1) % 5
    return {"color": COLOURS[colour], "marker": MARKERS[(k + max(k - 1, 0) // 5) % len(MARKERS)]}


def bars(
    axes: Axes,
    names: Sequence[str],
    series: Mapping[str, tuple[str, Mapping[str, Estimate]]],
    written: str = "",
) -> None:
    """A row for each name, in it a bar for each series that has it, with its interval; the first at the top.

    Args:
        axes: to draw on.
        names: of the rows.
        series: by label the colour and the numbers by name.
        written: how the numbers are written at the ends of their bars, such as ``%.1f``; by default not.
    """
    wide = 0.72 / max(len(series), 1)
    for k, (label, (colour, numbers)) in enumerate(series.items()):
        y = [names.index(name) + wide * (k - (len(series) - 1) / 2) for name in numbers]
        values = [number.value for number in numbers.values()]
        drawn = axes.barh(y, values, height=0.9 * wide, color=colour, alpha=0.85, label=label, zorder=2)
        if written:
            axes.bar_label(drawn, fmt=written, fontsize=7.5, padding=2)
        for place, number in zip(y, numbers.values(), strict=True):
            if number.interval:
                axes.hlines(place, *number.interval, color=INK, linewidth=1.1, zorder=3)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.tick_params(axis="y", labelcolor=INK)


def bare(axes: Axes, grid: Grid = "x") -> None:
    """Take away what tells nothing: frames, ticks, dark grids; without a grid all lines."""
    lines = {"x": ("bottom",), "": ()}.get(grid, ("bottom", "left"))
    for side, spine in axes.spines.items():
        spine.set_visible(side in lines)
        spine.set_color(GRID)
    axes.tick_params(which="both", length=0, labelsize=8.5, labelcolor=FAINT)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
