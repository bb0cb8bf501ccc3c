"""The task of a gymnasium env: its own observation, action, reward and ends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from sim2real.interface import Array, Ids, Mask, Simulator, TaskSpec

SEEDS = 2**32
"""Different starts that one draw tells apart."""


class Stepped(Simulator, Protocol):
    """A simulator that steps whole envs, which tell what they observe and give."""

    seeds: Ids
    """What each env's next reset is seeded with; live, to write. Shape (num_envs,)."""
    observation: Array
    """Live. Shape (num_envs, num_observations)."""
    reward: Array
    """Of the last step; live. Shape (num_envs,)."""

    def ended(self) -> tuple[Mask, Mask]:
        """Which envs have terminated and which have truncated their episode. Shapes (num_envs,)."""

    def succeeded(self) -> Mask:
        """Which envs called their last step a success. Shape (num_envs,)."""


@dataclass(frozen=True, eq=False)
class EnvTask:
    """Makes the task of an env in simulations of it; see `sim2real.interface.TaskFactory`."""

    spec: TaskSpec
    low: Array
    """What an action of -1 means. Shape (num_actions,)."""
    high: Array
    """What an action of 1 means. Shape (num_actions,)."""

    def __call__(self, simulator: Simulator, max_steps: int | None = None) -> _InEnvs:
        """The task done in these simulations, truncated after ``max_steps`` if given."""
        spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        return _InEnvs(spec, cast(Stepped, simulator), (self.low + self.high) / 2, (self.high - self.low) / 2)


class _InEnvs:
    """What the envs themselves say; see `sim2real.interface.Task`."""

    def __init__(self, spec: TaskSpec, envs: Stepped, middle: Array, half: Array) -> None:
        self.spec, self._envs, self._middle, self._half = spec, envs, middle, half

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        self._envs.seeds[env_ids] = np.floor(u[:, 0] * SEEDS).astype(np.intp)
        positions, velocities, commands = (np.tile(part, (len(env_ids), 1)) for part in self._envs.rest())
        return positions, velocities, commands

    def command(self, action: Array) -> Array:
        command: Array = self._middle + self._half * action
        return command

    def outcome(self) -> tuple[Array, Mask]:
        return self._envs.reward.copy(), self._envs.ended()[0]

    def truncated(self) -> Mask:
        """Where the envs themselves cut their episodes off."""
        return self._envs.ended()[1]

    def succeeded(self) -> Mask:
        return self._envs.succeeded()

    def observe(self) -> Array:
        return self._envs.observation.copy()
