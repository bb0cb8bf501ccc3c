"""The figure and the table of `sim2real.transfer.layers`: what is reached with so many layers kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import Estimate
from sim2real.report.plots import panels
from sim2real.report.style import COLOURS, style, write_figure
from sim2real.report.tables import Table, Value, estimate
from sim2real.transfer.layers import SIDES, LayerTransfer

_NAMES = {
    ("A", True): "source's, frozen (AnB)",
    ("A", False): "source's, tuned (AnB+)",
    ("B", True): "target's, frozen (BnB)",
    ("B", False): "target's, tuned (BnB+)",
}
_TITLES = {"lower": "kept from the input on", "upper": "kept from the head on"}


def write_layers(found: LayerTransfer, folder: Path) -> None:
    """Write ``layers.json`` and ``layers.png`` into a folder."""
    told = {
        "target": found.target,
        "layers": found.layers,
        "sentences": found.sentences,
        "rows": found.compared.rows,
        "failures": found.compared.failures,
    }
    write_figure(folder / "layers.png", draw_layers(found), told)


@style()
def draw_layers(found: LayerTransfer) -> Figure:
    """Score in the target against the number of layers that were kept, a panel for each side."""
    title = f"{found.compared.title}: which layers hold the physics of {found.target}"
    figure, panel = panels(4.4, title, len(SIDES), "both")
    for axes, side in zip(panel, SIDES, strict=True):
        _panel(axes, found, side)
    unit = "normalized score" if found.compared.normalized else "mean return"
    panel[0].set_ylabel(f"score in the target ({unit})")
    figure.legend(*panel[0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    return figure


def table_of(found: LayerTransfer) -> Table:
    """A row for each side and number of layers: scores in the target, with intervals."""
    rows: list[Mapping[str, Value]] = [
        {
            "layers": _TITLES[side],
            "number": kept,
            **{
                name: estimate(_score(found, donor, side, kept, frozen))
                for (donor, frozen), name in _NAMES.items()
            },
        }
        for side in SIDES
        for kept in range(len(found.layers) + 1)
    ]
    return Table.of(f"{found.compared.title}, {found.target}: score by layers kept", rows)


def _panel(axes: Axes, found: LayerTransfer, side: str) -> None:
    axes.set_title(_TITLES[side], fontsize=10, fontweight="normal")
    axes.set_xlabel("layers that are kept")
    axes.set_xticks(range(len(found.layers) + 1))
    for place, ((donor, frozen), name) in enumerate(_NAMES.items()):
        scores = {k: _score(found, donor, side, k, frozen) for k in range(len(found.layers) + 1)}
        known = {k + 0.05 * (place - 1.5): score for k, score in scores.items() if score is not None}
        colour = COLOURS[2 if donor == "A" else 1]
        axes.plot(
            list(known), [score.value for score in known.values()], color=colour, linewidth=1.6,
            linestyle="-" if frozen else (0, (3, 2)), marker="o" if frozen else "s", markersize=5,
            markeredgecolor="white", markeredgewidth=0.6, label=name,
        )  # fmt: skip
        for x, score in known.items():
            if score.interval is not None:
                axes.plot([x, x], score.interval, color=colour, linewidth=1.1, alpha=0.45)


def _score(found: LayerTransfer, donor: str, side: str, kept: int, frozen: bool) -> Estimate | None:
    try:
        return found.row(donor, side, kept, frozen).score["target"]
    except InvalidValue:  # its cells failed
        return None
