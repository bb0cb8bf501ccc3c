"""A task in a scene that has more than it names, or has it in another order.

Columns are found once, by name. What the task does not name begins where the scene puts it and gets the
commands that the scene rests with; column order in the MJCF is nobody's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from array_api_compat import array_namespace

from sim2real.arrays import Arrays
from sim2real.interface import Array, Ids, Mask, Simulator, Task, TaskFactory

if TYPE_CHECKING:
    from collections.abc import Sequence


def bind(factory: TaskFactory, simulator: Simulator, max_steps: int | None = None) -> Task:
    """A task whose states and commands are those of the whole scene.

    Where the scene has just what the task names, in its order, this is the task itself.

    Raises:
        InvalidValue: for a scene that lacks what the task names, or has it of another kind.
        UnknownName: for one that lacks a site of the task's.
    """
    columns, (factors, offsets) = simulator.columns(factory.spec), simulator.laws(factory.spec)
    whole = [len(part) for part in simulator.rest()]
    in_order = all(np.array_equal(own, np.arange(n)) for own, n in zip(columns, whole, strict=True))
    if in_order and (factors == 1.0).all() and not offsets.any():
        return factory(simulator, max_steps)
    return _Bound(factory, simulator, max_steps, (*columns, factors, offsets))


class _Part:
    """The simulations as the task sees them: its own joints, in its own order."""

    def __init__(self, simulator: Simulator, columns: Sequence[Array]) -> None:
        self._simulator, self._columns, self.xp = simulator, columns, array_namespace(simulator.qpos)
        self.qpos: Array = simulator.qpos[:, columns[0]]  # copies, by the rules of indexing
        self.qvel: Array = simulator.qvel[:, columns[1]]

    def __getattr__(self, name: str) -> object:
        return getattr(self._simulator, name)

    def refresh(self) -> None:
        """Take over where the simulations are."""
        self.qpos[:] = self._simulator.qpos[:, self._columns[0]]
        self.qvel[:] = self._simulator.qvel[:, self._columns[1]]


class _Bound:
    """A task that reads some columns of the scene and writes others."""

    def __init__(
        self, factory: TaskFactory, simulator: Simulator, max_steps: int | None, places: Sequence[Array | Ids]
    ) -> None:
        put = Arrays(simulator.qpos).put
        *self._columns, self._factors, self._offsets = (put(part) for part in places)
        self._rest = [put(part) for part in simulator.rest()]
        self._part = _Part(simulator, self._columns)
        self._task: Any = factory(cast(Simulator, self._part), max_steps)
        self.spec = self._task.spec
        self._control: Array = self._part.xp.tile(self._rest[2], (simulator.num_envs, 1))
        if hasattr(self._task, "state"):
            self.state = self._state
        if hasattr(self._task, "take_up"):
            self.take_up = self._take_up

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        qpos, qvel, command = self._task.start(env_ids, u)
        return self._spread(qpos, 0), self._spread(qvel, 1), self._spread(self._control_of(command), 2)

    def command(self, action: Array) -> Array:
        self._part.refresh()
        self._control[:, self._columns[2]] = self._control_of(self._task.command(action))
        return self._control

    def outcome(self) -> tuple[Array, Mask]:
        self._part.refresh()
        result: tuple[Array, Mask] = self._task.outcome()
        return result

    def succeeded(self) -> Mask:
        self._part.refresh()
        succeeded: Mask = self._task.succeeded()
        return succeeded

    def observe(self) -> Array:
        self._part.refresh()
        seen: Array = self._task.observe()
        return seen

    def _state(self, observation: Array) -> tuple[Array, Array]:
        qpos, qvel = self._task.state(observation)
        return self._spread(qpos, 0), self._spread(qvel, 1)

    def _take_up(self, env_ids: Ids, observation: Array) -> None:
        self._part.refresh()
        self._task.take_up(env_ids, observation)

    def _control_of(self, command: Array) -> Array:
        """What the actuators take, by their own laws."""
        control: Array = self._factors * command + self._offsets
        return control

    def _spread(self, part: Array, which: int) -> Array:
        """The scene at rest, but for what the task says. Shape (rows, columns of the scene)."""
        spread: Array = self._part.xp.tile(self._rest[which], (part.shape[0], 1))
        spread[:, self._columns[which]] = part
        return spread
