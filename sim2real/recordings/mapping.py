"""From the joints of a recording to those of a world: names, order, units. Only here.

A world's ``physics.toml`` says how, in ``[recordings.joints]``. With::

    Jaw = { joint = "gripper", scale = 2.336, offset = -0.175 }

the column ``Jaw`` is for joint ``gripper``, and its angle is scale · value + offset; a scale below
0 turns the sign. A velocity is multiplied by ``velocity_scale``, which is ``scale`` unless given: some
robots report a position as a fraction of its travel and the velocity in rad/s. A column that
is not in the table but has the name of one of the world's joints is taken as radians.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from sim2real.documents import is_number
from sim2real.errors import RecordingError
from sim2real.recordings.recording import FloatArray, Recording, fail

JointTable = Mapping[str, Mapping[str, object]]


def map_joints(recording: Recording, table: JointTable, joints: Sequence[str]) -> Recording:
    """The recording with the world's joints as columns, in the order asked for, in rad or m.

    Args:
        recording: as read from its source.
        table: per column of the source the world's ``joint``, ``scale`` (1), ``offset`` (0) and
            ``velocity_scale`` (``scale``).
        joints: the world's joints in order; every one must be in the recording.

    Raises:
        RecordingError: for a joint that is unknown, missing or there twice.
    """
    targets = column_names(recording, table, joints)
    missing = [joint for joint in joints if joint not in targets]
    if missing:
        raise fail(
            recording,
            f"no column for joint {missing[0]!r} (the recording has "
            f"{', '.join(recording.joints)}); all of {', '.join(joints)} are needed",
        )
    if len(set(targets)) < len(targets):
        twice = next(joint for joint in targets if targets.count(joint) > 1)
        raise fail(recording, f"two columns are for joint {twice!r}; remove one")
    columns = [targets.index(joint) for joint in joints]
    entries = [table.get(recording.joints[column], {}) for column in columns]
    scale, offset, rates = _factors(entries)
    velocity = recording.velocity
    return dataclasses.replace(
        recording,
        joints=tuple(joints),
        command=recording.command[:, columns] * scale + offset,
        position=recording.position[:, columns] * scale + offset,
        velocity=None if velocity is None else velocity[:, columns] * rates,
        units=(),
    )


def column_names(recording: Recording, table: JointTable, known: Sequence[str]) -> list[str]:
    """What each column of a recording is for, of the names that a world knows.

    Raises:
        RecordingError: for a column that is for none of them.
    """
    return [_target(recording, table, known, name) for name in recording.joints]


def _target(recording: Recording, table: JointTable, joints: Sequence[str], name: str) -> str:
    target = str(table[name].get("joint", "")) if name in table else name
    if target in joints:
        return target
    known = [*table, *joints]
    near = difflib.get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise fail(
        recording,
        f"unknown joint {name!r}: {hint}known: {', '.join(known)}; name it so, "
        "or add it to [recordings.joints] of the world's physics.toml",
    )


def _factors(entries: Sequence[Mapping[str, object]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scale, offset and scale of velocities of each joint. Shapes (k,)."""
    scale = np.array([_number(entry, "scale", 1.0) for entry in entries])
    offset = np.array([_number(entry, "offset", 0.0) for entry in entries])
    rates = [_number(entry, "velocity_scale", s) for entry, s in zip(entries, scale, strict=True)]
    return scale, offset, np.array(rates)


def _number(entry: Mapping[str, object], key: str, default: float) -> float:
    value = entry.get(key, default)
    if not is_number(value):
        raise RecordingError(f"[recordings.joints] of the world: {key} is {value!r}, not a number")
    return float(value)


def unmap_joints(recording: Recording, table: JointTable, like: Recording) -> Recording:
    """The inverse of `map_joints`: a world's joints as columns of its robot's own logs.

    Args:
        recording: of the world's joints, in rad or m.
        table: as for `map_joints`.
        like: a log of the robot, whose names, order and units the result has.

    Raises:
        RecordingError: for a column of the log that is for none of the joints.
    """
    columns = [recording.joints.index(_target(like, table, recording.joints, name)) for name in like.joints]
    entries = [table.get(name, {}) for name in like.joints]
    scale, offset, rates = _factors(entries)
    velocity = recording.velocity
    return dataclasses.replace(
        recording,
        joints=like.joints,
        command=(recording.command[:, columns] - offset) / scale,
        position=(recording.position[:, columns] - offset) / scale,
        velocity=None if velocity is None else velocity[:, columns] / rates,
        units=like.units,
    )
