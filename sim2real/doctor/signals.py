"""Findings on what was measured: lost numbers, frozen sensors, joints that don't follow, ends of ranges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sim2real.doctor.expected import Expected
from sim2real.doctor.finding import BAD, WARNING, Finding, rows_of, scattered, stretches
from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_AWAY = 0.12  # rad or m; dry friction and sag of small servos stay below
_TOLD = 0.05  # rad or m; a command that moved less may well have moved nothing
_STILL = 0.3  # s
_HELD = 0.5  # s
_JUMP = 3.0  # usual steps between rows
_PINNED = 10  # rows
_FLAT = 3  # rows

Span = tuple[int, int]


def lost_numbers(log: RawLog) -> Iterator[Finding]:
    """Rows with a NaN or an infinity, those aside that could not be read anyway."""
    noted = {row for damage in log.damage for row in damage.rows}
    for signal in ("command", "position", "velocity"):
        values = getattr(log, signal)
        if values is None or not values.size:
            continue
        broken = ~np.isfinite(values)
        rows = np.array(
            [row for row in np.flatnonzero(broken.any(axis=1)) if row not in noted], dtype=np.intp
        )
        if rows.size:
            joints = [joint for joint, lost in zip(log.joints, broken.any(axis=0), strict=True) if lost]
            yield Finding(
                "missing numbers",
                BAD,
                f"{log.name}: {signal} is no number in {len(rows)} row{'s' * (len(rows) > 1)} "
                f"({', '.join(joints)}); remove the rows or mend the log",
                (log.name,),
                joints[0] if len(joints) == 1 else "",
                scattered(log.name, rows),
            )


def motionless(view: View) -> Iterator[Finding]:
    """A recording in which no joint moves."""
    if view.moves.any():
        return
    told = [joint for joint, moved in zip(view.log.joints, view.commanded, strict=True) if moved]
    name = view.log.name
    if told:
        text = f"{name}: no joint moves though {', '.join(told)} are told to; was the power on?"
        yield Finding("motionless", BAD, text, (name,))
    else:
        text = f"{name}: no joint is told to move and none does; it can teach nothing but noise"
        yield Finding("motionless", WARNING, text, (name,))


def not_following(view: View, expected: Expected) -> Iterator[Finding]:
    """Stuck sensors, ends of ranges and stalls, joint by joint."""
    for j, joint in enumerate(view.log.joints):
        if not view.commanded[j] or not view.moves.any() or not expected.moves(joint):
            continue
        frozen = [span for span in _frozen(view, j) if not _on_a_stop(view, j, span, expected)]
        usual = _usual(view, j) if frozen else (False, 0.0, 0.0)
        stuck = [span for span in frozen if _sensor_is_to_blame(view, j, span, usual)]
        if stuck:
            yield _stuck(view, joint, stuck)
        if not view.follows[j]:
            continue
        held = _held(view, j)
        held += [span for span in _frozen(view, j, 2 * _AWAY) if not any(_overlap(span, s) for s in held)]
        held = sorted(span for span in held if not any(_overlap(span, other) for other in stuck))
        ends = [span for span in held if _at_end(view, j, span, expected)]
        if ends:
            yield _end(view, j, ends)
        stalls = [span for span in held if span not in ends]
        if stalls:
            yield _stall(view, j, stalls)


def beyond_range(view: View, expected: Expected) -> Iterator[Finding]:
    """Commands and positions at or beyond the ends of the world's joints."""
    for j, joint in enumerate(view.log.joints):
        low, high = expected.limits.get(expected.joint(joint), (-np.inf, np.inf))
        if not np.isfinite(high - low):
            continue
        near = 1e-6 * (high - low)
        command = view.command[:, j]
        past = stretches((command <= low + near) | (command >= high - near), _PINNED)
        if past and view.follows[j]:
            far = max(float(command.max()) - high, low - float(command.min()), 0.0)
            how = f"go {far:.3f} beyond" if far > near else "stay at"
            yield _on_range(view, j, past, f"commands {how} the range of {low:.2f} to {high:.2f}")
        margin = max(2 * float(np.nan_to_num(view.step[j])), 0.002 * (high - low))
        position = view.position[:, j]
        outside = (position < low - 10 * margin) | (position > high + 10 * margin)
        if outside.any():
            said = f"is measured outside the range of {low:.2f} to {high:.2f}: another zero, sign or unit?"
            yield _on_range(view, j, stretches(outside), said)


