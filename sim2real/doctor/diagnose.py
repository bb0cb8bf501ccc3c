"""The log doctor: everything that is wrong with a folder of logs, and what it is like.

    diagnosis = diagnose(read_raw(folder), expected_of(World.load("so101")))
    diagnosis.verdict                      # "USABLE", or "BAD_DATA" if a finding is bad

Kinds of findings: *unreadable*, *missing numbers*, *shuffled stamps*, *duplicated stamps*, *gap*,
*jitter*, *clock skew*, *time unit*, *too short*, *motionless*, *degrees*, *sign*, *scale*,
*quantization*, *stuck sensor*, *stall*, *saturation*, *unexcited joint*, *two robots*, *copy*, *joint*,
*wrap*, *glitch*, *jump*, *echo*, *untold*, *begins in motion*, *zero*, *unlike*, *lost rows*,
*repeated rows*, *restart*; as a warning or a fact *velocity*; and as mere facts *rate*, *lag*,
*still joints*, *as read*. A log in a wrong unit is looked at in the unit that it seems to be in, one that
wraps without its jumps, one with glitches without them, so that one mistake is told once.

Not covered: whether the robot did what it should, and a clock that is late by a constant that no signal
shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from sim2real.doctor import commands, folder, glitches, rows, signals, stamps, units
from sim2real.doctor.copies import copies
from sim2real.doctor.expected import Expected
from sim2real.doctor.facts import Measured, as_read, facts, speeds
from sim2real.doctor.finding import BAD, SEVERITIES, WARNING, Diagnosis, Finding, scattered
from sim2real.doctor.following import DEGREE, following
from sim2real.doctor.lags import command_lag
from sim2real.doctor.view import View, view_of
from sim2real.errors import RecordingError
from sim2real.recordings.raw import RawLog
from sim2real.recordings.wrap import unwrapped

_ZEROS = ("sign", "scale", "zero", "unlike")
"""Findings that explain why a joint stands elsewhere."""
_SPEEDS = (
    "degrees", "time unit", "jitter", "lost rows", "repeated rows", "stuck sensor", "saturation", "jump",
)  # fmt: skip
"""Findings that explain why a velocity is not that of its position."""


def diagnose(logs: Sequence[RawLog], expected: Expected | None = None) -> Diagnosis:
    """Look at logs of one robot.

    Args:
        logs: as `sim2real.recordings.read_raw` found them; `sim2real.recordings.raw.raw_of` makes one
            of a recording.
        expected: what a world expects of them (`expected_of`); without one nothing is said of ranges.

    Raises:
        RecordingError: for no logs at all.
    """
    if not logs:
        raise RecordingError("there are no logs to look at; read_raw(folder) reads them")
    # A broken log may hold any number; what comes of 1e300 squared is no reason to say nothing of the rest.
    with np.errstate(all="ignore"):
        return _diagnosis(logs, expected or Expected())


def _diagnosis(logs: Sequence[RawLog], expected: Expected) -> Diagnosis:
    findings: list[Finding] = []
    measured: list[Measured] = []
    for log in logs:
        findings += _log(log)
        findings += glitches.turns(log)
        whole = unwrapped(log)
        off = glitches.glitches(whole)
        findings += glitches.findings(log, off)
        view = view_of(glitches.without(whole, off), expected)
        if view is not None:
            found, looked_at = _view(dataclasses.replace(view, log=log), expected)
            findings += found
            measured.append(looked_at)
    findings += _together(logs, measured, expected, findings)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(tuple(logs), tuple(findings), tuple(m.view for m in measured), expected.world)


def _log(log: RawLog) -> Iterator[Finding]:
    """What is said of a log as it is."""
    if log.damage:
        more = f" ({len(log.damage)} such places)" if len(log.damage) > 1 else ""
        rows = np.array(sorted({row for damage in log.damage for row in damage.rows}), dtype=np.intp)
        text = f"{log.damage[0].text}{more}"
        yield Finding("unreadable", BAD, text, (log.name,), rows=scattered(log.name, rows))
    elif log.joints and (len(log.time) < 4 or len(log.command_time) < 2):
        count, commands = len(log.time), len(log.command_time)
        what = f"{count} rows" if count < 4 else f"{commands} command{'s' * (commands != 1)}"
        text = f"{log.name}: it has {what}; record for longer or leave it out"
        yield Finding("too short", BAD, text, (log.name,))
    yield from stamps.order(log)
    yield from signals.lost_numbers(log)
    yield from signals.pinned_effort(log)


def _view(view: View, expected: Expected) -> tuple[list[Finding], Measured]:
    """What is said of a log's sound rows, in seconds and rad."""
    findings = []
    ratio, _ = units.velocity_ratio(view)
    factor, wrong = stamps.clock_unit(view, ratio)
    if wrong is not None:
        findings.append(wrong)
        view = dataclasses.replace(view, time=view.time * factor)
        ratio, _ = units.velocity_ratio(view)
    findings += stamps.skew(view)
    foreign, degrees = units.degrees(view, expected, ratio)
    if degrees is not None:
        findings.append(degrees)
        view = _in_radians(view, foreign)
    ratio, late = units.velocity_ratio(view)
    scaled = [*units.foreign(view, expected), *following(view, expected)]
    findings += scaled
    findings += stamps.evenness(view.log, factor)
    findings += stamps.short(view, expected.latency_window)
    findings += signals.motionless(view)
    findings += units.coarse(view)
    findings += rows.lost_rows(view)
    findings += rows.repeated_rows(view)
    if not any(finding.severity == BAD for finding in scaled):
        findings += signals.not_following(view, expected)
    if not foreign:
        findings += signals.beyond_range(view, expected)
    if any(finding.kind == "stuck sensor" for finding in findings):
        findings = [finding for finding in findings if finding.kind != "unlike"]
    else:
        findings += signals.flat_ends(view)
    lag = command_lag(view)
    stuck = [rows for finding in findings if finding.kind == "stuck sensor" for rows in finding.rows]
    findings += commands.jumps(view, lag, stuck)
    findings += commands.untold(view, expected)
    findings += commands.begins_in_motion(view, expected)
    findings += commands.doubles(view)
    return findings, Measured(view, lag, ratio, late)


