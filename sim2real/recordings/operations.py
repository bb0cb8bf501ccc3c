"""Recordings changed on purpose: another rate, another unit or sign. Nothing else changes them.

>>> time = np.array([0.0, 0.03, 0.04])
>>> ramp = time[:, None] * 10
>>> slow = resample(Recording("ramp", ("elbow",), time, command=ramp, position=ramp), 100)
>>> slow.command[:, 0].tolist(), slow.position[:, 0].round(3).tolist()
([0.0, 0.0, 0.0, 0.3, 0.4], [0.0, 0.1, 0.2, 0.3, 0.4])
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim2real.errors import RecordingError, UnknownName
from sim2real.recordings.recording import FloatArray, Recording

_ROUNDING = 1e-6  # of a period: a stamp that is on the grid but for rounding counts as on it


@dataclass(frozen=True)
class Rescaling:
    """New value = scale · value + offset; a scale below 0 turns the sign."""

    scale: float = 1.0
    offset: float = 0.0
    """In the new unit."""
    unit: str = ""
    """Name of the new unit; empty leaves the old name."""


def resample(recording: Recording, rate: float) -> Recording:
    """The recording on an even grid that starts at its first command.

    Commands hold until the next one, as a servo does; measured positions and velocities are
    linear between their own stamps (before the first, it is the first). Nothing is filtered, so
    a lower rate than the recording's aliases what is faster than half of it.

    Args:
        recording: what to resample.
        rate: rows per second.

    Returns:
        Recording: commands and measurements on one grid; the last partial period is left out.

    Raises:
        RecordingError: for a rate that is not above 0, or leaves fewer than two rows.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise RecordingError(f"{recording.name} can't be resampled to {rate} Hz; give a rate above 0")
    count = math.floor(recording.duration * rate + _ROUNDING) + 1
    if count < 2:
        raise RecordingError(
            f"{recording.name} lasts {recording.duration:.3g} s, less than one period at {rate:g} Hz; "
            f"give more than {1 / recording.duration:.3g} Hz"
        )
    grid = recording.time[0] + np.arange(count) / rate
    held = np.searchsorted(recording.time, grid + _ROUNDING / rate, side="right") - 1
    velocity = recording.velocity
    return dataclasses.replace(
        recording,
        time=grid,
        command=recording.command[held],
        position=_linear(grid, recording.measured_at, recording.position),
        velocity=None if velocity is None else _linear(grid, recording.measured_at, velocity),
        state_time=None,
    )


def rescale(recording: Recording, changes: Mapping[str, Rescaling]) -> Recording:
    """The recording with some joints in another unit, sign or zero.

    Velocities get the scale and no offset.

    Args:
        recording: what to change.
        changes: by joint; the others stay as they are.

    Raises:
        UnknownName: for a joint that the recording does not have.
    """
    for joint in changes:
        if joint not in recording.joints:
            raise UnknownName("joint", joint, recording.joints)
    table = [changes.get(joint, Rescaling()) for joint in recording.joints]
    scale = np.array([change.scale for change in table])
    offset = np.array([change.offset for change in table])
    units = recording.units or ("",) * len(table)
    named = tuple(change.unit or unit for change, unit in zip(table, units, strict=True))
    velocity = recording.velocity
    return dataclasses.replace(
        recording,
        command=recording.command * scale + offset,
        position=recording.position * scale + offset,
        velocity=None if velocity is None else velocity * scale,
        units=named if any(named) else (),
    )


def _linear(grid: FloatArray, time: FloatArray, values: FloatArray) -> FloatArray:
    return np.stack([np.interp(grid, time, column) for column in values.T], axis=1)
