"""Sections of what commands besides `evaluate` found: causes of a drop, the worst physics, maps, curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.robust_radius import Radius, RobustRadius
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.verdict import number
from sim2real.evaluate.worst_case import WorstCase
from sim2real.report.page import Section
from sim2real.report.plots import bars, panels
from sim2real.report.style import COLOURS, FAINT, GRID, INK, style
from sim2real.report.tables import Cell, Rows, Table, Value, estimate

if TYPE_CHECKING:  # it brings torch
    from sim2real.transfer.worth import WorthOfKnowing

_PAIRS = 5
_ROW, _REST = 0.42, 1.5  # inches of a row of a figure, and of what stands around all


def attribution_section(found: Attribution) -> Section:
    """The waterfall, and what each parameter costs."""
    how = f"all {found.sets} sets" if found.exact else f"{found.sets} sets of sampled permutations"
    starts = "" if found.by_start is None else (
        f" Over start states the drop has a standard deviation of {number(found.by_start)}."
    )  # fmt: skip
    source, target = map(number, found.score)
    lead = (
        f"“{found.label}” falls from {source} in the source to {target} in {found.target}. Shapley values "
        f"add up to that drop of {number(found.drop)}; positive is lost. From {how} × {found.episodes} "
        f"episodes in {found.simulator}; 95 % intervals are about {found.about}.{starts}"
    )
    causes = Table(
        f"Causes in {found.target}",
        ["parameter", "change", "share of the drop", "alone", "as the last"],
        [
            [Cell(c.name, c.kind), f"{c.source:g} → {c.target:g}", c.share, c.alone, c.last]
            for c in found.causes
        ],
    )
    pairs = Table(
        f"Pairs in {found.target}",
        ["together", "beyond what each costs alone"],
        [
            [Cell(" and ".join(pair.names), "only together" * pair.only_together), pair.cost]
            for pair in found.interactions[:_PAIRS]
        ],
    )
    kinds = Table(
        f"Kinds in {found.target}",
        ["kind", "share of the drop", "alone"],
        [[part.kind, part.share, part.alone] for part in found.parts if len(found.parts) > 1],
    )
    title, label = (
        f"What the drop to {found.target} comes from",
        "Cost of each parameter, as in the table below",
    )
    return Section(title, lead, [causes, pairs, kinds], _waterfall(found), label)


def worst_section(found: WorstCase, radius: RobustRadius) -> Section:
    """The worst physics of the domain, and how far from nominal all is well."""
    success = "" if found.success is None else f", success {number(found.success, digits=2)}"
    lead = (
        f"An adversarial search of {found.searched:,} rollouts minimized {found.measure}; {found.fresh:,} "
        f"fresh episodes measure a mean return of {number(found.returns)} there{success}. The true minimum "
        f"can be lower. Robust radius with all parameters at once: {_reach(radius.joint)} of the range, "
        f"where {radius.measure} is {number(radius.joint.measured, digits=2)} (to stay above "
        f"{radius.threshold:.4g}; nominal {number(radius.nominal, digits=2)}; {radius.rollouts:,} rollouts)."
    )
    rows: list[Sequence[Value]] = []
    for name, value in found.physics.items():
        low, nominal, high = found.ranges.get(name, (math.nan,) * 3)  # unknown to files of older versions
        searched = None if math.isnan(low) else f"{low:.4g} … {high:.4g}"
        rows.append([name, nominal, searched, value, _reach(radius.alone.get(name))])
    head = ["parameter", "nominal", "searched", "worst value", "robust radius, alone"]
    return Section("The worst physics", lead, [Table("The worst physics", head, rows)])


def _reach(radius: Radius | None) -> str:
    """What holds, and what is shown to fail."""
    if radius is None:
        return "fixed"
    if radius.fails is None:
        return "1" if radius.scale == 1 else f"{radius.scale:.2g} or more"
    return f"{radius.scale:.2g} (fails at {radius.fails:.2g})"


def sensitivity_section(found: Sensitivity) -> Section:
    """Sobol indices of every parameter."""
    physics = found.samples * (len(found.indices) + 2)
    lead = (
        f"Shares of the variance of the return over the domain (mean {found.mean:.4g}, standard deviation "
        f"{found.deviation:.4g}): of a parameter alone, and with all that it does together with others. "
        f"{physics:,} physics × {found.episodes} starts in {found.simulator}; 95 % intervals are about other "
        "physics of the domain."
    )
    rows: Rows = [[i.name, estimate(i.first, digits=2), estimate(i.total, digits=2)] for i in found.indices]
    table = Table("Sobol indices", ["parameter", "alone", "with others"], rows)
    return Section("What the spread over the domain comes from", lead, [table], _sensitivity(found))


def map_section(found: SolvedMap) -> Section:
    """Where on a grid of two parameters all is well."""
    one, other = found.names
    lead = (
        f"Of the grid {number(found.solved, 100, 0, ' %')} is solved: a {found.measure} of at least "
        f"{found.threshold:.4g}, from {found.episodes} starts everywhere."
    )
    head = [f"{one} \\ {other}", *(f"{value:.4g}" for value in found.values[1])]
    rows: Rows = [[f"{value:.4g}", *means] for value, means in zip(found.values[0], found.means, strict=True)]
    table = Table(f"{one} and {other}", head, rows)
    return Section(f"The map of {one} and {other}", lead, [table], _map(found))


def worth_section(found: WorthOfKnowing) -> Section:
    """What knowing each parameter of a target would win."""
    sure = [one for one in found.parameters if one.gained.interval and one.gained.interval[0] > 0]
    first = (
        f"Measure {sure[0].name} first; sim2real identify suggests a motion for it."
        if sure
        else "None is shown to be worth measuring by itself at this budget."
    )
    lead = (
        f"“{found.label}” policies that went on knowing nothing of {found.target} reach "
        f"{number(found.nothing)} there, those that knew all of these {number(found.everything)}. {first} "
        f"{found.trainings} trainings of {found.steps:,} steps in the source."
    )
    halved = () if any(one.halved for one in found.parameters) else ("range halved",)
    table = Table(
        f"What knowing is worth in {found.target}",
        ["known", "in the target", "gained", "of the gap is left", "range halved"],
        [
            [p.name, p.value, p.gained, estimate(p.left, 100, 0, " %") if p.left else None, p.halved]
            for p in found.parameters
        ],
        page_only=halved,
    )
    return Section(f"What to measure next for {found.target}", lead, [table], _worth(found))


@style()
def _sensitivity(found: Sensitivity) -> Figure:
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
def _worth(found: WorthOfKnowing) -> Figure:
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
def _waterfall(found: Attribution) -> Figure:
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
    for y, score in ((0, source), (len(rows) - 1, target)):
        axes.axvline(score.value, color=GRID, linewidth=1.1, zorder=0)
        axes.plot([score.value], [y], marker="o", color=INK, zorder=4)
        if score.interval:
            axes.hlines(y, *score.interval, color=INK, linewidth=2.6, alpha=0.55)
        axes.annotate(f"{score.value:.1f}", (score.value, y), (7, 6), textcoords="offset points")
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
def _map(found: SolvedMap) -> Figure:
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
