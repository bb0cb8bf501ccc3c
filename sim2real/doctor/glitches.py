"""Findings on single readings that are no motion: turns, glitches of a bus, numbers that stand for none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sim2real.doctor.finding import BAD, Finding, scattered, stretches
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray
from sim2real.recordings.wrap import wraps

_LONGEST = 3  # rows of a glitch
_HELD = 12  # rows of one that reads the same number throughout
_AROUND = 25  # steps from row to row that say what is usual here
_JUMP = 8.0  # usual steps
_LEAST = 0.05  # of how far the signal goes
_TICKS = 5  # of a sensor
_RIPPLE = 0.02  # where nothing says how fine a sensor reads: rad or m, if it is one of these
_SUDDEN = 0.02  # of a jump, as the steps beside it
_SIGNS = {999.0, 9999.0, 99999.0, 999999.0, 32767.0, 32768.0, 65535.0, 65536.0, 65.535}
_FAR = 3.0  # times as far as everything else goes; no joint is there and back within a row


@dataclass(frozen=True, eq=False)
class Glitch:
    """Rows of one signal of a joint that are no motion."""

    joint: int
    signal: str
    rows: NDArray[np.intp]
    values: FloatArray


def turns(log: RawLog) -> Iterator[Finding]:
    """Angles that jump by a turn."""
    found = wraps(log)
    for joint in dict.fromkeys(wrap.joint for wrap in found):
        own = [wrap for wrap in found if wrap.joint == joint]
        rows = np.unique(np.array([row for wrap in own for row in wrap.rows], dtype=np.intp))
        signals = " and ".join(wrap.signal for wrap in own)
        text = (
            f"{log.name}: {joint} follows its command by whole turns of {own[0].turn:.5g} beside it: its "
            "encoder began to count at another; bring it there with --unwrap (unwrap=True)"
        )
        if rows.size:
            text = (
                f"{log.name}: {joint} jumps by a whole turn of {own[0].turn:.5g} in its {signals}, where an "
                "encoder starts again; take the jumps out with --unwrap (unwrap=True)"
            )
        yield Finding("wrap", BAD, text, (log.name,), joint, scattered(log.name, rows), own[0].turn)


def glitches(log: RawLog) -> list[Glitch]:
    """What is no motion in a log whose turns are whole."""
    found = []
    for j in range(len(log.joints)):
        position, command = log.position[:, j], log.command[:, j]
        for signal, values, other in (("position", position, command), ("command", command, position)):
            rows = _sentinels(values, other)
            rest = values.copy()
            rest[rows] = np.nan
            spikes = _spikes(rest, signal == "position", _HELD if log.shared else _LONGEST)
            if signal == "command" or not _moves(command):
                # a command may be a pulse, and what nothing commands may be hit
                spikes = spikes[_outside(rest, spikes)]
            elif log.shared:
                spikes = np.array([k for k in spikes if not _told(command, rest, k)], dtype=np.intp)
            rows = np.union1d(rows, spikes)
            if len(rows):
                found.append(Glitch(j, signal, rows, values[rows]))
    return found


def findings(log: RawLog, found: Sequence[Glitch]) -> Iterator[Finding]:
    """A finding a signal."""
    for glitch in found:
        joint, count = log.joints[glitch.joint], len(glitch.rows)
        usual = np.nanmedian(getattr(log, glitch.signal)[:, glitch.joint])
        value = float(glitch.values[int(np.argmax(np.abs(glitch.values - usual)))])
        text = (
            f"{log.name}: the {glitch.signal} of {joint} reads {value:.5g} in row {glitch.rows[0]}"
            if count == 1
            else f"{log.name}: the {glitch.signal} of {joint} reads as far as {value:.5g} in {count} rows"
        )
        text += ", and is back at once: no motion, but a glitch or a sign for no number; remove these rows"
        where = scattered(log.name, glitch.rows)
        yield Finding("glitch", BAD, text, (log.name,), joint, where, value)


def without(log: RawLog, found: Sequence[Glitch]) -> RawLog:
    """The log with NaN where it glitches."""
    arrays = {"position": log.position.copy(), "command": log.command.copy()}
    for glitch in found:
        arrays[glitch.signal][glitch.rows, glitch.joint] = np.nan
    return dataclasses.replace(log, position=arrays["position"], command=arrays["command"])


def _sentinels(values: FloatArray, other: FloatArray) -> NDArray[np.intp]:
    """Rows of one and the same number, far from where the signal and the one beside it ever are.

    They come for a few rows at a time, unless it is a number that is known to stand for none.
    """
    known, beside = values[np.isfinite(values)], other[np.isfinite(other)]
    rows: list[int] = []
    if len(known) < 8 or not beside.size:
        return np.array(rows, dtype=np.intp)
    for value in {float(known.min()), float(known.max())}:
        rest = known[known != value]
        if 4 * len(rest) < 3 * len(known):
            continue
        # what the other signal does counts, those aside of its readings that are as wild
        reach = max(float(np.ptp(rest)), float(np.diff(np.percentile(beside, [2, 98]))[0]), _RIPPLE)
        if min(abs(value - float(rest.min())), abs(value - float(rest.max()))) > _FAR * reach:
            runs = stretches(values == value)
            if abs(value) in _SIGNS or abs(value) >= 1e6 or max(b - a for a, b in runs) < 2 * _LONGEST:
                rows += [row for a, b in runs for row in range(a, b + 1)]
    return np.array(sorted(rows), dtype=np.intp)


def _moves(values: FloatArray) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size and np.ptp(known) > 0)


def _outside(values: FloatArray, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether rows are farther off than the signal goes: within that, a command may be a pulse."""
    known = values[np.isfinite(values)]
    if not known.size:
        return np.zeros(len(rows), dtype=bool)
    low, high = np.percentile(known, [2, 98])
    return np.asarray(np.abs(values[rows] - (low + high) / 2) > 1.5 * max(high - low, _RIPPLE))


