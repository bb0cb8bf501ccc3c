"""A log with what is broken put aside, so that the rest can still be looked at.

Rows that are not finite are left out, stamps are sorted and kept once, each measurement gets the
command in force at its stamp. Where a world is given, angles are in its units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.doctor.expected import Expected
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_LEAST_ROWS = 4
_SURE = 5
"""So many different gaps between values must be whole multiples of a step before it is believed."""

_UNIT = 20  # times as far as its command no joint goes, if both are in one unit


@dataclass(frozen=True, eq=False)
class View:
    """The sound rows of a log."""

    log: RawLog
    rows: NDArray[np.intp]
    """Row in the log of each row here. Shape (n,)."""
    time: FloatArray
    """Seconds, growing. Shape (n,)."""
    command: FloatArray
    """Shape (n, k)."""
    position: FloatArray
    """Shape (n, k)."""
    velocity: FloatArray | None
    """Shape (n, k)."""
    step: FloatArray
    """Distance of neighbouring values of each position; NaN where none is found. Shape (k,)."""
    follows: NDArray[np.bool_]
    """Whether each joint's command is where it should go, not a force. Shape (k,)."""

    @property
    def period(self) -> float:
        """Median distance of stamps, s."""
        return float(np.median(np.diff(self.time)))

    @property
    def moves(self) -> NDArray[np.bool_]:
        """Whether each joint is seen to move: by more than 10 mrad and 5 steps. Shape (k,)."""
        return _span(self.position) > np.fmax(0.01, 5 * self.step)

    @property
    def commanded(self) -> NDArray[np.bool_]:
        """Whether each joint is told to move, by more than 10 mrad and 5 steps. Shape (k,).

        Steps are those of its position, which says little of commands in another unit.
        """
        told, gone = _span(self.command), _span(self.position)
        return (told > 0.01) & ((told > 5 * np.nan_to_num(self.step)) | (self.moves & (gone > _UNIT * told)))

    def width(self, seconds: float) -> int:
        """Rows that last so long, at least 3."""
        return max(3, int(np.ceil(seconds / self.period)))


def view_of(log: RawLog, expected: Expected) -> View | None:
    """The sound rows of a log; None where there are hardly any."""
    sent = _sound(log.command_time, log.command)
    rows = _sound(log.time, log.position)
    if not log.joints or len(sent) < 2 or len(rows) < _LEAST_ROWS:
        return None
    time = log.time[rows]
    held = np.searchsorted(log.command_time[sent], time, side="right") - 1
    scale, offset, rate_scale = expected.factors(log.joints)
    velocity = None if log.velocity is None else log.velocity[rows] * rate_scale
    if velocity is not None and not np.isfinite(velocity).all():
        velocity = None
    step = np.array([quantization(column) for column in log.position[rows].T])
    return View(
        log=log,
        rows=rows,
        time=time,
        command=log.command[sent[np.maximum(held, 0)]] * scale + offset,
        position=log.position[rows] * scale + offset,
        velocity=velocity,
        step=step * np.abs(scale),
        follows=np.array([expected.follows(joint) for joint in log.joints]),
    )


def quantization(values: FloatArray) -> float:
    """The step that all values are whole multiples of, from an offset; NaN if there is none.

    The least distance of two values is tried: the others must be multiples of it.
    """
    scale = float(np.max(np.abs(values)))
    distinct = np.unique(values)
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 1e-6 * scale]  # what is less is float32's rounding
    if len(gaps) < _SURE or len(distinct) > max(_SURE, 0.9 * len(values)):
        return np.nan
    least = float(gaps.min())
    counts = np.rint(gaps / least)
    step = float(gaps.sum() / counts.sum())
    off = np.abs(gaps / step - np.rint(gaps / step))
    return step if off.max() < 0.15 and np.median(counts) < 20 else np.nan


def _sound(time: FloatArray, values: FloatArray) -> NDArray[np.intp]:
    """Rows that are finite, in the order of their stamps, one per stamp."""
    good = np.flatnonzero(np.isfinite(time) & np.isfinite(values).all(axis=1))
    _, first = np.unique(time[good], return_index=True)
    return good[first]


def _span(values: FloatArray) -> FloatArray:
    low, high = np.percentile(values, [1, 99], axis=0)
    return np.asarray(high - low)
