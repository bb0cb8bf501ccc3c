"""The body under a stranger's env, whichever engine it has."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco

from sim2real.errors import Sim2RealError
from sim2real.simulators.gym.body import Body
from sim2real.simulators.gym.bullet_body import BulletBody
from sim2real.simulators.gym.mujoco_body import MujocoBody
from sim2real.world.gym.bullet_bodies import has_bullet


def body_of(env: gym.Env[Any, Any]) -> Body:
    """The model of an env, whose physics can be written.

    Raises:
        Sim2RealError: for an env that has neither a MuJoCo model nor a PyBullet client.
    """
    if isinstance(getattr(env.unwrapped, "model", None), mujoco.MjModel):
        return MujocoBody(env)
    if has_bullet(env.unwrapped):
        return BulletBody(env)
    raise Sim2RealError(
        f"{env} has no MuJoCo model and no PyBullet client; Randomize takes envs whose unwrapped .model is a "
        "mujoco.MjModel, as gymnasium's and gymnasium-robotics' are, or that hold a PyBullet client; "
        "sim2real's own envs take a domain themselves: gym.make(id, domain=domain)"
    )
