"""The env: a task done in many simulations, each with physics of its own.

    >>> env = Sim2RealVectorEnv("furuta", num_envs=4, domain="training")
    >>> observations, info = env.reset(seed=0)
    >>> observations.shape
    (4, 6)

Same-step autoreset: a row that ends is begun again within the step, with physics drawn anew in place; its
last observation is ``info["final_obs"]``. What an episode draws depends on the seed and the episode's number
alone, so the same seed gives the same bits on any number of threads and whatever the neighbours do. A
simulation that diverges ends its own episode as a failure, with an event; no other row changes by a bit.

Returned arrays are the caller's own; they never alias the simulator's memory. With an engine on the GPU
(``simulator="warp"``) observations, rewards and ends are torch tensors on its device; ``info`` is numpy's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real import draws
from sim2real.arrays import Arrays
from sim2real.channels import Channels, Schedule
from sim2real.contents import Contents
from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids, Mask, Simulator, Task, TaskFactory
from sim2real.parameters import quantity_of
from sim2real.simulators import Engine, engine_of, make_simulator
from sim2real.tasks import TASKS, check_factory
from sim2real.tasks.binding import bind
from sim2real.tasks.io_task import IO, IOTask
from sim2real.world import World
from sim2real.world.contacts import level_ground

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Info = dict[str, Any]
DomainLike = str | Domain | Mapping[str, object] | None
_STAGGERED = 16
"""Groups of rows whose first episodes end apart; each end costs a reset of its own."""


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
        simulator: str | Engine = "mujoco",
        task: str | TaskFactory | None = None,
    ) -> None:
        """Make the env.

        Args:
            world: a world, or its name or path; ``gym:ID`` is a gymnasium env.
            num_envs: simulations.
            domain: what physics is drawn from at every start of an episode: ``"nominal"`` (the default),
                ``"training"``, the path of a TOML file, a `Domain` or its table. It may name any parameter
                that the world's elements can have, as what `sim2real identify` returns does.
            max_episode_steps: control steps; by default the task's.
            autoreset: begin ended rows again within the step. Without it a row that ended rests until
                ``reset(options={"reset_mask": mask})``.
            simulator: ``"mujoco"``, ``"bullet"``, ``"warp"``, or an `Engine` that also says how many threads.
                A gymnasium env brings its own engine, ``"gym"``, which the default stands for.
            task: a task's name or class, for the one that the world names.

        Raises:
            UnknownName: for a world, task, parameter, sensor or simulator that does not exist.
            InvalidValue: for a control period that is no multiple of the physics step, a count below 1, or a
                world that the simulator can't express.
            MissingExtra: if the simulator's package is not installed.
        """
        _check_count("num_envs", num_envs)
        _check_count("max_episode_steps", max_episode_steps)
        world = world if isinstance(world, World) else World.load(world)
        world = (
            world if task is None else world.with_task(task if isinstance(task, str) else check_factory(task))
        )
        self.num_envs = num_envs
        self.domain = world.domain(domain)
        self.world = world.for_domain(self.domain)
        self._num_physics = 0 if self.domain.is_point else len(self.domain.names)
        self.engine = engine_of(self.world, engine_for(simulator, self.domain))
        self.simulator = make_simulator(self.engine, self.world, num_envs)
        self._arrays = Arrays(self.simulator.qpos)
        self._task = make_task(self.world, self.simulator, max_episode_steps)
        self.task = self._task.spec
        self._cut_off: Callable[[], Mask] | None = getattr(self._task, "truncated", None)
        self._substeps = _substeps(self.task.control_dt, self.simulator.physics_dt)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP if autoreset else AutoresetMode.DISABLED,
            "render_modes": [],
        }
        box = spaces.Box(-np.inf, np.inf, (len(self.task.observation),), np.float32)
        most = self.task.action_limit
        unit = spaces.Box(-most, most, (len(self.task.action),), np.float32)
        self.single_observation_space: spaces.Box = box
        self.single_action_space: spaces.Box = unit
        self.observation_space = batch_space(box, num_envs)
        self.action_space = batch_space(unit, num_envs)
        self.events: list[Divergence] = []
        self._all = np.arange(num_envs)
        self._seed: int | None = None
        self._episodes = np.arange(num_envs, dtype=np.int64)
        self._begun = np.zeros(num_envs, dtype=bool)
        self._ahead = draws.Ahead(num_envs)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._limits = np.full(num_envs, self.task.max_steps)
        self._resting = np.ones(num_envs, dtype=bool)
        self._observation = self._arrays.zeros((num_envs, box.shape[0]))
        self._draws = draws.StepDraws(self._episodes, self._steps)
        self._channels = Channels(self.world, self.simulator, self.task, self._draws, self.domain)
        if self.domain.is_point and self.domain.names:
            self.set_physics(
                self.domain.names, self.domain.quantile(np.zeros((num_envs, len(self.domain.names))))
            )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Begin episodes.

        Args:
            seed: numbers the episodes from the first one again, with new draws; a whole number from 0 on.
            options: ``{"reset_mask": mask}`` begins only the rows of a boolean mask of shape (num_envs,);
                ``{"staggered": True}`` lets time end their first episodes one after another, so that rows
                are not in step.

        Returns:
            Observations, shape (num_envs, n), and info.
        """
        seed = None if seed is None else draws.checked_seed(seed)
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask")
        ids = self._all if mask is None else np.flatnonzero(_mask(mask, self.num_envs))
        if seed is not None:
            self._seed = seed
            self._ahead.forget()
            self._episodes[:], self._begun[:] = self._all, False
        elif self._seed is None:
            self._seed = int(self.np_random.integers(2**63))
        self._episodes[ids[self._begun[ids]]] += self.num_envs
        self._begin(ids)
        if (options or {}).get("staggered"):
            self._limits[ids] = _staggered(len(ids), self.task.max_steps)
        self._first(ids)
        return self._arrays.copy(self._observation), {}

    def step(self, actions: Floats) -> tuple[Floats, NDArray[np.float64], Mask, Mask, Info]:
        """Advance one control period.

        Args:
            actions: within ± the task's limit (1 where it names none), clipped to it. Shape (num_envs,
                num_actions).

        Returns:
            Observations, rewards, terminated, truncated and info; a row that rests has reward 0.

        Raises:
            InvalidValue: for actions of the wrong shape, or with a NaN.
        """
        arrays, channels = self._arrays, self._channels
        if channels.schedule:
            self._write(channels.schedule)
        wanted = _checked(arrays.floats(actions), self.action_space.shape, self.task.action_limit, arrays.xp)
        command = channels.command(channels.encoders.asked(self._task, wanted))
        running = np.flatnonzero(~self._resting) if np.count_nonzero(self._resting) else None
        self.simulator.step(command, self._substeps, running, channels.between)
        rewards, ended = self._task.outcome()
        rewards, terminated = arrays.copy(rewards), arrays.host(ended).copy()  # a task may own them
        self._steps += 1
        diverged = arrays.host(self.simulator.diverged())
        blown = bool(np.count_nonzero(diverged))
        if blown:
            self._report(np.flatnonzero(diverged & ~self._resting))
            rewards[diverged] = 0.0
            terminated |= diverged
        truncated = self._steps >= self._limits
        if self._cut_off is not None:
            truncated |= self._cut_off()
        truncated &= ~terminated
        if running is not None:
            rewards[self._resting] = 0.0
            terminated, truncated = terminated & ~self._resting, truncated & ~self._resting
        info: Info = {}
        done = terminated | truncated
        self._observe(running, diverged if blown else None)
        if np.count_nonzero(done):
            self._end(done, diverged, info)
        return arrays.copy(self._observation), rewards, arrays.put(terminated), arrays.put(truncated), info

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
        self._check_play(names, values)
        self.simulator.set_physics(ids, names, values)
        self._channels.set_physics(ids, names, values)

    def set_domain(self, domain: DomainLike) -> None:
        """Draw physics from another domain from the next starts of episodes on.

        Parameters that it does not name, and that the domain before it did, are nominal again.

        Args:
            domain: as in the constructor.

        Raises:
            UnknownName: for a parameter that neither the world nor the domain that the env was made with has.
            InvalidValue: for a backlash, if the env was made without, or a value that is impossible.
        """
        given = self.world.check(self.world.domain(domain))
        if engine_of(self.world, engine_for(self.engine, given)) != self.engine:
            raise InvalidValue(
                "a backlash needs a second joint, and this env was made without: make it with a domain that "
                'has one, or with simulator=Engine("mujoco", play=True)'
            )
        dropped = {n: Point(self.world.nominal[n]) for n in self.domain.names if n not in given.parameters}
        self.domain = Domain({**dropped, **given.parameters}, given.correlation)
        self._num_physics = len(self.domain.names)
        self._ahead.forget()
        self._channels.draw_from(self.domain)

    @property
    def world_name(self) -> str:
        """Name of the world."""
        return self.world.name

    @property
    def native_actions(self) -> tuple[Array, Array]:
        """What actions mean at their least and most, in the env's own units. Shapes (num_actions,)."""
        most = np.full(len(self.task.action), self.task.action_limit)
        own = self.world.env
        return (-most, most) if own is None else (own.task.low, own.task.high)

    @property
    def contents(self) -> Contents:
        """What the world consists of; see `sim2real.contents`."""
        return self.world.contents

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
        self._seed = draws.checked_seed(seed)
        self._ahead.forget()
        self._episodes[:], self._begun[:] = episodes, False
        self._resting[:] = True

    def _begin(self, ids: Ids) -> None:
        physics, u = self._ahead.take(ids, self._episodes, self._draw)
        if self._num_physics:
            self.simulator.set_physics(ids, self.domain.names, physics)
            self._channels.set_physics(ids, self.domain.names, physics)
        self._steps[ids] = 0
        self._limits[ids] = self.task.max_steps
        self._draws.seed = self._seed or 0
        start = self._task.start(ids, self._arrays.put(u))
        self._channels.begin(ids, start[2])
        if self._channels.schedule:
            self._write(self._channels.schedule)
        self.simulator.reset(ids, *start)
        if self.task.hold_steps:
            self._hold(ids, start[2])
        self._begun[ids] = True
        self._resting[ids] = False

    def _hold(self, ids: Ids, first: Array) -> None:
        """Let rows that begin hold their first command; channels that act on commands rest meanwhile."""
        command = self._arrays.put(np.zeros((self.num_envs, first.shape[1])))
        command[ids] = first
        with self._channels.holding() as between:
            self.simulator.step(command, self.task.hold_steps * self._substeps, ids, between)

    def _draw(self, episodes: NDArray[np.int64]) -> tuple[Array, Array]:
        """Physics of episodes, and the numbers that their starts are drawn from."""
        counts = (draws.PHYSICS, self._num_physics), (draws.START, self.task.num_draws)
        u = draws.streams(self._seed or 0, episodes, counts)
        physics, start = u[:, : self._num_physics], u[:, self._num_physics :]
        return self.domain.quantile(physics) if self._num_physics else physics, start

    def _observe(self, ids: Ids | None, diverged: Mask | None) -> None:
        """Refresh rows after a step; a row that diverged keeps its last sane observation."""
        fresh = self._channels.observe(self._channels.encoders.seen(self._task))
        if diverged is not None:
            ids = np.flatnonzero(~diverged) if ids is None else ids[~diverged[ids]]
        if ids is None:
            self._observation[:] = fresh
        else:
            self._observation[ids] = self._arrays.single(fresh[ids])

    def _first(self, ids: Ids) -> None:
        """Observe rows that have just begun."""
        seen = self._channels.encoders.seen(self._task)
        self._observation[ids] = self._arrays.single(self._channels.first(seen, ids))

    def _end(self, done: Mask, diverged: Mask, info: Info) -> None:
        succeeded = self._arrays.host(self._task.succeeded())
        info["success"], info["_success"] = succeeded & done & ~diverged, done.copy()
        info["diverged"], info["_diverged"] = diverged & done, done.copy()
        end = info.copy()
        if self.metadata["autoreset_mode"] is AutoresetMode.DISABLED:
            self._resting |= done
            return
        info["final_obs"], info["_final_obs"] = self._arrays.copy(self._observation), done.copy()
        info["final_info"], info["_final_info"] = end, done.copy()
        ids = np.flatnonzero(done)
        self._episodes[ids] += self.num_envs
        self._begin(ids)
        self._first(ids)

    def _write(self, due: Schedule) -> None:
        """Write what drifts or is drawn anew within episodes, and the own values of rows that begin."""
        for ids, names, values in due.due():
            self.simulator.set_physics(ids, names, values)
            self._channels.change(ids, names, values)

    def _check_play(self, names: tuple[str, ...], values: NDArray[np.float64]) -> None:
        for k, name in enumerate(names):
            if not self.engine.play and name.endswith(".backlash") and np.any(values[:, k]):
                raise InvalidValue(
                    f"{name} needs a second joint, and this env was made without: make it with a domain that "
                    'has a backlash, or with simulator=Engine("mujoco", play=True)'
                )

    def _report(self, ids: Ids) -> None:
        for i in map(int, ids):
            event = Divergence(i, int(self._episodes[i]), int(self._steps[i]), self.physics(i))
            self.events.append(event)
            _log.warning("simulation %d diverged at step %d of episode %d", i, event.step, event.episode)