def pinned_effort(log: RawLog) -> Iterator[Finding]:
    """Efforts that stay at their largest value: a limit of the drive."""
    if log.effort is None:
        return
    for j, joint in enumerate(log.joints):
        effort = np.abs(log.effort[:, j])
        known = effort[np.isfinite(effort)]
        if known.size < _PINNED or len(np.unique(known)) < 20:
            continue
        top = float(known.max())
        spans = stretches(effort >= top * (1 - 1e-9), _PINNED)
        if spans:
            yield Finding(
                "saturation",
                WARNING,
                f"{log.name}: the effort of {joint} stays at {top:.4g}, its largest, for "
                f"{sum(b - a + 1 for a, b in spans)} rows: the drive's limit",
                (log.name,),
                joint,
                tuple(row for a, b in spans for row in scattered(log.name, np.arange(a, b + 1))),
                top,
            )


def flat_ends(view: View) -> Iterator[Finding]:
    """Positions that come to one number, the largest or least, again and again, where none else does."""
    for j in np.flatnonzero(view.moves & np.isnan(view.step)):
        column = view.position[:, j]
        if len(np.unique(column)) < 0.3 * len(column):
            continue
        for end in (float(column.max()), float(column.min())):
            spans = stretches(column == end, _FLAT)
            if sum(b - a + 1 for a, b in spans) >= _PINNED and len(spans) > 1:
                joint, name = view.log.joints[j], view.log.name
                count = sum(b - a + 1 for a, b in spans)
                text = (
                    f"{name}: {joint} is measured at {end:.5g} to the last digit in {count} rows, and never "
                    "beyond: an end of what its sensor can tell; leave these rows out"
                )
                yield Finding("saturation", WARNING, text, (name,), joint, rows_of(view, spans), end)


def _frozen(view: View, j: int, told: float = _TOLD) -> list[Span]:
    """Runs of one and the same number in which the command went somewhere and had time to act."""
    same = np.concatenate([[False], np.diff(view.position[:, j]) == 0])
    still = view.width(_STILL)
    runs = [(max(0, a - 1), b) for a, b in stretches(same, max(still, _PINNED))]
    return [(a, b) for a, b in runs if np.ptp(view.command[a : max(a + 1, b - still), j]) > told]


def _usual(view: View, j: int) -> tuple[bool, float, float]:
    """Whether a sensor never says the same twice, its usual speed, and its usual step from row to row."""
    position, steps = view.position[:, j], np.abs(np.diff(view.position[:, j]))
    fine = bool(np.isnan(view.step[j])) and len(np.unique(position)) > 0.3 * len(position)
    speed = 0.0 if view.velocity is None else float(np.percentile(np.abs(view.velocity[:, j]), 90))
    return fine, speed, float(np.percentile(steps[steps > 0], 99)) if (steps > 0).any() else 0.0


def _sensor_is_to_blame(view: View, j: int, span: Span, usual: tuple[bool, float, float]) -> bool:
    """Whether the joint itself went on: it comes back with a jump, or its velocity goes on."""
    (first, last), (fine, speed, step) = span, usual
    if fine:
        return True
    if view.velocity is not None and speed > 0:
        own = np.abs(view.velocity[first + view.width(0.1) : last, j])
        if own.size and np.mean(own > 0.3 * speed) > 0.3:
            return True
    if last + 1 >= len(view.position):
        return False
    return abs(float(view.position[last + 1, j] - view.position[last, j])) > _JUMP * step


