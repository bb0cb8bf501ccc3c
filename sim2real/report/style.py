"""One style for all figures: Okabe and Ito's colours, which colour-blind readers can tell apart.

::

    @style()
    def draw(found: Found) -> Figure:
        figure = blank(9.6, 4.0)
        ...
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT, GRID, BAND = "#1c2126", "#5d6771", "#d3d9df", "#f3f5f8"
COLOURS = ("#66717c", "#0072b2", "#d55e00", "#00876a", "#b0589a", "#8f7000")
"""Grey for the baseline, then the set, darkened where thin on white."""
MARKERS = ("o", "s", "D", "^", "v", "P")
WIDTH = 9.6
"""Of a figure as wide as the page, inches."""
_SETTINGS: Any = {
    "font.family": ["DejaVu Sans"],
    "text.parse_math": False,
    "text.color": INK,
    "font.size": 9,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "sim2real",
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib with one font and these colours, to draw and to save under; a decorator, too.

    Names are never formulas, a letter that the font lacks is a box in the picture and no warning, text in an
    SVG stays text, and what is drawn twice has the same bytes.
    """
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def blank(width: float, height: float, constrained: bool = False) -> Figure:
    """An empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    return figure


def panel(
    height: float, title: str = "", grid: Literal["x", "y", "both", ""] = "x", width: float = WIDTH
) -> tuple[Figure, Axes]:
    """A figure of one bare panel, which leaves room for what is around it; sizes in inches."""
    figure = blank(width, height, constrained=True)
    axes = figure.add_subplot()
    bare(axes, ("bottom", "left") if grid in ("y", "both") else ("bottom",), grid)
    axes.set_title(title)
    return figure, axes


def bare(
    axes: Axes, spines: tuple[str, ...] = ("bottom",), grid: Literal["x", "y", "both", ""] = "x"
) -> None:
    """Take away what tells nothing: frames, ticks, dark grids; ``grid`` is x, y, both or empty."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in spines)
        spine.set_color(GRID)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=FAINT)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")


@style()
def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG, 180 dots per inch."""
    figure.savefig(path, dpi=180, format="png", metadata={"Software": None})


@style()
def svg(figure: Figure) -> Markup:
    """The figure as an ``<svg>`` element for a page, in the page's colours, so that dark mode works."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    variables = {INK: "ink", FAINT: "faint", GRID: "grid", BAND: "band", "#ffffff": "paper"}
    variables |= {colour: f"series-{i}" for i, colour in enumerate(COLOURS)}
    for colour, variable in variables.items():
        text = text.replace(colour, f"var(--{variable})")
    # A size in points would keep the figure from shrinking with the page.
    return Markup(re.sub(r'(<svg [^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', r"\1\2", text, count=1))
