"""One episode of a policy on a variant, as poses to draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from PIL import Image

from sim2real.arrays import Arrays
from sim2real.env import Sim2RealVectorEnv, engine_for
from sim2real.evaluate.batches import VariantBatch
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.rollouts import SEED
from sim2real.interface import Array
from sim2real.playback.drawing import PANE, Picture
from sim2real.simulators.gym.simulator import GymSimulator
from sim2real.world import Variant, World


@dataclass(frozen=True)
class Clip:
    """What a policy did."""

    title: str
    model: mujoco.MjModel
    """With the variant's physics, where MuJoCo stepped it."""
    qpos: Array
    """Positions at the start and after every control step, rad and m. Shape (steps + 1, nq)."""
    dt: float
    """Control period, s."""
    total: float
    """Return of the episode, or of what was seen of it."""
    end: str
    """How it ended: ``fell``, ``success``, ``diverged``; empty for one that was cut off or just ended."""
    pictures: tuple[Picture, ...] = ()
    """What an env drew itself whose bodies MuJoCo does not know, as often as there are positions."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (len(self.qpos) - 1) * self.dt


def record(
    world: World, variant: Variant, policy: Candidate, seconds: float = np.inf, seed: int = SEED
) -> Clip:
    """Play one episode, the first of those that an evaluation with this seed plays.

    Args:
        world: where.
        variant: of the world.
        policy: ours, or others'.
        seconds: after how much simulated time it is cut off.
        seed: of the episode.

    Raises:
        InvalidValue: for an env whose bodies MuJoCo does not know, and that draws no pictures itself.
        PolicyError: if the policy does not fit the world.
    """
    world, engine = world.for_domain(variant.domain), engine_for(variant.simulator, variant.domain)
    if draws_itself(world):
        assert world.env is not None
        world = replace(world, env=replace(world.env, source=world.env.source.drawn()))
        engine = replace(engine, threads=1)
    env = VariantBatch(world, [variant], 1, engine).env
    actor = policy.fitted(env)
    env.number_episodes(np.zeros(1, dtype=np.int64), seed)
    observation, _ = env.reset()
    host = Arrays(env.simulator.qpos).host
    state, poses, total, end = actor.start(1), [_pose(env)], 0.0, ""
    drawn = _drawn(env)
    while not env.resting.all() and len(poses) * env.task.control_dt <= seconds:
        action, state = actor.act(host(observation), state)
        observation, reward, terminated, _, info = env.step(action)
        poses.append(_pose(env))
        drawn += _drawn(env)
        total += float(reward[0])
        if info:
            told = {
                "diverged": info["diverged"][0],
                "success": info["success"][0],
                "fell": bool(terminated[0]),
            }
            end = next((word for word, true in told.items() if true), "")
    snapshot = getattr(env.simulator, "snapshot", None)
    model = world.model if snapshot is None else snapshot(0)[0]
    return Clip(variant.name, model, np.array(poses), env.task.control_dt, total, end, tuple(drawn))


def draws_itself(world: World) -> bool:
    """Whether only its env knows how a world looks."""
    return world.env is not None and world.env.engine != "mujoco"


def _drawn(env: Sim2RealVectorEnv) -> list[Picture]:
    """What the env draws now, no larger than it is shown; nothing where MuJoCo draws."""
    if not (draws_itself(env.world) and isinstance(env.simulator, GymSimulator)):
        return []
    image = Image.fromarray(env.simulator.picture(0))
    image.thumbnail(PANE)
    return [np.asarray(image)]


def _pose(env: Sim2RealVectorEnv) -> Array:
    """Positions of the first row in the layout of its model, whose backlash has joints of its own."""
    if env.simulator.qpos.shape[1] == env.world.model.nq or not hasattr(env.simulator, "snapshot"):
        return np.array(Arrays(env.simulator.qpos).host(env.simulator.qpos)[0], dtype=np.float64)
    return np.array(env.simulator.snapshot(0)[1].qpos)
