"""Motions that a robot could play to show more of itself: multisines, steps, slow sweeps, held poses.

Of a robot of servos the commands are poses: smooth, within the joints' and the commands' ranges, no faster
than given. Of any other they are forces or voltages of many strengths; what they do is for a simulation to
say. Multisines after Schroeder (1970) and Swevers et al. (1997): many frequencies, small peaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.space import FloatArray

MARGIN = 0.05
"""Share of every range that is left at either end."""

STRIDE = 0.1
"""Seconds over which a joint must move to be moving."""

_RATES = {"slow": (0.08, 0.3), "mid": (0.2, 1.0), "fast": (0.5, 3.0)}  # Hz
_SINES = 5
_STRENGTHS = (0.05, 0.15, 0.4, 0.9)
_APPROACH = 1.5  # s of the way to where a motion begins
_PEAK = 1.875  # speed of a minimum-jerk way over its mean
_CALM = 0.95  # share of the allowed speed that is used


@dataclass(frozen=True, eq=False)
class CommandLimits:
    """What commands may do."""

    low: FloatArray
    """Least command of each actuator. Shape (nu,)."""
    high: FloatArray
    speed: FloatArray
    """Most that a command of a servo changes, rad/s or m/s. Shape (nu,)."""
    start: FloatArray
    """First command. Shape (nu,)."""
    servos: bool


def speeds(time: FloatArray, positions: FloatArray) -> FloatArray:
    """Of joints over a tenth of a second, so that noise is none, rad/s or m/s. Shape (n, k)."""
    later = [np.interp(time + STRIDE, time, column) for column in positions.T]
    return np.asarray(np.abs(np.stack(later, axis=1) - positions) / STRIDE)


def candidates(
    time: FloatArray, limits: CommandLimits, focus: list[int], seed: int = 0
) -> Iterator[tuple[str, FloatArray]]:
    """Different ways to move: each in words, and its commands, shape (n, nu).

    Args:
        time: stamps from 0 on, s. Shape (n,).
        limits: what commands may do.
        focus: actuators that are moved alone as well.
        seed: of phases and poses.
    """
    rng, count = np.random.default_rng(seed), len(limits.low)
    if not limits.servos:
        yield from _forces(time, limits, rng)
        return
    alone = [[f] for f in focus if count > 1]
    for moved, who in (([*range(count)], "all joints"), *((one, "one joint") for one in alone)):
        still = np.isin(np.arange(count), moved, invert=True)
        for name in _RATES:
            course = _course(limits, time, _multisine(time, name, rng, count), still, rng)
            yield f"multisine of {who}, {name}", _reached(time, limits, course)
        for seconds in (1.0, 3.0):
            poses = _placed(limits, rng.uniform(-1, 1, (int(time[-1] / seconds) + 1, count)), still, rng)
            yield f"poses of {who} held for {seconds:g} s", _walk(time, limits, poses)
        phase = time[:, None] / rng.uniform(5.0, 9.0, count) + rng.uniform(0, 1, count)
        course = _course(limits, time, 1 - 4 * np.abs(phase % 1 - 0.5), still, rng)
        yield f"slow sweeps of {who}", _reached(time, limits, course)


def _forces(
    time: FloatArray, limits: CommandLimits, rng: np.random.Generator
) -> Iterator[tuple[str, FloatArray]]:
    """Forces that push to and fro about the middle, of several strengths."""
    from scipy.signal import chirp  # a second of imports, for forces alone

    count, end = len(limits.low), float(time[-1])
    fade = np.minimum(1.0, np.minimum(time, end - time) / 0.3)[:, None]
    signals = {f"multisine, {name}": _multisine(time, name, rng, count, free=False) for name in _RATES}
    for seconds in (0.15, 0.5):
        signs = np.repeat(rng.choice([-1.0, 1.0], (int(end / seconds) // 2 + 2, count)), 2, axis=0)
        signs[1::2] *= -1  # each push is taken back
        signals[f"pushes of {seconds:g} s"] = signs[(time / seconds).astype(int)]
    factors = (1 + 0.2 * np.arange(count)).tolist()  # joint after joint a little faster
    sweeps = [chirp(time, 0.2 * f, end, 5.0 * f, "logarithmic") for f in factors]
    signals["sweep of frequencies"] = np.stack(sweeps, axis=1)
    middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
    for strength in _STRENGTHS:
        for name, unit in signals.items():
            kind = f"{name}, {100 * strength:.0f} % of the commands' range"
            yield kind, middle + strength * half * fade * unit


def _multisine(
    time: FloatArray, name: str, rng: np.random.Generator, count: int, free: bool = True
) -> FloatArray:
    """Sines of random frequencies within ±1; not free, in cosines whose double integral stays bounded."""
    low, high = _RATES[name]
    rates = np.exp(rng.uniform(np.log(low), np.log(high), (_SINES, count)))
    phases = rng.uniform(0, 2 * np.pi, rates.shape) if free else rng.choice([0.0, np.pi], rates.shape)
    waves = np.cos(2 * np.pi * rates * time[:, None, None] + phases).sum(axis=1)
    return np.asarray(waves / np.abs(waves).max(axis=0))


def _placed(
    limits: CommandLimits, unit: FloatArray, still: NDArray[np.bool_], rng: np.random.Generator
) -> FloatArray:
    """Poses within ±1 as poses in the range; joints that are still somewhere in it."""
    unit[:, still] = rng.uniform(-1, 1, len(still))[still]
    return np.asarray((limits.low + limits.high + (limits.high - limits.low) * unit) / 2)


def _course(
    limits: CommandLimits,
    time: FloatArray,
    unit: FloatArray,
    still: NDArray[np.bool_],
    rng: np.random.Generator,
) -> FloatArray:
    """A course within ±1 as poses: as wide as the range and the speed allow, anywhere in the range."""
    steepest = np.abs(np.gradient(unit, time, axis=0)).max(axis=0)
    half = (limits.high - limits.low) / 2
    share = np.minimum(1.0, _CALM * limits.speed / np.maximum(steepest * half, 1e-9))
    return _placed(limits, rng.uniform(-1, 1, len(share)) * (1 - share) + share * unit, still, rng)


def _walk(time: FloatArray, limits: CommandLimits, poses: FloatArray) -> FloatArray:
    """From pose to pose on minimum-jerk ways; those that are too far for the speed are cut short."""
    seconds = float(time[-1]) / len(poses)
    way = 0.5 * seconds
    longest = _CALM * limits.speed * way / _PEAK
    at, course = limits.start, np.empty((len(time), len(limits.start)))
    for number, pose in enumerate(poses):
        goal = at + np.clip(pose - at, -longest, longest)
        rows = time >= number * seconds
        course[rows] = at + (goal - at) * _smooth((time[rows] - number * seconds) / way)[:, None]
        at = goal
    return course


def _reached(time: FloatArray, limits: CommandLimits, course: FloatArray) -> FloatArray:
    """The course, gone over into from the start, slowly enough that both speeds together are allowed."""
    far = np.abs(course[0] - limits.start) / np.maximum(limits.speed, 1e-9)
    seconds = max(_APPROACH, float(far.max()) * _PEAK)
    rows = min(int(np.searchsorted(time, seconds)), len(time) // 2)
    late = np.vstack([np.repeat(course[:1], rows, axis=0), course[: len(time) - rows]])
    blend = _smooth(time / min(seconds, float(time[len(time) // 2])))[:, None]
    return np.asarray(limits.start + (late - limits.start) * blend)


def _smooth(share: FloatArray) -> FloatArray:
    """Minimum jerk (Flash and Hogan 1985) from 0 to 1."""
    s = np.clip(share, 0.0, 1.0)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))
