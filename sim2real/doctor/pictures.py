"""For each finding the curve in which it is seen, with its rows shaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from sim2real.doctor.finding import FACT, Diagnosis, Finding, Rows
from sim2real.doctor.plot import Line, chart, legend
from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_STAMPS = {"shuffled stamps", "duplicated stamps", "gap", "jitter", "time unit"}
_AROUND = 150  # rows shown on each side of what is shown
_WHOLE = {
    "degrees",
    "sign",
    "scale",
    "too short",
    "motionless",
    "quantization",
    "clock skew",
    "unexcited joint",
}


def picture(finding: Finding, diagnosis: Diagnosis) -> str:
    """Chart, legend and caption of a finding; empty where nothing can be drawn."""
    logs = {log.name: log for log in diagnosis.logs}
    views = {view.log.name: view for view in diagnosis.views}
    log = logs.get(finding.recordings[0]) if finding.recordings else None
    if log is None or len(log.time) < 3:
        return ""
    if finding.severity == FACT:
        return _fact(finding, diagnosis.views)
    if finding.kind in _STAMPS:
        return _steps(finding, log)
    if finding.kind == "scale" and len(finding.recordings) > 1:
        return _velocities(finding, [views[name] for name in finding.recordings if name in views])
    if finding.kind == "copy" and len(finding.recordings) == 2:
        return _pair(log, logs[finding.recordings[1]], _joint(log, finding))
    if finding.kind == "two robots" and finding.joint:
        usual = [other for name, other in logs.items() if name not in finding.recordings]
        alike = [other for other in usual if finding.joint in other.joints and len(other.time) > 2]
        return _pair(log, alike[0], finding.joint) if alike else ""
    if not log.position.size or finding.kind in ("two robots", "joint"):
        return ""
    return _signal(finding, log, views.get(log.name))


def _fact(finding: Finding, views: Sequence[View]) -> str:
    """A place where it can be seen: where a joint moves fastest, for its steps where it is slow."""
    shown = [view for view in views if view.log.name in finding.recordings and view.moves.any()]
    if not shown or finding.kind not in ("rate", "lag", "quantization", "velocity"):
        return ""
    if finding.kind == "rate":
        return _steps(finding, shown[0].log)
    if finding.kind == "velocity":
        return _velocities(
            dataclasses.replace(finding, joint=shown[0].log.joints[_fastest(shown[0])[0]]), shown
        )
    view = max(shown, key=lambda v: float(np.std(v.position, axis=0).max()))
    j, row = _fastest(view)
    if finding.kind == "quantization" and finding.joint in view.log.joints:
        j = view.log.joints.index(finding.joint)
    around = 30 if finding.kind == "quantization" else 60
    part = slice(max(0, row - around), row + around)
    rows = view.rows[part].astype(float)
    lines = [Line("command", "command", rows, view.command[part, j], held=True)]
    lines.append(Line("measured", "measured", rows, view.position[part, j], finding.kind == "quantization"))
    name, ylabel = view.log.name, view.log.joints[j]
    if finding.kind == "quantization":
        return _framed(lines[1:], (), name, ylabel)
    return _framed(lines, (), name, ylabel)


def _fastest(view: View) -> tuple[int, int]:
    """The joint that moves most, and a row where its command has just gone fastest."""
    j = int(np.argmax(np.where(view.moves, np.std(view.position, axis=0), -1.0)))
    return j, int(np.argmax(np.abs(np.diff(view.command[:, j]))))


def _steps(finding: Finding, log: RawLog) -> str:
    rows = np.arange(1, len(log.time), dtype=np.float64)
    step, unit = _readable(np.diff(log.time))
    first, last = _window(finding, log, len(log.time))
    part = slice(max(0, first - 1), last)
    lines = [Line("step between stamps", "measured", rows[part], step[part])]
    return _framed(lines, finding.rows, log.name, f"step, {unit}")


def _readable(step: FloatArray) -> tuple[FloatArray, str]:
    usual = float(np.nanmedian(np.abs(step)))
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if usual >= 0.5 * size:
            return step / size, unit
    return step / 1e-9, "ns"


def _signal(finding: Finding, log: RawLog, view: View | None) -> str:
    joint = _joint(log, finding)
    j = log.joints.index(joint)
    first, last = (0, len(log.time) - 1) if finding.kind in _WHOLE else _window(finding, log, len(log.time))
    part = slice(first, last + 1)
    rows = np.arange(len(log.time), dtype=np.float64)
    lines = []
    if log.shared:
        lines.append(Line("command", "command", rows[part], log.command[part, j], held=True))
    elif view is not None:
        inside = (view.rows >= first) & (view.rows <= last)
        command = view.command[inside, j]
        lines.append(Line("command", "command", view.rows[inside].astype(float), command, held=True))
    lines.append(Line("measured", "measured", rows[part], log.position[part, j]))
    return _framed(lines, finding.rows, log.name, joint)


def _pair(one: RawLog, other: RawLog, joint: str) -> str:
    lines = [
        Line(
            log.name,
            style,
            np.arange(len(log.time), dtype=np.float64),
            log.position[:, log.joints.index(joint)],
        )
        for log, style in ((other, "command"), (one, "measured"))
    ]
    return _framed(lines, (), "", joint)


def _velocities(finding: Finding, views: Sequence[View]) -> str:
    """The reported velocity over the differentiated position, where the joint moves most."""
    reporting = [view for view in views if view.velocity is not None and finding.joint in view.log.joints]
    if not reporting:
        return ""
    view = max(reporting, key=lambda v: float(np.std(v.position[:, v.log.joints.index(finding.joint)])))
    j = view.log.joints.index(finding.joint)
    assert view.velocity is not None
    slope = np.gradient(view.position[:, j], view.time)
    middle = int(np.argmax(np.abs(view.velocity[:, j])))
    part = slice(max(0, middle - 2 * _AROUND), middle + 2 * _AROUND)
    rows = view.rows[part].astype(float)
    lines = [
        Line("reported velocity", "command", rows, view.velocity[part, j]),
        Line("differentiated position", "measured", rows, slope[part]),
    ]
    return _framed(lines, (), view.log.name, f"{finding.joint}, per s")


def _joint(log: RawLog, finding: Finding) -> str:
    """The joint a finding is about, or else the one that is told to move most."""
    if finding.joint in log.joints:
        return finding.joint
    finite = np.where(np.isfinite(log.command), log.command, np.nan)
    spread = [float(np.nanstd(column)) if np.isfinite(column).any() else 0.0 for column in finite.T]
    return log.joints[int(np.argmax(spread))]


def _window(finding: Finding, log: RawLog, count: int) -> tuple[int, int]:
    """Rows to show: around the longest stretch that is marked, or all."""
    marked = [rows for rows in finding.rows if rows.recording == log.name]
    if not marked:
        return 0, count - 1
    longest = max(marked, key=lambda rows: rows.last - rows.first)
    around = max(_AROUND, longest.last - longest.first)
    return max(0, longest.first - around), min(count - 1, longest.last + around)


def _framed(lines: Sequence[Line], marked: Sequence[Rows], name: str, ylabel: str) -> str:
    low = min(float(line.x.min()) for line in lines)
    high = max(float(line.x.max()) for line in lines)
    shaded = [
        (rows.first, rows.last)
        for rows in marked
        if rows.recording == name and rows.last >= low and rows.first <= high
    ]
    keys = legend(lines)
    return f"<figure>{chart(lines, shaded[:200], 'row', ylabel)}<figcaption>{keys}</figcaption></figure>"
