"""Findings on units: degrees, other scales, turned signs, steps of the encoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim2real.doctor.expected import Expected
from sim2real.doctor.finding import BAD, WARNING, Finding, rows_of, stretches
from sim2real.doctor.following import CLOSE, DEGREE
from sim2real.doctor.view import View
from sim2real.recordings.recording import FloatArray
from sim2real.recordings.units import unit_named

_FAR = 4 * np.pi  # two turns; no position servo is sent further in rad
_ALIKE = 0.5  # least correlation of two signals that are one
_SURE = 0.8  # of two that are each other's opposite


def velocity_ratio(view: View) -> tuple[FloatArray, FloatArray]:
    """Reported velocity over differentiated position, and by how many seconds it comes later.

    Returns:
        tuple: two arrays of shape (k,); the ratio is below 0 for a turned sign, and NaN for a joint that does
            not move or whose signals don't match.
    """
    count = view.position.shape[1]
    ratio, late = np.full(count, np.nan), np.full(count, np.nan)
    if view.velocity is None or len(view.time) < 20:
        return ratio, late
    slope = np.asfortranarray(np.gradient(view.position, view.time, axis=0))
    velocity = np.asfortranarray(view.velocity)
    reach = min(view.width(0.1), 50, len(view.time) // 4)
    for j in np.flatnonzero(view.moves):
        found = [_fit(slope[:, j], velocity[:, j], shift) for shift in range(-reach, reach + 1)]
        alike = [alike for alike, _ in found]
        best = int(np.argmax(alike))
        if alike[best] < _ALIKE and min(alike) < -_SURE:
            best = int(np.argmin(alike))
        if abs(alike[best]) > _ALIKE:
            ratio[j] = found[best][1]
            late[j] = (best - reach) * view.period
    return ratio, late


def degrees(view: View, expected: Expected, ratio: FloatArray) -> tuple[list[int], Finding | None]:
    """Joints whose positions are not in rad, by index, and one finding on all of them."""
    reasons = {
        j: said
        for j in range(len(view.log.joints))
        if (said := _not_radians(view, j, expected, float(ratio[j])))
    }
    if not reasons:
        return [], None
    first, said = next(iter(reasons.items()))
    name, names = view.log.name, [view.log.joints[j] for j in reasons]
    also = f" ({', '.join(names)} alike)" if len(names) > 1 else ""
    text = f'{name}: {names[0]} {said}{also}; convert it to rad (unit = "deg" in a mapping file)'
    far = np.abs(view.position[:, first]) > np.pi
    top = float(np.abs(view.position[:, first]).max())
    joint = names[0] if len(names) == 1 else ""
    return list(reasons), Finding(
        "degrees", BAD, text, (name,), joint, rows_of(view, stretches(far, 2)[:5]), top
    )


def coarse(view: View) -> Iterator[Finding]:
    """Joints that move over few steps of their encoder."""
    for j in np.flatnonzero(view.commanded & np.isfinite(view.step)):
        span = float(np.ptp(view.position[:, j]))
        if view.step[j] < span < 10 * view.step[j]:
            text = (
                f"{view.log.name}: {view.log.joints[j]} moves over {span / view.step[j]:.0f} steps of its "
                "encoder; a larger motion would tell more"
            )
            yield Finding("quantization", WARNING, text, (view.log.name,), view.log.joints[j])


def foreign(view: View, expected: Expected) -> Iterator[Finding]:
    """Joints that are in another unit by their own account, which nothing brings to rad or m."""
    for joint, unit in zip(view.log.joints, view.log.units, strict=False):
        said = unit_named(unit)
        unknown = unit and not said and expected.world  # without a world nobody could have said what it is
        if (unknown or said not in ("", "rad", "m", "deg")) and not expected.rescales(joint):
            text = (
                f"{view.log.name}: {joint} is in {unit} by its own account, and nothing says how much that "
                "is in rad or m; give it a scale, in a mapping file or in [recordings.joints] of the world's "
                "physics.toml"
            )
            yield Finding("scale", BAD, text, (view.log.name,), joint)
        target = expected.joint(joint)
        meant = "m" if target in expected.slides else "rad"
        if target and said and (said == "m") != (meant == "m") and not expected.rescales(joint):
            text = (
                f"{view.log.name}: {joint} is in {unit} by its own account, and is in {meant} in "
                f"{expected.world}; is it another joint, or does it want a scale in [recordings.joints]?"
            )
            yield Finding("scale", BAD, text, (view.log.name,), joint)


def step_name(step: float) -> str:
    """What a step of an encoder is, if it is a round part of something."""
    if not np.isfinite(step):
        return ""
    for whole, name in ((2 * np.pi, "2π"), (360.0, "360°")):
        ticks = np.log2(whole / step)
        if abs(ticks - round(ticks)) < 0.003 and 6 <= ticks <= 24:
            return f"{name}/{2 ** round(ticks)}, a tick of {round(ticks)} bits"
    parts = 1 / step
    if 10 < parts < 1e5 and abs(parts - round(parts)) < 0.05:
        return f"1/{round(parts)}"
    return ""


def _not_radians(view: View, j: int, expected: Expected, ratio: float) -> str:
    """Why a joint's numbers are no rad; empty if nothing speaks against it."""
    stated = view.log.units[j] if view.log.units else ""
    if stated and unit_named(stated) != "rad":
        own = unit_named(stated) == "deg" and not expected.rescales(view.log.joints[j])
        return f"is in {stated} by its own account" if own else ""
    top = float(np.abs(view.position[:, j]).max())
    if np.isfinite(view.step[j]) and "°" in step_name(float(view.step[j])):
        return f"moves in steps of {view.step[j]:.4g}, which is {step_name(float(view.step[j]))}: degrees"
    if np.isfinite(ratio) and ratio > 0:
        if abs(np.log(ratio / DEGREE)) < CLOSE:
            return "has velocities that are 0.01745 of its differentiated position: degrees beside rad/s"
        if abs(np.log(ratio * DEGREE)) < CLOSE:
            return "has velocities that are 57.3 times its differentiated position: rad beside degrees/s"
    low, high = expected.limits.get(expected.joint(view.log.joints[j]), (-np.inf, np.inf))
    within = np.isfinite(low) and np.abs([low, high]).max() < top / 3
    if within or min(top, float(np.abs(view.command[:, j]).max())) > _FAR:
        end = f", where {expected.world} ends at {max(abs(low), abs(high)):.2f} rad" if within else ""
        return f"reaches {top:.4g}{end}: degrees ({top * DEGREE:.2f} rad), or LeRobot's -100..100"
    return ""


def _fit(slope: FloatArray, reported: FloatArray, shift: int) -> tuple[float, float]:
    """Correlation and ratio, the report moved ``shift`` rows earlier."""
    a = slope[max(0, -shift) : len(slope) - max(0, shift)]
    b = reported[max(0, shift) : len(reported) - max(0, -shift)]
    norm = float(a @ a), float(b @ b)
    if not norm[0] or not norm[1]:
        return 0.0, np.nan
    return float(a @ b) / np.sqrt(norm[0] * norm[1]), float(a @ b) / norm[0]
