"""The figure of a gap report: what other physics costs a policy, and what each method wins back.

One band per variant. Its first line is the baseline: the grey arrow runs from the baseline's own
control score to its score here and is the gap. Below it one line per method: the arrow runs from
the baseline's score to the method's. Dots are means over seeds, bars their intervals, small ticks
the seeds.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from sim2real.evaluate.gap import Cell, GapReport
from sim2real.report.style import BAND, COLOURS, FAINT, GRID, INK, MARKERS, bare, blank, style
from sim2real.report.style import WIDTH as _WIDTH

_LINE, _PAD, _HEADING = 0.185, 0.11, 0.30
_LEFT, _RIGHT, _TOP, _BOTTOM = 1.65, 0.85, 1.42, 0.62
_STORY = ": what other physics costs, and what wins it back"
_TITLE = 76  # letters that fit the width


@style()
def draw_gap(report: GapReport) -> Figure:
    """Draw the report."""
    height = sum(_heights(report)) + _HEADING * len(set(report.groups))
    total = height + _TOP + _BOTTOM
    figure = blank(_WIDTH, total)
    axes = figure.add_axes((_LEFT / _WIDTH, _BOTTOM / total, 1 - (_LEFT + _RIGHT) / _WIDTH, height / total))
    axes.set_ylim(height, 0)
    axes.set_xlim(*_limits(report))
    _titles(figure, axes, report)
    _rulers(axes, report)
    _rows(axes, report)
    return figure


def _present(report: GapReport, variant: str) -> list[tuple[int, Cell]]:
    """The cells of a variant with the index of their label."""
    found = ((i, report.cell(label, variant)) for i, label in enumerate(report.labels))
    return [(i, cell) for i, cell in found if cell is not None]


def _heights(report: GapReport) -> list[float]:
    """Height of every variant's band, inches."""
    return [_LINE * len(_present(report, variant)) + _PAD for variant in report.variants]


def _limits(report: GapReport) -> tuple[float, float]:
    values = [value for cell in report.cells for value in (*cell.by_seed, *_ends(cell))]
    low, high = min(values), max(values)
    if report.normalized:
        low, high = min(0.0, low), max(100.0, high)
    margin = 0.03 * (high - low) or 1.0
    return low - margin, high + margin


def _ends(cell: Cell) -> tuple[float, float]:
    return cell.score.interval or (cell.score.value, cell.score.value)


def _titles(figure: Figure, axes: Axes, report: GapReport) -> None:
    """Title, how to read it, and the key, placed in inches above the axes."""
    left = -_LEFT * 72 + 12
    story = report.title + _STORY
    _above(axes, story if len(story) <= _TITLE else report.title, (left, 1.16 * 72), 13, INK)
    _above(axes, _legend(report), (left, 0.93 * 72), 8.5, FAINT)
    for i, label in enumerate(report.labels):
        name = f"{label} (zero-shot)" if label == report.baseline else label
        text = _above(axes, name, (left + 15, 0.65 * 72), 9.5, COLOURS[i % len(COLOURS)])
        _key_marker(figure, axes, i, left + 6)
        left += 15 + text.get_window_extent().width * 72 / figure.dpi + 18


def _legend(report: GapReport) -> str:
    count = len(report.seeds)
    bar = "Bar: 95 % interval." if count >= 3 else "No interval below 3 seeds."
    return (
        f"Grey arrow: the gap. Coloured arrow: what the method changes. Dot: mean of {count} "
        f"training seed{'s' * (count > 1)}. {bar} Tick: one seed."
    )


def _note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    coordinates: Any,  # noqa: ANN401
    **look: Any,  # noqa: ANN401
) -> Annotation:
    """Text beside a place, in or outside of the axes, at a distance in points."""
    usual: dict[str, Any] = {"fontsize": 8.5, "color": FAINT, "annotation_clip": False}
    return axes.annotate(text, at, offset, coordinates, "offset points", **(usual | look))


def _above(axes: Axes, text: str, offset: tuple[float, float], size: float, colour: str) -> Annotation:
    weight = "bold" if size > 9 else "normal"
    return _note(axes, text, (0, 1), offset, "axes fraction", fontsize=size, color=colour, fontweight=weight)


def _key_marker(figure: Figure, axes: Axes, index: int, points: float) -> None:
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    axes.plot(
        [points / 72 / (box.width * width)], [1 + 0.70 / (box.height * height)],
        transform=axes.transAxes, clip_on=False, markersize=5.5,
        marker=MARKERS[index % len(MARKERS)], color=COLOURS[index % len(COLOURS)],
    )  # fmt: skip


def _rulers(axes: Axes, report: GapReport) -> None:
    """Reference lines with their names above, the axis, and the head of the success column."""
    bare(axes)
    axes.set_yticks([])
    axes.tick_params(axis="x", pad=6)
    unit = "score  (0 = random actions, 100 = oracle)"
    unit = unit if report.normalized else "mean return"
    axes.set_xlabel(unit, fontsize=9, color=FAINT, labelpad=5)
    for x, name in ((0.0, "random"), (100.0, "oracle")) if report.normalized else ():
        axes.axvline(x, color=FAINT, linewidth=1.1, zorder=1)
        _note(axes, name, (x, 0), (0, 5), "data", ha="center")
    home = report.cell(report.baseline, report.control or "")
    if home is not None:
        source = home.score.value
        axes.axvline(source, color=COLOURS[0], linewidth=1.1, linestyle=(0, (3, 2.5)), zorder=1)
        right = source < sum(axes.get_xlim()) / 2
        name = f"source: {report.baseline} on its own physics"
        _note(axes, name, (source, 0), (0, 18), "data", ha="left" if right else "right")
    head = "success" if report.tells_success else ""
    _note(axes, head, (1, 1), (_RIGHT * 72 - 16, 5), "axes fraction", ha="right")


