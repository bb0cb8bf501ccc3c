"""Motions that a robot could play to show more of itself: multisines, steps, slow sweeps, held poses.

Of a robot of servos the commands are poses: smooth, within the joints' and the commands' ranges, no faster
than given. Of any other they are forces or voltages of many strengths; what they do is for a simulation to
say. Multisines after Schroeder (1970) and Swevers et al. (1997): many frequencies, small peaks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.space import FloatArray
from sim2real.replay.envelope import CommandLimits

_RATES = {"slow": (0.08, 0.3), "mid": (0.2, 1.0), "fast": (0.5, 3.0)}  # Hz
_SINES = 5
_STRENGTHS = (0.05, 0.15, 0.4, 0.9)
_HOLDS, _PUSHES = (1.0, 3.0), (0.15, 0.5)  # s
_WAY = 0.5  # share of the time from one pose to the next
_APPROACH = 1.5  # s of the way to where a motion begins
_PEAK = 1.875  # speed of a minimum-jerk way over its mean
_CALM = 0.95  # share of the allowed speed that is used


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
    if limits.servos:
        alone = [[f] for f in focus if count > 1]
        for moved, who in (([*range(count)], "all joints"), *((one, "one joint") for one in alone)):
            still = np.isin(np.arange(count), moved, invert=True)
            for kind, unit in _signals(time, rng, count, servos=True):
                yield f"{kind}, of {who}", _course(time, limits, unit, still, rng)
        return
    end = float(time[-1])
    fade = np.minimum(1.0, np.minimum(time, end - time) / 0.3)[:, None]
    middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
    signals = [*_signals(time, rng, count, servos=False)]
    for strength in _STRENGTHS:
        for kind, unit in signals:
            yield (
                f"{kind}, {100 * strength:.0f} % of the commands' range",
                middle + strength * half * fade * unit,
            )


def _signals(
    time: FloatArray, rng: np.random.Generator, count: int, servos: bool
) -> Iterator[tuple[str, FloatArray]]:
    """In words, and within ±1, shape (n, count): multisines, steps, and a sweep.

    Poses are held and gone to smoothly. Pushes are taken back, and forces are cosines, so that what they move
    stays where it is.
    """
    for name, (low, high) in _RATES.items():
        rates = np.exp(rng.uniform(np.log(low), np.log(high), (_SINES, count)))
        phases = rng.uniform(0, 2 * np.pi, rates.shape) if servos else rng.choice([0.0, np.pi], rates.shape)
        waves = np.cos(2 * np.pi * rates * time[:, None, None] + phases).sum(axis=1)
        yield f"multisine, {name}", waves / np.abs(waves).max(axis=0)
    end = float(time[-1])
    for seconds in _HOLDS if servos else _PUSHES:
        number, steps = (time / seconds).astype(int), 2 * int(end / seconds / 2) + 4
        if servos:
            poses = rng.uniform(-1, 1, (steps, count))
            way = _smooth((time / seconds - number) / _WAY)[:, None]
            yield f"poses held for {seconds:g} s", poses[number] + way * (poses[number + 1] - poses[number])
        else:
            signs = np.repeat(rng.choice([-1.0, 1.0], (steps // 2, count)), 2, axis=0)
            signs[1::2] *= -1
            yield f"pushes of {seconds:g} s", signs[number]
    if servos:
        phase = time[:, None] / rng.uniform(5.0, 9.0, count) + rng.uniform(0, 1, count)
        yield "slow sweep", 1 - 4 * np.abs(phase % 1 - 0.5)
        return
    from scipy.signal import chirp  # a second of imports, for forces alone

    factors = (1 + 0.2 * np.arange(count)).tolist()  # joint after joint a little faster
    sweeps = [chirp(time, 0.2 * f, end, 5.0 * f, "logarithmic") for f in factors]
    yield "sweep of frequencies", np.stack(sweeps, axis=1)


def _course(
    time: FloatArray,
    limits: CommandLimits,
    unit: FloatArray,
    still: NDArray[np.bool_],
    rng: np.random.Generator,
) -> FloatArray:
    """A course within ±1 as poses, as wide as the range and the speed allow, anywhere in the range.

    Joints that are still are anywhere in it. It begins near enough to the start that the way there, in at
    most half of the time, is no faster.
    """
    steepest = np.abs(np.gradient(unit, time, axis=0)).max(axis=0)
    half = (limits.high - limits.low) / 2
    share = np.where(still, 0.0, np.minimum(1.0, _CALM * limits.speed / np.maximum(steepest * half, 1e-9)))
    middle = (limits.low + limits.high) / 2 + rng.uniform(-1, 1, len(share)) * (1 - share) * half
    course = middle + half * share * unit
    most, away = float(time[len(time) // 2]), course[0] - limits.start
    reach = _CALM * limits.speed * most / _PEAK
    course = np.clip(course + np.clip(away, -reach, reach) - away, limits.low, limits.high)
    far = np.abs(course[0] - limits.start) / np.maximum(limits.speed, 1e-9)
    seconds = min(max(_APPROACH, float(far.max()) * _PEAK), most)
    rows = int(np.searchsorted(time, seconds))
    late = np.vstack([np.repeat(course[:1], rows, axis=0), course[: len(time) - rows]])
    return np.asarray(limits.start + (late - limits.start) * _smooth(time / seconds)[:, None])


def _smooth(share: FloatArray) -> FloatArray:
    """Minimum jerk (Flash and Hogan 1985) from 0 to 1."""
    s = np.clip(share, 0.0, 1.0)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))
