"""A comparison of transfer methods as files: ``compare.html``, ``.png``, ``.parquet`` and ``.json``.

The page opens offline; nothing is loaded, and names are escaped.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim2real.evaluate.figure import COLOURS, FAINT, GRID, INK, plain_style, save_png, svg
from sim2real.evaluate.page import themed
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.verdict import number
from sim2real.files import write_together
from sim2real.pages import Html, fill
from sim2real.transfer.compare import SCRATCH, ZERO_SHOT, Compared, Row, said

_MARKERS = ("o", "s", "D", "^", "v", "P")
_COSTS = {
    "trained_weights": "weights",
    "steps": "steps",
    "episodes": "episodes",
    "falls": "falls",
    "limit_hits": "at joint ends",
    "cpu_seconds": "CPU s",
}


def write_comparison(found: Compared, folder: Path, facts: Mapping[str, str] | None = None) -> Path:
    """Write the page, the figure, the numbers as JSON, and a Parquet row for each cell and physics.

    Args:
        found: what the comparison found.
        folder: made if missing; the four files in it are replaced together.
        facts: lines of provenance, such as the command.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system.
    """
    figure = draw(found)
    told = {
        "title": found.title,
        "budget": dataclasses.asdict(found.budget),
        "normalized": found.normalized,
        "sentences": found.sentences,
        "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in found.rows],
        "failures": dict(found.failures),
        "facts": dict(facts or {}),
    }
    table = pa.Table.from_pylist(list(_cells(found)))
    page = folder / "compare.html"
    write_together(
        folder,
        {
            page.name: _page(found, svg(figure), facts or {}),
            "compare.png": lambda path: save_png(figure, path),
            "compare.json": json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
            "compare.parquet": lambda path: pq.write_table(table, path),
        },
    )
    return page


def draw(found: Compared) -> Figure:
    """Score in the target against score in the source, a panel for each target and a mark for each method.

    Zero-shot is grey, with lines through it: above it is better in the target, left of it is forgotten.
    """
    targets = found.targets
    methods = list(dict.fromkeys(row.method for row in found.rows))
    wide, high = 3.9 * len(targets), max(4.2, 1.2 + 0.24 * len(methods))
    with plain_style():
        figure = Figure(figsize=(wide + 2.9, high), facecolor="white")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(targets), squeeze=False, sharex=True, sharey=True)[0]
        figure.subplots_adjust(0.62 / (wide + 2.9), 0.62 / high, wide / (wide + 2.9), 1 - 0.95 / high, 0.1)
        for axes, target in zip(panels, targets, strict=True):
            _panel(axes, [row for row in found.rows if row.target == target], methods)
            axes.set_title(target, fontsize=10, color=INK, loc="left")
            axes.set_xlabel("score in the source", fontsize=9, color=FAINT)
        unit = "normalized score" if found.normalized else "mean return"
        panels[0].set_ylabel(f"score in the target ({unit})", fontsize=9, color=FAINT)
        title = f"{found.title}: what transfer reaches, and what it keeps"
        figure.suptitle(
            textwrap.fill(title, int(8 * (wide + 2.9))),
            x=0.02, y=1 - 0.12 / high, ha="left", va="top", fontsize=12, fontweight="bold", color=INK,
        )  # fmt: skip
        marks = list(_legend(panels[0], methods))
        figure.legend(
            marks, methods, loc="upper left", bbox_to_anchor=((wide + 0.1) / (wide + 2.9), 1 - 0.9 / high),
            frameon=False, fontsize=8.5, labelcolor=INK,
        )  # fmt: skip
    return figure


def _legend(axes: Axes, methods: Iterable[str]) -> Iterator[Artist]:
    for k, _ in enumerate(methods):
        yield axes.plot([], [], linestyle="", markersize=6, **_style(k))[0]


def _style(k: int) -> dict[str, Any]:
    """Colour and marker of a method; no two of 30 are alike."""
    if k == 0:
        return {"color": COLOURS[0], "marker": "o"}
    colours = COLOURS[1:]
    return {"color": colours[(k - 1) % len(colours)], "marker": _MARKERS[(k + (k - 1) // 5) % len(_MARKERS)]}


def _panel(axes: Axes, rows: Iterable[Row], methods: list[str]) -> None:
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=FAINT)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for row in rows:
        style = _style(methods.index(row.method))
        x, y = row.score["source"], row.score["target"]
        axes.errorbar(
            [x.value], [y.value], _bar(y), _bar(x), linestyle="", linewidth=1.2, alpha=0.45,
            color=style["color"],
        )  # fmt: skip
        axes.plot(
            [x.value], [y.value], linestyle="", markersize=7, markeredgecolor="white", markeredgewidth=0.7,
            **style,
        )  # fmt: skip
        if row.method == ZERO_SHOT:
            for line, at in ((axes.axhline, y.value), (axes.axvline, x.value)):
                line(at, color=COLOURS[0], linewidth=0.9, linestyle=(0, (3, 2.5)), zorder=1)


def _bar(estimate: Estimate) -> list[list[float]] | None:
    if estimate.interval is None:
        return None
    low, high = estimate.interval
    return [[max(0.0, estimate.value - low)], [max(0.0, high - estimate.value)]]


def _cells(found: Compared) -> Iterator[dict[str, object]]:
    """A row for each cell and physics."""
    for cell, done in found.done:
        for variant in dict.fromkeys(map(str, done.episodes["variant"])):
            here = done.episodes["variant"] == variant
            yield {
                "target": cell.target.name,
                "method": cell.label,
                "policy": cell.policy.name,
                "seed": cell.policy.seed,
                "variant": variant,
                "return": float(done.episodes["return"][here].astype(float).mean()),
                "success": float(done.episodes["success"][here].astype(float).mean())
                if "success" in done.episodes
                else None,
                "evaluated": int(here.sum()),
                **dataclasses.asdict(done.spent),
                "cpu_seconds": done.cpu_seconds,
                "trained_weights": done.trained_weights,
            }


def _page(found: Compared, figure: str, facts: Mapping[str, str]) -> str:
    budget = [f"{value:,g} {name}" for name, value in dataclasses.asdict(found.budget).items() if value]
    failures = ""
    if found.failures:
        rows = (
            f"<th>{escape(name)}</th><td>{escape(why)}</td>" for name, why in sorted(found.failures.items())
        )
        failures = f"<h2>Left out</h2>{_table(('cell', 'why'), rows)}"
    parts = {
        "world": found.title,
        "budget": " and ".join(budget),
        "lead": Html("".join(f"<p>{escape(sentence)}</p>" for sentence in found.sentences)),
        "unit": "Scores are 0 for random actions and 100 for the oracle"
        if found.normalized
        else "Scores are mean returns",
        "figure": Html(themed(figure)),
        "tables": Html("".join(_target(found, target) for target in found.targets)),
        "failures": Html(failures),
        "facts": Html("".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())),
    }
    return fill("sim2real.transfer", "compare.html", parts)


def _target(found: Compared, target: str) -> str:
    rows = [row for row in found.rows if row.target == target]
    bases = [base for base in (ZERO_SHOT, SCRATCH) if any(base in row.against for row in rows)]
    places = [place for place in ("target", "source", "others") if place in rows[0].score]
    success = [place for place in places if place in rows[0].success]
    head = [
        "method",
        *(f"against {base}" for base in bases),
        *(f"score, {place}" for place in places),
        *(f"success, {place}" for place in success),
        *_COSTS.values(),
        "seeds",
    ]
    body = (_row(row, bases, places, success) for row in rows)
    return f"<h2>In {escape(target)}</h2>{_table(head, body)}"


def _row(row: Row, bases: Iterable[str], places: Iterable[str], success: Iterable[str]) -> str:
    cells = [f"<th>{escape(row.method)}</th>"]
    for base in bases:
        against = row.against.get(base)
        if against is None:
            cells.append("<td>–</td>")
            continue
        sign, word = "+" if against.estimate.value > 0 else "", said(against)
        change = f"<small>{sign}{_sized(against.estimate)}</small>"
        cells.append(f'<td><span class="{word}">{word}</span><br>{change}</td>')
    cells += [f"<td>{_sized(row.score[place])}</td>" for place in places]
    cells += [f"<td>{_sized(row.success[place], 100, 0)}</td>" for place in success]
    cells += [f"<td>{_count(row.cost.get(name))}</td>" for name in _COSTS]
    return "".join((*cells, f"<td>{', '.join(map(str, row.seeds))}</td>"))


def _sized(estimate: Estimate, scale: float = 1.0, digits: int = 1) -> str:
    """A value with its interval, smaller."""
    value, _, rest = number(estimate, scale, digits).partition(" ")
    unit = " %" if scale == 100 else ""
    return f"{value.rstrip(',')}{unit}" + ("" if estimate.interval is None else f" <small>{rest}</small>")


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
