"""Files of a diagnosis, each written whole or not at all: ``recordings.json`` and ``recordings.html``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim2real.doctor.finding import BAD, BAD_DATA, FACT, WARNING, Diagnosis, Finding
from sim2real.doctor.summary import moved, of, summary, verdict_sentence, where
from sim2real.files import write_together
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray
from sim2real.report.chart import Chart
from sim2real.report.doctor_curves import curves_of
from sim2real.report.page import Page, Section, render
from sim2real.report.plain import as_json
from sim2real.report.tables import NONE, Cell, Row, Table

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
    write_together(folder, {"recordings.json": as_json(summary(diagnosis)), "recordings.html": html})
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
            Section("Joints", note, [Table("Joints", _JOINT, _joints(diagnosis))]),
            Section("Recordings", tables=[recording_table(diagnosis)]),
        ],
        command=command,
    )
    cards = [_card(finding, diagnosis, i < _PLOTS) for i, finding in enumerate(grave)]
    facts = [(finding.kind, finding.text, curves_of(finding, diagnosis)) for finding in diagnosis.of(FACT)]
    return render(page, "doctor.html", cards=cards, seen=facts)


def finding_table(diagnosis: Diagnosis) -> Table:
    """All findings, the gravest first; a page has more of each."""
    rows: list[Row] = [
        [Cell(f.severity, kind=_TONES[f.severity]), f.kind, Cell(f.text, _rows(f), kind="long")]
        for f in diagnosis.findings
    ]
    return Table("Findings; rows count from 0", ["", "kind", "what"], rows)


def _rows(finding: Finding) -> str:
    return f"rows {where(finding.rows)}" if finding.rows else ""


def recording_table(diagnosis: Diagnosis) -> Table:
    """What each recording is like."""
    head = ["recording", "rows", "seconds", "period, ms", "joints that move", "positions", "findings"]
    rows = [_recording(log, diagnosis) for log in diagnosis.logs]
    return Table("Recordings", head, rows, page_only=["positions"])


_TONES = {BAD: "badge bad", WARNING: "badge fair", FACT: "na"}
_JOINT = ("joint", "lowest", "highest", "step", "standing error", "moves in")


def _card(finding: Finding, diagnosis: Diagnosis, drawn: bool) -> tuple[Finding, str, Chart | None]:
    """A finding, its rows in words, and the curves in which it is seen."""
    return finding, where(finding.rows, _LISTED), curves_of(finding, diagnosis) if drawn else None


def _joints(diagnosis: Diagnosis) -> list[Row]:
    """A row per joint: where it goes and in how many recordings it moves."""
    rows: list[Row] = []
    for joint in dict.fromkeys(joint for log in diagnosis.logs for joint in log.joints):
        views = [view for view in diagnosis.views if joint in view.log.joints]
        if not views:
            continue
        at = [view.log.joints.index(joint) for view in views]
        low = min(float(v.position[:, j].min()) for v, j in zip(views, at, strict=True))
        high = max(float(v.position[:, j].max()) for v, j in zip(views, at, strict=True))
        moving = sum(bool(v.moves[j]) for v, j in zip(views, at, strict=True))
        steps = np.array([v.step[j] for v, j in zip(views, at, strict=True)])
        apart = np.concatenate([v.position[:, j] - v.command[:, j] for v, j in zip(views, at, strict=True)])
        known = steps[np.isfinite(steps)]
        step = Cell(f"{np.median(known):.4g}", value=float(np.median(known))) if len(known) else NONE
        numbers = [Cell(f"{value:.3f}", value=value) for value in (low, high)]
        standing = Cell(f"{np.median(apart):+.3f}", value=float(np.median(apart)))
        rows.append([joint, *numbers, step, standing, f"{moving} of {len(views)}"])
    return rows


def _recording(log: RawLog, diagnosis: Diagnosis) -> Row:
    view = next((view for view in diagnosis.views if view.log is log), None)
    known: Row = [NONE, NONE, "", ""]
    if view is not None:
        joints = [joint for joint, moves in zip(log.joints, moved(view), strict=True) if moves]
        known = [
            f"{view.time[-1] - view.time[0]:.1f}",
            f"{1000 * view.period:.2f}",
            Cell(f"{len(joints)} of {len(log.joints)}", ", ".join(joints) if len(joints) < 4 else ""),
            Cell("", spark=_sparks(view.position)),
        ]
    counts = {severity: of(diagnosis, log.name, severity) for severity in (BAD, WARNING)}
    tone = "badge bad" if counts[BAD] else "badge fair"
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    return [log.name, str(len(log.time)), *known, Cell(said, kind=tone if said else "")]


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
