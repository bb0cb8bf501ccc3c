"""One style for all figures: Okabe and Ito's colours, which colour-blind readers can tell apart.

::

    @style()
    def draw(found: Found) -> Figure:
        figure, (axes,) = panels(4.0, "What was found")
        ...
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from sim2real.files import Write, write_together
from sim2real.plain import as_json

INK, FAINT, GRID, BAND = "#1c2126", "#5d6771", "#d3d9df", "#f3f5f8"
COLOURS = ("#66717c", "#0072b2", "#d55e00", "#00876a", "#b0589a", "#8f7000")
"""Grey for the baseline, then the set, darkened where thin on white."""
MARKERS = ("o", "s", "D", "^", "v", "P")
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
    "legend.labelcolor": INK,
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


@style()
def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG, 180 dots per inch."""
    figure.savefig(path, dpi=180, format="png", metadata={"Software": None})


def write_figure(path: Path, figure: Figure, told: object) -> None:
    """Write the figure as a PNG, and beside it as JSON what was found, a dataclass or a mapping."""
    texts: dict[str, Write] = {
        f"{path.stem}.json": as_json(told),
        path.name: lambda place: save_png(figure, place),
    }
    write_together(path.parent, texts)


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
