"""All channels of an env, in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim2real.arrays import Arrays
from sim2real.channels.schedule import Schedule
from sim2real.domain import Domain
from sim2real.draws import StepDraws
from sim2real.errors import UnknownName
from sim2real.interface import Array, Ids, Simulator, TaskSpec
from sim2real.parameters import SENSOR
from sim2real.world import World

_NOISE = 0


class Channels:
    """The channels of one env; see the package."""

    between: Callable[[], None] | None = None
    """What must happen before every physics step; None if nothing must."""
    schedule: Schedule | None = None
    """What changes within episodes; None if nothing does."""

    def __init__(
        self, world: World, simulator: Simulator, task: TaskSpec, draws: StepDraws, domain: Domain
    ) -> None:
        """Bind the world's channels to simulations, all at their nominal values.

        Raises:
            UnknownName: for a sensor that the task does not have.
        """
        self._arrays = Arrays(simulator.qpos)
        self._draws = draws
        signals = [signal.name for signal in task.observation]
        scales = np.array([signal.scale for signal in task.observation])
        self._noise = np.zeros((simulator.num_envs, len(signals)))
        self._columns: dict[str, Ids] = {}
        for parameter in world.parameters.values():
            if parameter.quantity.acts == SENSOR:
                for element in parameter.elements:
                    if element not in signals:
                        raise UnknownName(f"signal for parameter {parameter.name}:", element, signals)
                self._columns[parameter.name] = np.array([signals.index(e) for e in parameter.elements])
        self._scales = scales

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Take new values of parameters; those that no channel acts on are left to the simulator."""
        for k, name in enumerate(names):
            if name in self._columns and name.endswith(".noise"):
                columns = self._columns[name]
                self._noise[env_ids[:, None], columns] = values[:, k : k + 1] / self._scales[columns]

    def begin(self, env_ids: Ids, command: Array) -> None:
        """Forget the past of rows that begin, with their first command."""

    def command(self, command: Array) -> Array:
        """What reaches the actuators. Shape (num_envs, nu)."""
        return command

    def observe(self, seen: Array) -> Array:
        """What the policy gets to see after a control step. Shape (num_envs, num_observations)."""
        if not self._noise.any():
            return seen
        measured: Array = seen + self._arrays.put(self._noise * self._draws.normal(_NOISE, seen.shape[1]))
        return measured

    def first(self, seen: Array, env_ids: Ids) -> Array:
        """The same for rows that have just begun. Shape (len(env_ids), num_observations)."""
        if not self._noise.any():
            return seen[env_ids]
        noise = self._noise[env_ids] * self._draws.normal(_NOISE, seen.shape[1], env_ids)
        measured: Array = seen[env_ids] + self._arrays.put(noise)
        return measured
