"""All variants × episodes of one engine, run in as few batches as the engine has room for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import Outcomes, run_episodes
from sim2real.interface import ActorLike, TaskSpec
from sim2real.simulators import Engine, engine_of
from sim2real.world import Variant, World

_log = logging.getLogger(__name__)
_MOST_ROWS = {"bullet": 32, "gym": 128}
"""Rows of a batch; a client of Bullet's takes tens of megabytes, an env with its model one or two, a row of
the other engines next to none."""


class VariantBatch:
    """Variants that share an engine, each for a number of episodes."""

    def __init__(
        self,
        world: World,
        variants: Sequence[Variant],
        episodes: int,
        engine: str | Engine = "mujoco",
        draws: int = 0,
    ) -> None:
        """Make the env; rows are variants × episodes, in this order; ``draws`` seeds their physics."""
        engine = engine_of(world, engine)
        rows = len(variants) * episodes
        self._names = tuple(sorted({name for variant in variants for name in variant.domain.names}))
        drawn = [variant.domain.sample(np.random.default_rng(draws), episodes) for variant in variants]
        self._values = np.tile([world.nominal[name] for name in self._names], (rows, 1))
        for k, (variant, values) in enumerate(zip(variants, drawn, strict=True)):
            columns = [self._names.index(name) for name in variant.domain.names]
            self._values[k * episodes : (k + 1) * episodes, columns] = values
        self._episodes = np.tile(np.arange(episodes), len(variants))
        width = min(rows, _MOST_ROWS.get(engine.name, rows))
        self.env = Sim2RealVectorEnv(world, width, autoreset=False, simulator=engine)
        self.env.set_physics(self._names, self._values[:width])

    def run(self, actor: ActorLike, seed: int) -> Outcomes:
        """How each row went."""
        width, rows = self.env.num_envs, len(self._episodes)
        parts = []
        for start in range(0, rows, width):
            ids = np.minimum(np.arange(start, start + width), rows - 1)  # the last batch is filled up
            if rows > width:
                self.env.set_physics(self._names, self._values[ids])
            parts.append(_first(run_episodes(actor, self.env, seed, self._episodes[ids]), rows - start))
        return joined(parts)


def warn_if_alike(task: TaskSpec, episodes: int) -> None:
    """Say where several episodes begin alike."""
    if episodes > 1 and not task.num_draws:
        _log.warning(
            "task %s begins every episode alike, so that those of a variant differ by its noise alone: one "
            "(--episodes 1) tells as much where there is none",
            task.name,
        )


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """Outcomes one after the other."""
    names = [field.name for field in fields(Outcomes)]
    return Outcomes(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _first(outcomes: Outcomes, count: int) -> Outcomes:
    return Outcomes(**{field.name: getattr(outcomes, field.name)[:count] for field in fields(Outcomes)})
