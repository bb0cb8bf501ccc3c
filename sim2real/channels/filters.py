"""What a row of numbers passes on its way: a chain of filters, and those that commands and readings share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

import numpy as np

from sim2real.arrays import Arrays
from sim2real.channels.laws import rounded
from sim2real.channels.magnitudes import Either, Magnitude, Magnitudes
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


def _number(stream: str) -> int:
    """That of a stream; of a user's own channel one that its name decides, whatever else is registered."""
    return STREAMS.index(stream) if stream in STREAMS else len(STREAMS) + crc32(stream.encode())


class FilterInputs:
    """What every filter is made of."""

    def __init__(self, magnitudes: Magnitudes, draws: StepDraws, control_dt: float) -> None:
        """Magnitudes of an env's parameters, its draws, and the control period in s."""
        self.magnitudes, self.draws, self.control_dt = magnitudes, draws, control_dt
        self.arrays = magnitudes.arrays
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
            return draw(_number(stream), width, ids)
        xp, keys = self.arrays.xp, self.draws.keys(_number(stream), width, ids)
        levels = levels_elsewhere(xp, *(self.arrays.put(key.view(np.int64)) for key in keys))[:, :width]
        picked: Array = xp.reshape(xp.take(numbers, xp.reshape(levels, (-1,)), axis=0), levels.shape)
        return picked


class Filter(Protocol):
    """One thing that happens to numbers on their way."""

    columns: slice
    """The columns that it acts on."""

    @property
    def magnitude(self) -> Magnitude | Either:
        """How much; at rest while that is neutral."""

    def begin(self, part: Array, ids: Ids) -> None:
        """Forget the past of rows that begin with ``part``, shape (len(ids), width)."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """What comes out, for all rows or some of them. Shape as ``part``."""


class Chain:
    """Filters, one after the other."""

    def __init__(self, arrays: Arrays, filters: Sequence[Filter]) -> None:
        """In this order."""
        self._arrays, self._filters = arrays, filters

    def run(self, numbers: Array) -> Array:
        """What comes out of all rows; the numbers themselves while every filter is at rest."""
        running = [each for each in self._filters if each.magnitude.on]
        if not running:
            return numbers
        result = self._arrays.copy(numbers)
        for each in running:
            result[:, each.columns] = each.apply(result[:, each.columns])
        return result

    def begin(self, numbers: Array, ids: Ids) -> Array:
        """What comes out of rows that begin with these numbers, shape (len(ids), n)."""
        if not self._filters:
            return numbers
        result = self._arrays.copy(numbers)
        for each in self._filters:
            part = result[:, each.columns]
            each.begin(part, ids)
            if each.magnitude.on:
                result[:, each.columns] = each.apply(part, ids)
        return result


class Noise:
    """White noise, normal and independent."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice, stream: str) -> None:
        """Of the magnitude's standard deviation."""
        self._inputs, self.magnitude, self.columns, self._stream = inputs, magnitude, columns, stream

    def begin(self, part: Array, ids: Ids) -> None:
        """Nothing is remembered."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """The numbers with noise."""
        noise = rows(self.magnitude, ids) * self._inputs.normal(self._stream, part.shape[1], ids)
        noise += part
        return noise


class Rounding:
    """Rounding to whole multiples of a step."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice) -> None:
        """To the magnitude; 0 leaves the number as it is."""
        self._xp, self.magnitude, self.columns = inputs.arrays.xp, magnitude, columns

    def begin(self, part: Array, ids: Ids) -> None:
        """Nothing is remembered."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """The nearest multiples; half-way cases to the even one."""
        return rounded(self._xp, part, rows(self.magnitude, ids))


def rows(magnitude: Magnitude, ids: Ids | None) -> Array:
    """Values of all simulations, or of some."""
    return magnitude.values if ids is None else magnitude.values[ids]
