"""sim2real: how big is the gap, what closes it, and did it work?

Importing the package registers its gymnasium ids and nothing else; the public names below load on first use.

    import gymnasium as gym
    import sim2real

    env = gym.make("sim2real/Furuta-v0", domain="training")
    envs = gym.make_vec("sim2real/Furuta-v0", num_envs=64)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim2real.domain import Domain as Domain
    from sim2real.env import Sim2RealVectorEnv as Sim2RealVectorEnv
    from sim2real.policy import Policy as Policy
    from sim2real.world import World as World

IDS = {
    "sim2real/CartPole-v0": "cartpole",
    "sim2real/Furuta-v0": "furuta",
    "sim2real/Hopper-v0": "hopper",
    "sim2real/Push-v0": "push",
    "sim2real/Quadrotor-v0": "quadrotor",
    "sim2real/Quadruped-v0": "quadruped",
    "sim2real/So101Reach-v0": "so101",
}
"""Gymnasium ids and the worlds that they stand for."""

_NAMES = {
    "Domain": "sim2real.domain",
    "Policy": "sim2real.policy",
    "Sim2RealVectorEnv": "sim2real.env",
    "World": "sim2real.world",
}


def _register() -> None:
    import gymnasium

    for env_id, world in IDS.items():
        gymnasium.register(
            id=env_id,
            entry_point="sim2real.single_env:Sim2RealEnv",
            vector_entry_point="sim2real.env:Sim2RealVectorEnv",
            kwargs={"world": world},
        )


_register()


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing the package stays cheap."""
    if name not in _NAMES:
        raise AttributeError(f"module 'sim2real' has no attribute {name!r}; it has {', '.join(_NAMES)}")
    return getattr(importlib.import_module(_NAMES[name]), name)
