"""What a wrapper needs of the engine under a stranger's env."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym

from sim2real.domain import Domain
from sim2real.interface import Array, Simulator
from sim2real.world import World
from sim2real.wrappers.elements import Naming


@dataclass(frozen=True)
class Drive:
    """What happens to commands on their way to the engine."""

    command: Callable[[Array], Array]
    """Turns a command into what reaches the actuators. Shape (1, nu)."""
    between: Callable[[], Callable[[], None] | None]
    """Says what is to be called before every physics step, if anything."""


class Body(Protocol):
    """An engine's model under an env, whose physics can be written."""

    writes_after_reset: bool
    """Whether the env's reset may load the model anew, so that physics is written after it."""
    control_dt: float
    """Control period, s."""

    def world(self, domain: Domain, naming: Naming) -> World:
        """The env as a world with the domain's parameters.

        Raises:
            UnknownName: for an element that the model does not have.
            InvalidValue: for a quantity that it can't take.
        """

    def simulator(self, world: World) -> Simulator:
        """What the channels of a world see of the engine: one simulation."""

    def write(self, world: World, names: tuple[str, ...], values: Array) -> None:
        """Write physics, from nominal. Shape of the values (1, len(names))."""

    def drive(self, drive: Drive | None) -> bool:
        """Let commands pass through ``drive``, or no longer; whether the engine's commands can be reached."""

    def begin(self) -> Array:
        """Take note of a new episode, and return its first command. Shape (1, nu)."""


def name_of(env: gym.Env[Any, Any]) -> str:
    """Name of an env."""
    return env.spec.id if env.spec else type(env.unwrapped).__name__
