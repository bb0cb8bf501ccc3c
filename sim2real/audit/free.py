"""What moves a world that names no task: its actuators, within their ranges, from where the scene rests."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from array_api_compat import array_namespace

from sim2real.arrays import Arrays
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask, Signal, Simulator, Task, TaskSpec
from sim2real.world import World

_PERIOD = 0.02  # s that a command holds, in whole physics steps
_STEPS = 250
_UNLIMITED = 1.0  # to either side of rest, where an actuator takes any command


class _Free:
    """Commands are shares of each control's range; nothing is seen, rewarded or ended."""

    def __init__(self, spec: TaskSpec, ends: Array, simulator: Simulator) -> None:
        self.spec, self._simulator, self._xp = spec, simulator, array_namespace(simulator.qpos)
        put = Arrays(simulator.qpos).put
        self._rest = [put(part) for part in simulator.rest()]
        self._middle, self._half = put(ends.mean(axis=1)), put(np.diff(ends)[:, 0] / 2)

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        qpos, qvel, ctrl = (self._xp.tile(part, (len(env_ids), 1)) for part in self._rest)
        return qpos, qvel, ctrl

    def command(self, action: Array) -> Array:
        control: Array = self._middle + self._half * action
        return control

    def observe(self) -> Array:
        return self._simulator.qpos[:, :0]

    def outcome(self) -> tuple[Array, Mask]:
        reward = self._xp.zeros_like(self._simulator.qpos[:, 0])
        return reward, reward > 0.0

    def succeeded(self) -> Mask:
        never: Mask = self._simulator.qpos[:, 0] > math.inf
        return never


class FreeMotion:
    """Makes such a task of one world."""

    def __init__(self, world: World) -> None:
        """Read off the model what can be commanded.

        Raises:
            InvalidValue: for a world in which nothing can move.
        """
        model = world.model
        if not model.nv:
            raise InvalidValue(f"world {world.name} has no joint, so nothing moves that could be compared")
        limited = model.actuator_ctrllimited[:, None] == 1
        self._ends = np.where(limited, model.actuator_ctrlrange, [-_UNLIMITED, _UNLIMITED])
        period = max(round(_PERIOD / model.opt.timestep), 1) * float(model.opt.timestep)
        action = tuple(Signal(f"control {k}", "control") for k in range(model.nu))
        self.spec = TaskSpec("free motion", 1, period, _STEPS, (), action, 1, "nothing")

    def __call__(self, simulator: Simulator, max_steps: int | None = None) -> Task:
        """The task in these simulations."""
        spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        return _Free(spec, self._ends, simulator)
