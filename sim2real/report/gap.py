"""A gap report as files: ``episodes.parquet``, ``summary.json``, ``report.png``, ``report.html``.

::

    write_report(gap_report(episodes, references), episodes, Path("runs/furuta"))

Everything is computed before the first file is written, and each file is replaced whole: a kill
or a full disk leaves old files, never half of a new one. The four are not replaced in one step.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path

from matplotlib.figure import Figure

from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.episode_table import Episodes, checked
from sim2real.evaluate.episodes_file import write_rows
from sim2real.evaluate.gap import Cell as Result
from sim2real.evaluate.gap import GapReport
from sim2real.evaluate.robustness import HELD_OUT, Aggregate
from sim2real.evaluate.verdict import headline, verdict
from sim2real.policy import Policy
from sim2real.report.gap_figure import draw_gap, draw_profiles
from sim2real.report.page import Page, Section, render
from sim2real.report.style import write_results
from sim2real.report.tables import NONE, Cell, Rows, Table, Value, estimate

_COVERAGE = "94 to 96 %"
"""As ``scripts/coverage_evaluate.py`` measures it, at 3, 5 and 10 seeds."""

_MARKS = {"helps": "▲ helps", "hurts": "▼ hurts", "undecided": "○ undecided"}
_PACKAGES = ("sim2real", "mujoco", "gymnasium", "numpy", "torch", "stable-baselines3")


@dataclass(frozen=True)
class Beside:
    """What the page of a report says besides."""

    sections: Sequence[Section] = ()
    """Such as the worst physics."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Files to name, relative to the page, and what they are."""
    doubts: Sequence[str] = ()
    """Sentences of its verdict that warn."""


def write_report(
    report: GapReport,
    episodes: Episodes,
    folder: str | Path,
    facts: Mapping[str, str] | None = None,
    beside: Beside = Beside(),
) -> Path:
    """Write the table, the summary, the plot and the page into a folder.

    Args:
        report: made from ``episodes``.
        episodes: the episode table.
        folder: made if missing; the four files in it are replaced.
        facts: further lines of provenance; ``command`` is what makes the page again.
        beside: what the page says besides.

    Returns:
        Path of the page, ``report.html``.

    Raises:
        InvalidValue: if the table is malformed.
        OSError: as raised by the file system.
    """
    folder, table = Path(folder), checked(episodes)
    provenance = _provenance(report) | dict(facts or {})
    sentences = dict(zip(("gap", "closed", "hurt"), verdict(report), strict=True))
    summary = {"verdict": sentences, "provenance": provenance, **report.plain()}
    figure = draw_gap(report)
    page = _page(report, provenance, figure, beside)
    html = render(page, "gap.html", coverage=_coverage(report), baseline=report.baseline)
    files = {"summary.json": summary, "report.png": figure, "report.html": html}
    write_results(folder, {"episodes.parquet": partial(write_rows, table), **files})
    return folder / "report.html"


_LABEL = "Score per variant and method, as in the table Score per variant"


def _page(report: GapReport, provenance: Mapping[str, str], figure: Figure, beside: Beside) -> Page:
    size, closed, hurt = verdict(report)
    harmed = any(c.difference and c.difference.verdict == "hurts" for c in report.cells)
    lead = [(sentence, "") for sentence in (headline(report), size, *closed.split("\n")) if sentence]
    return Page(
        "gap report",
        report.title,
        [*lead, (hurt, "bad" if harmed else "calm"), *((doubt, "bad") for doubt in beside.doubts)],
        [Section("", figure=figure, label=_LABEL), *beside.sections, *sections(report)],
        links=beside.links,
        facts=provenance,
    )


def sections(report: GapReport) -> list[Section]:
    """The tables of a report, and its performance profiles."""
    tables = [*by_variant(report), _comparisons(report), _groups(report), _summaries(report)]
    made = [Section(table.title, tables=[table]) for table in tables]
    if (profiles := draw_profiles(report)) is not None:
        label = "Share of seeds and variants above each score"
        made.append(Section("Performance profiles", _PROFILES, figure=profiles, label=label))
    return made


_PROFILES = (
    "Share of training seeds and held-out variants with a score above each one on the axis (Agarwal et al. "
    "2021). Higher is better; a line that falls early has bad seeds or hard variants. Band: 95 % interval at "
    "each score."
)


def _unit(report: GapReport) -> str:
    return "normalized score" if report.normalized else "mean return"


def by_variant(report: GapReport) -> list[Table]:
    """Score and success of each method in each physics."""
    score = f"{report.title}: the {_unit(report)}, averaged over training seeds."
    success = "Share of episodes. Below 3 seeds the interval is about more episodes of these policies alone."
    if not report.tells_success:
        success = "No success signal: the env does not say which episodes succeeded; returns count alone."
    successes = (
        _each(report, lambda cell: estimate(cell.success, 100, 0, " %")) if report.tells_success else []
    )
    head: list[Cell | str] = ["variant", *(_key(report, label) for label in report.labels)]
    return [
        Table("Score per variant", head, _each(report, lambda cell: estimate(cell.score)), score),
        Table("Success per variant", head, successes, success),
    ]


