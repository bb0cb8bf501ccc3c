"""The figure of an attribution: from the source's score down to the target's, a step for each cause."""

from __future__ import annotations

from itertools import accumulate, pairwise

from matplotlib.figure import Figure

from sim2real.evaluate.attribution import Attribution
from sim2real.report.style import COLOURS, FAINT, GRID, INK, panel, style

_ROW, _REST = 0.34, 1.5


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
    figure, axes = panel(_ROW * len(rows) + _REST, title, "")
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
    axes.tick_params(labelsize=9, labelcolor=INK)
    axes.set_xlabel("mean return")
    return figure
