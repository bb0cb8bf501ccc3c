"""A log as it was found, before anything in it is trusted.

Readers make these of every source, the broken ones too: what can't be read is a NaN with a note
on where it stands. `trusted` turns a whole one into a `Recording` and refuses the first mistake of
any other; the log doctor reads all of it. Commands and measurements are two streams here, each with
its own stamps, because many loggers write them apart.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sim2real.errors import RecordingError
from sim2real.recordings.recording import FloatArray, Recording

_SAME_STAMP = 1e-6  # s


@dataclass(frozen=True)
class Damage:
    """One thing that could not be read."""

    text: str
    """A sentence with the file, the place in it, and the next step."""
    rows: tuple[int, ...] = ()
    """Rows it concerns, counted from 0; empty if it is the whole log."""


@dataclass(frozen=True, eq=False)
class RawLog:
    """Two streams of one run. Numbers may be NaN, stamps may go anywhere."""

    name: str
    joints: tuple[str, ...]
    command_time: FloatArray
    """Stamps of the commands, s. Shape (m,)."""
    command: FloatArray
    """Commanded positions in the source's unit. Shape (m, k)."""
    time: FloatArray
    """Stamps of the measurements, s. Shape (n,)."""
    position: FloatArray
    """Measured positions. Shape (n, k)."""
    velocity: FloatArray | None = None
    """Measured velocities. Shape (n, k)."""
    effort: FloatArray | None = None
    """Torque, force or current as the source has it; only looked at for limits. Shape (n, k)."""
    units: tuple[str, ...] = ()
    robot: str = ""
    damage: tuple[Damage, ...] = ()
    notes: tuple[str, ...] = ()
    """What was done to read it, a sentence each, such as what was left out."""
    source: Path = field(default=Path())

    @property
    def shared(self) -> bool:
        """Whether both streams have the same stamps."""
        a, b = self.command_time, self.time
        if a is b or len(a) != len(b):
            return a is b
        with np.errstate(invalid="ignore"):  # two infinities
            return bool(np.all((np.abs(a - b) <= _SAME_STAMP) | (a == b)))


def unreadable(name: str, source: Path, reason: str) -> RawLog:
    """A log of which nothing could be read."""
    none, table = np.empty(0), np.empty((0, 0))
    return RawLog(name, (), none, table, none, table, damage=(Damage(reason),), source=source)


def measured(log: RawLog) -> RawLog:
    """The log without a velocity or an effort that is no number throughout: what was never measured.

    A velocity that some joint does not have is left out for all; an effort is looked at joint by joint.
    """
    told: list[str] = []
    for signal in ("velocity", "effort"):
        values = getattr(log, signal)
        if values is None or not values.size:
            continue
        lost = ~np.isfinite(values).any(axis=0)
        if lost.any() if signal == "velocity" else lost.all():
            joints = ", ".join(joint for joint, none in zip(log.joints, lost, strict=True) if none)
            rest = "" if lost.all() else ", and with it that of the others"
            told.append(
                f"the {signal} of {joints} is no number in any row: not measured, so it is left out{rest}"
            )
            log = dataclasses.replace(
                log,
                velocity=None if signal == "velocity" else log.velocity,
                effort=None if signal == "effort" else log.effort,
            )
    return dataclasses.replace(log, notes=(*log.notes, *told)) if told else log


def raw_of(recording: Recording) -> RawLog:
    """A recording as the log it could have been read from."""
    return RawLog(
        name=recording.name,
        joints=recording.joints,
        command_time=recording.time,
        command=recording.command,
        time=recording.measured_at,
        position=recording.position,
        velocity=recording.velocity,
        units=recording.units,
        robot=recording.robot,
        source=recording.source,
    )


def trusted(log: RawLog) -> Recording:
    """The log as a recording.

    Streams with one measurement after each command keep both stamps. Otherwise the rows are the
    measurements, each with the command in force at its stamp (the last one before it);
    measurements before the first command are left out.

    Raises:
        RecordingError: for the first thing in it that can't be trusted.
    """
    if log.damage:
        raise RecordingError(log.damage[0].text)
    rows = np.arange(len(log.time))
    time, state_time, sent = log.time, None, rows
    if not log.shared:
        for stamps, values in ((log.command_time, log.command), (log.time, log.position)):
            _recording(log, stamps, values, values)  # each stream must stand on its own
        sent = np.searchsorted(log.command_time, log.time, side="right") - 1
        if len(sent) == len(log.command) and np.array_equal(sent, rows):
            time, state_time = log.command_time, log.time
        rows = rows[sent >= 0]
        if len(rows) < 2:
            raise RecordingError(
                f"{log.source}: {len(rows)} of {len(log.time)} measurements come after the first command; "
                "are both streams stamped by the same clock?"
            )
    paired = _recording(log, time[rows], log.command[sent[rows]], log.position[rows])
    velocity = None if log.velocity is None else log.velocity[rows]
    return dataclasses.replace(paired, velocity=velocity, state_time=state_time)


def _recording(log: RawLog, time: FloatArray, command: FloatArray, position: FloatArray) -> Recording:
    return Recording(
        name=log.name,
        joints=log.joints,
        time=time,
        command=command,
        position=position,
        source=log.source,
        units=log.units,
        robot=log.robot,
    )
