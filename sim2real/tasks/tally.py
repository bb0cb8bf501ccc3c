"""Success as most tasks define it: a condition that holds at the end of a full episode."""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from sim2real.interface import Array, Ids, Mask, TaskSpec


class Tally:
    """Counts the control steps of the last stretch of an episode in which a condition held.

    Args:
        like: an array of the simulator, which decides the array library and the number of rows.
        spec: of the task.
        seconds: length of the last stretch.
        share: of the stretch in which the condition must hold.
    """

    def __init__(self, like: Array, spec: TaskSpec, seconds: float, share: float) -> None:
        xp = array_namespace(like)
        window = min(round(seconds / spec.control_dt), spec.max_steps)
        self._first = spec.max_steps - window
        self._needed = math.ceil(share * window)
        self._step = xp.zeros(like.shape[0], dtype=xp.int64)
        self._held = xp.zeros(like.shape[0], dtype=xp.int64)

    def start(self, env_ids: Ids) -> None:
        """Forget these rows."""
        self._step[env_ids] = 0
        self._held[env_ids] = 0

    def count(self, condition: Mask) -> None:
        """Take note of one control step; shape (num_envs,)."""
        self._held += condition & (self._step >= self._first)
        self._step += 1

    def succeeded(self) -> Mask:
        """Rows in which the condition held for the needed share. Shape (num_envs,)."""
        held: Mask = self._held >= self._needed
        return held
