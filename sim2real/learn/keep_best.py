"""Which of the policies along the way to keep, by the returns of the episodes that it learnt from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_SHOWN = 3.0
"""Standard errors by which earlier episodes must have returned more than the last ones."""
_LOST = 0.25
"""Share of what learning had gained that must be lost since; less than that comes and goes."""
_FRESH = 3
"""Rollouts whose rewards tell of the last weights, whose episodes have not ended yet."""


class KeepBest:
    """The last weights, unless what episodes returned is shown to have collapsed on the way to them.

    Episodes are those of learning, with its exploration: nothing is spent on them, and nothing is looked at
    that the learner did not see. A window has one episode for each row; as these lasted until some updates
    ago, and so did those before them, it tells of the weights of an episode's length before its end. So the
    last rollouts must pay so much less, too, than those of the weights from before: a dip that is over is
    none.
    """

    def __init__(self, rows: int, rollout_steps: int) -> None:
        """Begin with nothing.

        Args:
            rows: that learn side by side, whose first episodes are cut and don't count.
            rollout_steps: control steps of each row between updates.
        """
        self._rows, self._rollout_steps = rows, rollout_steps
        self._returns: list[float] = []
        self._lengths: list[int] = []
        self._weights: list[tuple[int, Floats]] = []
        self._paid: list[float] = []
        self._best: tuple[float, float, int] | None = None
        self._first = math.nan
        self._last: tuple[float, float] = (math.nan, math.nan)

    def ended(self, total: float, length: int) -> None:
        """An episode has ended."""
        self._returns.append(total)
        self._lengths.append(length)

    def collected(self, steps: int, weights: Floats, paid: float) -> None:
        """A rollout of a mean reward has been collected with these weights, after so many control steps."""
        self._weights.append((steps, weights.copy()))
        self._paid.append(paid)
        if len(self._returns) < 2 * self._rows:
            return
        window = np.array(self._returns[-self._rows :])
        mean = float(window.mean())
        error = float(window.std() / np.sqrt(len(window)))
        length = float(np.mean(self._lengths[-self._rows :]))
        self._last = (mean, error)
        if self._best is None:
            self._first = mean
        if self._best is None or mean > self._best[0]:
            at = max(0, len(self._weights) - 1 - round(length / self._rollout_steps))
            self._best = (mean, error, at)

    def best(self) -> tuple[int, Floats] | None:
        """Steps and weights of an earlier policy that is shown to be better; None if the last one is kept."""
        if self._best is None:
            return None
        mean, error, at = self._best
        lost, gained = mean - self._last[0], mean - self._first
        begun, then, now = (
            float(np.mean(part))
            for part in (self._paid[:_FRESH], self._paid[at : at + _FRESH], self._paid[-_FRESH:])
        )
        shown = lost > max(_SHOWN * math.hypot(error, self._last[1]), _LOST * gained)
        return self._weights[at] if shown and then - now > _LOST * max(0.0, then - begun) else None
