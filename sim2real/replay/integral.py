"""Means of signals that hold from stamp to stamp: what is in force during a physics step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_NEAR = 1e-6  # s; finer than any log's clock


@dataclass(frozen=True)
class Integral:
    """The integral of a signal that holds from stamp to stamp, from which means over any span follow."""

    time: FloatArray
    """Shape (n,)."""
    command: FloatArray
    """Shape (n, m)."""
    total: FloatArray

    @classmethod
    def of(cls, time: FloatArray, command: FloatArray) -> Integral:
        """Of columns on shared stamps."""
        spans = np.diff(time)[:, None] * command[:-1]
        return cls(time, command, np.vstack([np.zeros_like(spans[:1]), spans.cumsum(axis=0)]))

    def means(self, edges: FloatArray, column: int) -> FloatArray:
        """Mean between neighbouring edges; before the first stamp the first value holds.

        An edge within a microsecond of a stamp is at it, and where one value holds all along, that is the
        mean to the bit: what clocks and sums round changes nothing.
        """
        near = min(_NEAR, 1e-3 * float(edges[1] - edges[0]))
        row = np.maximum(np.searchsorted(self.time, edges + near, side="right") - 1, 0)
        since = edges - self.time[row]
        since = np.where(np.abs(since) <= near, 0.0, since)
        total = self.total[row, column] + since * self.command[row, column]
        first, last = row[:-1], row[1:]
        held = (first == last) | ((first + 1 == last) & (since[1:] == 0.0))
        mean = np.diff(total) / np.diff(edges)
        return np.asarray(np.where(held, self.command[first, column], mean))
