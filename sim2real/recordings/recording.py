"""One run of a robot: what it was told, what it did, and when.

    >>> time = np.array([0.0, 0.02, 0.04])
    >>> angles = np.zeros((3, 1))
    >>> Recording("rest", ("elbow",), time, command=angles, position=angles).duration
    0.04

A recording is checked when it is made and can be trusted from then on: finite numbers, one row
per stamp, stamps that grow, one column per joint. Stamps are the log's own, seldom evenly spaced;
nothing here resamples them (`sim2real.recordings.operations` does, when asked to). What can't be
trusted yet is a `sim2real.recordings.raw.RawLog`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import RecordingError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """Commands and measurements of one run, on shared stamps.

    Raises:
        RecordingError: if the arrays don't fit each other, a number is not finite, or time does
            not grow.
    """

    name: str
    joints: tuple[str, ...]
    """Names of the columns, as the source has them."""
    time: FloatArray
    """Seconds since the start of the motion. Shape (n,)."""
    command: FloatArray
    """Commanded joint positions in the source's unit, rad unless it says otherwise. Shape (n,
    k)."""
    position: FloatArray
    """Measured joint positions in the same unit. Shape (n, k)."""
    velocity: FloatArray | None = None
    """Measured joint velocities, the same unit per second; None where the robot does not report
    them. Shape (n, k)."""
    source: Path = field(default=Path())
    """File or folder it was read from."""
    units: tuple[str, ...] = ()
    """Unit of each column, as far as the source states it: ``"rad"``, ``"m"``, ``"fraction"``, or
    ``""`` where it does not. Empty if it states none. Shape (k,)."""
    robot: str = ""
    """The robot's name or type, where the source states it."""
    state_time: FloatArray | None = None
    """Stamps of the measurements, s on the clock of ``time``, where a log has its own for them;
    ``time`` then stamps the commands alone. Shape (n,)."""

    def __post_init__(self) -> None:
        """Check the arrays."""
        _check_names(self)
        _check_time(self, self.time)
        if self.state_time is not None:
            _check_state_time(self, self.state_time)
        for signal in ("command", "position", "velocity"):
            values = getattr(self, signal)
            if values is not None:
                _check_signal(self, signal, values)

    @property
    def duration(self) -> float:
        """Seconds from the first to the last stamp."""
        return float(self.time[-1] - self.time[0])

    @property
    def rate(self) -> float:
        """Rows per second, the mean over the recording."""
        return (len(self.time) - 1) / self.duration

    @property
    def measured_at(self) -> FloatArray:
        """Stamps of the measurements, s: ``state_time``, or ``time`` where they share stamps."""
        return self.time if self.state_time is None else self.state_time


def fail(recording: Recording, message: str) -> RecordingError:
    """What is wrong with a recording, told with where it is from, or its name."""
    where = recording.source if recording.source != Path() else recording.name
    return RecordingError(f"{where}: {message}")


def _check_names(recording: Recording) -> None:
    if not recording.joints:
        raise fail(recording, "it names no joints")
    for joint in recording.joints:
        if recording.joints.count(joint) > 1:
            raise fail(recording, f"joint {joint!r} is named twice; every column needs its own name")
    if recording.units and len(recording.units) != len(recording.joints):
        raise fail(
            recording,
            f"it has {len(recording.units)} units for {len(recording.joints)} joints; give one each",
        )


def _check_state_time(recording: Recording, time: FloatArray) -> None:
    if time.shape != recording.time.shape:
        raise fail(
            recording,
            f"state_time has shape {time.shape} and time has {recording.time.shape}; they must be equal",
        )
    _check_time(recording, time)


def _check_time(recording: Recording, time: FloatArray) -> None:
    if time.ndim != 1 or len(time) < 2:
        raise fail(recording, f"time has shape {time.shape}; at least two stamps in a row are needed")
    bad = np.flatnonzero(~np.isfinite(time))
    if bad.size:
        raise fail(
            recording,
            f"time in row {bad[0]} is {time[bad[0]]} (rows count from 0); remove that row",
        )
    step = np.diff(time)
    bad = np.flatnonzero(step <= 0)
    if not bad.size:
        return
    row = int(bad[0]) + 1
    if step[row - 1] == 0:
        what = f"the stamp {time[row]:.6f} s of row {row} is that of row {row - 1} again"
    else:
        what = f"time goes back from {time[row - 1]:.6f} s to {time[row]:.6f} s in row {row}"
    raise fail(
        recording,
        f"{what} (rows count from 0; {bad.size} such); sort the rows and keep one per stamp",
    )


def _check_signal(recording: Recording, signal: str, values: FloatArray) -> None:
    shape = (len(recording.time), len(recording.joints))
    if values.ndim != 2 or values.shape[1] != shape[1]:
        raise fail(
            recording,
            f"{signal} has shape {values.shape}, but there are {shape[1]} joints; give one column each",
        )
    if len(values) != shape[0]:
        raise fail(
            recording,
            f"{signal} has {len(values)} rows and time has {shape[0]}; they must be equal",
        )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise fail(
            recording,
            f"{signal} of joint {recording.joints[column]!r} is {values[row, column]} in row {row} "
            f"(rows count from 0; {len(bad)} such values); remove the rows or mend the log",
        )
