"""The figure of learning curves: what each method reaches in a target as the budget grows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sim2real.evaluate.curves import Curve
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.statistics import spread
from sim2real.files import write_together
from sim2real.report.style import COLOURS, INK, MARKERS, panel, save_png, style


def write_curves(found: Mapping[str, Mapping[str, Curve]], folder: Path) -> None:
    """Write ``curves-TARGET.png`` for each target."""
    pictures = {f"curves-{target}.png": draw_curves(target, curves) for target, curves in found.items()}
    write_together(folder, {name: partial(save_png, figure) for name, figure in pictures.items()})


@style()
def draw_curves(target: str, curves: Mapping[str, Curve]) -> Figure:
    """A line a method, with 95 % intervals over seeds at each budget."""
    figure, axes = panel(4.6, f"{target}: reached at each budget", "y")
    for k, (method, curve) in enumerate(curves.items()):
        colour = COLOURS[(k + 1) % len(COLOURS)]
        means = np.nanmean(curve.scores, axis=0)
        axes.plot(
            curve.budgets, means, color=colour, marker=MARKERS[k % len(MARKERS)], markersize=5, label=method
        )
        for budget, column in zip(curve.budgets, curve.scores.T, strict=True):
            interval = spread(mean, column[~np.isnan(column), None, None]).interval
            if interval:
                axes.vlines(budget, *interval, color=colour, linewidth=2.2, alpha=0.45)
    axes.set_xlabel("control steps in the target")
    axes.set_ylabel("mean return in the target")
    axes.legend(labelcolor=INK)
    return figure
