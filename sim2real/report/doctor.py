"""Files of a diagnosis, each written whole or not at all: ``recordings.json`` and ``recordings.html``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sim2real.doctor.finding import BAD, BAD_DATA, FACT, WARNING, Diagnosis
from sim2real.doctor.summary import moved, of, summary, verdict_sentence, where
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray
from sim2real.report.doctor_curves import curves_of
from sim2real.report.page import Page, Section, render
from sim2real.report.style import write_results
from sim2real.report.tables import Cell, Rows, Table, Value, numeral

_PLOTS = 60  # findings with a curve; a folder of a thousand broken logs still makes a page that opens
_LISTED = 40
_SPARK = (150.0, 30.0)


def write_diagnosis(diagnosis: Diagnosis, folder: Path, title: str, command: str = "") -> Path:
    """Write both files, replacing older ones.

    Args:
        diagnosis: what to write.
        folder: where.
        title: what the page is about: the folder that was looked at.
        command: what makes the page again.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; older files are then still there.
    """
    with np.errstate(all="ignore"):  # as in `diagnose`
        html = _html(diagnosis, title, command)
    write_results(folder, {"recordings.json": summary(diagnosis), "recordings.html": html})
    return folder / "recordings.html"


def _html(diagnosis: Diagnosis, title: str, command: str) -> str:
    grave = [*diagnosis.of(BAD), *diagnosis.of(WARNING)]
    state, sentence = verdict_sentence(diagnosis).split(": ", 1)
    world = f", for the world {diagnosis.world}" if diagnosis.world else ""
    note = (
        "Ranges and steps in rad or m, as far as units are known; the standing error is the median of "
        "measured minus commanded."
    )
    page = Page(
        "the log doctor",
        title + world,
        [(state.replace("_", " ") + ".", ""), (sentence, "bad" if diagnosis.verdict == BAD_DATA else "good")],
        [
            Section("Joints", note, [Table.of("Joints", list(_joints(diagnosis)))]),
            Section("Recordings", tables=[recording_table(diagnosis)]),
        ],
        facts={"command": command},
    )
    cards = [
        (finding, where(finding.rows, _LISTED), curves_of(finding, diagnosis) if i < _PLOTS else None)
        for i, finding in enumerate(grave)
    ]
    facts = [(finding.kind, finding.text, curves_of(finding, diagnosis)) for finding in diagnosis.of(FACT)]
    return render(page, "doctor.html", cards=cards, seen=facts)


def finding_table(diagnosis: Diagnosis) -> Table:
    """All findings, the gravest first; a page has more of each."""
    rows: Rows = [
        [
            Cell(f.severity, kind=_TONES[f.severity]),
            f.kind,
            Cell(f.text, f"rows {where(f.rows)}" if f.rows else "", kind="long"),
        ]
        for f in diagnosis.findings
    ]
    return Table("Findings; rows count from 0", ["", "kind", "what"], rows)


def recording_table(diagnosis: Diagnosis) -> Table:
    """What each recording is like."""
    rows = [_recording(log, diagnosis) for log in diagnosis.logs]
    return Table.of("Recordings", rows, page_only=["positions"])


_TONES = {BAD: "badge bad", WARNING: "badge fair", FACT: "na"}


def _joints(diagnosis: Diagnosis) -> Iterator[Mapping[str, Value]]:
    """A row per joint: where it goes and in how many recordings it moves."""
    for joint in dict.fromkeys(joint for log in diagnosis.logs for joint in log.joints):
        views = [(v, v.log.joints.index(joint)) for v in diagnosis.views if joint in v.log.joints]
        if not views:
            continue
        position = np.concatenate([view.position[:, j] for view, j in views])
        apart = position - np.concatenate([view.command[:, j] for view, j in views])
        steps = np.array([view.step[j] for view, j in views])
        known = steps[np.isfinite(steps)]
        yield {
            "joint": joint,
            "lowest": numeral(position.min(), ".3f"),
            "highest": numeral(position.max(), ".3f"),
            "step": float(np.median(known)) if len(known) else None,
            "standing error": numeral(np.median(apart), "+.3f"),
            "moves in": f"{sum(bool(view.moves[j]) for view, j in views)} of {len(views)}",
        }


def _recording(log: RawLog, diagnosis: Diagnosis) -> Mapping[str, Value]:
    view = next((view for view in diagnosis.views if view.log is log), None)
    counts = {severity: of(diagnosis, log.name, severity) for severity in (BAD, WARNING)}
    tone = "badge bad" if counts[BAD] else "badge fair"
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    joints = [] if view is None else [j for j, moves in zip(log.joints, moved(view), strict=True) if moves]
    which = ", ".join(joints) if len(joints) < 4 else ""
    return {
        "recording": log.name,
        "rows": len(log.time),
        "seconds": None if view is None else f"{view.time[-1] - view.time[0]:.1f}",
        "period, ms": None if view is None else f"{1000 * view.period:.2f}",
        "joints that move": "" if view is None else Cell(f"{len(joints)} of {len(log.joints)}", which),
        "positions": "" if view is None else Cell("", spark=_sparks(view.position)),
        "findings": Cell(said, kind=tone if said else ""),
    }


def _sparks(columns: FloatArray) -> tuple[str, ...]:
    """All columns over each other in a tiny picture, in one common scale: points of polylines."""
    if len(columns) < 2:
        return ()
    width, height = _SPARK
    rows = np.unique(np.linspace(0, len(columns) - 1, 120).astype(int))
    shown = columns[rows] - np.nanmedian(columns, axis=0)
    top = float(np.nanmax(np.abs(shown))) or 1.0
    x, y = rows / rows[-1] * width, height / 2 - shown / top * (height / 2 - 1)
    return tuple(
        " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, column, strict=True) if np.isfinite(b))
        for column in y.T
    )
