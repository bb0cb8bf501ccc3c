"""Record episodes: of our own envs with their full states, of a sealed target with what it shows.

    rollouts = gather(target, "furuta", Excited(policy, noise=0.2, seed=0), steps=160)

Every step in a target is counted by the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.interface import ActorLike, Mask, TaskSpec
from sim2real.policy import as_actor
from sim2real.recordings.rollouts import Episode, FloatArray, Rollouts
from sim2real.world import World


class Steppable(Protocol):
    """What episodes can be recorded of: our vector env, or a sealed target."""

    num_envs: int

    @property
    def task(self) -> TaskSpec:
        """The task's fixed side."""

    @property
    def world_name(self) -> str:
        """Name of the world."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin all rows."""

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Advance all rows one control period."""


_Shaken = tuple[Any, FloatArray | None]
"""What `Excited` remembers: the state of whom it shakes, and where the shaking is."""


class Excited:
    """An actor whose actions are shaken, so that they say more about the physics than its habits do.

    The shaking is an autoregressive process: white noise excites little below its bandwidth.
    """

    def __init__(
        self, actor: ActorLike, noise: float, seed: int, memory: float = 0.7, limit: float = 1.0
    ) -> None:
        """Shake an actor.

        Args:
            actor: whom to shake.
            noise: stationary standard deviation, in units of a full action.
            seed: of the shaking.
            memory: share of the shaking that is left after a control step, in [0, 1).
            limit: actions are clipped to ± this.
        """
        self._actor, self._noise, self._memory = as_actor(actor), noise, memory
        self._limit = limit
        self._rng = np.random.default_rng(seed)

    def start(self, rows: int | Mask, state: _Shaken | None = None) -> _Shaken:
        """Begin the actor's episodes; the shaking of a row goes on."""
        inner, shaking = state or (None, None)
        return self._actor.start(rows, inner), shaking

    def act(
        self, observation: NDArray[np.float32], state: _Shaken | None = None
    ) -> tuple[NDArray[np.float32], _Shaken]:
        """Actions, shape (n, num_actions), and the state."""
        inner, shaking = state or (None, None)
        wanted, inner = self._actor.act(observation, inner)
        if shaking is None:
            shaking = self._noise * self._rng.standard_normal(wanted.shape)
        fresh = self._noise * np.sqrt(1 - self._memory**2) * self._rng.standard_normal(wanted.shape)
        shaking = self._memory * shaking + fresh
        return np.clip(wanted + shaking, -self._limit, self._limit).astype(np.float32), (inner, shaking)


def gather(
    env: Steppable, actor: ActorLike, steps: int, seed: int | None = None, anew: bool = True
) -> Rollouts:
    """Record ``steps`` control steps in every row, from the start of an episode on.

    A row whose episode ends begins another one where a target does; else it rests from then on, and the
    others go on to the end of theirs.

    Args:
        env: where; what it takes is counted by it. Without autoreset, if it is ours.
        actor: acts on all rows at once.
        steps: control steps of each row, at most.
        seed: of the episodes; by default the env goes on with its own.
        anew: whether a target may begin a row anew; else each row has one episode, and no other is paid for.

    Returns:
        The episodes; with full states if the env is ours.

    Raises:
        InvalidValue: for an env of ours with autoreset, whose last states are gone when a step returns.
    """
    if isinstance(env, Sim2RealVectorEnv) and env.metadata["autoreset_mode"] is not AutoresetMode.DISABLED:
        raise InvalidValue("this env begins rows anew within a step; record from one with autoreset=False")
    observation, _ = env.reset(seed=seed, options=None if anew else {"one_episode": True})
    actor = as_actor(actor)
    state = actor.start(env.num_envs)
    tracks = [_Track() for _ in range(env.num_envs)]
    finished: list[Episode] = []
    running = np.ones(env.num_envs, dtype=bool)
    _see(tracks, env, observation, running)
    for _ in range(steps):
        actions, state = actor.act(observation, state)
        observation, _, terminated, truncated, info = env.step(actions)
        done = terminated | truncated
        for row in np.flatnonzero(running):
            tracks[row].action.append(np.asarray(actions[row], dtype=np.float64))
        _see(tracks, env, _last(observation, info), running)
        for row in np.flatnonzero(done & running):
            finished.append(tracks[row].episode())
            tracks[row] = _Track()
        begun = np.zeros_like(done)
        if "final_obs" in info:
            begun = done & ~info.get("resting", begun)
            _see(tracks, env, observation, begun)
            state = actor.start(begun, state)
        running = (running & ~done) | begun
        if not running.any():
            break
    finished += [track.episode() for track in tracks if track.action]
    task = env.task
    return Rollouts(env.world_name, task.name, task.version, task.control_dt, tuple(finished))