def engine_for(simulator: str | Engine, domain: Domain) -> Engine:
    """The engine with what a domain needs of it: second joints for a backlash."""
    engine = Engine(simulator) if isinstance(simulator, str) else simulator
    backlash = [d for name, d in domain.parameters.items() if quantity_of(name).name == "backlash"]
    return replace(
        engine, play=engine.play or any(distribution.support()[1] > 0 for distribution in backlash)
    )


def make_task(world: World, simulator: Simulator, max_steps: int | None) -> Task:
    """The world's task, bound by name to simulations of it.

    Raises:
        UnknownName: for a task that does not exist, or a site of it.
        InvalidValue: for a world that names none, or whose scene lacks what the task names.
    """
    return bind(task_class(world), simulator, max_steps)


def task_class(world: World) -> TaskFactory:
    """What makes the world's task, and knows its fixed side.

    Raises:
        UnknownName: for a task that does not exist.
        InvalidValue: for a world that names none.
    """
    if world.own_task is not None:
        return world.own_task
    if world.io is not None and world.task == IO:
        return IOTask(world.io, level_ground(world.model, world.parameters) if world.io.scans else 0.0)
    own = world.path / "task.py" if (world.path / "task.py").is_file() else "my_module"
    if not has_task(world):
        raise InvalidValue(
            f"world {world.name} names no task, which this needs (gap and identify don't): put a line "
            f"task = one of {', '.join(TASKS)} into {world.path / 'physics.toml'}, or register one "
            f"of your own (--import {own})"
        )
    if world.task not in TASKS:
        known = (*TASKS, f"your own, by --import {own}")
        raise UnknownName(f"task of world {world.name}", world.task, known)
    return TASKS[world.task]


