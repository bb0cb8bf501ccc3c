"""The report as one HTML page that opens offline: no script, font, style or picture is loaded.

Names from the table are escaped; the page is made of strings by small functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

from sim2real.evaluate import figure
from sim2real.evaluate.gap import Cell, GapReport
from sim2real.evaluate.robustness import HELD_OUT
from sim2real.evaluate.statistics import Estimate, episodes_needed
from sim2real.evaluate.verdict import missing, number, verdict
from sim2real.pages import Html, fill

_NONE = "<span class=na>–</span>"
_MARKS = {"helps": "▲ helps", "hurts": "▼ hurts", "undecided": "○ undecided"}


def page(report: GapReport, svg: str, provenance: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        report: what to show.
        svg: the figure as an ``<svg>`` element; its colours are mapped to the page's.
        provenance: facts for the last table, name to value.
    """
    size, closed, hurt = verdict(report)
    harmed = any(c.difference and c.difference.verdict == "hurts" for c in report.cells)
    parts = {
        "title": report.title,
        "size": size,
        "closed": Html("".join(f"<p>{escape(sentence)}</p>" for sentence in closed.split("\n"))),
        "hurt": hurt,
        "harmed": "harmed" if harmed else "unharmed",
        "figure": Html(themed(svg)),
        "unit": "normalized score" if report.normalized else "mean return",
        "baseline": report.baseline,
        "scores": Html(_by_variant(report, "score")),
        "success": Html(_by_variant(report, "success")),
        "comparisons": Html(_comparisons(report)),
        "groups": Html(_groups(report)),
        "summaries": Html(_summaries(report)),
        "needed": Html(_needed(report)),
        "coverage": _coverage(report),
        "fraction": f"{100 * report.cvar_fraction:.0f}",
        "provenance": Html(_facts(provenance)),
    }
    return fill("sim2real.evaluate", "page.html", parts)


def themed(svg: str) -> str:
    """Replace the figure's fixed colours by the page's variables, so that dark mode works."""
    variables = {figure.INK: "ink", figure.FAINT: "faint", figure.GRID: "grid", figure.BAND: "band"}
    variables |= {colour: f"series-{i}" for i, colour in enumerate(figure.COLOURS)}
    for colour, variable in variables.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = svg.replace("#ffffff", "var(--paper)")
    # A size in points would keep the figure from shrinking with the page.
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    return re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], note: str = "") -> str:
    """A sortable table; cells come as ready ``<td>`` or ``<th>`` elements."""
    titles = "".join(f'<th scope="col"><button type="button">{h}</button></th>' for h in head)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>{note and f"<p class=note>{note}</p>"}'


def _name(text: str, sub: str = "") -> str:
    small = f" <small>{escape(sub)}</small>" if sub else ""
    return f'<th scope="row" data-v="{escape(text)}">{escape(text)}{small}</th>'


def _cell(text: str, value: float | None = None, kind: str = "") -> str:
    key = "" if value is None else f' data-v="{value:.6g}"'
    return f"<td{key}{kind and f' class={kind}'}>{text}</td>"


def _figures(estimate: Estimate | None, scale: float = 1.0, digits: int = 1, unit: str = "") -> str:
    """A cell with the value and, smaller, its interval."""
    if estimate is None:
        return _cell("<span class=na>NA</span>")
    value, _, interval = number(estimate, scale, digits).partition(" ")
    if estimate.interval is None:
        value, interval = value.rstrip(","), missing(estimate)
    return _cell(f"<b>{value}{unit}</b> <small>{interval}</small>", estimate.value)


def _by_variant(report: GapReport, what: str) -> str:
    """Rows are variants, columns methods."""
    rows = []
    for variant, group in zip(report.variants, report.groups, strict=True):
        row = [_name(variant, group)]
        for label in report.labels:
            cell = report.cell(label, variant)
            if cell is None:
                row.append(_cell("<span class=na>not evaluated</span>"))
            elif what == "score":
                row.append(_figures(cell.score))
            else:
                row.append(_figures(cell.success, 100, 0, " %"))
        rows.append(row)
    return _table(["variant", *(_key(report, label) for label in report.labels)], rows)


def _key(report: GapReport, label: str) -> str:
    """A method's name with its colour in the figure."""
    index = report.labels.index(label) % len(figure.COLOURS)
    return f'<i class="key" style="background:var(--series-{index})"></i>{escape(label)}'


