"""Recorded episodes of a task: what was seen and done, and the full state where it is known.

    >>> still = Episode(np.zeros((3, 6)), np.zeros((2, 1)))
    >>> still.steps
    2

Unlike a `Recording`, which is a robot's log on stamps of its own, this is a policy's view: one observation
and one action for each control step. On disk it is one NPZ file of plain arrays; nothing in it can run code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.documents import read_arrays
from sim2real.errors import RecordingError
from sim2real.files import write_atomically
from sim2real.interface import TaskSpec

FloatArray = NDArray[np.float64]
_ROWS = ("observation", "action", "qpos", "qvel")


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode, or the part of it that was recorded.

    Raises:
        RecordingError: if the arrays don't fit each other, or a number is not finite.
    """

    observation: FloatArray
    """As the env gives it, before the first action and after every one. Shape (steps + 1, n)."""
    action: FloatArray
    """In [-1, 1]. Shape (steps, m)."""
    qpos: FloatArray | None = None
    """Generalized positions, rad and m; None where only observations are known. Shape (steps + 1, nq)."""
    qvel: FloatArray | None = None
    """Generalized velocities. Shape (steps + 1, nv)."""

    def __post_init__(self) -> None:
        """Refuse what can't be replayed."""
        for name in _ROWS:
            array, rows = getattr(self, name), self.steps + (name != "action")
            if array is None:
                continue
            if array.ndim != 2 or len(array) != rows:
                raise RecordingError(
                    f"{name} of an episode of {self.steps} actions has the shape {array.shape}; "
                    f"it must have {rows} rows"
                )
            if not np.isfinite(array).all():
                row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
                raise RecordingError(
                    f"{name} of an episode is not finite in row {row}; cut the episode there"
                )
        if (self.qpos is None) != (self.qvel is None):
            raise RecordingError("an episode has qpos or qvel without the other; give both or neither")

    @property
    def steps(self) -> int:
        """Control steps."""
        return len(self.action)


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Recorded episodes of one task in one world.

    Raises:
        RecordingError: if there is none, or if one differs from the others in shape.
    """

    world: str
    """Name of the world."""
    task: str
    task_version: int
    control_dt: float
    """Control period, s."""
    episodes: tuple[Episode, ...]

    def __post_init__(self) -> None:
        """Refuse episodes of different things."""
        if not self.episodes:
            raise RecordingError("no episodes; record at least one")
        if len({_widths(episode) for episode in self.episodes}) > 1:
            raise RecordingError("the episodes differ in the widths of their arrays; keep each task's apart")

    @property
    def steps(self) -> int:
        """Control steps of all episodes."""
        return sum(episode.steps for episode in self.episodes)

    @property
    def has_states(self) -> bool:
        """Whether full states are known."""
        return self.episodes[0].qpos is not None

    def check(self, task: TaskSpec) -> None:
        """Raise a `RecordingError` if these are not of ``task``."""
        mine, other = (self.task, self.task_version), (task.name, task.version)
        first = self.episodes[0]
        widths = first.observation.shape[1], first.action.shape[1]
        if mine != other or widths != (len(task.observation), len(task.action)):
            raise RecordingError(
                f"rollouts of task {self.task} version {self.task_version} with {widths[0]} observations and "
                f"{widths[1]} actions don't fit task {task.name} version {task.version} with "
                f"{len(task.observation)} and {len(task.action)}"
            )
        if abs(self.control_dt - task.control_dt) > 1e-9:
            raise RecordingError(
                f"rollouts at {self.control_dt:g} s a step don't fit a period of {task.control_dt:g} s"
            )

    def select(self, episodes: Sequence[int]) -> Rollouts:
        """Some of the episodes, by number."""
        return replace(self, episodes=tuple(self.episodes[k] for k in episodes))

    def split(self, share: float, seed: int = 0) -> tuple[Rollouts, Rollouts]:
        """Two parts by episode, never by row: at least one episode each, the second about ``share`` of all.

        Raises:
            RecordingError: if there is only one episode.
        """
        count = len(self.episodes)
        if count < 2:
            raise RecordingError("one episode can't be split into two parts; record another one")
        order = np.random.default_rng(seed).permutation(count)
        held_out = min(max(round(share * count), 1), count - 1)
        return self.select(sorted(order[held_out:])), self.select(sorted(order[:held_out]))

    def save(self, path: str | Path) -> None:
        """Write one NPZ file, whole or not at all."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(episode, name) for episode in self.episodes])
            for name in _ROWS
            if getattr(self.episodes[0], name) is not None
        }
        arrays["steps"] = np.array([episode.steps for episode in self.episodes])
        arrays["about"] = np.array([self.world, self.task])
        arrays["numbers"] = np.array([self.task_version, self.control_dt])
        write_atomically(path, lambda temporary: np.savez_compressed(temporary, True, **arrays))

    @classmethod
    def load(cls, path: str | Path) -> Rollouts:
        """Read what `save` wrote.

        Raises:
            RecordingError: if the file is damaged or something else.
            FileNotFoundError: if there is no such file.
        """
        path = Path(path)
        arrays = read_arrays(
            path, "a file of rollouts", ("about", "numbers", "steps", *_ROWS[:2]), _ROWS, RecordingError
        )
        try:
            (world, task), (version, control_dt) = map(str, arrays["about"]), map(float, arrays["numbers"])
            return cls(world, task, int(version), control_dt, tuple(_episodes(arrays)))
        except RecordingError as error:
            raise RecordingError(f"{path}: {error}") from error
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise RecordingError(
                f"{path} holds no rollouts ({error}); Rollouts.save writes such files"
            ) from error


def _widths(episode: Episode) -> tuple[int | None, ...]:
    arrays = (getattr(episode, name) for name in _ROWS)
    return tuple(None if array is None else array.shape[1] for array in arrays)


def _episodes(arrays: dict[str, NDArray[np.generic]]) -> list[Episode]:
    steps = [int(count) for count in arrays["steps"]]
    ends = np.cumsum(steps)
    parts: dict[str, list[FloatArray]] = {}
    for name in _ROWS:
        if name in arrays:
            more = 0 if name == "action" else 1
            stops = ends + more * np.arange(1, len(steps) + 1)
            if stops[-1] != len(arrays[name]):
                raise RecordingError(f"{name} has {len(arrays[name])} rows where {stops[-1]} are meant")
            parts[name] = np.split(arrays[name].astype(np.float64), stops[:-1])
    return [Episode(**{name: part[k] for name, part in parts.items()}) for k in range(len(steps))]
