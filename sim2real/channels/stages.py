"""What a row of numbers passes on its way: a chain of stages, and those that commands and readings share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sim2real.arrays import Arrays
from sim2real.channels.laws import rounded
from sim2real.channels.levels import Either, Level, Levels
from sim2real.draws import NORMALS, UNIFORMS, StepDraws, levels_elsewhere
from sim2real.interface import Array, Ids

STREAMS = (
    "noise",
    "bias_drift",
    "spike",
    "dropout",
    "command_noise",
    "latency_jitter",
    "push",
    "redraw",
)
"""What draws numbers, each from a stream of its own."""


class Kit:
    """What every stage is made of."""

    def __init__(self, levels: Levels, draws: StepDraws, control_dt: float) -> None:
        """Levels of an env's parameters, its draws, and the control period in s."""
        self.levels, self.draws, self.control_dt = levels, draws, control_dt
        self.arrays = levels.arrays
        self._normals, self._uniforms = self.arrays.put(NORMALS), self.arrays.put(UNIFORMS)

    def normal(self, stream: str, width: int, ids: Ids | None = None) -> Array:
        """Standard normal numbers of this step, in the simulator's namespace. Shape (rows, width)."""
        return self._pick(self._normals, stream, width, ids)

    def uniform(self, stream: str, width: int, ids: Ids | None = None) -> Array:
        """Uniform numbers of this step, in the simulator's namespace. Shape (rows, width)."""
        return self._pick(self._uniforms, stream, width, ids)

    def _pick(self, numbers: Array, stream: str, width: int, ids: Ids | None) -> Array:
        """Of these numbers; only the keys of the rows are made on the host."""
        draw = self.draws.normal if numbers is self._normals else self.draws.uniform
        if self.arrays.on_host:
            return draw(STREAMS.index(stream), width, ids)
        xp, keys = self.arrays.xp, self.draws.keys(STREAMS.index(stream), width, ids)
        levels = levels_elsewhere(xp, *(self.arrays.put(key.view(np.int64)) for key in keys))[:, :width]
        picked: Array = xp.reshape(xp.take(numbers, xp.reshape(levels, (-1,)), axis=0), levels.shape)
        return picked


class Stage(Protocol):
    """One thing that happens to numbers on their way."""

    columns: slice
    """The columns that it acts on."""

    @property
    def level(self) -> Level | Either:
        """How much; at rest while that is neutral."""

    def begin(self, part: Array, ids: Ids) -> None:
        """Forget the past of rows that begin with ``part``, shape (len(ids), width)."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """What comes out, for all rows or some of them. Shape as ``part``."""


class Chain:
    """Stages, one after the other."""

    def __init__(self, arrays: Arrays, stages: Sequence[Stage]) -> None:
        """In this order."""
        self._arrays, self._stages = arrays, stages

    def run(self, numbers: Array) -> Array:
        """What comes out of all rows; the numbers themselves while every stage is at rest."""
        running = [stage for stage in self._stages if stage.level.on]
        if not running:
            return numbers
        result = self._arrays.copy(numbers)
        for stage in running:
            result[:, stage.columns] = stage.apply(result[:, stage.columns])
        return result

    def begin(self, numbers: Array, ids: Ids) -> Array:
        """What comes out of rows that begin with these numbers, shape (len(ids), n)."""
        if not self._stages:
            return numbers
        result = self._arrays.copy(numbers)
        for stage in self._stages:
            part = result[:, stage.columns]
            stage.begin(part, ids)
            if stage.level.on:
                result[:, stage.columns] = stage.apply(part, ids)
        return result


class Noise:
    """White noise, normal and independent."""

    def __init__(self, kit: Kit, level: Level, columns: slice, stream: str) -> None:
        """Of the level's standard deviation."""
        self._kit, self.level, self.columns, self._stream = kit, level, columns, stream

    def begin(self, part: Array, ids: Ids) -> None:
        """Nothing is remembered."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """The numbers with noise."""
        noise = rows(self.level, ids) * self._kit.normal(self._stream, part.shape[1], ids)
        noise += part
        return noise


class Rounding:
    """Rounding to whole multiples of a step."""

    def __init__(self, kit: Kit, level: Level, columns: slice) -> None:
        """To the level; 0 leaves the number as it is."""
        self._xp, self.level, self.columns = kit.arrays.xp, level, columns

    def begin(self, part: Array, ids: Ids) -> None:
        """Nothing is remembered."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """The nearest multiples; half-way cases to the even one."""
        return rounded(self._xp, part, rows(self.level, ids))


def rows(level: Level, ids: Ids | None) -> Array:
    """Values of all simulations, or of some."""
    return level.values if ids is None else level.values[ids]
