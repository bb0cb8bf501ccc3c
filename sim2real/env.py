"""The env: a task done in many simulations, each with physics of its own.

    >>> env = Sim2RealVectorEnv("furuta", num_envs=4, domain="training")
    >>> observations, info = env.reset(seed=0)
    >>> observations.shape
    (4, 6)

Same-step autoreset: a row that ends is begun again within the step, with physics drawn anew in place; its
last observation is ``info["final_obs"]``. What an episode draws depends on the seed and the episode's number
alone, so the same seed gives the same bits on any number of threads and whatever the neighbours do. A
simulation that diverges ends its own episode as a failure, with an event; no other row changes by a bit.

Returned arrays are the caller's own; they never alias the simulator's memory.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real import draws
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Ids, Mask, Task
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.tasks import TASKS
from sim2real.world import World

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Info = dict[str, Any]
DomainLike = str | Domain | Mapping[str, object] | None


@dataclass(frozen=True)
class Divergence:
    """A simulation whose numbers blew up."""

    env_id: int
    episode: int
    step: int
    """Control steps into the episode."""
    physics: Mapping[str, float]


class Sim2RealVectorEnv(VectorEnv[Floats, Floats, NDArray[Any]]):
    """Many simulations of one world as a gymnasium vector env.

    ``info`` holds, at the end of episodes, ``success`` and ``diverged`` with their masks ``_success`` and
    ``_diverged``; with autoreset also ``final_obs`` and ``final_info`` (the same two), as gymnasium has them.
    """

    def __init__(
        self,
        world: str | World,
        num_envs: int = 1,
        domain: DomainLike = None,
        max_episode_steps: int | None = None,
        autoreset: bool = True,
        num_threads: int = 0,
    ) -> None:
        """Make the env.

        Args:
            world: a world, or its name or path.
            num_envs: simulations.
            domain: what physics is drawn from at every start of an episode: ``"nominal"`` (the default),
                ``"training"``, the path of a TOML file, a `Domain` or its table.
            max_episode_steps: control steps; by default the task's.
            autoreset: begin ended rows again within the step. Without it a row that ended rests until
                ``reset(options={"reset_mask": mask})``.
            num_threads: of the simulator; 0 means all cores.

        Raises:
            UnknownName: for a world, task or parameter that does not exist.
            InvalidValue: for a control period that is no multiple of the physics step, or a count below 1.
        """
        _check_count("num_envs", num_envs)
        _check_count("max_episode_steps", max_episode_steps)
        self.world = world if isinstance(world, World) else World.load(world)
        self.num_envs = num_envs
        self.domain = self.world.domain(domain)
        self._num_physics = 0 if self.domain.is_point else len(self.domain.names)
        self.simulator = MujocoSimulator(self.world, num_envs, num_threads)
        self._task = make_task(self.world, self.simulator, max_episode_steps)
        self.task = self._task.spec
        self._substeps = _substeps(self.task.control_dt, self.simulator.physics_dt)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP if autoreset else AutoresetMode.DISABLED,
            "render_modes": [],
        }
        box = spaces.Box(-np.inf, np.inf, (len(self.task.observation),), np.float32)
        unit = spaces.Box(-1.0, 1.0, (len(self.task.action),), np.float32)
        self.single_observation_space: spaces.Box = box
        self.single_action_space: spaces.Box = unit
        self.observation_space = batch_space(box, num_envs)
        self.action_space = batch_space(unit, num_envs)
        self.events: list[Divergence] = []
        self._all = np.arange(num_envs)
        self._seed: int | None = None
        self._episodes = np.arange(num_envs, dtype=np.int64)
        self._begun = np.zeros(num_envs, dtype=bool)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._resting = np.ones(num_envs, dtype=bool)
        self._observation = np.zeros((num_envs, box.shape[0]), dtype=np.float32)
        if self.domain.is_point and self.domain.names:
            self.set_physics(
                self.domain.names, self.domain.quantile(np.zeros((num_envs, len(self.domain.names))))
            )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Begin episodes.

        Args:
            seed: numbers the episodes from the first one again, with new draws.
            options: ``{"reset_mask": mask}`` begins only the rows of a boolean mask of shape (num_envs,).

        Returns:
            Observations, shape (num_envs, n), and info.
        """
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask")
        ids = self._all if mask is None else np.flatnonzero(_mask(mask, self.num_envs))
        if seed is not None:
            self._seed = int(seed)
            self._episodes[:], self._begun[:] = self._all, False
        elif self._seed is None:
            self._seed = int(self.np_random.integers(2**63))
        self._episodes[ids[self._begun[ids]]] += self.num_envs
        self._begin(ids)
        self._observe(ids)
        return self._observation.copy(), {}

    def step(self, actions: Floats) -> tuple[Floats, NDArray[np.float64], Mask, Mask, Info]:
        """Advance one control period.

        Args:
            actions: in [-1, 1], clipped to it. Shape (num_envs, num_actions).

        Returns:
            Observations, rewards, terminated, truncated and info; a row that rests has reward 0.

        Raises:
            InvalidValue: for actions of the wrong shape, or with a NaN.
        """
        command = self._task.command(_checked_actions(actions, self.action_space.shape))
        running = None if not self._resting.any() else np.flatnonzero(~self._resting)
        self.simulator.step(command, self._substeps, running)
        rewards, terminated = self._task.outcome()
        rewards, terminated = rewards.copy(), terminated.copy()  # a task may own them
        self._steps += 1
        diverged = self.simulator.diverged()
        if diverged.any():
            self._report(np.flatnonzero(diverged & ~self._resting))
            rewards, terminated = np.where(diverged, 0.0, rewards), terminated | diverged
        truncated = (self._steps >= self.task.max_steps) & ~terminated
        if running is not None:
            active = ~self._resting
            rewards, terminated, truncated = rewards * active, terminated & active, truncated & active
        info: Info = {}
        done = terminated | truncated
        if not done.any():
            self._observe(running, diverged)
        else:
            self._end(done, diverged, running, info)
        return self._observation.copy(), rewards, terminated, truncated, info

    def set_physics(
        self, names: tuple[str, ...], values: NDArray[np.float64], env_ids: Ids | None = None
    ) -> None:
        """Give rows a physics that stays until it is set again or drawn from the domain.

        Args:
            names: k parameters.
            values: in the parameters' units. Shape (num_envs or len(env_ids), k).
            env_ids: rows; by default all.
        """
        ids = self._all if env_ids is None else env_ids
        self.simulator.set_physics(ids, names, values)

    @property
    def world_name(self) -> str:
        """Name of the world."""
        return self.world.name

    @property
    def resting(self) -> Mask:
        """Rows that ended, or never began, and wait for a reset. Shape (num_envs,)."""
        return self._resting.copy()

    def physics(self, env_id: int) -> dict[str, float]:
        """Value of every parameter in one row, in the parameters' units."""
        return self.simulator.physics(env_id)

    def number_episodes(self, episodes: NDArray[np.int64], seed: int) -> None:
        """Say which episodes the next ``reset()`` without a seed begins; same seed and number, same start.

        Args:
            episodes: a number for each row; numbers may repeat. Shape (num_envs,).
            seed: of the draws.
        """
        self._seed = seed
        self._episodes[:], self._begun[:] = episodes, False
        self._resting[:] = True

    def _begin(self, ids: Ids) -> None:
        counts = (draws.PHYSICS, self._num_physics), (draws.START, self.task.num_draws)
        u = draws.streams(self._seed or 0, self._episodes[ids], counts)
        if self._num_physics:
            physics = self.domain.quantile(u[:, : self._num_physics])
            self.simulator.set_physics(ids, self.domain.names, physics)
        self.simulator.reset(ids, *self._task.start(ids, u[:, self._num_physics :]))
        self._steps[ids] = 0
        self._begun[ids] = True
        self._resting[ids] = False

    def _observe(self, ids: Ids | None, diverged: Mask | None = None) -> None:
        """Refresh rows; a row that diverged keeps its last sane observation."""
        fresh = self._task.observe()
        if diverged is not None and diverged.any():
            ids = np.flatnonzero(~diverged) if ids is None else ids[~diverged[ids]]
        if ids is None:
            self._observation[:] = fresh
        else:
            self._observation[ids] = fresh[ids]

    def _end(self, done: Mask, diverged: Mask, running: Ids | None, info: Info) -> None:
        self._observe(running, diverged)
        info["success"], info["_success"] = self._task.succeeded() & done & ~diverged, done.copy()
        info["diverged"], info["_diverged"] = diverged & done, done.copy()
        end = info.copy()
        if self.metadata["autoreset_mode"] is AutoresetMode.DISABLED:
            self._resting |= done
            return
        info["final_obs"], info["_final_obs"] = self._observation.copy(), done.copy()
        info["final_info"], info["_final_info"] = end, done.copy()
        ids = np.flatnonzero(done)
        self._episodes[ids] += self.num_envs
        self._begin(ids)
        self._observe(ids)

    def _report(self, ids: Ids) -> None:
        for i in map(int, ids):
            event = Divergence(i, int(self._episodes[i]), int(self._steps[i]), self.physics(i))
            self.events.append(event)
            _log.warning("simulation %d diverged at step %d of episode %d", i, event.step, event.episode)


