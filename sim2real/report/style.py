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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
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


def write_results(folder: str | Path, files: Mapping[str, object]) -> None:
    """Write files together, each as what it is.

    Args:
        folder: made if missing.
        files: by name a figure, which becomes a PNG; a text, or what fills a file, given its path; or what
            was found, a dataclass or a mapping, which becomes JSON.

    Raises:
        OSError: as raised by the file system; older files are then still there.
    """
    write_together(folder, {name: _write(found) for name, found in files.items()})


def _write(found: Any) -> Write:  # noqa: ANN401
    if isinstance(found, Figure):
        return partial(_save, found)
    return found if isinstance(found, str) or callable(found) else as_json(found)


@style()
def _save(figure: Figure, path: Path) -> None:
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