def _comparisons(report: GapReport) -> str:
    """One row per method and variant: the gap, the change against the baseline, the verdict."""
    rows = [
        [
            _name(cell.variant, cell.group),
            _cell(_key(report, cell.label)),
            _cell(_NONE) if cell.variant == report.control else _figures(cell.gap),
            *_change(cell, label == report.baseline),
        ]
        for variant in report.variants
        for label in report.labels
        if (cell := report.cell(label, variant)) is not None
    ]
    change = f"change vs {escape(report.baseline)}"
    return _table(["variant", "method", "gap", change, "gap closed", "verdict"], rows)


def _change(cell: Cell, is_baseline: bool) -> list[str]:
    difference = cell.difference
    if is_baseline or difference is None:
        return [_cell(_NONE)] * 3
    notes = [] if difference.p is None else [_p_value(difference.p)]
    if difference.seeds_needed:
        count = difference.seeds_needed
        notes.append("needs 100+ seeds" if count > 99 else f"needs {count} seeds")
    mark = f"<span class={difference.verdict}>{_MARKS[difference.verdict]}</span>"
    return [
        _figures(difference.estimate),
        _figures(cell.closed, 100, 0, " %"),
        _cell(f"{mark} <small>{', '.join(notes)}</small>", difference.p),
    ]


def _p_value(p: float) -> str:
    return f"p {p:.3f}" if p >= 1e-3 else "p &lt; 0.001"


def _groups(report: GapReport) -> str:
    """Interquartile means: rows are methods, columns groups."""
    found = {(a.label, a.group): a for a in report.aggregates}
    groups = list(dict.fromkeys(a.group for a in report.aggregates if a.group != HELD_OUT))
    groups += [HELD_OUT] * any(a.group == HELD_OUT for a in report.aggregates)
    rows = []
    for label in report.labels:
        row = [_name(label)]
        for group in groups:
            aggregate = found.get((label, group))
            cell = _figures(aggregate.iqm if aggregate else None)
            if aggregate and aggregate.variants < aggregate.of:
                part = f"<em>{aggregate.variants} of {aggregate.of} variants</em></small></td>"
                cell = cell.replace("</small></td>", f" {part}")
            row.append(cell)
        rows.append(row)
    return _table(["method", *map(escape, groups)], rows)


def _summaries(report: GapReport) -> str:
    rows = [
        [
            _name(s.label, f"{s.variants} variant{'s' * (s.variants > 1)}"),
            _cell(escape(s.worst_variant)),
            _figures(s.worst),
            _figures(s.cvar),
            _figures(s.closed, 100, 0, " %"),
            _figures(s.improvement, 1, 2),
            _cell(str(_diverged(report, s.label)), _diverged(report, s.label)),
        ]
        for s in report.summaries
    ]
    percent = f"CVaR {100 * report.cvar_fraction:.0f} %"
    head = ["method", "worst variant", "score there", percent, "gap closed"]
    beats = f"P(beats {escape(report.baseline)})"
    return _table([*head, beats, "diverged"], rows)


def _diverged(report: GapReport, label: str) -> int:
    return sum(cell.diverged for cell in report.cells if cell.label == label)


def _needed(report: GapReport) -> str:
    """Where success rates differ but their intervals overlap: how many episodes would decide."""
    notes = []
    for cell in report.cells:
        base = report.cell(report.baseline, cell.variant)
        if cell.difference is None or base is None or not _overlap(cell.success, base.success):
            continue
        count = episodes_needed(cell.success.value, base.success.value)
        if count is not None and count > min(cell.episodes, base.episodes):
            notes.append(f"{escape(cell.label)} on {escape(cell.variant)}: {count:,}")
    if not notes:
        return ""
    shown = "; ".join(notes[:6]) + ("; …" if len(notes) > 6 else "")
    return (
        f"Where its interval overlaps that of {escape(report.baseline)}, this many episodes per "
        f"method would tell the two rates apart: {shown}."
    )


def _overlap(one: Estimate, other: Estimate) -> bool:
    if one.interval is None or other.interval is None:
        return False
    return one.interval[0] <= other.interval[1] and other.interval[0] <= one.interval[1]


def _coverage(report: GapReport) -> str:
    """What an interval from this many seeds is worth."""
    count = len(report.seeds)
    if count < 3:
        return "With fewer than 3 seeds there is no interval and no verdict."
    if count < 10:
        return (
            f"With {count} seeds take the intervals for less than they say: the 95 % bootstrap "
            "covers about 75 % with 3 seeds, 85 % with 5 and 90 % with 10."
        )
    return f"With {count} seeds the 95 % bootstrap covers 90 % or more."


def _facts(provenance: Mapping[str, str]) -> str:
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in provenance.items())
