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
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.verdict import missing, number, opening, verdict
from sim2real.pages import Html, fill

_COVERAGE = "94 to 96 %"
"""As ``scripts/coverage_evaluate.py`` measures it, at 3, 5 and 10 seeds."""

_NONE = "<span class=na>–</span>"
_NO_SUCCESS = "<p>No success signal: the env does not say which episodes succeeded; returns count alone.</p>"
_MARKS = {"helps": "▲ helps", "hurts": "▼ hurts", "undecided": "○ undecided"}


def page(report: GapReport, svg: str, profiles: str, provenance: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        report: what to show.
        svg: the figure as an ``<svg>`` element; its colours are mapped to the page's.
        profiles: the figure of the performance profiles likewise; empty for none.
        provenance: facts for the last table, name to value.
    """
    size, closed, hurt = verdict(report)
    harmed = any(c.difference and c.difference.verdict == "hurts" for c in report.cells)
    parts = {
        "title": report.title,
        "opening": Html(f"<p>{escape(first)}</p>" if (first := opening(report)) else ""),
        "size": size,
        "closed": Html("".join(f"<p>{escape(sentence)}</p>" for sentence in closed.split("\n"))),
        "hurt": hurt,
        "harmed": "harmed" if harmed else "unharmed",
        "figure": Html(themed(svg)),
        "profiles": Html(_profiles(profiles)),
        "unit": "normalized score" if report.normalized else "mean return",
        "baseline": report.baseline,
        "scores": Html(_by_variant(report, "score")),
        "success": Html(_by_variant(report, "success") if report.tells_success else _NO_SUCCESS),
        "comparisons": Html(_comparisons(report)),
        "groups": Html(_groups(report)),
        "summaries": Html(_summaries(report)),
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


def _profiles(svg: str) -> str:
    """The section of the performance profiles; nothing where there is none."""
    if not svg:
        return ""
    return (
        "<h2>Performance profiles</h2>"
        "<p class=lead>Share of training seeds and held-out variants with a score above each one on the axis "
        "(Agarwal et al. 2021). Higher is better; a line that falls early has bad seeds or hard variants. "
        "Band: 95 % interval at each score.</p>"
        '<figure class="scroll" tabindex="0" aria-label="Share of seeds and variants above each score">'
        f"{themed(svg)}</figure>"
    )


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
    notes = [] if difference.adjusted is None else [_p_value(difference.adjusted)]
    if difference.seeds_needed:
        notes.append(f"{difference.seeds_needed} seeds would tell")
    mark = f"<span class={difference.verdict}>{_MARKS[difference.verdict]}</span>"
    return [
        _figures(difference.estimate),
        _figures(cell.closed, 100, 0, " %"),
        _cell(f"{mark} <small>{', '.join(notes)}</small>", difference.adjusted),
    ]


def _p_value(p: float) -> str:
    return f"p {p:.3f}" if p >= 1e-3 else "p &lt; 0.001"


def _groups(report: GapReport) -> str:
    """Means: rows are methods, columns groups, and last the interquartile mean."""
    found = {(a.label, a.group): a for a in report.aggregates}
    groups = list(dict.fromkeys(a.group for a in report.aggregates if a.group != HELD_OUT))
    groups += [HELD_OUT] * any(a.group == HELD_OUT for a in report.aggregates)
    rows = []
    for label in report.labels:
        row = [_name(label)]
        for group in groups:
            aggregate = found.get((label, group))
            cell = _figures(aggregate.mean if aggregate else None)
            if aggregate and aggregate.variants < aggregate.of:
                part = f"<em>{aggregate.variants} of {aggregate.of} variants</em></small></td>"
                cell = cell.replace("</small></td>", f" {part}")
            row.append(cell)
        whole = found.get((label, groups[-1]))
        rows.append([*row, _figures(whole.iqm if whole else None)])
    return _table(["method", *map(escape, groups), f"IQM of {escape(groups[-1])}"], rows)


def _summaries(report: GapReport) -> str:
    rows = [
        [
            _name(s.label, f"{s.variants} variant{'s' * (s.variants > 1)}"),
            _figures(s.mean),
            _figures(s.cvar),
            _cell(escape(s.worst_variant)),
            _figures(s.worst),
            _figures(s.closed, 100, 0, " %"),
            _figures(s.improvement, 1, 2),
            _figures(s.optimality_gap),
            _cell(str(_diverged(report, s.label)), _diverged(report, s.label)),
        ]
        for s in report.summaries
    ]
    percent = f"CVaR {100 * report.cvar_fraction:.0f} %"
    head = ["method", "mean", percent, "worst variant", "score there", "gap closed"]
    beats = f"P(beats {escape(report.baseline)})"
    return _table([*head, beats, "optimality gap", "diverged"], rows)


def _diverged(report: GapReport, label: str) -> int:
    return sum(cell.diverged for cell in report.cells if cell.label == label)


def _coverage(report: GapReport) -> str:
    """What an interval from this many seeds is worth."""
    count = len(report.seeds)
    if count < 3:
        return "With fewer than 3 seeds there is no interval and no verdict."
    return (
        f"With {count} seeds, on data like the shipped worlds', they cover {_COVERAGE} of the true scores of "
        "a variant, and about as many of the means over variants. What no seed has shown they can't know."
    )


def _facts(provenance: Mapping[str, str]) -> str:
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in provenance.items())