def make_task(world: World, simulator: MujocoSimulator, max_steps: int | None) -> Task:
    """The world's task, bound to simulations of it."""
    if world.task not in TASKS:
        raise UnknownName(f"task of world {world.name}", world.task, TASKS)
    return TASKS[world.task](simulator, max_steps)


def _substeps(control_dt: float, physics_dt: float) -> int:
    substeps = round(control_dt / physics_dt)
    if substeps < 1 or abs(substeps * physics_dt - control_dt) > 1e-9:
        raise InvalidValue(
            f"the control period of {control_dt:g} s is no multiple of the physics step of {physics_dt:g} s; "
            "change timestep in scene.xml"
        )
    return substeps


def _check_count(name: str, value: int | None) -> None:
    if value is not None and (not isinstance(value, int | np.integer) or value < 1):
        raise InvalidValue(f"{name} = {value!r} must be a whole number of at least 1")


def _mask(mask: object, num_envs: int) -> Mask:
    array = np.asarray(mask)
    if array.shape != (num_envs,) or array.dtype != np.bool_:
        raise InvalidValue(
            f"reset_mask must be boolean of shape ({num_envs},), not {array.dtype} of {array.shape}"
        )
    return array


def _checked_actions(actions: Floats, shape: tuple[int, ...] | None) -> NDArray[np.float64]:
    array = np.asarray(actions, dtype=np.float64)
    if array.shape != shape:
        raise InvalidValue(f"actions of shape {array.shape} given where {shape} is meant")
    if not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise InvalidValue(f"actions of rows {rows[:5].tolist()} are not finite; check the policy's weights")
    return np.minimum(np.maximum(array, -1.0), 1.0)  # half the time of np.clip on small arrays
