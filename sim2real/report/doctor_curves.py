"""For each finding of the log doctor the curves in which it is seen, over rows, with its own shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim2real.doctor.finding import FACT, Diagnosis, Finding, Rows
from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray
from sim2real.report.chart import Chart, Take

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


def curves_of(finding: Finding, diagnosis: Diagnosis) -> Chart | None:
    """The chart of a finding; None where nothing can be drawn."""
    logs = {log.name: log for log in diagnosis.logs}
    views = [view for view in diagnosis.views if view.log.name in finding.recordings]
    log = logs.get(finding.recordings[0]) if finding.recordings else None
    if log is None or len(log.time) < 3:
        return None
    if finding.severity == FACT:
        return _fact(finding, [view for view in views if view.moves.any()])
    if finding.kind in _STAMPS:
        return _steps(finding, log)
    if finding.kind == "scale" and len(finding.recordings) > 1:
        return _velocities(finding.joint, views)
    if finding.kind == "copy" and len(finding.recordings) == 2:
        return _pair(log, logs[finding.recordings[1]], _joint(log, finding))
    if finding.kind == "two robots" and finding.joint:
        usual = [other for name, other in logs.items() if name not in finding.recordings]
        alike = [other for other in usual if finding.joint in other.joints and len(other.time) > 2]
        return _pair(log, alike[0], finding.joint) if alike else None
    if not log.position.size or finding.kind in ("two robots", "joint"):
        return None
    return _signal(finding, log, next((view for view in views if view.log is log), None))


def _fact(finding: Finding, shown: Sequence[View]) -> Chart | None:
    """A place where it can be seen: where a joint moves fastest, for its steps where it is slow."""
    if not shown or finding.kind not in ("rate", "lag", "quantization", "velocity"):
        return None
    if finding.kind == "rate":
        return _steps(finding, shown[0].log)
    if finding.kind == "velocity":
        return _velocities(shown[0].log.joints[_fastest(shown[0])[0]], shown)
    view = max(shown, key=lambda v: float(np.std(v.position, axis=0).max()))
    j, row = _fastest(view)
    stairs = finding.kind == "quantization"
    if stairs and finding.joint in view.log.joints:
        j = view.log.joints.index(finding.joint)
    around = 30 if stairs else 60
    part = slice(max(0, row - around), row + around)
    lines = {"measured": view.position[part, j]}
    if not stairs:
        lines["command"] = view.command[part, j]
    held = "measured" if stairs else "command"
    return _chart(view.rows[part].astype(float), lines, (), view.log.name, view.log.joints[j], held)


def _fastest(view: View) -> tuple[int, int]:
    """The joint that moves most, and a row where its command has just gone fastest."""
    j = int(np.argmax(np.where(view.moves, np.std(view.position, axis=0), -1.0)))
    return j, int(np.argmax(np.abs(np.diff(view.command[:, j]))))


def _steps(finding: Finding, log: RawLog) -> Chart:
    rows, step = np.arange(1, len(log.time), dtype=np.float64), np.diff(log.time)
    usual = float(np.nanmedian(np.abs(step)))
    unit, size = next((u for u in _UNITS if usual >= 0.5 * u[1]), ("ns", 1e-9))
    first, last = _window(finding, log)
    part = slice(max(0, first - 1), last)
    lines = {"step between stamps": step[part] / size}
    return _chart(rows[part], lines, finding.rows, log.name, f"step, {unit}")


_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


def _signal(finding: Finding, log: RawLog, view: View | None) -> Chart:
    joint = _joint(log, finding)
    j = log.joints.index(joint)
    first, last = _window(finding, log)
    part = slice(first, last + 1)
    rows = np.arange(len(log.time), dtype=np.float64)[part]
    lines = {"measured": log.position[part, j]}
    if log.shared:
        lines["command"] = log.command[part, j]
    elif view is not None:
        at = np.searchsorted(view.rows, rows, side="right") - 1
        lines["command"] = np.where(at < 0, np.nan, view.command[np.maximum(at, 0), j])
    return _chart(rows, lines, finding.rows, log.name, joint, "command")


def _pair(one: RawLog, other: RawLog, joint: str) -> Chart:
    longest = max(len(one.time), len(other.time))
    lines = {}
    for log in (one, other):
        lines[log.name] = np.full(longest, np.nan)
        lines[log.name][: len(log.time)] = log.position[:, log.joints.index(joint)]
    return _chart(np.arange(longest, dtype=np.float64), lines, (), "", joint)


def _velocities(joint: str, views: Sequence[View]) -> Chart | None:
    """The reported velocity over the differentiated position, where the joint moves most."""
    reporting = [
        (view, view.velocity[:, j], view.position[:, j])
        for view in views
        if view.velocity is not None and joint in view.log.joints
        for j in (view.log.joints.index(joint),)
    ]
    if not reporting:
        return None
    view, velocity, position = max(reporting, key=lambda found: float(np.std(found[2])))
    middle = int(np.argmax(np.abs(velocity)))
    part = slice(max(0, middle - 2 * _AROUND), middle + 2 * _AROUND)
    slope = np.gradient(position, view.time)
    lines = {"differentiated position": slope[part], "reported velocity": velocity[part]}
    return _chart(view.rows[part].astype(float), lines, (), view.log.name, f"{joint}, per s")


def _joint(log: RawLog, finding: Finding) -> str:
    """The joint a finding is about, or else the one that is told to move most."""
    if finding.joint in log.joints:
        return finding.joint
    finite = np.where(np.isfinite(log.command), log.command, np.nan)
    spread = [float(np.nanstd(column)) if np.isfinite(column).any() else 0.0 for column in finite.T]
    return log.joints[int(np.argmax(spread))]


def _window(finding: Finding, log: RawLog) -> tuple[int, int]:
    """Rows to show: around the longest stretch that is marked, or all."""
    marked = [rows for rows in finding.rows if rows.recording == log.name]
    last = len(log.time) - 1
    if not marked or finding.kind in _WHOLE:
        return 0, last
    longest = max(marked, key=lambda rows: rows.last - rows.first)
    around = max(_AROUND, longest.last - longest.first)
    return max(0, longest.first - around), min(last, longest.last + around)


def _chart(
    x: FloatArray,
    lines: Mapping[str, FloatArray],
    marked: Sequence[Rows],
    name: str,
    panel: str,
    held: str = "",
) -> Chart:
    """One panel over rows, the first line in blue; rows of this recording that are marked are shaded."""
    kept = _telling(list(lines.values()))
    columns = {line: values[kept, None] for line, values in lines.items()}
    shaded = [
        (max(rows.first - 0.5, x[0]), min(rows.last + 0.5, x[-1]))
        for rows in marked
        if rows.recording == name and rows.last >= x[0] and rows.first <= x[-1]
    ]
    colours = dict(zip(lines, ("series-1", "series-0"), strict=False))
    return Chart([panel], [Take(name, x[kept], columns, shaded[:200])], colours, held=(held,))


def _telling(lines: Sequence[FloatArray], bins: int = 600) -> NDArray[np.intp]:
    """Rows that are worth drawing: the least and the largest of each bin, so that spikes survive."""
    count = len(lines[0])
    if count <= 2 * bins or not all(np.isfinite(line).all() for line in lines):
        return np.arange(count)
    edges = np.linspace(0, count, bins + 1).astype(int)
    kept = {
        a + int(pick(line[a:b]))
        for line in lines
        for a, b in pairwise(edges)
        for pick in (np.argmin, np.argmax)
    }
    return np.array(sorted({0, *kept, count - 1}))