def _spikes(values: FloatArray, at_ends: bool, held: int) -> NDArray[np.intp]:
    """Rows that leave their surroundings at once and are back within a few, or that stand at an end.

    Args:
        values: of a signal. Shape (n,).
        at_ends: whether first and last rows can be told from setting out and coming to rest.
        held: rows that one and the same number may stay.
    """
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) < 2 * _LONGEST + 2:
        return np.empty(0, dtype=np.intp)
    x = values[finite]
    step = np.diff(x)
    least = _usual(step, x)
    jumps = np.flatnonzero(np.abs(step) > least)
    spikes: set[int] = set()
    for a in jumps:
        for b in jumps[(jumps > a) & (jumps <= a + held)]:
            long = b > a + _LONGEST
            if long and np.ptp(x[a + 1 : b + 1]):
                break
            size = min(abs(step[a]), abs(step[b]))
            back = (2.0 if long else 0.5) * size  # the joint goes on meanwhile
            if step[a] * step[b] < 0 and abs(x[b + 1] - x[a]) < back:
                spikes |= set(range(a + 1, b + 1))
                break
    last = len(x) - 1
    for a in jumps if at_ends else ():
        beside = np.abs(step[[k for k in (a - 1, a + 1) if 0 <= k < last]])
        if abs(step[a]) < 2.5 * least[a] or np.any(beside > _SUDDEN * abs(step[a])):
            continue  # what sets out from rest or comes to it takes more than one step
        if a < _LONGEST:
            spikes |= set(range(a + 1))
        elif a >= last - _LONGEST:
            spikes |= set(range(a + 1, last + 1))
    return finite[np.array(sorted(spikes), dtype=np.intp)]


def _usual(step: FloatArray, x: FloatArray) -> FloatArray:
    """From which size on a step is a jump, step by step."""
    size = np.abs(step)
    width = min(_AROUND, len(size))
    inner = np.percentile(sliding_window_view(size, width), 80, axis=-1)
    before = (width - 1) // 2
    local = np.pad(inner, (before, width - 1 - before), mode="edge")
    different = np.unique(size[size > 0])
    ticks = _TICKS * float(different[0]) if len(different) > 4 else _RIPPLE
    span = float(np.diff(np.percentile(x, [2, 98]))[0])
    return np.asarray(np.maximum(_JUMP * local, max(ticks, _LEAST * span)))


def _told(command: FloatArray, position: FloatArray, row: int) -> bool:
    """Whether the command had just jumped there and back itself, so that a joint may have."""
    near = command[max(0, row - _AROUND) : row + 2]
    near = near[np.isfinite(near)]
    before = position[max(0, row - _LONGEST - 1) : row]
    before = before[np.isfinite(before)]
    if len(near) < 2 or not before.size:
        return False
    size = float(np.abs(position[row] - before).max())
    step = np.diff(near)
    return bool(0.3 * size < min(step.max(), -step.min()) and size < 3 * np.ptp(near))