def has_task(world: World) -> bool:
    """Whether a world names a task, known or not; without a name of its own it has that of the world."""
    named = world.task != world.name or world.task in TASKS
    return named or world.own_task is not None or world.io is not None


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


def _staggered(rows: int, max_steps: int) -> NDArray[np.int64]:
    """Steps of the first episode of each row: of each group, some more, up to those of a whole one."""
    groups = min(rows, _STAGGERED)
    return -(-max_steps * (np.arange(rows) % groups + 1) // groups)


def _mask(mask: object, num_envs: int) -> Mask:
    array = np.asarray(mask)
    if array.shape != (num_envs,) or array.dtype != np.bool_:
        raise InvalidValue(
            f"reset_mask must be boolean of shape ({num_envs},), not {array.dtype} of {array.shape}"
        )
    return array


def _checked(actions: Array, shape: tuple[int, ...] | None, most: float, xp: ModuleType) -> Array:
    if tuple(actions.shape) != shape:
        raise InvalidValue(f"actions of shape {tuple(actions.shape)} given where {shape} is meant")
    finite = xp.isfinite(actions)
    if not xp.all(finite):
        rows = [k for k, fine in enumerate(xp.all(finite, axis=1).tolist()) if not fine]
        raise InvalidValue(f"actions of rows {rows[:5]} are not finite; check the policy's weights")
    clipped: Array = xp.minimum(xp.maximum(actions, xp.asarray(-most)), xp.asarray(most))
    return clipped