def _rows(axes: Axes, report: GapReport) -> None:
    named = _named(report)
    y, group = 0.0, ""
    for index, (variant, height) in enumerate(zip(report.variants, _heights(report), strict=True)):
        if report.groups[index] != group:
            group = report.groups[index]
            _beside(axes, y + _HEADING - 0.1, group.upper(), 7.5, FAINT, "bold")
            y += _HEADING
        axes.axhspan(y + 0.02, y + height - 0.02, color=BAND, linewidth=0, zorder=-1)
        _beside(axes, y + height / 2 + 0.045, variant, 9, INK)
        _band(axes, report, variant, y)
        for i, cell in _present(report, variant):
            if named[cell.label] == variant:
                place = [j for j, _ in _present(report, variant)].index(i)
                _name(axes, report, i, cell, y + _PAD / 2 + (place + 0.5) * _LINE)
        y += height


def _beside(axes: Axes, y: float, text: str, size: float, colour: str, weight: str = "normal") -> None:
    where, offset = ("axes fraction", "data"), (-_LEFT * 72 + 12, 0)
    _note(axes, text, (0, y), offset, where, fontsize=size, color=colour, fontweight=weight)


def _band(axes: Axes, report: GapReport, variant: str, top: float) -> None:
    cells = _present(report, variant)
    lines = [top + _PAD / 2 + (place + 0.5) * _LINE for place in range(len(cells))]
    baseline = report.cell(report.baseline, variant)
    if baseline is not None:
        axes.vlines(baseline.score.value, lines[0], lines[-1], color=GRID, linewidth=1.2, zorder=2)
    for y, (i, cell) in zip(lines, cells, strict=True):
        start = _start(report, cell)
        if start is not None:
            _arrow(axes, start, cell, y, COLOURS[i % len(COLOURS)])
        _dot(axes, i, cell, y)


def _start(report: GapReport, cell: Cell) -> float | None:
    """Where a cell's arrow begins: the source for the baseline, the baseline for a method."""
    variant = report.control or "" if cell.label == report.baseline else cell.variant
    origin = report.cell(report.baseline, variant)
    return None if origin is None else origin.score.value


def _arrow(axes: Axes, start: float, cell: Cell, y: float, colour: str) -> None:
    """An arrow up to the method's bar, unless it would be too short to see."""
    low, high = axes.get_xlim()
    spread = (*_ends(cell), *cell.by_seed)
    end = min(spread) if cell.score.value > start else max(spread)
    if (end - start) * (cell.score.value - start) > 0 and abs(end - start) > 0.02 * (high - low):
        axes.annotate(
            "", (end, y), (start, y), zorder=2,
            arrowprops={"arrowstyle": "-|>,head_width=0.16,head_length=0.32", "color": colour,
                        "alpha": 0.55, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip


def _dot(axes: Axes, index: int, cell: Cell, y: float) -> None:
    colour = COLOURS[index % len(COLOURS)]
    if cell.score.interval is not None:
        axes.hlines(y, *cell.score.interval, color=colour, linewidth=2.6, alpha=0.55, zorder=3)
    axes.vlines(cell.by_seed, y - 0.045, y + 0.045, color=colour, linewidth=0.9, zorder=3)
    axes.plot(
        [cell.score.value], [y], marker=MARKERS[index % len(MARKERS)], color=colour,
        markersize=5.5, markeredgecolor="white", markeredgewidth=0.6, zorder=4,
    )  # fmt: skip
    success = "" if cell.success is None else f"{100 * cell.success.value:.0f} %"
    where, offset = ("axes fraction", "data"), (_RIGHT * 72 - 16, -3)
    _note(axes, success, (1, y), offset, where, fontsize=8, color=colour, ha="right")


def _named(report: GapReport) -> dict[str, str]:
    """For every label the variant where it is named beside its dot: many methods, far apart."""

    def room(label: str, variant: str) -> tuple[int, float]:
        means = [cell.score.value for _, cell in _present(report, variant)]
        here = report.cell(label, variant) is not None
        return (len(means) if here else -1, max(means) - min(means))

    return {
        label: max((room(label, variant), -i, variant) for i, variant in enumerate(report.variants))[-1]
        for label in report.labels
    }


def _name(axes: Axes, report: GapReport, index: int, cell: Cell, y: float) -> None:
    """Write a label beside its dot, on the side where no arrow comes from."""
    low, high = axes.get_xlim()
    spread = (*_ends(cell), *cell.by_seed)
    start = _start(report, cell)
    share = [(end - low) / (high - low) for end in (min(spread), max(spread))]
    left = (start is not None and start > cell.score.value) or share[1] > 0.85
    fits = share[0] > 0.15
    x, offset = (min(spread), -5) if left and fits else (max(spread), 5)
    box = {"facecolor": BAND, "edgecolor": "none", "pad": 1}
    colour, side = COLOURS[index % len(COLOURS)], "right" if left and fits else "left"
    look: dict[str, Any] = {"fontweight": "bold", "color": colour, "ha": side, "zorder": 5, "bbox": box}
    _note(axes, cell.label, (x, y), (offset, -3), "data", **look)
