"""Findings on how a joint goes with its command: another sign, size, zero, column, a rate, or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from sim2real.doctor.expected import Expected
from sim2real.doctor.finding import BAD, WARNING, Finding
from sim2real.doctor.lags import correlations
from sim2real.doctor.view import View
from sim2real.recordings.recording import FloatArray

DEGREE = np.pi / 180
CLOSE = 0.12
"""How near a ratio must be to 180/π, relative."""
_ALIKE = 0.5  # least correlation of two signals that are one
_CROSSED = 0.9  # of a position with another joint's command, with its sum, or beside it
_FOLLOWS = 0.8  # of a position with its own command, if nothing but its size and zero is in question
_CLOSELY = 0.95  # if it does so but for a factor; a slow servo goes otherwise
_FARTHER, _IMPOSSIBLE = 1.5, 2.0  # times as far as it is told; no servo overshoots by so much throughout
_UNIT = 20.0  # times as far or less; a unit, whatever the command is
_COMMON = 0.05  # relative; sizes of several joints that one factor explains
_USUAL = (0.75, 1.25)  # sizes of servos that sag, stick or ring
_BESIDE, _NOT_THERE = 0.3, 1.0  # rad or m beside the command; no sag and no friction comes to so much
_CLEARLY = 0.05  # by how much more with the sum of its commands than with them
_AS_FAR = (0.7, 1.4)  # as that sum
_FAR = 0.12  # rad or m; dry friction and sag of small servos stay below

Follow = tuple[float, float]
"""Correlation of a position with its command, and the ratio of their sizes."""


def following(view: View, expected: Expected) -> Iterator[Finding]:
    """All of them. A doubt without a world, where a command may be a torque."""
    servos = expected.goals is not None
    joints = np.flatnonzero(view.moves & view.commanded & view.follows).tolist()
    found = {j: follow(view, j) for j in joints}
    crossed = _crossed(view, found)
    if crossed is not None:
        yield crossed
        return
    rates = _rates(view, found)
    if rates:
        yield _rate(view, rates)
    sizes = {j: size for j, (alike, size) in found.items() if alike > _FOLLOWS and j not in rates}
    yield from _signs(view, {j: alike for j, (alike, _) in found.items() if j not in rates})
    yield from _unlike(view, servos, [j for j in _astray(view, found) if j not in rates], joints)
    odd = list(_sizes(view, sizes, servos, all(alike > _CLOSELY for alike, _ in found.values())))
    yield from odd
    scaled = {finding.joint for finding in odd}
    sure = [j for j in sizes if found[j][0] > _CROSSED and not scaled & {"", view.log.joints[j]}]
    yield from _zeros(view, sure, servos)


def follow(view: View, j: int, leader: int | None = None) -> Follow:
    """Best correlation of a position with a command up to 0.5 s earlier, and the ratio of their sizes.

    The command is its own, or that of another joint.
    """
    leader = j if leader is None else leader
    reach = min(view.width(0.5), len(view.time) // 3)
    shifts = range(0, reach + 1, max(1, reach // 25))
    alike, size = correlations(view.command[:, leader], view.position[:, j], shifts)
    best = int(np.argmax(np.abs(alike)))
    return float(alike[best]), float(size[best]) if alike[best] else np.nan


def _crossed(view: View, found: Mapping[int, Follow]) -> Finding | None:
    """Joints each of which moves as another one of them is told, and not as it is told itself."""
    leaders = {j: max(found, key=lambda k: follow(view, j, k)[0]) for j in found if found[j][0] < _FOLLOWS}
    leaders = {j: leader for j, leader in leaders.items() if leader != j}
    sure = all(follow(view, j, leader)[0] > _CROSSED for j, leader in leaders.items())
    if not leaders or not sure or set(leaders.values()) != set(leaders):
        return None
    names = view.log.joints
    told = ", ".join(f"{names[j]} moves as {names[leader]} is told" for j, leader in leaders.items())
    text = f"{view.log.name}: columns of commands or positions are in another's place: {told}"
    return Finding("joint", BAD, f"{text}; name each column after its joint", (view.log.name,))


def _signs(view: View, alike: Mapping[int, float]) -> Iterator[Finding]:
    for j in (j for j in alike if alike[j] < -_FOLLOWS):
        joint, name = view.log.joints[j], view.log.name
        text = f"{name}: {joint} moves against its command (correlation {alike[j]:.2f}); turn one's sign"
        yield Finding("sign", BAD, text, (name,), joint, value=alike[j])


def _astray(view: View, found: Mapping[int, Follow]) -> list[int]:
    """Joints that move far, and are told to, and do one without the other."""
    summed = _summed(view)  # as which a slow servo goes
    apart = [j for j, (alike, _) in found.items() if max(abs(alike), abs(follow(summed, j)[0])) < _ALIKE]
    return [j for j in apart if min(_span(view.position[:, j]), _span(view.command[:, j])) > _FAR]


def _summed(view: View, every: bool = False) -> View:
    """The view with each command added up, row by row or times the seconds of each row."""
    period = np.ones(len(view.time)) if every else np.diff(view.time, prepend=view.time[0])
    return dataclasses.replace(view, command=np.cumsum(view.command * period[:, None], axis=0))


def _rates(view: View, found: Mapping[int, Follow]) -> list[int]:
    """All joints, if each goes as the sum of its commands, as far, and better than as the commands go.

    A servo that is slow goes about as that sum, too, but not as far.
    """
    for every in (False, True):
        summed = _summed(view, every)
        sums = {j: follow(summed, j) for j, (alike, _) in found.items()}
        far = [j for j, (alike, size) in sums.items() if alike > _CROSSED and _AS_FAR[0] < size < _AS_FAR[1]]
        if len(far) == len(found) and all(sums[j][0] > abs(found[j][0]) + _CLEARLY for j in far):
            return far
    return []


def _rate(view: View, joints: list[int]) -> Finding:
    name, names = view.log.name, ", ".join(view.log.joints[j] for j in joints)
    text = (
        f"{name}: {names} moves as the sum of its commands does: they are speeds or increments, not places; "
        "add them up, or record the positions that are sent"
    )
    return Finding("unlike", BAD, text, (name,), view.log.joints[joints[0]] if len(joints) == 1 else "")


def _unlike(view: View, servos: bool, astray: list[int], joints: list[int]) -> Iterator[Finding]:
    if astray:
        name, names = view.log.name, ", ".join(view.log.joints[j] for j in astray)
        text = (
            f"{name}: {names} moves otherwise than told (correlation below 0.5 at every delay up to 0.5 s): "
            "are these commands of another run or joint, or torques? Record the positions that are sent"
        )
        every = servos and len(astray) == len(joints)
        joint = view.log.joints[astray[0]] if len(astray) == 1 else ""
        yield Finding("unlike", BAD if every else WARNING, text, (name,), joint)


def _sizes(view: View, sizes: Mapping[int, float], servos: bool, closely: bool) -> Iterator[Finding]:
    """Joints that move farther than they are told, or much less, or all of them closely, but by a factor."""
    name = view.log.name
    alone = {j: size for j, size in sizes.items() if size > _FARTHER or size < 1 / _UNIT}
    for j, size in alone.items():
        joint = view.log.joints[j]
        unit = " (a degree is 0.01745 rad)" if abs(np.log(size) - np.log(DEGREE)) < CLOSE else ""
        text = f"{name}: {joint} moves {size:.3g} times as far as its command{unit}; bring both to one unit"
        severity = WARNING if _FARTHER < size <= (_IMPOSSIBLE if servos else _UNIT) else BAD
        yield Finding("scale", severity, text, (name,), joint, value=size)
    known = np.array(list(sizes.values()))
    if alone or len(known) < 2 or not closely:
        return
    middle = float(np.median(known))
    if np.abs(known / middle - 1).max() < _COMMON and not _USUAL[0] < middle < _USUAL[1]:
        text = (
            f"{name}: every joint moves {middle:.3g} times as far as its command: are commands or positions "
            "normalized? Bring both to one unit"
        )
        yield Finding("scale", WARNING, text, (name,), value=middle)


def _zeros(view: View, joints: list[int], servos: bool) -> Iterator[Finding]:
    """Joints that follow their command beside it throughout."""
    for j in joints:
        beside = float(np.median(view.position[:, j] - view.command[:, j]))
        if abs(beside) > _BESIDE:
            joint, name = view.log.joints[j], view.log.name
            quarters = round(beside / (np.pi / 2))
            about = f" ({quarters} quarters of a turn)" if abs(beside - quarters * np.pi / 2) < 0.1 else ""
            text = (
                f"{name}: {joint} follows its command {beside:+.3g} beside it throughout{about}: both "
                "count from different zeros; give an offset that brings them to one"
            )
            severity = BAD if servos and abs(beside) > _NOT_THERE else WARNING
            yield Finding("zero", severity, text, (name,), joint, value=beside)


def _span(values: FloatArray) -> float:
    return float(np.diff(np.percentile(values, [1, 99]))[0])
