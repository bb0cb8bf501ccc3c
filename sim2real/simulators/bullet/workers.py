"""Bullet's simulations in processes of their own (`sim2real.simulators.processes`)."""

from __future__ import annotations

from dataclasses import dataclass

from sim2real.interface import Array, Ids
from sim2real.simulators.backlash import Backlash
from sim2real.simulators.bullet.shard import Shard
from sim2real.simulators.processes import Shapes
from sim2real.world import World

_INPUTS = ("force", "dry_friction", "force_limit")


def shapes_of(world: World) -> Shapes:
    """What each simulation of a world has on the board."""
    model = world.model
    hidden = 0 if (play := Backlash.of(model)) is None else len(play.play[0])
    return {
        "qpos": (model.nq - hidden,),
        "qvel": (model.nv - hidden,),
        "ctrl": (model.nu,),
        "diverged": (),
        "site": (model.nsite, 3),
        "force": (model.nbody, 6),
        "actuator_force": (model.nu,),
        "dry_friction": (model.nv,),
        "force_limit": (model.nu, 2),
        "speed": (model.nv,),
        "load_force": (model.nv,),
        "delay": (model.nu,),
    }


@dataclass
class _Link:
    """An array of a shard and its place on the board."""

    own: Array
    shared: Array
    is_input: bool


class Desk:
    """A shard whose arrays are copied from and to the board."""

    def __init__(self, board: dict[str, Array], world: World) -> None:
        """Make the simulations of the board's rows.

        Raises:
            InvalidValue: for a world that Bullet can't express.
            MissingExtra: if PyBullet is not installed.
        """
        self._world, self._board = world, board
        self._shard = Shard(world, len(board["qpos"]))
        self._links = [_Link(self._shard.array(name), board[name], False) for name in ("qpos", "qvel")]

    def link(self, name: str, element: str | None) -> None:
        """Keep another array of the shard on the board from now on."""
        shared, own = self._board[name], self._shard.array(name, element)
        if element is not None:
            shared = shared[:, place(self._world, name, element)]
        self._links.append(_Link(own, shared, name in _INPUTS))
        shared[:] = own

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """As `Simulator.set_physics`."""
        self._take()
        self._shard.set_physics(env_ids, names, values)
        self._show()

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """As `Simulator.reset`."""
        self._take()
        self._shard.reset(env_ids, qpos, qvel, ctrl)
        self._show()

    def step(self, env_ids: Ids | None, substeps: int) -> None:
        """As `Simulator.step`, by the commands on the board."""
        self._take()
        self._shard.step(self._board["ctrl"], substeps, env_ids)
        self._show()

    def delay_commands(self) -> None:
        """As `Simulator.delay_commands`, by the steps on the board."""
        self._shard.delay_commands(self._board["delay"])

    def _take(self) -> None:
        for link in self._links:
            if link.is_input:
                link.own[:] = link.shared

    def _show(self) -> None:
        for link in self._links:
            link.shared[:] = link.own
        self._board["diverged"][:] = self._shard.diverged()


def place(world: World, name: str, element: str) -> int:
    """Where on the board's second axis a site or the force on a body lies."""
    model = world.model
    return int(model.site(element).id if name == "site" else model.body(element).id)
