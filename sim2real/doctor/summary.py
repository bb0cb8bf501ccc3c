"""A diagnosis as a sentence and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim2real.doctor.finding import BAD, BAD_DATA, WARNING, Diagnosis, Finding, Rows
from sim2real.doctor.noise import white_noise
from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog

_SHOWN = 3

Json = dict[str, object]


def verdict_sentence(diagnosis: Diagnosis) -> str:
    """The verdict and why, in a sentence or two."""
    count = len(diagnosis.logs)
    bad = diagnosis.bad_recordings
    kinds = list(dict.fromkeys(finding.kind for finding in diagnosis.of(BAD)))
    warnings = len(diagnosis.of(WARNING))
    also = f" {_count(warnings, 'thing')} to know before fitting." if warnings else ""
    if diagnosis.verdict == BAD_DATA:
        return (
            f"BAD_DATA: {len(bad)} of {_count(count, 'recording')} can't be trusted "
            f"({', '.join(kinds)}).{also}"
        )
    joints = len({joint for log in diagnosis.logs for joint in log.joints})
    return f"USABLE: {_count(count, 'recording')} of {_count(joints, 'joint')}, {_duration(diagnosis)}.{also}"


def summary(diagnosis: Diagnosis) -> Json:
    """Everything but the curves, for JSON."""
    views = {view.log.name: view for view in diagnosis.views}
    return {
        "verdict": diagnosis.verdict,
        "sentence": verdict_sentence(diagnosis),
        "world": diagnosis.world or None,
        "bad_recordings": list(diagnosis.bad_recordings),
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "recordings": [_recording(log, views.get(log.name)) for log in diagnosis.logs],
    }


def where(rows: Sequence[Rows], shown: int = _SHOWN) -> str:
    """The rows of a finding, the first few of them."""
    if not rows:
        return ""
    names = {part.recording for part in rows}
    texts = [_span(part) if len(names) == 1 else str(part) for part in rows[:shown]]
    more = f" and {len(rows) - shown} more" if len(rows) > shown else ""
    return ", ".join(texts) + more


def moved(view: View) -> list[bool]:
    """Whether each joint moves."""
    return [bool(moves) for moves in view.moves]


def _span(rows: Rows) -> str:
    return f"{rows.first}" if rows.first == rows.last else f"{rows.first}–{rows.last}"


def of(diagnosis: Diagnosis, name: str, severity: str) -> int:
    """How many findings of a severity are about one recording, or few, and not about the folder."""
    few = max(1, len(diagnosis.logs) // 2)
    return sum(
        name in finding.recordings and len(finding.recordings) <= few for finding in diagnosis.of(severity)
    )


def _duration(diagnosis: Diagnosis) -> str:
    seconds = sum(float(view.time[-1] - view.time[0]) for view in diagnosis.views)
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"


def _finding(finding: Finding) -> Json:
    return {
        "severity": finding.severity,
        "kind": finding.kind,
        "text": finding.text,
        "joint": finding.joint or None,
        "recordings": list(finding.recordings),
        "rows": [[rows.recording, rows.first, rows.last] for rows in finding.rows],
        "value": _number(finding.value),
    }


def _recording(log: RawLog, view: View | None) -> Json:
    known: Json = {}
    if view is not None:
        known = {
            "seconds": _number(float(view.time[-1] - view.time[0])),
            "period_ms": _number(1000 * view.period),
            "moved": [joint for joint, moves in zip(log.joints, view.moves, strict=True) if moves],
            "step": dict(zip(log.joints, map(_number, view.step), strict=True)),
            "noise": {j: _number(white_noise([x])) for j, x in zip(log.joints, view.position.T, strict=True)},
        }
    return {
        "name": log.name,
        "source": log.source.name,
        "joints": list(log.joints),
        "units": list(log.units),
        "rows": len(log.time),
        **known,
    }


def _number(value: float | None) -> float | None:
    return float(f"{value:.8g}") if value is not None and np.isfinite(value) else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
