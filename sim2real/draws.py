"""Random numbers that belong to an episode, not to the order of events.

Every draw is a hash of (seed, episode, stream, index), a counter-based generator in the sense of Salmon et
al. 2011 ("Parallel random numbers: as easy as 1, 2, 3"), with SplitMix64's finalizer (Steele et al. 2014) as
the hash. So an episode starts the same whoever acts in it, on however many threads, and whatever happens to
its neighbours: common random numbers come for free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

PHYSICS, START = 0, 1
"""Streams: what the physics is drawn from, and the start state."""


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
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        key = _mix(np.uint64(seed % 2**64) + np.uint64(stream + 1) * _FACTORS[1])
        row = _mix(key + episodes.astype(np.uint64) * _GOLDEN)
        column = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(row[:, None] + column)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    x = (x ^ (x >> _SHIFTS[0])) * _FACTORS[0]
    x = (x ^ (x >> _SHIFTS[1])) * _FACTORS[1]
    return np.asarray(x ^ (x >> _SHIFTS[2]))
