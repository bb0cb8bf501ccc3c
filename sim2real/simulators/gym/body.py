"""What a wrapper needs of the engine under a stranger's env."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium as gym
import mujoco

from sim2real.domain import Domain
from sim2real.interface import Array, Simulator
from sim2real.simulators.gym.elements import Naming
from sim2real.world import World


@dataclass(frozen=True)
class Drive:
    """What happens to commands on their way to the engine."""

    command: Callable[[Array], Array]
    """Turns a command into what reaches the actuators. Shape (1, nu)."""
    between: Callable[[], Callable[[], None] | None]
    """Says what is to be called before every physics step, if anything."""


@dataclass(frozen=True)
class Start:
    """What the effect audit moves, and from where."""

    model: mujoco.MjModel
    """A copy of the nominal model."""
    state: Array
    """Of ``mjSTATE_INTEGRATION``; empty for the start that the model gives."""
    control_dt: float
    digest: str
    """A name for everything that is in the model."""
    domain: Domain
    """What of the domain can be moved there."""
    dead: Mapping[str, str] = field(default_factory=dict)
    """What of the rest can't act, each with why."""


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

    def kept(self) -> object:
        """What a copy of the env needs beside the env's own copy, to know what is nominal."""

    def take(self, kept: object) -> None:
        """Take it, where the env's copy is one of the same model."""

    def renewed(self) -> bool:
        """Whether the env runs on another model or other data than those that this was made for."""

    def holds(self) -> bool:
        """Whether the engine still has what was written last."""

    def restore(self) -> None:
        """Put back what is nominal."""

    def start(self, world: World, domain: Domain) -> Start:
        """What the effect audit moves in place of the env."""

    def write(self, world: World, names: tuple[str, ...], values: Array) -> None:
        """Write physics, from nominal. Shape of the values (1, len(names))."""

    def drive(self, drive: Drive | None) -> bool:
        """Let commands pass through ``drive``, or no longer; whether the engine's commands can be reached."""

    def took(self, action: Array) -> bool:
        """Whether an action of the step before reached the engine as it is. Shape (size of the action,)."""

    def time(self) -> float | None:
        """Of the simulation, s, if it is known."""

    def begin(self) -> Array:
        """Take note of a new episode, and return its first command. Shape (1, nu)."""


def name_of(env: gym.Env[Any, Any]) -> str:
    """Name of an env."""
    return env.spec.id if env.spec else type(env.unwrapped).__name__
