"""What a transfer method has free of charge: the world without its held-out variants, and envs of it.

    source = Source(World.load("furuta"))
    env = source.env(num_envs=64, domain="training")

While a method runs, held-out variants are shut (`sim2real.world.closed`): neither the source's world nor one
that is loaded anew has them. What no program prevents is that a method opens a world's files itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim2real.env import DomainLike, Sim2RealVectorEnv
from sim2real.simulators import Engine
from sim2real.world import World


@dataclass(frozen=True)
class Source:
    """The side of a transfer that costs nothing."""

    world: World
    """Without held-out variants, whatever it was made from."""

    def __post_init__(self) -> None:
        """Close the variants."""
        object.__setattr__(self, "world", self.world.without_variants())

    def env(
        self, num_envs: int = 16, domain: DomainLike = None, simulator: str | Engine = "mujoco"
    ) -> Sim2RealVectorEnv:
        """A vector env of the world with same-step autoreset, as a target is; see `Sim2RealVectorEnv`."""
        return Sim2RealVectorEnv(self.world, num_envs, domain, simulator=simulator)
