"""Comparisons as files: of transfer methods, and of policies of which some layers were kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import Estimate
from sim2real.report.page import Page, Section, render
from sim2real.report.plots import WIDTH, look, panels
from sim2real.report.style import COLOURS, style, write_results
from sim2real.report.tables import Cell, Rows, Table, Value, estimate, long
from sim2real.transfer.compare import SCRATCH, ZERO_SHOT, Compared, Row, said
from sim2real.transfer.layers import SIDES, LayerTransfer

_PLACES = ("target", "source", "others")
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
    figure = draw_comparison(found)
    told = {
        "title": found.title,
        "budget": found.budget,
        "normalized": found.normalized,
        "sentences": found.sentences,
        "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in found.rows],
        "failures": found.failures,
        "facts": facts or {},
    }
    table = pa.Table.from_pylist(list(_cells(found)))
    files: dict[str, object] = {"compare.html": render(_page(found, figure, facts)), "compare.png": figure}
    write_results(folder, {**files, "compare.json": told, "compare.parquet": partial(pq.write_table, table)})
    return folder / "compare.html"


@style()
def draw_comparison(found: Compared) -> Figure:
    """Score in the target against score in the source, a panel for each target and a mark for each method.

    Zero-shot is grey, with lines through it: above it is better in the target, left of it is forgotten.
    """
    methods = list(dict.fromkeys(row.method for row in found.rows))
    height, width = max(4.2, 1.2 + 0.24 * len(methods)), max(WIDTH, 3.9 * len(found.targets) + 2.9)
    title = f"{found.title}: what transfer reaches, and what it keeps"
    figure, panel = panels(height, title, len(found.targets), "both", width)
    for axes, target in zip(panel, found.targets, strict=True):
        axes.sharex(panel[0])
        axes.set_title(target, fontsize=10, fontweight="normal")
        axes.set_xlabel("score in the source")
        for row in (row for row in found.rows if row.target == target):
            _mark(axes, row, look(methods.index(row.method)))
    unit = "normalized score" if found.normalized else "mean return"
    panel[0].set_ylabel(f"score in the target ({unit})")
    for k, method in enumerate(methods):
        panel[0].plot([], [], linestyle="", markersize=6, label=method, **look(k))
    figure.legend(loc="outside right upper")
    return figure


def _mark(axes: Axes, row: Row, appearance: dict[str, Any]) -> None:
    x, y = row.score["source"], row.score["target"]
    axes.errorbar(
        [x.value], [y.value], _bar(y), _bar(x), linestyle="", linewidth=1.2, alpha=0.45,
        color=appearance["color"],
    )  # fmt: skip
    axes.plot(
        [x.value], [y.value], linestyle="", markersize=7, markeredgecolor="white", markeredgewidth=0.7,
        **appearance,
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


def _page(found: Compared, figure: Figure, facts: Mapping[str, str] | None) -> Page:
    budget = [f"{value:,g} {name}" for name, value in dataclasses.asdict(found.budget).items() if value]
    unit = "0 for random actions and 100 for the oracle" if found.normalized else "mean returns"
    note = (
        f"Each cell had {' and '.join(budget)}. Scores are {unit}. Brackets are 95 % intervals over "
        "training seeds and starts; below three seeds there is none, and no verdict. All results meet the "
        "same starts. Helped and hurt are decided for all comparisons of this page together (Holm): where "
        "nothing differs, a page says so 19 times in 20."
    )
    sections = [Section("", note, figure=figure, label="Score in target and source, as in the tables below")]
    sections += [Section(f"In {target}", tables=[table_of(found, target)]) for target in found.targets]
    if found.failures:
        why: Rows = [[name, long(why)] for name, why in sorted(found.failures.items())]
        sections.append(Section("Left out", tables=[Table("Left out", ["cell", "why"], why)]))
    lead = [(sentence, "") for sentence in found.sentences]
    return Page("transfer methods", found.title, lead, sections, facts=facts)


def table_of(found: Compared, target: str) -> Table:
    """What each method reached in a target, and what it cost."""
    rows = [row for row in found.rows if row.target == target]
    bases = [base for base in (ZERO_SHOT, SCRATCH) if any(base in row.against for row in rows)]
    told = [_row(row, bases) for row in rows]
    scores = [f"score, {place}" for place in _PLACES]
    narrow = {"method", *scores, *(f"against {base}" for base in bases[:1]), "steps", "CPU s"}
    return Table.of(f"In {target}", told, page_only=[head for head in told[0] if head not in narrow])


def _row(row: Row, bases: Iterable[str]) -> Mapping[str, Value]:
    cells: dict[str, Value] = {"method": row.method}
    cells |= {f"score, {place}": row.score[place] for place in _PLACES if place in row.score}
    for base in bases:
        against = row.against.get(base)
        word = said(against)
        cells[f"against {base}"] = None if against is None else Cell(word, kind=word)
        cells[f"change against {base}"] = None if against is None else against.estimate
    success = {place: row.success[place] for place in _PLACES if place in row.success}
    cells |= {f"success, {place}": estimate(rate, 100, 0, " %") for place, rate in success.items()}
    cells |= {head: _count(row.cost.get(name)) for name, head in _COSTS.items()}
    return {**cells, "seeds": ", ".join(map(str, row.seeds))}


def _count(value: float | None) -> Value:
    if value is None:
        return None
    return Cell(f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}", value=value)


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
    write_results(folder, {"layers.json": told, "layers.png": _draw_layers(found)})


@style()
def _draw_layers(found: LayerTransfer) -> Figure:
    """Score in the target against the number of layers that were kept, a panel for each side."""
    title = f"{found.compared.title}: which layers hold the physics of {found.target}"
    figure, panel = panels(4.4, title, len(SIDES), "both")
    for axes, side in zip(panel, SIDES, strict=True):
        _panel(axes, found, side)
    unit = "normalized score" if found.compared.normalized else "mean return"
    panel[0].set_ylabel(f"score in the target ({unit})")
    figure.legend(*panel[0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    return figure


def layer_table(found: LayerTransfer) -> Table:
    """A row for each side and number of layers: scores in the target, with intervals."""
    rows: Rows = [
        [
            _TITLES[side],
            kept,
            *(estimate(_score(found, donor, side, kept, frozen)) for donor, frozen in _NAMES),
        ]
        for side in SIDES
        for kept in range(len(found.layers) + 1)
    ]
    title = f"{found.compared.title}, {found.target}: score by layers kept"
    return Table(title, ["layers", "number", *_NAMES.values()], rows)


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
