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

    def means(self, steps: range, dt: float, late: FloatArray, columns: Sequence[int]) -> FloatArray:
        """Means of columns over each of some steps, each delayed; a step k is from k·dt to (k + 1)·dt.

        A stamp within a microsecond of an edge is at it, and where one value holds all along, that is the
        mean to the bit: what clocks and sums round changes nothing. Shape (len(columns), len(steps)).

        Args:
            steps: which.
            dt: how long each is, s.
            late: delay of each column, s. Shape (len(columns),).
            columns: which of the signal.
        """
        count, command = len(steps), self.command.T[columns]
        begins = (self.time + late[:, None]) / dt - steps.start
        edge = np.round(begins)
        begins = np.where(np.abs(begins - edge) <= min(_NEAR / dt, 1e-3), edge, begins)
        first = np.ceil(begins)
        edges = np.clip(first, 0, count).astype(np.intp)
        edges[:, 0] = 0
        holds = np.diff(edges, axis=1, append=count)
        found: FloatArray = np.repeat(command.ravel(), holds.ravel())
        # a stamp within a step changes its mean by the share of the step that is left
        inside = (first > begins) & (first >= 1) & (first <= count)
        changes = np.where(inside, first - begins, 0.0)[:, 1:] * np.diff(command, axis=1)
        place = np.maximum(edges[:, 1:] - 1, 0) + count * np.arange(len(command))[:, None]
        np.add.at(found, place.ravel(), changes.ravel())
        return found.reshape(len(columns), count)


def delayed(time: FloatArray, command: FloatArray, delay: float) -> FloatArray:
    """The command in force ``delay`` seconds earlier, at the start the first one. Shape (n, k).

    A stamp within a microsecond of that moment is at it, whatever subtraction rounds.
    """
    rows = np.searchsorted(time, time - delay + _NEAR, side="right") - 1
    return command[np.maximum(rows, 0)]
