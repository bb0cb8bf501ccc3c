"""The page that a closed gap opens with: policies side by side, what was learnt, and links to the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sim2real.evaluate.gap import GapReport
from sim2real.evaluate.verdict import verdict
from sim2real.files import write_text
from sim2real.identify.verdicts import ranked
from sim2real.report.gap_figure import draw_gap
from sim2real.report.identification import tone_of
from sim2real.report.page import Page, Section, render
from sim2real.report.tables import NONE, Cell, Row, Table
from sim2real.transfer.identified import RECORDED, Identified
from sim2real.world import World

_PAGES = {
    "report.html": "every figure of the comparison, with intervals",
    "identification.html": "the identification: errors, intervals, what can't be told apart",
    "doctor/recordings.html": "the log doctor on the recordings",
    "identified.toml": "the identified domain, for sim2real train --domain",
    "point.toml": "the best physics",
}


def write_story(
    world: World,
    learnt: Mapping[str, Identified],
    report: GapReport,
    folder: Path,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write ``close.html``, with links to those of the road's files that are there.

    Args:
        world: of the policies.
        learnt: what was identified, by where the data are from.
        report: of all policies side by side.
        folder: of the road.
        facts: provenance; ``command`` is what makes the page again.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; an older page is then still there.
    """
    size, closed, hurt = verdict(report)
    lead = [(sentence, "") for sentence in (size, *closed.split("\n"), hurt)]
    note = "The target was opened for this comparison alone."
    if any(name.startswith(RECORDED) for name in report.variants):
        note = (
            f"“{RECORDED}” is the best identified physics and “{RECORDED}_k” a draw from the identified "
            "domain: policies that were trained there are at home in it."
        )
    unit = "Normalized score" if report.normalized else "Mean return"
    lead_in = f"{unit} of each policy by physics, and the share of its episodes that succeeded. {note}"
    known = dict(facts or {})
    page = Page(
        "closing the gap",
        world.title,
        [*lead, *_doubts(learnt)],
        [
            Section("Policies side by side", lead_in, [_scores(report)], draw_gap(report)),
            *(_learnt(world, name, found) for name, found in learnt.items()),
        ],
        command=known.pop("command", ""),
        links={path: said for path, said in _PAGES.items() if (folder / path).is_file()},
        facts=known,
    )
    write_text(folder / "close.html", render(page))
    return folder / "close.html"


def _doubts(learnt: Mapping[str, Identified]) -> Iterator[tuple[str, str]]:
    """The gravest verdict of each identification that has something to say against itself."""
    for name, found in learnt.items():
        if found.exit_code:
            gravest = ranked(found.verdicts)[0]
            yield (
                (
                    f"Trust what was trained only as far as what was identified from {name}: {gravest.name}, "
                    f"{gravest.text}."
                ),
                "bad",
            )


def _scores(report: GapReport) -> Table:
    rows = []
    for variant, group in zip(report.variants, report.groups, strict=True):
        row = [Cell(variant, group)]
        for label in report.labels:
            cell = report.cell(label, variant)
            share = f"{100 * cell.success.value:.0f} %" if cell and cell.success else ""
            row.append(Cell(f"{cell.score.value:.1f}", share, cell.score.value) if cell else NONE)
        rows.append(row)
    return Table("Policies side by side", ["physics", *report.labels], rows)


def _learnt(world: World, name: str, found: Identified) -> Section:
    verdicts = [
        [Cell(v.name, kind=f"badge {tone_of(v.name)}"), Cell(v.text, kind="long")]
        for v in ranked(found.verdicts)
    ]
    cost = ""
    if found.spent is not None:
        s = found.spent
        cost = (
            f"It cost {s.steps:,} steps = {s.seconds:,.0f} s in {s.episodes} episodes of the target, with "
            f"{s.falls} falls and {s.limit_hits:,} steps at a joint's end."
        )
    head = ["parameter", "nominal", "best", "middle 95 % of the domain", "unit"]
    numbers = [_parameter(world, found, parameter) for parameter in found.values]
    tables = [
        Table(f"Verdicts on {name}", ["verdict", "evidence"], verdicts),
        Table(f"Parameters from {name}", head, numbers),
    ]
    return Section(f"What was learnt from {name}", cost, tables)


def _parameter(world: World, found: Identified, name: str) -> Row:
    known, interval, best = world.parameters[name], found.interval(name), found.values[name]
    between = Cell("certain")
    if interval:
        between = Cell(f"{interval[0]:.4g} … {interval[1]:.4g}", value=best, interval=interval)
    nominal = Cell(f"{known.nominal:.4g}", value=known.nominal)
    return [name, nominal, Cell(f"{best:.4g}", value=best), between, known.unit]
