"""Replays on several cores: each process simulates some of the motions, to the same bits.

Between two steps stand a few small array operations, which threads would queue up for. So processes are
forked for every run, as cheap as they are here, and leave what they predicted in shared memory; where there
is no fork, or a child fails or hangs, this process does the work itself.
"""

from __future__ import annotations

import gc
import itertools
import mmap
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sim2real.replay.motion import FloatArray, Motion

_MOST = 4
_PATIENCE, _LOOK = 60.0, 0.0005
"""Seconds that a child may need beyond ten times its share, and between two looks at it."""


class _Part(Protocol):
    """Some motions, simulated in this thread."""

    motions: list[Motion]

    def run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """As `sim2real.replay.Replayer.run`."""


def shares(motions: int, threads: int, worth: float) -> list[range]:
    """Which of some motions each process simulates.

    Of up to ``threads`` processes, 0 for as many as there are cores, and no more than they are worth.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(threads or cores, _MOST, motions, int(worth)) if hasattr(os, "fork") else 1
    return [range(k, motions, max(count, 1)) for k in range(max(count, 1))]


def run_apart(
    parts: Sequence[_Part], places: Sequence[range], names: Sequence[str], values: FloatArray
) -> list[FloatArray]:
    """What all parts predict, each in a process, in the order of the places of their motions."""
    waiting, began = [_elsewhere(part, names, values) for part in parts[1:]], time.monotonic()
    own = parts[0].run(names, values)
    most = _PATIENCE + 10 * (time.monotonic() - began)  # others have as much to do
    results = [own, *(result(most) for result in waiting)]
    by_place = dict(zip(itertools.chain(*places), itertools.chain(*results), strict=True))
    return [by_place[k] for k in range(len(by_place))]


def _elsewhere(part: _Part, names: Sequence[str], values: FloatArray) -> Callable[[float], list[FloatArray]]:
    """Run a part in a child; the call returned waits for its result, for so many seconds."""
    shapes = [(len(values), *motion.measured.shape) for motion in part.motions]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    shared = np.frombuffer(mmap.mmap(-1, 8 * int(ends[-1])), dtype=np.float64)
    places = [place.reshape(shape) for place, shape in zip(np.split(shared, ends[:-1]), shapes, strict=True)]
    collects, child = gc.isenabled(), -1
    gc.disable()  # a child that ends what this process has left to collect waits for its threads for ever
    try:
        with warnings.catch_warnings():
            # other threads of this process hold nothing that array operations need
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
    finally:
        if collects and child:
            gc.enable()
    if child == 0:
        failed = 1
        try:
            for place, predicted in zip(places, part.run(names, values), strict=True):
                place[:] = predicted
            failed = 0
        finally:
            os._exit(failed)

    def result(seconds: float) -> list[FloatArray]:
        end = time.monotonic() + seconds
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:  # it waits for what it does not have
                os.kill(child, signal.SIGKILL)
                ended = os.waitpid(child, 0)
                break
            time.sleep(_LOOK)
        return part.run(names, values) if ended[1] else places

    return result
