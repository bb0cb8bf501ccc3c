"""The report that a closed gap ends with: policies side by side, and what was learnt of the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sim2real.evaluate.episode_table import Episodes
from sim2real.evaluate.gap import GapReport
from sim2real.identify.verdicts import ranked
from sim2real.report.gap import Beside, write_report
from sim2real.report.identification import tone_of
from sim2real.report.page import Section
from sim2real.report.tables import Cell, Rows, Table, badge, long
from sim2real.transfer.identified import RECORDED, Identified
from sim2real.world import World

_FILES = {
    "identification.html": "the identification: errors, intervals, what can't be told apart",
    "doctor/recordings.html": "the log doctor on the recordings",
    "identified.toml": "the identified domain, for sim2real train --domain",
    "point.toml": "the best physics",
}


def write_closing(
    world: World,
    identified: Mapping[str, Identified],
    report: GapReport,
    episodes: Episodes,
    folder: Path,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the report of all policies side by side, with what was learnt and links to the road's files.

    Args:
        world: of the policies.
        identified: what was identified, by where the data are from.
        report: made from ``episodes``.
        episodes: the episode table.
        folder: of the road.
        facts: provenance; ``command`` is what makes the page again.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; an older page is then still there.
    """
    links = {path: said for path, said in _FILES.items() if (folder / path).is_file()}
    sections = [_learnt(world, name, found) for name, found in identified.items()]
    if any(name.startswith(RECORDED) for name in report.variants):
        note = (
            f"“{RECORDED}” is the best identified physics and “{RECORDED}_k” a draw from the identified "
            "domain: policies that were trained there are at home in it."
        )
        sections.insert(0, Section("Where policies were compared", note))
    beside = Beside(sections, links, tuple(_doubts(identified)))
    return write_report(report, episodes, folder, facts, beside)


def _doubts(identified: Mapping[str, Identified]) -> Iterator[str]:
    """The gravest verdict of each identification that has something to say against itself."""
    for name, found in identified.items():
        if found.exit_code:
            gravest = ranked(found.verdicts)[0]
            yield (
                f"Trust what was trained only as far as what was identified from {name}: {gravest.name}, "
                f"{gravest.text}."
            )


def _learnt(world: World, name: str, found: Identified) -> Section:
    verdicts: Rows = [[badge(v.name, tone_of(v.name)), long(v.text)] for v in ranked(found.verdicts)]
    cost = ""
    if found.spent is not None:
        s = found.spent
        cost = (
            f"It cost {s.steps:,} steps = {s.seconds:,.0f} s in {s.episodes} episodes of the target, with "
            f"{s.falls} falls and {s.limit_hits:,} steps at a joint's end."
        )
    numbers: Rows = [
        [name, world.parameters[name].nominal, best, _middle(found, name), world.parameters[name].unit]
        for name, best in found.values.items()
    ]
    head = ["parameter", "nominal", "best", "middle 95 % of the domain", "unit"]
    tables = [
        Table(f"Verdicts on {name}", ["verdict", "evidence"], verdicts),
        Table(f"Parameters from {name}", head, numbers),
    ]
    return Section(f"What was learnt from {name}", cost, tables)


def _middle(found: Identified, name: str) -> Cell:
    ends = found.interval(name)
    if ends is None:
        return Cell("certain")
    return Cell(f"{ends[0]:.4g} … {ends[1]:.4g}", value=found.values[name], interval=ends)
