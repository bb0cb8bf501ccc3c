"""Random numbers that belong to an episode, not to the order of events.

Every draw is a hash of (seed, episode, stream, index), a counter-based generator in the sense of Salmon et
al. 2011 ("Parallel random numbers: as easy as 1, 2, 3"), with SplitMix64's finalizer (Steele et al. 2014) as
the hash. So an episode starts the same whoever acts in it, on however many threads, and whatever happens to
its neighbours: common random numbers come for free. `StepDraws` does the same for every control step of an
episode, where sensors and actuators need their noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from numbers import Integral
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sim2real.errors import InvalidValue

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_DROPPED = np.uint64(11)  # a float64 holds 53 of the 64 bits
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

PHYSICS, START = 0, 1
"""Streams: what the physics is drawn from, and the start state."""


LARGEST_SEED = 2**32 - 1
"""That every library takes which learns from random numbers."""


def checked_seed(seed: object, largest: int | None = None) -> int:
    """A seed as a plain integer, whichever kind of whole number it is.

    Raises:
        InvalidValue: for anything but a whole number of at least 0, or one above ``largest``.
    """
    number = int(seed) if isinstance(seed, Integral) and not isinstance(seed, bool) else -1
    if number < 0 or (largest is not None and number > largest):
        most = "" if largest is None else f" and at most {largest}"
        raise InvalidValue(f"seed = {seed!r} must be a whole number of at least 0{most}")
    return number


def uniforms(seed: int, episodes: NDArray[np.int64], count: int, stream: int) -> NDArray[np.float64]:
    """Independent uniform numbers in [0, 1).

    Args:
        seed: of the whole run.
        episodes: one number per episode. Shape (n,).
        count: draws per episode.
        stream: keeps draws for different purposes apart.

    Returns:
        Shape (n, count).
    """
    return streams(seed, episodes, ((stream, count),))


def streams(
    seed: int, episodes: NDArray[np.int64], counts: tuple[tuple[int, int], ...]
) -> NDArray[np.float64]:
    """What `uniforms` gives for several streams, side by side; cheaper than one by one.

    Args:
        seed: of the whole run.
        episodes: one number per episode. Shape (n,).
        counts: streams, each with its draws per episode.

    Returns:
        Shape (n, all counts together).
    """
    keys, columns = _layout(seed, counts)
    rows = _mix(episodes.astype(np.uint64)[:, None] * _GOLDEN + keys)
    rows += columns
    return (_mix(rows) >> _DROPPED).astype(np.float64) * 2.0**-53


@lru_cache(maxsize=64)
def _layout(seed: int, counts: tuple[tuple[int, int], ...]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Key of each column's stream, and the column's place in it."""
    starts = [(seed + (stream + 1) * int(_FACTORS[1])) % 2**64 for stream, _ in counts]
    keys = _mix(np.array(starts, dtype=np.uint64))
    places = [np.arange(1, count + 1, dtype=np.uint64) for _, count in counts]
    return np.repeat(keys, [count for _, count in counts]), np.concatenate(places) * _GOLDEN


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer, in place; arithmetic of arrays is modulo 2^64, as it wants."""
    x ^= x >> _SHIFTS[0]
    x *= _FACTORS[0]
    x ^= x >> _SHIFTS[1]
    x *= _FACTORS[1]
    x ^= x >> _SHIFTS[2]
    return x


class Ahead:
    """What rows of an env begin their next episodes with, made for many rows at once.

    Few rows end at a time, and for few rows it is the calls that cost. What an episode begins with depends
    on its number alone, so it is the same whenever it is made.
    """

    def __init__(self, num_envs: int) -> None:
        """Nothing is made yet."""
        self._episodes = np.full(num_envs, -1, dtype=np.int64)
        self._made: tuple[NDArray[np.float64], ...] = ()

    def forget(self) -> None:
        """Make everything anew, for another seed or domain."""
        self._episodes[:], self._made = -1, ()

    def take(
        self,
        ids: NDArray[np.intp],
        episodes: NDArray[np.int64],
        make: Callable[[NDArray[np.int64]], tuple[NDArray[np.float64], ...]],
    ) -> tuple[NDArray[np.float64], ...]:
        """What some rows begin with.

        Args:
            ids: of the rows.
            episodes: the number of every row's episode; the next one's is higher by the number of rows.
            make: gives arrays for some episodes, a row for each.
        """
        if np.count_nonzero(self._episodes[ids] != episodes[ids]):
            wanted = episodes + len(episodes)
            wanted[ids] = episodes[ids]
            rows = np.flatnonzero(self._episodes != wanted)
            if not self._made:
                rows = ids  # what only runs once is not made ahead
            made = make(wanted[rows])
            self._made = self._made or tuple(np.empty((len(episodes), part.shape[1])) for part in made)
            for whole, part in zip(self._made, made, strict=True):
                whole[rows] = part
            self._episodes[rows] = wanted[rows]
        return tuple(part[ids] for part in self._made)


_LEVELS = 1 << 16
_WORDS = 4  # numbers of 16 bits in a hash of 64

UNIFORMS: NDArray[np.float64] = (np.arange(_LEVELS) + 0.5) / _LEVELS
"""The uniform numbers that `StepDraws` picks from, and its normal ones."""
NORMALS: NDArray[np.float64] = ndtri(UNIFORMS)


class StepDraws:
    """Random numbers that belong to a control step of an episode, 65,536 levels each (normals within ±4.3).

    Bound to an env's live arrays of episode numbers and steps; the same seed, episode, step and stream give
    the same numbers.
    """

    def __init__(self, episodes: NDArray[np.int64], steps: NDArray[np.int64]) -> None:
        """Bind to live arrays of shape (num_envs,)."""
        self._episodes, self.steps = episodes, steps
        self.seed = 0

    def normal(self, stream: int, count: int, ids: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """Standard normal numbers. Shape (num_envs or len(ids), count)."""
        return np.asarray(NORMALS.take(self._levels(stream, count, ids)))

    def uniform(self, stream: int, count: int, ids: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """Uniform numbers in (0, 1). Shape (num_envs or len(ids), count)."""
        return np.asarray(UNIFORMS.take(self._levels(stream, count, ids)))

    def keys(
        self, stream: int, count: int, ids: NDArray[np.intp] | None = None
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """What the numbers are hashed from: a key for each row, and one for every four columns."""
        episodes, steps = self._episodes, self.steps
        if ids is not None:
            episodes, steps = episodes[ids], steps[ids]
        key, places = _layout(self.seed, ((stream + 2, max(-(-count // _WORDS), 1)),))
        rows = _mix(episodes.astype(np.uint64) * _GOLDEN + key[0])
        return _mix(rows + steps.astype(np.uint64) * _FACTORS[0]), places

    def _levels(self, stream: int, count: int, ids: NDArray[np.intp] | None) -> NDArray[np.uint16]:
        rows, places = self.keys(stream, count, ids)
        return _mix(rows[:, None] + places).view(np.uint16)[:, :count]


def levels_elsewhere(xp: ModuleType, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The levels of `StepDraws` in another array namespace, which may lack unsigned numbers.

    Args:
        xp: a namespace of the array API whose 64-bit integers wrap around.
        rows: keys of the rows, their bits as signed numbers. Shape (n,).
        places: those of the columns. Shape (words,).

    Returns:
        Indices of `NORMALS` or `UNIFORMS`. Shape (n, 4 · words).
    """
    x = rows[:, None] + places
    for k, shift in enumerate(map(int, _SHIFTS)):
        x = x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))  # what is shifted in are zeros
        if k < len(_FACTORS):
            x = x * int(_FACTORS[k].astype(np.int64))
    words = [(x >> 16 * word) & (_LEVELS - 1) for word in range(_WORDS)]
    levels: NDArray[np.int64] = xp.reshape(xp.stack(words, axis=2), (rows.shape[0], -1))
    return levels
