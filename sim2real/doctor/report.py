"""Files of a diagnosis, each written whole or not at all: ``recordings.json`` and ``recordings.html``.

The page needs no network: style and curves are in it.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import numpy as np

from sim2real.doctor.finding import BAD, BAD_DATA, FACT, WARNING, Diagnosis, Finding
from sim2real.doctor.pictures import picture
from sim2real.doctor.plot import sparkline
from sim2real.doctor.summary import moved, of, summary, verdict_sentence, where
from sim2real.files import write_together
from sim2real.pages import Html, fill
from sim2real.recordings.raw import RawLog

_PLOTS = 60  # findings with a curve; a folder of a thousand broken logs still makes a page that opens
_LISTED = 40


def write_diagnosis(diagnosis: Diagnosis, folder: Path, title: str) -> Path:
    """Write both files, replacing older ones.

    Args:
        diagnosis: what to write.
        folder: where.
        title: what the page is about: the folder that was looked at.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; older files are then still there.
    """
    text = json.dumps(summary(diagnosis), indent=1, allow_nan=False, ensure_ascii=False)
    with np.errstate(all="ignore"):  # as in `diagnose`
        html = page(diagnosis, title)
    write_together(folder, {"recordings.json": text + "\n", "recordings.html": html})
    return folder / "recordings.html"


def page(diagnosis: Diagnosis, title: str) -> str:
    """The whole page."""
    grave = [*diagnosis.of(BAD), *diagnosis.of(WARNING)]
    cards = [_card(finding, diagnosis, i < _PLOTS) for i, finding in enumerate(grave)]
    state, sentence = verdict_sentence(diagnosis).split(": ", 1)
    parts = {
        "title": title,
        "world": f" for the world {diagnosis.world}" if diagnosis.world else "",
        "state": state,
        "tone": "bad" if diagnosis.verdict == BAD_DATA else "good",
        "sentence": sentence,
        "findings": Html("".join(cards) or "<p class=none>Nothing is wrong that this looks for.</p>"),
        "facts": Html("".join(_fact(finding, diagnosis) for finding in diagnosis.of(FACT))),
        "joints": Html(_joints(diagnosis)),
        "recordings": Html("".join(_recording(log, diagnosis) for log in diagnosis.logs)),
    }
    return fill("sim2real.doctor", "page.html", parts)


def _card(finding: Finding, diagnosis: Diagnosis, drawn: bool) -> str:
    curve = picture(finding, diagnosis) if drawn else ""
    rows = where(finding.rows, _LISTED)
    seen = f"<p class=rows><b>Rows</b> (from 0) {escape(rows)}</p>" if rows else ""
    return (
        f'<article class="{finding.severity}"><header><span class=badge>{finding.severity}</span>'
        f"<h3>{escape(finding.kind)}</h3></header><p>{escape(finding.text)}.</p>{curve}{seen}</article>"
    )


def _fact(finding: Finding, diagnosis: Diagnosis) -> str:
    curve = picture(finding, diagnosis)
    seen = f"<details><summary>see it</summary>{curve}</details>" if curve else ""
    return f"<dt>{escape(finding.kind)}</dt><dd>{escape(finding.text)}{seen}</dd>"


def _joints(diagnosis: Diagnosis) -> str:
    """A row per joint: where it goes and in how many recordings it moves."""
    rows = []
    for joint in dict.fromkeys(joint for log in diagnosis.logs for joint in log.joints):
        views = [view for view in diagnosis.views if joint in view.log.joints]
        if not views:
            continue
        at = [view.log.joints.index(joint) for view in views]
        low = min(float(v.position[:, j].min()) for v, j in zip(views, at, strict=True))
        high = max(float(v.position[:, j].max()) for v, j in zip(views, at, strict=True))
        moving = sum(bool(v.moves[j]) for v, j in zip(views, at, strict=True))
        steps = np.array([v.step[j] for v, j in zip(views, at, strict=True)])
        step = f"{np.median(steps[np.isfinite(steps)]):.4g}" if np.isfinite(steps).any() else "–"
        apart = np.concatenate([v.position[:, j] - v.command[:, j] for v, j in zip(views, at, strict=True)])
        cells = (f"{low:.3f} … {high:.3f}", step, f"{np.median(apart):+.3f}", f"{moving} of {len(views)}")
        rows.append(f"<tr><th>{escape(joint)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return "".join(rows)


def _recording(log: RawLog, diagnosis: Diagnosis) -> str:
    view = next((view for view in diagnosis.views if view.log is log), None)
    cells = ["–", "–", "", ""]
    if view is not None:
        dots = "".join(
            f'<i class="s{j % 6}{"" if moves else " off"}" title="{escape(joint)}"></i>'
            for j, (joint, moves) in enumerate(zip(log.joints, moved(view), strict=True))
        )
        cells = [
            f"{view.time[-1] - view.time[0]:.1f}",
            f"{1000 * view.period:.2f}",
            f"<span class=dots>{dots}</span>",
            sparkline(view.position),
        ]
    marks = "".join(
        f'<span class="{severity}">{count} {severity}</span>'
        for severity in (BAD, WARNING)
        if (count := of(diagnosis, log.name, severity))
    )
    body = "".join(f"<td>{cell}</td>" for cell in (str(len(log.time)), *cells, marks))
    return f"<tr><th>{escape(log.name)}</th>{body}</tr>"
