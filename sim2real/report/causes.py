"""Figures of what matters: causes of a drop, Sobol indices, the worth of knowing, a map of two parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.statistics import Estimate
from sim2real.report.plots import bars, panels
from sim2real.report.style import COLOURS, FAINT, GRID, INK, style

if TYPE_CHECKING:  # it brings torch
    from sim2real.transfer.worth import WorthOfKnowing

_ROW, _REST = 0.42, 1.5


@style()
def draw_sensitivity(found: Sensitivity) -> Figure:
    """First-order and total index of each parameter, with intervals."""
    return _compared(
        f"{found.world}: what the spread over the domain comes from",
        {
            "alone (first order)": {i.name: i.first for i in found.indices},
            "with all that it does together (total)": {i.name: i.total for i in found.indices},
        },
        "share of the variance of the return over the domain",
    )


@style()
def draw_worth(found: WorthOfKnowing) -> Figure:
    """What is gained by knowing each parameter, and by halving its range where that was tried."""
    numbers = {"knowing it": {one.name: one.gained for one in found.parameters}}
    if any(one.halved for one in found.parameters):
        numbers["its range halved"] = {one.name: one.halved for one in found.parameters if one.halved}
    title = f"{found.world}: what knowing is worth in {found.target}"
    return _compared(title, numbers, "gain in mean return in the target")


def _compared(title: str, numbers: Mapping[str, Mapping[str, Estimate]], unit: str) -> Figure:
    """A row for each parameter, in it a bar for each kind of number."""
    names = list(next(iter(numbers.values())))
    figure, (axes,) = panels(_ROW * len(names) + _REST, title, grid="")
    colours = zip(numbers.items(), COLOURS[1:], strict=False)
    bars(axes, names, {label: (colour, found) for (label, found), colour in colours})
    axes.axvline(0.0, color=GRID, linewidth=1.1, zorder=0)
    axes.set_xlabel(unit)
    if len(numbers) > 1:
        figure.legend(loc="outside lower right", ncols=len(numbers))
    return figure


@style()
def draw_waterfall(found: Attribution) -> Figure:
    """A bar for each cause between the scores of source and target, with its interval."""
    source, target = found.score
    ends = list(accumulate((-cause.share.value for cause in found.causes), initial=source.value))
    rows = ["source", *(f"{c.name}  {c.source:g} → {c.target:g}" for c in found.causes), found.target]
    for one, other in (pair.names for pair in found.interactions if pair.only_together):
        names = [cause.name for cause in found.causes]
        rows[1 + names.index(one)] += f"\nonly with {other}"
        rows[1 + names.index(other)] += f"\nonly with {one}"
    title = f"{found.world}, {found.label}: what the drop to {found.target} comes from"
    figure, (axes,) = panels(0.34 * len(rows) + _REST, title, grid="")
    for y, estimate in ((0, source), (len(rows) - 1, target)):
        axes.axvline(estimate.value, color=GRID, linewidth=1.1, zorder=0)
        axes.plot([estimate.value], [y], marker="o", color=INK, zorder=4)
        if estimate.interval:
            axes.hlines(y, *estimate.interval, color=INK, linewidth=2.6, alpha=0.55)
        axes.annotate(f"{estimate.value:.1f}", (estimate.value, y), (7, 6), textcoords="offset points")
    for y, (cause, (start, end)) in enumerate(zip(found.causes, pairwise(ends), strict=True), 1):
        colour = COLOURS[2] if end < start else COLOURS[3]
        axes.barh(y, end - start, left=start, height=0.62, color=colour, alpha=0.75)
        axes.vlines(start, y - 1, y + 0.31, color=FAINT, linewidth=0.8)
        if cause.share.interval:
            low, high = (start - cost for cost in cause.share.interval)
            axes.hlines(y, low, high, color=INK, linewidth=1.1, zorder=3)
    axes.vlines(ends[-1], len(rows) - 2, len(rows) - 1, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlabel("mean return")
    return figure


@style()
def draw_map(found: SolvedMap) -> Figure:
    """The measure over two parameters; what is solved is framed, nominal is a cross."""
    means = np.array(found.means)
    solved = f"{100 * found.solved.value:.0f} % solved ({found.measure} ≥ {found.threshold:.3g}, framed)"
    figure, (axes,) = panels(5.6, f"{found.world}: {solved}; × nominal", grid="", width=7.2)
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
    return figure


def _place(values: Sequence[float], value: float) -> float:
    """Where a value lies along an axis of numbered ticks."""
    return float(np.interp(value, values, np.arange(len(values))))
