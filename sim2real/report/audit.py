"""An audit as files: ``audit.json`` for programs, ``audit.png`` to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.audit.finding import ALIVE, PARTLY, Audit, End, Finding
from sim2real.evaluate.statistics import Estimate
from sim2real.report.plots import bars, panels
from sim2real.report.style import COLOURS, FAINT, style, write_results

_SIDES = (("lower end", COLOURS[1], -0.18), ("upper end", COLOURS[2], 0.18))
_FAULT = "#b3261e"


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write both files to a folder, and return the picture's path."""
    told = {"parameters" if name == "findings" else name: value for name, value in vars(audit).items()}
    write_results(folder, {"audit.json": told, "audit.png": draw_audit(audit)})
    return folder / "audit.png"


@style()
def draw_audit(audit: Audit) -> Figure:
    """Bars of the effect on the trajectory; beside them dots of the change of each policy's return."""
    names = [finding.name for finding in audit.findings]
    title = f"{audit.title}: what each parameter changes, under {audit.simulator}"
    returns = list(audit.nominal_return.values())
    figure, (effects, *dots) = panels(0.34 * len(names) + 2.2, title, 1 + bool(returns))
    ends = [_sides(finding) for finding in audit.findings]
    sizes: dict[str, tuple[str, dict[str, Estimate]]] = {side: (colour, {}) for side, colour, _ in _SIDES}
    for row, (finding, own) in enumerate(zip(audit.findings, ends, strict=True)):
        for side, end in own.items():
            sizes[side][1][finding.name] = Estimate(end.trajectory, None, 1)
        if finding.verdict not in (ALIVE, PARTLY):
            place = effects.get_yaxis_transform()
            effects.text(
                0.01, row, finding.verdict, transform=place, va="center", color=_FAULT, fontweight="bold"
            )
    bars(effects, names, sizes)
    effects.set_xlabel(
        "distance to the nominal trajectory\n(1 = as far as the nominal motion itself spreads);\n"
        + textwrap.fill(audit.motion, 70)
    )
    for axes in dots:
        _changes(axes, ends)
        axes.set_xlabel(
            f"change of the mean return, a dot a policy ({len(returns)}),\n"
            f"a line their range (nominal mean {sum(returns) / len(returns):.1f})"
        )
    figure.legend(*effects.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure


def _changes(axes: Axes, ends: Sequence[Mapping[str, End]]) -> None:
    axes.axvline(0.0, color=FAINT, lw=0.8, zorder=1)
    for row, own in enumerate(ends):
        for side, colour, shift in _SIDES:
            values = list(own[side].returns.values()) if side in own else []
            if values:
                axes.plot(values, [row + shift] * len(values), "o", ms=4, alpha=0.8, color=colour, zorder=3)
                axes.hlines(row + shift, min(values), max(values), color=colour, lw=1.2, zorder=2)


def _sides(finding: Finding) -> dict[str, End]:
    """Its ends below and above nominal, or in their order where they are not one each."""
    lower, upper = (side for side, *_ in _SIDES)
    below = [end.value < finding.nominal for end in finding.ends]
    if len(finding.ends) == 2 and below[0] == below[1]:
        below = [True, False]
    return {lower if low else upper: end for end, low in zip(finding.ends, below, strict=True)}