def _in_radians(view: View, joints: list[int]) -> View:
    """The view with some joints taken from degrees; a command already in rad stays."""
    position, command = view.position.copy(), view.command.copy()
    velocity = None if view.velocity is None else view.velocity.copy()
    step = view.step.copy()
    for j in joints:
        size = float(np.abs(position[:, j]).max())
        position[:, j] *= DEGREE
        step[j] *= DEGREE
        if float(np.abs(command[:, j]).max()) > 0.1 * size:
            command[:, j] *= DEGREE
        if velocity is not None:
            velocity[:, j] *= DEGREE
    return dataclasses.replace(view, position=position, command=command, velocity=velocity, step=step)


def _together(
    logs: Sequence[RawLog], measured: Sequence[Measured], expected: Expected, found: Sequence[Finding]
) -> Iterator[Finding]:
    """What is said of all logs; but not of the zeros and speeds of those of which more is said already."""
    views = [m.view for m in measured]
    turned = {name for f in found if f.kind in _ZEROS and f.severity == BAD for name in f.recordings}
    spared = {name for f in found if f.kind in _SPEEDS for name in f.recordings}
    yield from as_read(logs)
    yield from folder.joint_names(logs)
    yield from folder.robot_names(logs)
    yield from _unknown_joints(logs, expected)
    yield from folder.encoders(views)
    yield from folder.zeros([view for view in views if view.log.name not in turned])
    yield from folder.unexcited(views)
    yield from commands.echoes(views)
    yield from copies(views)
    yield from folder.lag_outliers(views, [m.lag for m in measured])
    yield from speeds(measured, spared)
    yield from facts(measured)


def _unknown_joints(logs: Sequence[RawLog], expected: Expected) -> Iterator[Finding]:
    """Columns that are for no joint of the world, and joints of the world that no column is for."""
    if not expected.limits:
        return
    for joints in dict.fromkeys(log.joints for log in logs if log.joints):
        names = tuple(log.name for log in logs if log.joints == joints)
        unknown = [joint for joint in joints if not expected.knows(joint)]
        missing = expected.missing(joints)
        if unknown:
            text = (
                f"{expected.world} has no joint for {', '.join(unknown)}; name it in [recordings.joints] of "
                f"its physics.toml (known: {', '.join([*expected.table, *expected.limits])})"
            )
            yield Finding("joint", BAD, text, names, unknown[0])
        if missing:
            joints_lost = ", ".join(missing)
            text = f"no column is for {joints_lost} of {expected.world}; every driven joint is needed"
            yield Finding("joint", BAD if not unknown else WARNING, text, names)