def _each(report: GapReport, told: Callable[[Result], Cell]) -> Rows:
    """A row for each variant, in it what is told of each method there."""
    rows = []
    for variant, group in zip(report.variants, report.groups, strict=True):
        found = (report.cell(label, variant) for label in report.labels)
        cells = (Cell("not evaluated", kind="na") if cell is None else told(cell) for cell in found)
        rows.append([Cell(variant, group), *cells])
    return rows


def _key(report: GapReport, label: str) -> Cell:
    """A method's name with its colour in the figure."""
    return Cell(label, series=report.labels.index(label))


def _comparisons(report: GapReport) -> Table:
    """One row per method and variant: the gap, the change against the baseline, the verdict."""
    cells = (report.cell(label, variant) for variant in report.variants for label in report.labels)
    rows: Rows = [
        [
            Cell(cell.variant, cell.group),
            _key(report, cell.label),
            NONE if cell.variant == report.control else estimate(cell.gap),
            *_change(cell, report.baseline),
        ]
        for cell in filter(None, cells)
    ]
    head = ["variant", "method", "gap", f"change vs {report.baseline}", "gap closed", "verdict"]
    note = f"In units of the {_unit(report)}; positive change is better."
    return Table("The gap, and what closed it", head, rows, note)


def _change(cell: Result, baseline: str) -> Sequence[Value]:
    difference = cell.difference
    if cell.label == baseline or difference is None:
        return [NONE] * 3
    p = difference.adjusted
    notes = [] if p is None else [f"p {p:.3f}" if p >= 1e-3 else "p < 0.001"]
    if difference.seeds_needed:
        notes.append(f"{difference.seeds_needed} seeds would tell")
    mark = Cell(_MARKS[difference.verdict], ", ".join(notes), kind=difference.verdict)
    return [difference.estimate, estimate(cell.closed, 100, 0, " %"), mark]


def _groups(report: GapReport) -> Table:
    """Means: rows are methods, columns groups, and last the interquartile mean."""
    found = {(a.label, a.group): a for a in report.aggregates}
    groups = list(dict.fromkeys(a.group for a in report.aggregates if a.group != HELD_OUT))
    groups += [HELD_OUT] * any(a.group == HELD_OUT for a in report.aggregates)
    rows: list[Sequence[Value]] = []
    for label in report.labels:
        own = [found.get((label, group)) for group in groups]
        rows.append([label, *map(_mean, own), estimate(own[-1].iqm if own[-1] else None)])
    note = (
        "Mean over the variants of a group. The interquartile mean (IQM), last, leaves out the quarter of "
        "runs that went worst, which are the hardest variants, and the best quarter."
    )
    return Table("Per group", ["method", *groups, f"IQM of {groups[-1]}"], rows, note)


def _mean(own: Aggregate | None) -> Cell:
    part = f"{own.variants} of {own.of} variants" if own and own.variants < own.of else ""
    return estimate(own.mean if own else None, note=part)


def _summaries(report: GapReport) -> Table:
    percent = f"{100 * report.cvar_fraction:.0f} %"
    rows: list[Mapping[str, Value]] = [
        {
            "method": Cell(s.label, f"{s.variants} variant{'s' * (s.variants > 1)}"),
            "mean": s.mean,
            f"CVaR {percent}": s.cvar,
            "worst variant": s.worst_variant,
            "score there": s.worst,
            "gap closed": estimate(s.closed, 100, 0, " %"),
            f"P(beats {report.baseline})": estimate(s.improvement, 1, 2),
            "optimality gap": estimate(s.optimality_gap),
            "diverged": sum(cell.diverged for cell in report.cells if cell.label == s.label),
        }
        for s in report.summaries
    ]
    note = (
        f"Over the held-out variants a method was evaluated on. CVaR is the mean of the worst {percent} of "
        "its variant means. The optimality gap is by how much scores fall short of the oracle, where what "
        "lies above it makes up for nothing. The true minimum between the listed variants can be lower. "
        "The last column counts episodes that ended because the simulation diverged."
    )
    return Table.of("As a whole, and at worst", rows, note)


def contracts_of(policies: Sequence[Candidate]) -> dict[str, str]:
    """What policies of each label see and drive, for a report's provenance."""
    told = {}
    for policy in (policy for policy in policies if isinstance(policy, Policy)):
        c = policy.contract
        sees, drives = (", ".join(f"{s.name} ({s.unit})" for s in side) for side in (c.observation, c.action))
        told[f"contract of {c.label}"] = (
            f"task {c.task} {c.task_version} of {c.world}, every {c.control_dt:g} s; sees {sees}; drives "
            f"{drives}; by sim2real {c.code_version or 'of an older version'}"
        )
    return told


def _coverage(report: GapReport) -> str:
    """What an interval from this many seeds is worth."""
    count = len(report.seeds)
    if count < 3:
        return "With fewer than 3 seeds there is no interval and no verdict."
    return (
        f"With {count} seeds, on data like the shipped worlds', they cover {_COVERAGE} of the true scores of "
        "a variant, and about as many of the means over variants. What no seed has shown they can't know."
    )


def _provenance(report: GapReport) -> dict[str, str]:
    versions = [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    return {
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "episodes": f"{report.episodes:,}",
        "training seeds": ", ".join(map(str, report.seeds)),
        "methods × variants": f"{len(report.labels)} × {len(report.variants)}",
        "versions": ", ".join([*versions, f"Python {platform.python_version()}"]),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
