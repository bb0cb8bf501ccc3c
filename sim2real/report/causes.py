"""Figures of what matters: Sobol indices, the worth of knowing, and the map of two parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.statistics import Estimate
from sim2real.report.style import COLOURS, GRID, INK, bare, panel, style

if TYPE_CHECKING:  # it brings torch
    from sim2real.transfer.worth import WorthOfKnowing

_ROW, _REST = 0.42, 1.5


@style()
def draw_sensitivity(found: Sensitivity) -> Figure:
    """First-order and total index of each parameter, with intervals."""
    first, total = ({i.name: getattr(i, kind) for i in found.indices} for kind in ("first", "total"))
    bars = {"alone (first order)": first, "with all that it does together (total)": total}
    title = f"{found.world}: what the spread over the domain comes from"
    return _bars(title, bars, "share of the variance of the return over the domain")


@style()
def draw_worth(found: WorthOfKnowing) -> Figure:
    """What is gained by knowing each parameter, and by halving its range where that was tried."""
    bars = {"knowing it": {one.name: one.gained for one in found.parameters}}
    if any(one.halved for one in found.parameters):
        bars["its range halved"] = {one.name: one.halved for one in found.parameters if one.halved}
    title = f"{found.world}: what knowing is worth in {found.target}"
    return _bars(title, bars, "gain in mean return in the target")


def _bars(title: str, bars: Mapping[str, Mapping[str, Estimate]], unit: str) -> Figure:
    """A row for each parameter, in it a bar for each kind of number, with its interval."""
    names = list(next(iter(bars.values())))
    figure, axes = panel(_ROW * len(names) + _REST, title, "")
    wide = 0.68 / len(bars)
    for k, (label, estimates) in enumerate(bars.items()):
        y = np.array([names.index(name) for name in estimates]) + wide * (k - (len(bars) - 1) / 2)
        values = [estimate.value for estimate in estimates.values()]
        axes.barh(y, values, height=0.88 * wide, color=COLOURS[k + 1], alpha=0.75, label=label)
        for place, estimate in zip(y, estimates.values(), strict=True):
            if estimate.interval:
                axes.hlines(place, *estimate.interval, color=INK, linewidth=1.1, zorder=3)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.tick_params(labelsize=9, labelcolor=INK)
    axes.axvline(0.0, color=GRID, linewidth=1.1, zorder=0)
    axes.set_xlabel(unit)
    if len(bars) > 1:
        figure.legend(loc="outside lower right", ncols=len(bars))
    return figure


@style()
def draw_map(found: SolvedMap) -> Figure:
    """The measure over two parameters; what is solved is framed, nominal is a cross."""
    means = np.array(found.means)
    solved = f"{100 * found.solved.value:.0f} % solved ({found.measure} ≥ {found.threshold:.3g}, framed)"
    figure, axes = panel(5.6, f"{found.world}: {solved}; × nominal", "", 7.2)
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
    return figure


def _place(values: Sequence[float], value: float) -> float:
    """Where a value lies along an axis of numbered ticks."""
    return float(np.interp(value, values, np.arange(len(values))))
