"""The fast stand-in on several cores: each process simulates some of the motions, to the same bits.

A step of the stand-in is a few small array operations, which threads would queue up for. So processes are
forked for every run, as cheap as they are here, and leave what they predicted in shared memory; where there
is no fork, or a child fails, this process does the work itself.
"""

from __future__ import annotations

import itertools
import mmap
import os
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from sim2real.replay.decoupled import DecoupledReplayer
from sim2real.replay.motion import FloatArray, Motion
from sim2real.world import World

_MOST = 4
_WORTH = 100  # simulations for each process, below which a fork costs more than it saves


class ForkedReplayer:
    """As `sim2real.replay.decoupled.DecoupledReplayer`."""

    def __init__(self, world: World, motions: Sequence[Motion], threads: int) -> None:
        """Prepare for up to ``threads`` processes, 0 for as many as there are cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._most = min(threads or cores, _MOST, len(motions)) if hasattr(os, "fork") else 1
        self._whole = DecoupledReplayer(world, motions)

    def run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """Simulate every motion under every candidate; see `sim2real.replay.Replayer.run`."""
        motions = len(self._whole.motions)
        count = min(self._most, max(1, len(values) * motions // _WORTH))
        places = [range(k, motions, count) for k in range(count)]
        parts = [self._whole.part(its) for its in places]
        waiting = [_elsewhere(part, names, values) for part in parts[1:]]
        results = [parts[0].run(names, values), *(result() for result in waiting)]
        by_place = dict(zip(itertools.chain(*places), itertools.chain(*results), strict=True))
        return [by_place[k] for k in range(motions)]


def _elsewhere(
    part: DecoupledReplayer, names: Sequence[str], values: FloatArray
) -> Callable[[], list[FloatArray]]:
    """Run a part in a child; the call returned waits for its result."""
    shapes = [(len(values), *motion.measured.shape) for motion in part.motions]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    shared = np.frombuffer(mmap.mmap(-1, 8 * int(ends[-1])), dtype=np.float64)
    places = [place.reshape(shape) for place, shape in zip(np.split(shared, ends[:-1]), shapes, strict=True)]
    with warnings.catch_warnings():
        # other threads of this process hold nothing that array operations need
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        failed = 1
        try:
            for place, predicted in zip(places, part.run(names, values), strict=True):
                place[:] = predicted
            failed = 0
        finally:
            os._exit(failed)

    def result() -> list[FloatArray]:
        _, status = os.waitpid(child, 0)
        return part.run(names, values) if status else places

    return result
