"""The page that a closed gap opens with: policies side by side, what was learnt, and links to the rest.

One HTML page that opens offline; nothing is loaded, and names are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from sim2real.evaluate.figure import draw, svg
from sim2real.evaluate.gap import GapReport
from sim2real.evaluate.page import themed
from sim2real.evaluate.verdict import verdict
from sim2real.files import write_text
from sim2real.identify.verdicts import ranked
from sim2real.pages import Html, fill
from sim2real.transfer.learnt import RECORDED, Learnt
from sim2real.world import World

_PAGES = {
    "report.html": "every figure of the comparison, with intervals",
    "identification.html": "the identification: errors, intervals, what can't be told apart",
    "doctor/recordings.html": "the log doctor on the recordings",
    "identified.toml": "the identified domain, for sim2real train --domain",
    "point.toml": "the best physics",
}


@dataclass(frozen=True, eq=False)
class Story:
    """What the page tells."""

    world: World
    learnt: Mapping[str, Learnt]
    report: GapReport
    facts: Mapping[str, str] = field(default_factory=dict)


def write_story(story: Story, folder: Path) -> Path:
    """Write ``close.html``, with links to those of the road's files that are there.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; an older page is then still there.
    """
    links = [f'<a href="{p}">{p}</a>: {said}' for p, said in _PAGES.items() if (folder / p).is_file()]
    page = folder / "close.html"
    write_text(page, _page(story, links))
    return page


def _page(story: Story, links: Iterable[str]) -> str:
    report = story.report
    size, closed, hurt = verdict(report)
    sentences = [size, *closed.split("\n"), hurt, *_doubts(story.learnt)]
    identified = any(name.startswith(RECORDED) for name in report.variants)
    note = (
        f"“{RECORDED}” is the best identified physics and “{RECORDED}_k” a draw from the identified domain: "
        "policies that were trained there are at home in it."
    )
    learnt = (_learnt(story.world, name, found) for name, found in story.learnt.items())
    facts = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in story.facts.items())
    parts = {
        "world": story.world.title,
        "lead": Html("".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)),
        "unit": "Normalized score" if report.normalized else "Mean return",
        "physics": note if identified else "The target was opened for this comparison alone.",
        "scores": Html(_scores(report)),
        "figure": Html(themed(svg(draw(report)))),
        "learnt": Html("".join(learnt)),
        "links": Html("<br>".join(links)),
        "facts": Html("".join(facts)),
    }
    return fill("sim2real.transfer", "close.html", parts)


def _doubts(learnt: Mapping[str, Learnt]) -> Iterator[str]:
    """The gravest verdict of each identification that has something to say against itself."""
    for name, found in learnt.items():
        if found.exit_code:
            gravest = ranked(found.verdicts)[0]
            yield (
                f"Trust what was trained only as far as what was identified from {name}: {gravest.name}, "
                f"{gravest.text}."
            )


def _scores(report: GapReport) -> str:
    rows = []
    for variant, group in zip(report.variants, report.groups, strict=True):
        cells = [f"<th>{escape(variant)} <small>{escape(group)}</small></th>"]
        for label in report.labels:
            cell = report.cell(label, variant)
            said = f"{cell.score.value:.1f}" if cell else "–"
            said += f" <small>{100 * cell.success.value:.0f} %</small>" if cell and cell.success else ""
            cells.append(f"<td>{said}</td>")
        rows.append("".join(cells))
    return _table(["physics", *report.labels], rows)


def _learnt(world: World, name: str, found: Learnt) -> str:
    verdicts = [
        f'<td><b class="v {escape(v.name)}">{escape(v.name)}</b></td><td>{escape(v.text)}</td>'
        for v in ranked(found.verdicts)
    ]
    cost = ""
    if found.spent is not None:
        s = found.spent
        cost = (
            f"<p>It cost {s.steps:,} steps = {s.seconds:,.0f} s in {s.episodes} episodes of the target, with "
            f"{s.falls} falls and {s.limit_hits:,} steps at a joint's end.</p>"
        )
    rows = [_parameter(world, found, parameter) for parameter in found.values]
    numbers = _table(["parameter", "nominal", "best", "middle 95 % of the domain", "unit"], rows)
    return (
        f"<h3>From {escape(name)}</h3>{cost}"
        f'<div class="scroll">{_table(["verdict", "evidence"], verdicts)}</div>'
        f'<p></p><div class="scroll">{numbers}</div>'
    )


def _parameter(world: World, found: Learnt, name: str) -> str:
    known = world.parameters[name]
    interval = found.interval(name)
    between = f"{interval[0]:.4g} … {interval[1]:.4g}" if interval else "certain"
    cells = (f"{known.nominal:.4g}", f"{found.values[name]:.4g}", between, known.unit)
    return f"<th>{escape(name)}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells)


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
