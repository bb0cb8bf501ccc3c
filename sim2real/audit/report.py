"""An audit as files: ``audit.json`` for programs, ``audit.png`` to look at."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim2real.audit.finding import ALIVE, PARTLY, Audit, End, Finding
from sim2real.files import write_together
from sim2real.pages import plain_text

_INK, _FAINT, _GRID, _LOW, _HIGH, _FAULT = "#1c2126", "#5d6771", "#d3d9df", "#0072b2", "#d55e00", "#b3261e"
_LINE, _TOP, _BOTTOM, _WIDTH = 0.34, 1.0, 0.95, 9.6  # inches


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write both files to a folder, and return the picture's path."""
    text = json.dumps(as_table(audit), indent=1, allow_nan=False)
    write_together(folder, {"audit.json": text, "audit.png": lambda path: _save(audit, path)})
    return folder / "audit.png"


def as_table(audit: Audit) -> dict[str, object]:
    """The audit as a table of plain values."""
    return {
        "title": audit.title,
        "simulator": audit.simulator,
        "motion": audit.motion,
        "noise": audit.noise,
        "nominal_return": dict(audit.nominal_return),
        "parameters": [
            {
                "name": f.name,
                "unit": f.unit,
                "nominal": _number(f.nominal),
                "verdict": f.verdict,
                "reasons": list(f.reasons),
                "ends": [
                    {
                        "value": _number(e.value),
                        "trajectory": e.trajectory,
                        "moved": e.moved,
                        "diverged": e.diverged,
                        "returns": dict(e.returns),
                    }
                    for e in f.ends
                ],
            }
            for f in audit.findings
        ],
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _save(audit: Audit, path: Path) -> None:
    with plain_text():
        draw(audit).savefig(path, dpi=150, format="png", metadata={"Software": None})


def draw(audit: Audit) -> Figure:
    """Bars of the effect on the trajectory; beside them dots of the change of each policy's return."""
    height = _LINE * max(len(audit.findings), 1) + _TOP + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    with_returns = bool(audit.nominal_return)
    panels = figure.subplots(1, 2 if with_returns else 1, sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.24, right=0.97, top=1 - _TOP / height, bottom=_BOTTOM / height, wspace=0.08)
    _heading(figure, audit, height)
    _bars(panels[0], audit.findings)
    if with_returns:
        _dots(panels[1], audit)
    return figure


def _heading(figure: Figure, audit: Audit, height: float) -> None:
    title = f"{audit.title}: what each parameter changes, under {audit.simulator}"
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=12, fontweight="bold", color=_INK)
    figure.text(0.02, 1 - 0.58 / height, audit.motion, fontsize=8, color=_FAINT)
    for x, (colour, word) in zip((0.02, 0.13), ((_LOW, "lower end"), (_HIGH, "upper end")), strict=True):
        figure.text(x, 1 - 0.82 / height, f"■ {word}", fontsize=8.5, color=colour)


def _bars(axes: Axes, findings: Sequence[Finding]) -> None:
    for row, finding in enumerate(findings):
        for end, (shift, colour) in _placed(finding):
            axes.barh(row + shift, end.trajectory, 0.32, color=colour, zorder=2)
        if finding.verdict not in (ALIVE, PARTLY):
            axes.text(
                0.01, row, finding.verdict, transform=axes.get_yaxis_transform(), fontsize=8, va="center",
                color=_FAULT, fontweight="bold",
            )  # fmt: skip
    axes.set_yticks(range(len(findings)), [finding.name for finding in findings], fontsize=8.5, color=_INK)
    axes.set_ylim(len(findings) - 0.4, -0.6)
    for label, finding in zip(axes.get_yticklabels(), findings, strict=True):
        label.set_color(_INK if finding.verdict in (ALIVE, PARTLY) else _FAULT)
    _dress(axes, "distance to the nominal trajectory\n(1 = as far as the nominal motion itself spreads)")


def _dots(axes: Axes, audit: Audit) -> None:
    for row, finding in enumerate(audit.findings):
        for end, (shift, colour) in _placed(finding):
            values = list(end.returns.values())
            if values:
                axes.plot(values, [row + shift] * len(values), "o", ms=4, alpha=0.8, color=colour, zorder=3)
                axes.plot([min(values), max(values)], [row + shift] * 2, color=colour, lw=1.2, zorder=2)
    axes.axvline(0.0, color=_FAINT, lw=0.8, zorder=1)
    mean = sum(audit.nominal_return.values()) / len(audit.nominal_return)
    count = len(audit.nominal_return)
    _dress(
        axes,
        f"change of the mean return, a dot a policy ({count}),\na line their range (nominal mean {mean:.1f})",
    )
    axes.tick_params(axis="y", length=0)


def _placed(finding: Finding) -> list[tuple[End, tuple[float, str]]]:
    """Each end with its place in the band and its colour: below nominal, or above."""
    below = [end.value < finding.nominal for end in finding.ends]
    if len(finding.ends) == 2 and below[0] == below[1]:
        below = [True, False]
    return [
        (end, (-0.17, _LOW) if low else (0.17, _HIGH)) for end, low in zip(finding.ends, below, strict=True)
    ]


def _dress(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, fontsize=8.5, color=_FAINT)
    axes.tick_params(axis="both", labelsize=8.5, length=0)
    axes.grid(axis="x", color=_GRID, lw=0.6, zorder=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
