"""Motions that a robot could play to show more of itself: multisines, steps, slow sweeps, held poses.

Of a robot of servos the commands are poses: smooth, within the joints' and the commands' ranges, no faster
than given. Of any other they are forces or voltages of many strengths; what they do is for a simulation to
say. Multisines after Schroeder (1970) and Swevers et al. (1997): many frequencies, small peaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim2real.identify.space import FloatArray

MARGIN = 0.05
"""Share of every range that is left at either end."""

_RATES = {"slow": (0.08, 0.3), "mid": (0.2, 1.0), "fast": (0.5, 3.0)}  # Hz
_SINES = 5
_STRENGTHS = (0.05, 0.15, 0.4, 0.9)
_APPROACH = 1.5  # s of the way to where a motion begins
_PEAK = 1.875  # speed of a minimum-jerk way over its mean


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


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to move."""

    kind: str
    """In words."""
    values: FloatArray
    """Shape (n, nu)."""


def candidates(
    time: FloatArray, limits: CommandLimits, focus: list[int], seed: int = 0
) -> Iterator[Candidate]:
    """Different ways to move.

    Args:
        time: stamps from 0 on, s. Shape (n,).
        limits: what commands may do.
        focus: actuators that are moved alone as well.
        seed: of phases and poses.
    """
    rng = np.random.default_rng(seed)
    if not limits.servos:
        yield from _forces(time, limits, rng)
        return
    everything = list(range(len(limits.low)))
    for moved in (everything, *([f] for f in focus if len(everything) > 1)):
        who = "all joints" if moved == everything else "one joint"
        for name in _RATES:
            unit = _multisine(time, name, rng, len(limits.low))
            yield Candidate(f"multisine of {who}, {name}", _poses(time, limits, moved, unit, rng))
        for seconds in (1.0, 3.0):
            unit = _steps(time, seconds, rng, len(limits.low))
            yield Candidate(f"poses of {who} held for {seconds:g} s", _walk(time, limits, moved, unit, rng))
        unit = _triangle(time, rng, len(limits.low))
        yield Candidate(f"slow sweeps of {who}", _poses(time, limits, moved, unit, rng))


def _forces(time: FloatArray, limits: CommandLimits, rng: np.random.Generator) -> Iterator[Candidate]:
    """Forces that push to and fro about the middle, of several strengths."""
    middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
    fade = np.minimum(1.0, np.minimum(time, time[-1] - time) / 0.3)[:, None]
    signals = {f"multisine, {name}": _multisine(time, name, rng, len(half), free=False) for name in _RATES}
    for seconds in (0.15, 0.5):
        signs = np.repeat(rng.choice([-1.0, 1.0], (int(time[-1] / seconds) // 2 + 2, len(half))), 2, axis=0)
        signs[1::2] *= -1  # each push is taken back
        signals[f"pushes of {seconds:g} s"] = signs[(time / seconds).astype(int)]
    signals["sweep of frequencies"] = _chirp(time, len(half))
    for strength in _STRENGTHS:
        for name, unit in signals.items():
            kind = f"{name}, {100 * strength:.0f} % of the commands' range"
            yield Candidate(kind, middle + strength * half * fade * unit)


def _multisine(
    time: FloatArray, name: str, rng: np.random.Generator, count: int, free: bool = True
) -> FloatArray:
    """Sines of random frequencies within ±1; not free, in cosines whose double integral stays bounded."""
    low, high = _RATES[name]
    rates = np.exp(rng.uniform(np.log(low), np.log(high), (_SINES, count)))
    phases = rng.uniform(0, 2 * np.pi, rates.shape) if free else rng.choice([0.0, np.pi], rates.shape)
    waves = np.cos(2 * np.pi * rates * time[:, None, None] + phases).sum(axis=1)
    return np.asarray(waves / np.abs(waves).max(axis=0))


def _steps(time: FloatArray, seconds: float, rng: np.random.Generator, count: int) -> FloatArray:
    """Random poses within ±1, one row a stretch of time."""
    return rng.uniform(-1, 1, (int(time[-1] / seconds) + 1, count))


def _triangle(time: FloatArray, rng: np.random.Generator, count: int) -> FloatArray:
    periods = rng.uniform(5.0, 9.0, count)
    phase = (time[:, None] / periods + rng.uniform(0, 1, count)) % 1.0
    return np.asarray(4 * np.abs(phase - 0.5) - 1)


def _chirp(time: FloatArray, count: int) -> FloatArray:
    """From 0.2 to 5 Hz, joint after joint a little faster."""
    factor = 1 + 0.2 * np.arange(count)
    low, high = 0.2 * factor, 5.0 * factor
    end = time[-1]
    phase = 2 * np.pi * low * end / np.log(high / low) * ((high / low) ** (time[:, None] / end) - 1)
    return np.asarray(np.cos(phase))


def _poses(
    time: FloatArray, limits: CommandLimits, moved: list[int], unit: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """A course within ±1 as poses: as wide as the range and the speed allow, reached from the start."""
    middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
    steepest = np.abs(np.gradient(unit, time, axis=0)).max(axis=0)
    size = np.minimum(half, 0.95 * limits.speed / np.maximum(steepest, 1e-9))
    # a narrow course may lie anywhere in the range
    centre = middle + rng.uniform(-1, 1, len(middle)) * (half - size)
    course = centre + size * unit
    still = [k for k in range(len(middle)) if k not in moved]
    course[:, still] = (middle + rng.uniform(-1, 1, len(middle)) * half)[still]
    return _reached(time, limits, course)


def _walk(
    time: FloatArray, limits: CommandLimits, moved: list[int], poses: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """From pose to pose on minimum-jerk ways; those that are too far for the speed are cut short."""
    middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
    targets = middle + half * poses
    still = [k for k in range(len(middle)) if k not in moved]
    targets[:, still] = (middle + rng.uniform(-1, 1, len(middle)) * half)[still]
    seconds = time[-1] / len(targets)
    way = 0.5 * seconds
    longest = 0.95 * limits.speed * way / _PEAK
    at = limits.start.copy()
    course = np.empty((len(time), len(at)))
    for number, target in enumerate(targets):
        goal = at + np.clip(target - at, -longest, longest)
        rows = (time >= number * seconds) & ((time < (number + 1) * seconds) | (number == len(targets) - 1))
        course[rows] = at + (goal - at) * _smooth((time[rows] - number * seconds) / way)[:, None]
        at = goal
    return course


def _reached(time: FloatArray, limits: CommandLimits, course: FloatArray) -> FloatArray:
    """The course, gone over into from the start, slowly enough that both speeds together are allowed."""
    far = np.abs(course[0] - limits.start) / np.maximum(limits.speed, 1e-9)
    seconds = max(_APPROACH, float(far.max()) * _PEAK)
    rows = int(np.searchsorted(time, seconds))
    if rows >= len(time) // 2:
        rows = len(time) // 2
        seconds = float(time[rows])
    late = np.vstack([np.repeat(course[:1], rows, axis=0), course[: len(time) - rows]])
    blend = _smooth(time / seconds)[:, None]
    return np.asarray(limits.start + (late - limits.start) * blend)


def _smooth(share: FloatArray) -> FloatArray:
    """Minimum jerk (Flash and Hogan 1985) from 0 to 1."""
    s = np.clip(share, 0.0, 1.0)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))
