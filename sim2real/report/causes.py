"""Figures of what matters over a domain: Sobol indices, and the map of two parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.report.style import COLOURS, GRID, INK, WIDTH, bare, blank, style

_ROW, _REST = 0.42, 1.5


@style()
def draw_sensitivity(found: Sensitivity) -> Figure:
    """First-order and total index of each parameter, with intervals."""
    names = [index.name for index in found.indices]
    figure = blank(WIDTH, _ROW * len(names) + _REST, constrained=True)
    axes = figure.add_subplot()
    bare(axes, grid="")
    first, total = ([getattr(i, kind) for i in found.indices] for kind in ("first", "total"))
    for offset, colour, told, label in (
        (-0.17, COLOURS[1], first, "alone (first order)"),
        (0.17, COLOURS[2], total, "with all that it does together (total)"),
    ):
        y = np.arange(len(names)) + offset
        axes.barh(y, [e.value for e in told], height=0.3, color=colour, alpha=0.75, label=label)
        for place, estimate in zip(y, told, strict=True):
            if estimate.interval:
                axes.hlines(place, *estimate.interval, color=INK, linewidth=1.1, zorder=3)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.tick_params(labelsize=9, labelcolor=INK)
    axes.axvline(0.0, color=GRID, linewidth=1.1, zorder=0)
    axes.set_xlabel("share of the variance of the return over the domain")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    title = f"{found.world}: what the spread over the domain comes from"
    axes.set_title(title, loc="left", fontsize=12, color=INK, fontweight="bold")
    return figure


@style()
def draw_map(found: SolvedMap) -> Figure:
    """The measure over two parameters; what is solved is framed, nominal is a cross."""
    means = np.array(found.means)
    figure = blank(7.2, 5.6, constrained=True)
    axes = figure.add_subplot()
    bare(axes, spines=(), grid="")
    low, high = (0.0, 1.0) if found.measure == "success" else (None, None)
    image = axes.imshow(means.T, origin="lower", aspect="auto", cmap="cividis", vmin=low, vmax=high)
    for row, column in np.argwhere(means >= found.threshold).tolist():
        corner = (row - 0.46, column - 0.46)
        axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor="white", linewidth=1.0))
    for which, name, values in zip("xy", found.names, found.values, strict=True):
        ticks = range(0, len(values), max(1, len(values) // 6))
        getattr(axes, f"set_{which}ticks")(ticks, [f"{values[k]:.3g}" for k in ticks])
        getattr(axes, f"set_{which}label")(name)
    x, y = (_place(values, own) for values, own in zip(found.values, found.nominal, strict=True))
    axes.plot([x], [y], marker="x", color="white", markersize=9, markeredgewidth=2)
    figure.colorbar(image).set_label(found.measure if found.measure == "success" else "mean return")
    solved = f"{100 * found.solved.value:.0f} % solved ({found.measure} ≥ {found.threshold:.3g}, framed)"
    title = f"{found.world}: {solved}; × nominal"
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    return figure


def _place(values: Sequence[float], value: float) -> float:
    """Where a value lies along an axis of numbered ticks."""
    return float(np.interp(value, values, np.arange(len(values))))
