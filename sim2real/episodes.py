"""Run an actor for one episode in every row of an env."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.arrays import Arrays
from sim2real.env import Sim2RealVectorEnv
from sim2real.interface import ActorLike
from sim2real.policy import as_actor


@dataclass(frozen=True)
class Outcomes:
    """How one episode in each row went. All of shape (num_envs,)."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    """Control steps."""
    success: NDArray[np.bool_]
    diverged: NDArray[np.bool_]


class RandomActor:
    """Uniformly random actions, the lower reference of normalized scores."""

    def __init__(self, num_actions: int, seed: int) -> None:
        """Draw ``num_actions`` a row from ``seed``."""
        self._rng = np.random.default_rng(seed)
        self._num_actions = num_actions

    def __call__(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions in [-1, 1]. Shape (n, num_actions)."""
        return self._rng.uniform(-1, 1, (len(observation), self._num_actions)).astype(np.float32)


def run_episodes(
    actor: ActorLike, env: Sim2RealVectorEnv, seed: int, episodes: NDArray[np.int64] | None = None
) -> Outcomes:
    """One episode in each row, stepped until the last row ends.

    Args:
        actor: acts on all rows at once.
        env: without autoreset, so that rows which ended rest and cost nothing.
        seed: of the episodes.
        episodes: number of each row's episode; rows with the same number start alike. By default 0, 1, ...
    """
    env.number_episodes(np.arange(env.num_envs) if episodes is None else episodes, seed)
    observation, _ = env.reset()
    actor = as_actor(actor)
    state = actor.start(env.num_envs)
    host = Arrays(env.simulator.qpos).host
    returns = np.zeros(env.num_envs)
    lengths = np.zeros(env.num_envs, dtype=np.int64)
    success, diverged = np.zeros((2, env.num_envs), dtype=bool)
    while not (resting := env.resting).all():
        action, state = actor.act(host(observation), state)
        observation, reward, _, _, info = env.step(action)
        returns += host(reward)
        lengths += ~resting
        if "success" in info:
            success |= info["success"]
            diverged |= info["diverged"]
    return Outcomes(returns, lengths, success, diverged)
