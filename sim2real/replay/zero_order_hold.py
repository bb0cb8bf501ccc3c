"""Signals that hold from stamp to stamp, and their means over physics steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_NEAR = 1e-6  # s; finer than any log's clock


@dataclass(frozen=True)
class ZeroOrderHold:
    """What is in force from each stamp until the next; the first value before, the last one after."""

    time: FloatArray
    """Shape (n,)."""
    command: FloatArray
    """Shape (n, m)."""

    def means(self, steps: range, dt: float, late: float, columns: Sequence[int]) -> FloatArray:
        """Means of columns over each of some steps, delayed; a step k is from k·dt to (k + 1)·dt.

        A stamp within a microsecond of an edge is at it, and where one value holds all along, that is the
        mean to the bit: what clocks and sums round changes nothing. Shape (len(steps), len(columns)).
        """
        count, command = len(steps), self.command[:, columns]
        begins = (self.time + late) / dt - steps.start
        edge = np.round(begins)
        begins = np.where(np.abs(begins - edge) <= min(_NEAR / dt, 1e-3), edge, begins)
        first = np.ceil(begins)
        places = np.clip(first, 0, count).astype(np.intp)
        edges = np.concatenate([[0], places[1:], [count]])
        found: FloatArray = np.repeat(command, edges[1:] - edges[:-1], axis=0)
        # a stamp within a step changes its mean by the share of the step that is left
        inside = np.flatnonzero((first[1:] > begins[1:]) & (first[1:] >= 1) & (first[1:] <= count)) + 1
        changes = (command[inside] - command[inside - 1]) * (first - begins)[inside, None]
        for column, change in zip(found.T, changes.T, strict=True):  # faster than both at once
            np.add.at(column, places[inside] - 1, change)
        return found


def delayed(time: FloatArray, command: FloatArray, delay: float) -> FloatArray:
    """The command in force ``delay`` seconds earlier, at the start the first one. Shape (n, k).

    A stamp within a microsecond of that moment is at it, whatever subtraction rounds.
    """
    rows = np.searchsorted(time, time - delay + _NEAR, side="right") - 1
    return command[np.maximum(rows, 0)]
