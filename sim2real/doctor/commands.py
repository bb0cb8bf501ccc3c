"""Findings on commands and positions that don't go together: never sent, or of several runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sim2real.doctor.expected import Expected
from sim2real.doctor.finding import BAD, WARNING, Finding, Rows, rows_of
from sim2real.doctor.view import View
from sim2real.recordings.recording import FloatArray

_LATEST = 5  # rows by which a command may be a later measurement
_SAME, _MOSTLY = 1e-4, 0.9  # of a command's range; of the rows
_AWAY = 0.12  # rad or m; what sags or is pushed stays below
_AROUND = 25  # rows that say what is usual here
_JUMP = 8.0  # usual changes of a step from row to row
_LEAST = 0.05  # of how far the joint goes
_FAR = 0.05  # rad or m; what dry friction lets go at once stays below
_AT_REST = 0.3  # rad/s or m/s; what noise comes to stays below
_RECENT = 4  # rows before a jump in which a command may have told it
_TOLD = 0.3  # of the jump


def echo(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> str:
    """Which row's measurements the commands are, and what that means; empty if they are none.

    Args:
        pairs: commands and measurements of each run, the same columns. Shapes (n, k).
    """
    if not pairs or not pairs[0][0].shape[1]:
        return ""
    spans = np.max([np.ptp(command, axis=0) for command, _ in pairs], axis=0)
    for late in range(_LATEST + 1):
        apart = [np.abs(command[: len(command) - late] - measured[late:]) for command, measured in pairs]
        same = np.concatenate(apart) <= _SAME * spans
        if len(same) and (same.mean(axis=0) >= _MOSTLY).all():
            when = f"{late} rows later" if late > 1 else ("of the next row" if late else "of the same row")
            return (
                f"the measured positions {when}: they were made from the measurements, and nothing says what "
                "the robot was told; record the commands that are sent"
            )
    return ""


def echoes(views: Sequence[View]) -> Iterator[Finding]:
    """Logs whose commands were made from their measurements."""
    found: dict[str, list[str]] = {}
    for view in views:
        told = np.flatnonzero(view.moves & view.commanded & view.follows)
        copied = echo([(view.command[:, told], view.position[:, told])])
        if copied:
            found.setdefault(copied, []).append(view.log.name)
    for copied, names in found.items():
        yield Finding("echo", WARNING, f"the commands of {', '.join(names)} are {copied}", tuple(names))


def untold(view: View, expected: Expected) -> Iterator[Finding]:
    """Servos of a world that go on moving far while their command stays where it is."""
    half = len(view.time) // 2
    if half < _AROUND or expected.goals is None:  # who knows what commands the joint
        return
    low, high = np.percentile(view.position[half:], [2, 98], axis=0)
    for j in np.flatnonzero(view.follows & (np.ptp(view.command, axis=0) == 0) & (high - low > _AWAY)):
        joint, name, far = view.log.joints[j], view.log.name, float(high[j] - low[j])
        text = (
            f"{name}: {joint} moves over {far:.3g} while its command never changes: was it moved by hand, or "
            "is another column its command?"
        )
        yield Finding("untold", WARNING, text, (name,), joint, value=far)


def jumps(view: View, lag: FloatArray, known: Sequence[Rows] = ()) -> Iterator[Finding]:
    """Rows between which joints are elsewhere at once, though no command told them to go there.

    Args:
        view: sound rows.
        lag: seconds by which each joint comes after its command, NaN where it is not known. Shape (k,).
        known: rows of which something else is said already, that may end with a jump.
    """
    if len(view.time) < _AROUND + 4:
        return
    name, joints = view.log.name, np.flatnonzero(view.moves & view.commanded & view.follows).tolist()
    leaps = {j: _leaps(view, j, bool(lag[j] >= 0.5 * view.period)) for j in joints}
    rows = sorted({row for of_joint in leaps.values() for row in of_joint})
    at = {row: int(view.rows[row]) for row in rows}
    rows = [row for row in rows if not any(r.first <= at[row] <= r.last for r in known)]
    own = {row: [j for j in joints if row in leaps[j]] for row in rows}
    breaks = [row for row in rows if len(own[row]) > 1 and 2 * len(own[row]) >= len(joints)]
    if breaks:
        j, most = max(((j, leaps[j][row]) for row in breaks for j in own[row]), key=lambda found: found[1])
        text = (
            f"{name}: {len(own[breaks[0]])} joints at once are elsewhere from one row to the next, "
            f"{view.log.joints[j]} by {most:.3g}, which no command told them: several runs in one log; cut "
            "it there"
        )
        yield Finding(
            "jump", BAD, text, (name,), rows=rows_of(view, [(k, k + 1) for k in breaks]), value=most
        )
    for j in joints:
        left = [row for row in rows if row in leaps[j] and row not in breaks]
        if left:
            joint, most = view.log.joints[j], max(leaps[j][row] for row in left)
            text = (
                f"{name}: {joint} jumps by {most:.3g} from one row to the next, which no command told it: a "
                "glitch of its sensor, one that lost count, or several runs in one log; look there"
            )
            where = rows_of(view, [(row, row + 1) for row in left])
            yield Finding("jump", WARNING, text, (name,), joint, where, most)


def _leaps(view: View, j: int, later: bool) -> dict[int, float]:
    """Rows behind which a joint is elsewhere at once, and how far.

    Args:
        view: sound rows.
        j: the joint.
        later: whether a row's command acts on later rows alone.
    """
    position, step = view.position[:, j], np.diff(view.position[:, j])
    change = np.abs(np.diff(step))
    excess = np.zeros(len(step))  # no motion is so much faster than both before and after
    excess[1:-1] = np.minimum(change[:-1], change[1:])
    inner = np.percentile(sliding_window_view(change, _AROUND), 80, axis=-1)
    before = (len(step) - len(inner)) // 2
    usual = np.pad(inner, (before, len(step) - len(inner) - before), mode="edge")
    span = float(np.diff(np.percentile(position, [2, 98]))[0])
    least = max(_LEAST * span, 5 * float(np.nan_to_num(view.step[j])), _FAR)
    even = np.diff(view.time) < 1.5 * view.period
    found = np.flatnonzero(even & (excess > np.maximum(_JUMP * usual, least)))
    sent = np.abs(np.diff(view.command[:, j], prepend=view.command[0, j]))
    return {
        int(row): float(excess[row])
        for row in found
        if sent[max(0, row + 1 - _RECENT) : row + 1 + (not later)].max() < _TOLD * excess[row]
    }


def begins_in_motion(view: View, expected: Expected) -> Iterator[Finding]:
    """Servos of a world that move in the first row already, where a replay begins at rest."""
    if expected.goals is None or len(view.time) < 4:
        return
    if view.velocity is not None and expected.goals != set(expected.limits):
        return  # a robot that is not of servos alone begins with the velocity that was measured
    one, two = np.abs(np.diff(view.position[:3], axis=0) / np.diff(view.time[:3])[:, None])
    first = 1.5 * one - 0.5 * two
    least = np.fmax(_AT_REST, 4 * view.step / view.period)
    # what sets out from rest goes a third as far in its first step as in its second
    moving = view.follows & view.commanded & (first > least) & (one > 0.8 * two)
    if moving.any():
        j = int(np.argmax(np.where(moving, first, 0.0)))
        joint, name = view.log.joints[j], view.log.name
        text = (
            f"{name}: {joint} moves at {first[j]:.2g}/s in its first row, and a replay begins at rest, so "
            "that its first second is wrong; let the log begin before the motion does"
        )
        yield Finding(
            "begins in motion", WARNING, text, (name,), joint, rows_of(view, [(0, 0)]), float(first[j])
        )


def doubles(view: View) -> Iterator[Finding]:
    """Joints that are measured at the same places throughout though they are told to go to different ones."""
    joints = np.flatnonzero(view.moves & view.commanded & view.follows).tolist()
    for j, k in itertools.combinations(joints, 2):
        same = np.array_equal(view.position[:, j], view.position[:, k])
        if same and not np.allclose(view.command[:, j], view.command[:, k], atol=_AWAY / 10):
            one, two = view.log.joints[j], view.log.joints[k]
            text = (
                f"{view.log.name}: {one} and {two} are told different things and measured alike in every "
                "row: one column was taken for both; name the other one"
            )
            yield Finding("joint", BAD, text, (view.log.name,), two)
