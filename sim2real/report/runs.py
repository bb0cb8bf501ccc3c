"""Several runs in one page: their episodes, told apart by lineage, and what else their folders hold.

::

    write_runs([Path("runs/evaluate-furuta"), Path("runs/attribute-furuta")], Path("runs/report"))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sim2real.documents import Section as Document
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.episode_table import Episodes, checked, told_apart
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.gate import Gate
from sim2real.evaluate.prediction import Prediction
from sim2real.evaluate.robust_radius import RobustRadius
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.worst_case import WorstCase
from sim2real.files import check_folder, write_atomically
from sim2real.plain import as_type, read_as
from sim2real.report.decisions import gate_section, prediction_section
from sim2real.report.gap import Beside, write_report
from sim2real.report.matrix import matrix_of, matrix_section
from sim2real.report.page import Page, Section, render
from sim2real.report.run_sections import (
    attribution_section,
    map_section,
    sensitivity_section,
    worst_section,
    worth_section,
)
from sim2real.report.training_curves import curves_section, curves_sections, logs_of
from sim2real.transfer.worth import WorthOfKnowing

_PAGES = {
    "compare.html": "transfer methods side by side",
    "gap.html": "a world against recordings of the robot",
    "identification.html": "what was identified from recordings",
    "recordings.html": "the log doctor on recordings",
}
_FOUND: Mapping[str, Callable[[Path], list[Section]]] = {
    "attribution.json": lambda path: [attribution_section(read_as(Attribution, path))],
    "sensitivity.json": lambda path: [sensitivity_section(read_as(Sensitivity, path))],
    "map.json": lambda path: [map_section(read_as(SolvedMap, path))],
    "worth.json": lambda path: [worth_section(read_as(WorthOfKnowing, path))],
    "gate.json": lambda path: [gate_section(read_as(Gate, path))],
    "worst.json": lambda path: [
        worst_section(read_as(WorstCase, path, "worst"), read_as(RobustRadius, path, "robust_radius"))
    ],
    "predictivity.json": lambda path: [
        prediction_section(name, read_as(Prediction, path, name)) for name in Document.read_json(path).values
    ],
    "matrix.parquet": lambda path: [matrix_section(matrix_of(read_episodes(path)))],
}
_EPISODES = "episodes.parquet"
_VIDEOS = (".webp", ".mp4", ".gif")


def write_runs(
    folders: Sequence[Path], out: Path, baseline: str | None = None, command: str = ""
) -> tuple[Path, GapReport | None]:
    """Write one page of all runs into a folder, with their episodes together as Parquet.

    Args:
        folders: of ``sim2real evaluate``, ``attribute``, ``worst`` and others, of one world.
        out: folder of the page, none of these.
        baseline: label that the others are compared with; by default that of the first run that has one.
        command: what makes the page again.

    Returns:
        The page, and the report on all episodes; None where no run has any.

    Raises:
        InvalidValue: for a folder without results, runs of several worlds, or what can't be read.
        UnknownName: for a baseline that no run has.
    """
    _check(folders, out)
    parts, links = list(_sections(folders)), dict(_links(folders, out))
    tables = {f: read_episodes(f / _EPISODES) for f in folders if (f / _EPISODES).is_file()}
    if not tables:
        lead = [(f"What {len(folders)} run{'s' * (len(folders) > 1)} found, none of which has episodes.", "")]
        title = ", ".join(folder.name for folder in folders)
        page = Page("runs", title, lead, parts, links=links, facts={"command": command})
        write_atomically(out / "report.html", render(page))
        return out / "report.html", None
    summaries = [Document.read_json(f / "summary.json") for f in tables if (f / "summary.json").is_file()]
    titles = list(dict.fromkeys(summary.text("title", "") for summary in summaries))
    if len(titles) > 1:
        raise InvalidValue(f"these are runs of {' and of '.join(titles)}; report those of one world together")
    table, note = joined(list(tables.values()))
    known = {k: v for summary in summaries for k, v in _references(summary).items()}
    options = GapOptions(
        titles[0] if titles else next(iter(tables)).name, _baseline(baseline, summaries, table)
    )
    report = gap_report(table, {v: known[v] for v in set(map(str, table["variant"])) & set(known)}, options)
    facts = {"command": command, "runs": ", ".join(map(str, folders))}
    facts |= {"episodes of several runs": note} if note else {}
    for told in (summary.section("provenance") for summary in summaries):
        facts |= {name: told.text(name) for name in told.values if name.startswith("contract of ")}
    return write_report(report, table, out, facts, Beside(parts, links)), report


def joined(tables: Sequence[Episodes]) -> tuple[Episodes, str]:
    """The rows of all tables, and a sentence on episodes that several of them have.

    Of the same episode of the same policy the last table's row is kept; success, if all tables have it.

    Raises:
        InvalidValue: for a malformed table, or a variant that is in two groups.
    """
    parts = [checked(table) for table in tables]
    columns = [name for name in parts[0] if all(name in part for part in parts)]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in columns}
    names = ("lineage", "policy", "seed", "variant", "episode")
    last: dict[tuple[str, ...], int] = {}
    differ = again = 0
    for row, key in enumerate(zip(*(map(str, rows[name]) for name in names), strict=True)):
        if key in last:
            again += 1
            differ += bool(rows["return"][row] != rows["return"][last[key]])
        last[key] = row
    kept = np.array(sorted(last.values()))
    notes = [f"{again:,} stand in more than one run"] if again else []
    if differ:
        notes.append(f"{differ:,} of them with another return, of which the last run's counts")
    if "success" not in columns and any("success" in part for part in parts):
        notes.append("success is left out, as not every run tells it")
    return checked({name: column[kept] for name, column in rows.items()}), "; ".join(notes)


def _check(folders: Sequence[Path], out: Path) -> None:
    if not folders:
        raise InvalidValue("no runs to report; name at least one folder of results")
    for folder in folders:
        if not folder.is_dir():
            raise InvalidValue(
                f"there is no folder {folder}; give folders that commands wrote, such as runs/*"
            )
        if out.resolve() == folder.resolve():
            raise InvalidValue(
                f"{out} is one of the runs, which its page would replace; choose another --out"
            )
        if not any(_kinds(folder)) and logs_of(folder) is None:
            known = ", ".join((_EPISODES, *_FOUND))
            raise InvalidValue(
                f"{folder} holds no results, such as {known}, a page, a video or logs of a training; run its "
                "command again"
            )
    check_folder(out)


def _kinds(folder: Path) -> Iterator[Path]:
    """Files of a run that a page can show."""
    yield from (folder / name for name in (_EPISODES, *_FOUND, *_PAGES) if (folder / name).is_file())
    yield from sorted(path for path in folder.iterdir() if path.suffix in _VIDEOS)


def _sections(folders: Sequence[Path]) -> Iterator[Section]:
    for path in (path for folder in folders for path in _kinds(folder) if path.name in _FOUND):
        yield from _FOUND[path.name](path)
    yield from curves_sections([folder for folder in folders if (folder / "compare.parquet").is_file()])
    if (learning := curves_section(folders)) is not None:
        yield learning


def _links(folders: Sequence[Path], out: Path) -> Iterator[tuple[str, str]]:
    """Pages and videos of the runs, as seen from the new page."""
    for path in (path for folder in folders for path in _kinds(folder)):
        said = "policies side by side, as a video" if path.suffix in _VIDEOS else _PAGES.get(path.name)
        if said:
            yield Path(os.path.relpath(path, out)).as_posix(), said


def _references(summary: Document) -> Mapping[str, Reference]:
    try:
        references = summary.section("references").sections()
        return {name: as_type(Reference, part.values) for name, part in references.items()}
    except (KeyError, TypeError) as error:
        raise InvalidValue(
            f"{summary.path} is not what this version writes ({error}); evaluate again"
        ) from error


def _baseline(given: str | None, summaries: Sequence[Document], table: Episodes) -> str:
    """What was asked for, or the first run's own, by the label that it has among all runs."""
    labels = list(dict.fromkeys(map(str, told_apart(table["label"], table["lineage"]))))
    if given is not None:
        if given not in labels:
            raise UnknownName("baseline label", given, labels)
        return given
    own = (*(summary.text("baseline", "") for summary in summaries), "nominal")
    found = (label for name in own for label in labels if label == name or label.startswith(f"{name} ("))
    return next(found, labels[0])
