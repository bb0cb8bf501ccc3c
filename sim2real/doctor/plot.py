"""Small line charts as SVG, drawn by hand: sharp at any size, themed by the page, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from sim2real.recordings.recording import FloatArray

_WIDTH, _HEIGHT = 720.0, 168.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 12.0, 10.0, 30.0


@dataclass(frozen=True, eq=False)
class Line:
    """One curve; a NaN interrupts it."""

    name: str
    style: str
    """Class of the page's style sheet: ``"command"``, ``"measured"``, ``"other"``."""
    x: FloatArray
    y: FloatArray
    held: bool = False
    """Whether a value holds until the next, as a command does."""


def chart(lines: Sequence[Line], shaded: Sequence[tuple[float, float]], xlabel: str, ylabel: str) -> str:
    """An ``<svg>`` of some curves over shaded stretches of x."""
    x = np.concatenate([line.x for line in lines])
    y = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    xs = _Scale(float(x.min()), float(x.max()), _LEFT, _WIDTH - _RIGHT)
    low, high = (float(y.min()), float(y.max())) if y.size else (0.0, 1.0)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    ys = _Scale(low - pad, high + pad, _HEIGHT - _BOTTOM, _TOP)
    parts = [_shade(xs, first, last) for first, last in shaded]
    parts += _axes(xs, ys, xlabel, ylabel)
    parts += [_curve(line, xs, ys) for line in lines]
    label = escape(f"{ylabel} over {xlabel}: {', '.join(line.name for line in lines)}")
    box = f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def legend(lines: Sequence[Line]) -> str:
    """The names of the curves with their colours."""
    return "".join(f'<span class="key {line.style}"><i></i>{escape(line.name)}</span>' for line in lines)


def sparkline(columns: FloatArray) -> str:
    """All columns over each other in a tiny chart, in one common scale."""
    width, height = 150.0, 30.0
    if len(columns) < 2:
        return ""
    rows = np.unique(np.linspace(0, len(columns) - 1, 120).astype(int))
    shown = columns[rows] - np.nanmedian(columns, axis=0)
    top = float(np.nanmax(np.abs(shown))) or 1.0
    x = rows / rows[-1] * width
    y = height / 2 - shown / top * (height / 2 - 1)
    curves = "".join(
        f'<polyline class="s{j % 6}" points="{_points(x, y[:, j])}"/>' for j in range(y.shape[1])
    )
    return f'<svg class="spark" viewBox="0 0 {width:.0f} {height:.0f}" aria-hidden="true">{curves}</svg>'


@dataclass(frozen=True)
class _Scale:
    """Linear map of values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: FloatArray) -> FloatArray:
        span = (self.high - self.low) or 1.0
        return np.asarray(self.start + (value - self.low) / span * (self.end - self.start))

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Round values in the range with their text."""
        span = (self.high - self.low) or 1.0
        power = 10.0 ** np.floor(np.log10(span / count))
        step = next(float(f * power) for f in (1, 2, 5, 10) if f * power >= span / count)
        first = int(np.ceil(self.low / step))
        digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
        values = [i * step for i in range(first, int(np.floor(self.high / step)) + 1)]
        return [(value, f"{value:.{digits}f}") for value in values]


def _axes(xs: _Scale, ys: _Scale, xlabel: str, ylabel: str) -> list[str]:
    parts = []
    for value, text in ys.ticks(4):
        y = float(ys(np.array(value)))
        parts.append(f'<line class="grid" x1="{xs.start}" x2="{xs.end}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{xs.start - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>')
    for value, text in xs.ticks(8):
        x = float(xs(np.array(value)))
        parts.append(f'<text x="{x:.1f}" y="{ys.start + 14:.1f}" text-anchor="middle">{text}</text>')
    middle = (xs.start + xs.end) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(xlabel)}</text>'
    )
    turned = f"translate(11 {(ys.start + ys.end) / 2}) rotate(-90)"
    parts.append(f'<text class="label" transform="{turned}" text-anchor="middle">{escape(ylabel)}</text>')
    return parts


def _shade(xs: _Scale, first: float, last: float) -> str:
    a, b = (float(xs(np.array(min(max(end, xs.low), xs.high)))) for end in (first - 0.5, last + 0.5))
    width, height = max(b - a, 2.0), _HEIGHT - _TOP - _BOTTOM
    return f'<rect class="shade" x="{a:.1f}" y="{_TOP}" width="{width:.1f}" height="{height}"/>'


def _curve(line: Line, xs: _Scale, ys: _Scale) -> str:
    x, y = line.x, line.y
    if line.held:
        x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    x, y = _thinned(x, y)
    pieces = np.split(np.arange(len(y)), np.flatnonzero(~np.isfinite(y)))
    curves = []
    for piece in pieces:
        rows = piece[np.isfinite(y[piece])]
        if len(rows) == 1:
            rows = np.repeat(rows, 2)  # a lone point between two gaps still shows
        if len(rows):
            curves.append(f'<polyline class="{line.style}" points="{_points(xs(x[rows]), ys(y[rows]))}"/>')
    return "".join(curves)


def _thinned(x: FloatArray, y: FloatArray, bins: int = 600) -> tuple[FloatArray, FloatArray]:
    """Least and largest value of each bin, so that spikes survive."""
    if len(x) <= 2 * bins or not np.isfinite(y).all():
        return x, y
    edges = np.linspace(0, len(x), bins + 1).astype(int)
    keep = [sorted((a + int(np.argmin(y[a:b])), a + int(np.argmax(y[a:b])))) for a, b in pairwise(edges)]
    rows = np.unique(np.concatenate([[0], np.ravel(keep), [len(x) - 1]]).astype(int))
    return x[rows], y[rows]


def _points(x: FloatArray, y: FloatArray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
