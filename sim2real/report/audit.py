"""An audit as files: ``audit.json`` for programs, ``audit.png`` to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.audit.finding import ALIVE, PARTLY, Audit, End, Finding
from sim2real.files import write_together
from sim2real.report.plain import as_json
from sim2real.report.style import COLOURS, FAINT, INK, WIDTH, bare, blank, save_png, style

_LOW, _HIGH, _FAULT = COLOURS[1], COLOURS[2], "#b3261e"
_LINE, _TOP, _BOTTOM = 0.34, 1.0, 0.95  # inches


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write both files to a folder, and return the picture's path."""
    text = as_json({"parameters" if name == "findings" else name: v for name, v in vars(audit).items()})
    figure = draw_audit(audit)
    write_together(folder, {"audit.json": text, "audit.png": lambda path: save_png(figure, path)})
    return folder / "audit.png"


@style()
def draw_audit(audit: Audit) -> Figure:
    """Bars of the effect on the trajectory; beside them dots of the change of each policy's return."""
    height = _LINE * max(len(audit.findings), 1) + _TOP + _BOTTOM
    figure = blank(WIDTH, height)
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
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=12, fontweight="bold", color=INK)
    figure.text(0.02, 1 - 0.58 / height, audit.motion, fontsize=8, color=FAINT)
    for x, (colour, word) in zip((0.02, 0.13), ((_LOW, "lower end"), (_HIGH, "upper end")), strict=True):
        figure.text(x, 1 - 0.82 / height, f"■ {word}", fontsize=8.5, color=colour)


def _bars(axes: Axes, findings: Sequence[Finding]) -> None:
    bare(axes)
    for row, finding in enumerate(findings):
        for end, (shift, colour) in _placed(finding):
            axes.barh(row + shift, end.trajectory, 0.32, color=colour, zorder=2)
        if finding.verdict not in (ALIVE, PARTLY):
            axes.text(
                0.01, row, finding.verdict, transform=axes.get_yaxis_transform(), fontsize=8, va="center",
                color=_FAULT, fontweight="bold",
            )  # fmt: skip
    axes.set_yticks(range(len(findings)), [finding.name for finding in findings], fontsize=8.5, color=INK)
    axes.set_ylim(len(findings) - 0.4, -0.6)
    for label, finding in zip(axes.get_yticklabels(), findings, strict=True):
        label.set_color(INK if finding.verdict in (ALIVE, PARTLY) else _FAULT)
    axes.set_xlabel("distance to the nominal trajectory\n(1 = as far as the nominal motion itself spreads)")


def _dots(axes: Axes, audit: Audit) -> None:
    bare(axes)
    for row, finding in enumerate(audit.findings):
        for end, (shift, colour) in _placed(finding):
            values = list(end.returns.values())
            if values:
                axes.plot(values, [row + shift] * len(values), "o", ms=4, alpha=0.8, color=colour, zorder=3)
                axes.plot([min(values), max(values)], [row + shift] * 2, color=colour, lw=1.2, zorder=2)
    axes.axvline(0.0, color=FAINT, lw=0.8, zorder=1)
    mean = sum(audit.nominal_return.values()) / len(audit.nominal_return)
    count = len(audit.nominal_return)
    axes.set_xlabel(
        f"change of the mean return, a dot a policy ({count}),\na line their range (nominal mean {mean:.1f})",
    )


def _placed(finding: Finding) -> list[tuple[End, tuple[float, str]]]:
    """Each end with its place in the band and its colour: below nominal, or above."""
    below = [end.value < finding.nominal for end in finding.ends]
    if len(finding.ends) == 2 and below[0] == below[1]:
        below = [True, False]
    return [
        (end, (-0.17, _LOW) if low else (0.17, _HIGH)) for end, low in zip(finding.ends, below, strict=True)
    ]
