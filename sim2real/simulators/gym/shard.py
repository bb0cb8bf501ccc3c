"""Some gymnasium envs, one after the other in one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real.interface import Array, Ids
from sim2real.simulators.gym.sub_env import SubEnv
from sim2real.simulators.quiet import quiet
from sim2real.world import World


class Shard:
    """Envs that answer in their rows of the arrays on a board; see `sim2real.simulators.processes`."""

    def __init__(self, board: Mapping[str, Array], world: World) -> None:
        """Make an env for each row.

        Raises:
            InvalidValue: for an env that can't be made.
        """
        count = len(board["reward"])
        self._board, self._rows = (
            board,
            [SubEnv(world, {name: array[k, ...] for name, array in board.items()}) for k in range(count)],
        )

    def close(self) -> None:
        """Close the envs."""
        for row in self._rows:
            row.close()

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """As `Simulator.set_physics`."""
        for row, own in zip(self._some(env_ids), values, strict=True):
            row.set_physics(names, own)

    def reset(self, env_ids: Ids, seeds: Ids) -> None:
        """Begin episodes, each from its seed."""
        with quiet():
            for row, seed in zip(self._some(env_ids), seeds.tolist(), strict=True):
                row.reset(seed)

    def step(self, env_ids: Ids | None) -> None:
        """Take the commands on the board."""
        with quiet():
            for row in self._some(env_ids):
                row.step()

    def delay_commands(self, env_ids: None) -> None:
        """Delay commands by the steps on the board."""
        for row, steps in zip(self._rows, self._board["delay"], strict=True):
            row.delay_commands(steps)

    def draw(self, env_ids: Ids, pictures: list[NDArray[np.uint8]]) -> None:
        """Add what envs draw."""
        with quiet():
            pictures += [row.picture() for row in self._some(env_ids)]

    def _some(self, env_ids: Ids | None) -> Iterable[SubEnv]:
        return self._rows if env_ids is None else [self._rows[k] for k in env_ids.tolist()]