MakeActor = Callable[[int], ActorLike]
"""The actor of recordings, with a seed of its own for what it draws."""


class Imitator:
    """Makes recordings like given ones, under many physics at once."""

    def __init__(self, world: World, like: Rollouts, actor: MakeActor, rows: int = 512) -> None:
        """Prepare an env with at most so many rows as fit whole recordings.

        The number and the longest length of the given episodes are imitated.
        """
        self._episodes, self._steps = len(like.episodes), max(e.steps for e in like.episodes)
        self._at_once = max(rows // self._episodes, 1)
        self._env = Sim2RealVectorEnv(world, self._at_once * self._episodes, autoreset=False)
        like.check(self._env.task)
        self._actor = actor

    def __call__(self, names: Sequence[str], values: FloatArray, seed: int) -> Iterator[list[Episode]]:
        """The episodes under each physics in turn; none where one of them blew up.

        Args:
            names: k parameters.
            values: one physics a row, in the parameters' units. Shape (n, k).
            seed: of episodes and actors.
        """
        for turn, start in enumerate(range(0, len(values), self._at_once)):
            yield from self._run(names, values[start : start + self._at_once], seed * 100_003 + turn)

    def _run(self, names: Sequence[str], values: FloatArray, seed: int) -> Iterator[list[Episode]]:
        env, each = self._env, self._episodes
        filled = values[np.arange(self._at_once) % len(values)]
        env.set_physics(tuple(names), np.repeat(filled, each, axis=0))
        actor = as_actor(self._actor(seed))
        state = actor.start(env.num_envs)
        observation, _ = env.reset(seed=seed)
        seen, done, alive = [observation.astype(np.float64)], [], []
        for _ in range(self._steps):
            alive.append(~env.resting)
            actions, state = actor.act(observation, state)
            observation, *_ = env.step(actions.astype(np.float32))
            done.append(actions.astype(np.float64))
            seen.append(observation.astype(np.float64))
        wild, steps = env.simulator.diverged(), np.sum(alive, axis=0)
        arrays = zip(np.stack(seen, axis=1), np.stack(done, axis=1), steps.tolist(), strict=True)
        episodes = [Episode(o[: n + 1], a[:n]) for o, a, n in arrays]
        for k in range(len(values)):
            rows = slice(k * each, (k + 1) * each)
            yield [] if wild[rows].any() else episodes[rows]


class _Track:
    """One row while it is recorded."""

    def __init__(self) -> None:
        self.observation: list[FloatArray] = []
        self.action: list[FloatArray] = []
        self.states: list[tuple[FloatArray, FloatArray]] = []

    def episode(self) -> Episode:
        if not self.states:
            return Episode(np.array(self.observation), np.array(self.action))
        qpos, qvel = (np.array(part) for part in zip(*self.states, strict=True))
        return Episode(np.array(self.observation), np.array(self.action), qpos, qvel)


def _last(observation: NDArray[np.float32], info: Mapping[str, Any]) -> NDArray[np.float32]:
    """Observations at the end of the step, before rows began anew."""
    if "final_obs" not in info:
        return observation
    rows = info["_final_obs"]
    return np.where(rows[:, None], info["final_obs"], observation)


def _see(
    tracks: list[_Track], env: Steppable, observation: NDArray[np.float32], rows: NDArray[np.bool_]
) -> None:
    states = (env.simulator.qpos, env.simulator.qvel) if isinstance(env, Sim2RealVectorEnv) else None
    for row in np.flatnonzero(rows):
        tracks[row].observation.append(observation[row].astype(np.float64))
        if states is not None:
            tracks[row].states.append((states[0][row].copy(), states[1][row].copy()))