def _on_a_stop(view: View, j: int, span: Span, expected: Expected) -> bool:
    """Whether a joint rests at an end of its range: pressed there it may well say the same all the time."""
    low, high = expected.limits.get(expected.joint(view.log.joints[j]), (-np.inf, np.inf))
    at, near = float(view.position[span[0], j]), 0.01 * (high - low)
    return bool(np.isfinite(near) and (at < low + near or at > high - near))


def _held(view: View, j: int) -> list[Span]:
    """Runs in which a joint rests far from where it is told to be."""
    apart = view.command[:, j] - view.position[:, j]
    away = np.abs(apart - np.median(apart)) > _AWAY
    away &= np.abs(apart) > _AWAY
    still = _ptp(view.position[:, j], view.width(_STILL)) <= max(
        0.005, 3 * float(np.nan_to_num(view.step[j]))
    )
    return stretches(away & still, view.width(_HELD))


def _ptp(values: FloatArray, width: int) -> FloatArray:
    """Range within a centred window. Shape (n,)."""
    if len(values) < width:
        return np.full(len(values), np.ptp(values))
    inner = np.ptp(sliding_window_view(values, width), axis=-1)
    before = (width - 1) // 2
    return np.pad(inner, (before, width - 1 - before), mode="edge")


def _at_end(view: View, j: int, span: Span, expected: Expected) -> bool:
    """Whether a joint rests at an end of its range while its command moves on beyond."""
    part, command = view.position[span[0] : span[1] + 1, j], view.command[span[0] : span[1] + 1, j]
    step = max(1e-3, 2 * float(np.nan_to_num(view.step[j])))
    up = bool(np.median(command) > np.median(part))
    low, high = expected.limits.get(expected.joint(view.log.joints[j]), (-np.inf, np.inf))
    if np.isfinite(high - low):
        return bool(part.max() > high - 5 * step) if up else bool(part.min() < low + 5 * step)
    column = view.position[:, j]
    extreme = column.max() - part.min() < step if up else part.max() - column.min() < step
    return bool(extreme) and float(np.ptp(command)) > _TOLD


def _overlap(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _seconds(view: View, spans: list[Span]) -> float:
    return float(sum(view.time[b] - view.time[a] for a, b in spans))


def _stuck(view: View, joint: str, spans: list[Span]) -> Finding:
    text = (
        f"{view.log.name}: the sensor of {joint} repeats one number for {_seconds(view, spans):.1f} s while "
        "the joint goes on; cut these rows out"
    )
    return Finding(
        "stuck sensor", BAD, text, (view.log.name,), joint, rows_of(view, spans), _seconds(view, spans)
    )


def _farthest(view: View, j: int, spans: list[Span]) -> float:
    apart: NDArray[np.float64] = np.abs(view.command[:, j] - view.position[:, j])
    return max(float(apart[a : b + 1].max()) for a, b in spans)


def _end(view: View, j: int, spans: list[Span]) -> Finding:
    joint, name = view.log.joints[j], view.log.name
    text = (
        f"{name}: {joint} stays at {float(view.position[spans[0][0], j]):.3f} for "
        f"{_seconds(view, spans):.1f} s while its command goes up to {_farthest(view, j, spans):.2f} "
        "further: an end of its range or an obstacle"
    )
    return Finding(
        "saturation", WARNING, text, (name,), joint, rows_of(view, spans), _farthest(view, j, spans)
    )


def _stall(view: View, j: int, spans: list[Span]) -> Finding:
    joint, name = view.log.joints[j], view.log.name
    text = (
        f"{name}: {joint} rests up to {_farthest(view, j, spans):.2f} from its command for "
        f"{_seconds(view, spans):.1f} s: blocked, in contact, or too weak"
    )
    return Finding("stall", WARNING, text, (name,), joint, rows_of(view, spans), _farthest(view, j, spans))


def _on_range(view: View, j: int, spans: list[Span], said: str) -> Finding:
    joint, name = view.log.joints[j], view.log.name
    return Finding("saturation", WARNING, f"{name}: {joint} {said}", (name,), joint, rows_of(view, spans))
