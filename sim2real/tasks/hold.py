"""Tasks whose success is a condition that holds at the end of a full episode."""

from __future__ import annotations

import dataclasses
import math

from array_api_compat import array_namespace, device

from sim2real.interface import Ids, Mask, Simulator, TaskSpec


class HoldTask:
    """Binds a task to its simulations and counts how long the condition held in the last stretch."""

    spec: TaskSpec
    hold_seconds = 1.0
    """Length of the last stretch, s."""
    hold_share = 0.9
    """Share of the stretch in which the condition must hold."""

    def __init__(self, simulator: Simulator, max_steps: int | None = None) -> None:
        """Bind the task to the simulations that it is done in."""
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        xp = self._xp = array_namespace(simulator.qpos)
        self._qpos, self._qvel = simulator.qpos, simulator.qvel
        self._never = simulator.qpos[:, 0] > math.inf
        window = min(round(self.hold_seconds / self.spec.control_dt), self.spec.max_steps)
        self._window_start = self.spec.max_steps - window
        self._needed = math.ceil(self.hold_share * window)
        self._step = xp.zeros(simulator.num_envs, dtype=xp.int64, device=device(self._qpos))
        self._held = xp.zeros_like(self._step)

    def succeeded(self) -> Mask:
        """Rows in which the condition held for the needed share. Shape (num_envs,)."""
        held: Mask = self._held >= self._needed
        return held

    def _forget(self, env_ids: Ids) -> None:
        self._step[env_ids] = 0
        self._held[env_ids] = 0

    def _count(self, condition: Mask) -> None:
        """Take note of one control step; shape (num_envs,)."""
        self._held += condition & (self._step >= self._window_start)
        self._step += 1
