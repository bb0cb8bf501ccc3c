"""Angles that jump by a whole turn where an encoder starts again, and the same angles without the jumps.

    for wrap in wraps(log):
        wrap.joint, wrap.signal, wrap.rows, wrap.turn       # "elbow", "position", (51, 163), 6.2832
    whole = unwrapped(log)

A turn is 2π for angles in rad, 360 in degrees; where no unit is stated either, or the 2^n ticks of an encoder
that whole numbers fit. A joint in m has none. A command may step by as much as it likes: it counts as wrapped
only if that brings it to the position. A position that follows its command a whole turn beside it throughout
counts as well: the encoder began to count there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_TURNS = {"rad": (2 * np.pi,), "deg": (360.0,), "": (2 * np.pi, 360.0)}
_TICKS = tuple(float(2**bits) for bits in range(8, 25))
_SLACK = 1e-3  # of a turn; what wraps never spans more than one
_NEAR = 0.05  # of a turn; how far a joint may go between two rows beside what it usually does
_CLOSE = 0.25  # of a turn; a command that is wrapped stays so near to the position once it is not


@dataclass(frozen=True)
class Wrap:
    """Where one signal of a joint jumps by a turn."""

    joint: str
    signal: str
    """``"position"`` or ``"command"``."""
    rows: tuple[int, ...]
    """First row behind each jump; empty for what is a whole turn away throughout."""
    turn: float
    """In the log's unit."""


def wraps(log: RawLog) -> list[Wrap]:
    """Every signal of every joint that wraps."""
    return [wrap for j in range(len(log.joints)) for wrap, _ in _of_joint(log, j)]


def unwrapped(log: RawLog) -> RawLog:
    """The log without jumps by a turn: the position goes on from its first row, the command is beside it."""
    arrays = {"position": log.position, "command": log.command}
    for j in range(len(log.joints)):
        for wrap, values in _of_joint(log, j):
            arrays[wrap.signal] = arrays[wrap.signal].copy()
            arrays[wrap.signal][:, j] = values
    return dataclasses.replace(log, position=arrays["position"], command=arrays["command"])


def _of_joint(log: RawLog, j: int) -> Iterator[tuple[Wrap, FloatArray]]:
    """Each signal that wraps, and what it is without."""
    position, command = log.position[:, j], log.command[:, j]
    for turn in _turns(log, j):
        rows, whole = _jumps(position, turn)
        sent, goals = _jumps(command, turn)
        beside = _beside(log, whole, goals, turn) if rows.size or sent.size else None
        if rows.size:
            yield Wrap(log.joints[j], "position", tuple(map(int, rows)), turn), whole
        if beside is not None and not np.array_equal(beside, command, equal_nan=True):
            yield Wrap(log.joints[j], "command", tuple(map(int, sent)), turn), beside
        if rows.size or beside is not None:
            return
        moved = _aside(log, position, command, turn) if turn in _TURNS[""] else None
        if moved is not None:
            yield Wrap(log.joints[j], "position", (), turn), moved
            return


def _turns(log: RawLog, j: int) -> tuple[float, ...]:
    unit = log.units[j] if log.units else ""
    known = log.position[np.isfinite(log.position[:, j]), j]
    if unit or not known.size or np.any(known != np.rint(known)):
        return _TURNS.get(unit, ())
    return (*_TURNS[""], *_TICKS)


def _jumps(values: FloatArray, turn: float) -> tuple[NDArray[np.intp], FloatArray]:
    """Rows behind a jump from one end of a turn to the other, and the values without these jumps."""
    finite = np.flatnonzero(np.isfinite(values))
    none = np.empty(0, dtype=np.intp)
    if len(finite) < 3:
        return none, values
    x = values[finite]
    if not turn / 2 < np.ptp(x) <= turn * (1 + _SLACK):
        return none, values
    step = np.diff(x)
    far = np.abs(step) > turn / 2
    rest = np.abs(step) - turn
    usual = float(np.percentile(np.abs(step[~far]), 95)) if (~far).any() else 0.0
    around = far & (np.abs(rest) <= max(4 * usual, _NEAR * turn))
    if not around.any():
        return none, values
    whole = values.copy()
    whole[finite[1:]] -= np.cumsum(np.where(around, np.sign(step) * turn, 0.0))
    return finite[1:][around], whole


def _held(log: RawLog, count: int) -> NDArray[np.intp] | None:
    """Which row of the commands each of ``count`` positions goes with."""
    rows = np.arange(count)
    if not log.shared:
        rows = np.maximum(np.searchsorted(log.command_time, log.time, side="right") - 1, 0)
    return rows if len(log.command_time) and len(rows) == count else None


def _aside(log: RawLog, position: FloatArray, command: FloatArray, turn: float) -> FloatArray | None:
    """The position at the turn of its command, if it follows that one or two turns beside it."""
    rows = _held(log, len(position))
    if rows is None:
        return None
    apart = position - command[rows]
    known = apart[np.isfinite(apart)]
    turns = np.rint(np.median(known) / turn) if known.size else 0.0
    if not 1 <= abs(turns) <= 2:
        return None
    left = np.abs(known - turns * turn)
    spread = np.diff(np.percentile(known, [5, 95]))[0]
    follows = spread < np.ptp(position[np.isfinite(position)]) / 2
    return position - turns * turn if follows and np.percentile(left, 90) < _NEAR * turn else None


def _beside(log: RawLog, position: FloatArray, command: FloatArray, turn: float) -> FloatArray | None:
    """The unwrapped command, moved by whole turns to the position; None where it is no nearer to it so."""
    rows = _held(log, len(position))
    if rows is None:
        return None
    apart = position - command[rows]
    known = apart[np.isfinite(apart)]
    if not known.size:
        return None
    moved = command + turn * np.rint(np.median(known) / turn)
    left = np.abs(position - moved[rows])
    near = np.nanpercentile(left, 90) < _CLOSE * turn
    return moved if near else None
