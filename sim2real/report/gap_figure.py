"""Figures of a gap report: what other physics costs a policy, what each method wins back, and profiles.

One band per variant. Its first line is the baseline: the grey arrow runs from the baseline's own
control score to its score here and is the gap. Below it one line per method: the arrow runs from
the baseline's score to the method's. Dots are means over seeds, bars their intervals, small ticks
the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.evaluate.gap import Cell, GapReport
from sim2real.evaluate.profiles import performance_profile
from sim2real.evaluate.statistics import Array, Estimate, over_starts, spread
from sim2real.report.plots import look, panels
from sim2real.report.style import BAND, COLOURS, FAINT, GRID, INK, style

_LINE, _AROUND = 0.185, 1.9  # inches of a cell's line, and of what stands above and below all lines
_PAD, _HEADING = 0.6, 1.6  # lines around a variant's, and of a group's name
_DASHED = (0, (3, 2.5))
_STEPS = 41  # scores at which profiles have a band


@style()
def draw_gap(report: GapReport) -> Figure:
    """Draw the report."""
    figure, (axes,) = panels(_AROUND, f"{report.title}: what other physics costs, and what wins it back")
    axes.set_xlim(*_limits(report))
    names: list[tuple[float, str, dict[str, Any]]] = []
    lines: list[tuple[float, Cell]] = []
    top = 0.0
    for group, members in groupby(zip(report.groups, report.variants, strict=True), lambda pair: pair[0]):
        names.append((top + 1.1, group.upper(), {"fontsize": 7.5, "color": FAINT, "fontweight": "bold"}))
        top += _HEADING
        for _, variant in members:
            cells = [cell for label in report.labels if (cell := report.cell(label, variant)) is not None]
            own = top + (_PAD + 1) / 2 + np.arange(len(cells))
            names.append((float(own.mean()), variant, {"fontsize": 9, "color": INK}))
            lines += zip(own.tolist(), cells, strict=True)
            axes.axhspan(top + 0.1, top + len(cells) + _PAD - 0.1, color=BAND, linewidth=0, zorder=-1)
            baseline = report.cell(report.baseline, variant)
            if baseline is not None:
                axes.vlines(baseline.score.value, own[0], own[-1], color=GRID, linewidth=1.2, zorder=2)
            top += len(cells) + _PAD
    figure.set_figheight(_LINE * top + _AROUND)
    axes.set_ylim(top, 0)
    axes.set_yticks([y for y, *_ in names], [name for _, name, _ in names])
    for label, (_, _, font) in zip(axes.get_yticklabels(), names, strict=True):
        label.set(**font)
    for y, cell in lines:
        _result(axes, report, cell, y)
    if report.tells_success:
        _success(axes, report, lines)
    _rulers(axes, report)
    figure.legend(loc="outside lower left", ncols=5, fontsize=9)
    return figure


def _limits(report: GapReport) -> tuple[float, float]:
    values = [value for cell in report.cells for value in _reach(cell)]
    low, high = min(values), max(values)
    if report.normalized:
        low, high = min(0.0, low), max(100.0, high)
    margin = 0.03 * (high - low) or 1.0
    return low - margin, high + margin


def _reach(cell: Cell) -> tuple[float, ...]:
    """All that is drawn of a cell."""
    return (*cell.by_seed, *(cell.score.interval or (cell.score.value,)))


def _result(axes: Axes, report: GapReport, cell: Cell, y: float) -> None:
    """The dot of a cell with its seeds and interval, and the arrow that leads up to it, if it can be seen."""
    appearance = look(report.labels.index(cell.label))
    colour, value = appearance["color"], cell.score.value
    from_baseline = cell.label == report.baseline
    origin = report.cell(report.baseline, report.control or "" if from_baseline else cell.variant)
    low, high = axes.get_xlim()
    if origin is not None:
        start = origin.score.value
        end = min(_reach(cell)) if value > start else max(_reach(cell))
        if (end - start) * (value - start) > 0 and abs(end - start) > 0.02 * (high - low):
            arrow = {"arrowstyle": "-|>,head_width=0.16,head_length=0.32", "color": colour, "alpha": 0.55}
            arrow |= {"linewidth": 1.3, "shrinkA": 0, "shrinkB": 2}
            axes.annotate("", (end, y), (start, y), zorder=2, arrowprops=arrow)
    if cell.score.interval is not None:
        axes.hlines(y, *cell.score.interval, color=colour, linewidth=2.6, alpha=0.55, zorder=3)
    axes.vlines(cell.by_seed, y - 0.24, y + 0.24, color=colour, linewidth=0.9, zorder=3)
    edge: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
    axes.plot([value], [y], zorder=4, **appearance, **edge)


def _success(axes: Axes, report: GapReport, lines: list[tuple[float, Cell]]) -> None:
    """The share of episodes that succeeded, at the right of each line."""
    right = axes.secondary_yaxis("right")
    right.spines[:].set_visible(False)
    right.tick_params(length=0)
    told = [(y, cell) for y, cell in lines if cell.success is not None]
    right.set_yticks([y for y, _ in told], [f"{100 * c.success.value:.0f} %" for _, c in told if c.success])
    for text, (_, cell) in zip(right.get_yticklabels(), told, strict=True):
        text.set(color=look(report.labels.index(cell.label))["color"], fontsize=8)
    axes.annotate("success", (1, 1), (4, 4), "axes fraction", "offset points", fontsize=8.5, color=FAINT)


def _rulers(axes: Axes, report: GapReport) -> None:
    """Reference lines with their names above, what the axis and the marks mean, and a key."""
    for k, label in enumerate(report.labels):
        name = f"{label} (zero-shot)" if label == report.baseline else label
        axes.plot([], [], linestyle="", markersize=5.5, label=name, **look(k))
    for x, name in ((0.0, "random"), (100.0, "oracle")) if report.normalized else ():
        axes.axvline(x, color=FAINT, linewidth=1.1, zorder=1)
        axes.annotate(
            name, (x, 1), (0, 4), axes.get_xaxis_transform(), "offset points", ha="center", color=FAINT
        )
    home = report.cell(report.baseline, report.control or "")
    if home is not None:
        own = f"source: {report.baseline} on its own physics"
        axes.axvline(
            home.score.value, color=COLOURS[0], linewidth=1.1, linestyle=_DASHED, zorder=1, label=own
        )
    count = len(report.seeds)
    unit = "score  (0 = random actions, 100 = oracle)" if report.normalized else "mean return"
    bar = "Bar: 95 % interval." if count >= 3 else "No interval below 3 seeds."
    axes.set_xlabel(
        f"{unit}\nGrey arrow: the gap. Coloured arrow: what the method changes. Dot: mean of {count} "
        f"training seed{'s' * (count > 1)}. {bar} Tick: one seed."
    )


@style()
def draw_profiles(report: GapReport) -> Figure | None:
    """A line for each method over the held-out variants that all have met, its band from three seeds on.

    None where scores aren't normalized, or there are fewer than two such variants: returns of different
    variants have no common axis.
    """
    scores, folded = report.scores, report.scores.folded
    variants = scores.held_out
    for label in scores.label_order:
        variants = scores.met(label, variants)
    if not report.normalized or len(variants) < 2:
        return None
    samples = {label: scores.percent(label, variants)[0] for label in scores.label_order}
    means = {label: over_starts(sample) for label, sample in samples.items()}
    low = min(0.0, *(float(np.nanmin(own)) for own in means.values()))
    high = max(100.0, *(float(np.nanmax(own)) for own in means.values()))
    thresholds = np.linspace(low, high, _STEPS)
    figure, (axes,) = panels(3.6, grid="both")
    axes.set_xlim(low, high)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("score  (0 = random actions, 100 = oracle)")
    axes.set_ylabel("share above it")
    for place, (label, sample) in enumerate(samples.items()):
        colour = look(place)["color"]
        fine = np.linspace(low, high, 20 * _STEPS)
        axes.step(fine, performance_profile(means[label], fine), color=colour, label=folded.labels[label])
        band = [interval for tau in thresholds if (interval := _share(sample, tau).interval)]
        if len(band) == len(thresholds):
            axes.fill_between(thresholds, *_falling(band), color=colour, alpha=0.15, linewidth=0)
    axes.legend(labelcolor="linecolor", loc="lower left")
    return figure


def _falling(band: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Ends that fall from left to right as a profile does, and hold the band."""
    low, high = np.transpose(band)
    return np.minimum.accumulate(low), np.maximum.accumulate(high[::-1])[::-1]


def _share(sample: Array, threshold: float) -> Estimate:
    """Share of seeds and variants above a threshold, with its interval over other seeds and starts."""
    tau = np.array([threshold])
    found = spread(lambda draws: performance_profile(draws, tau)[:, 0], sample)
    seeds, variants = sample.shape[:2]
    return found.within(0.0, 1.0, seeds * variants)
