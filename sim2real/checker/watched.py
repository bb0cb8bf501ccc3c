"""A task whose every answer is looked at: its shape, its type, its numbers, and what it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real.checker.vector_env import CheckFailed
from sim2real.errors import Sim2RealError, told
from sim2real.interface import Array, Ids, Mask, Simulator, Task, TaskFactory, TaskSpec

T = TypeVar("T")


class Watched:
    """Makes a task as its factory does, and watches it."""

    def __init__(self, factory: TaskFactory) -> None:
        """Watch what ``factory`` makes."""
        self.factory, self.spec = factory, factory.spec

    def __call__(self, simulator: Simulator, max_steps: int | None = None) -> _WatchedTask:
        """The task in these simulations.

        Raises:
            CheckFailed: if it can't be made, or its spec isn't that of its class.
        """
        task = called(self.spec, "__init__", lambda: self.factory(simulator, max_steps))
        wanted = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        spec = getattr(task, "spec", None)
        if not isinstance(spec, TaskSpec) or dataclasses.replace(wanted, max_steps=spec.max_steps) != spec:
            raise CheckFailed(f"task {self.spec.name}: a bound task's spec differs from that of its class")
        if spec.max_steps != wanted.max_steps:
            raise CheckFailed(
                f"task {self.spec.name} ignores max_steps; in __init__: self.spec = dataclasses.replace("
                "self.spec, max_steps=max_steps or self.spec.max_steps)"
            )
        return _WatchedTask(task, simulator)


class _WatchedTask:
    def __init__(self, task: Task, simulator: Simulator) -> None:
        self._task, self._simulator = task, simulator
        self.spec = task.spec
        self._sizes = tuple(len(part) for part in simulator.columns(self.spec))

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        given = u.copy()
        parts = self._ask("start", env_ids, u)
        self._require(np.array_equal(u, given), "start", "changes the draws that it is given")
        names = ("positions", "velocities", "commands")
        found = [
            self._numbers("start", name, part, (len(env_ids), size))
            for name, part, size in zip(names, self._tuple("start", parts, names), self._sizes, strict=True)
        ]
        for name, part in zip(names, found, strict=True):
            self._require(bool(np.isfinite(part).all()), "start", f"gives {name} that are not finite")
        return found[0], found[1], found[2]

    def command(self, action: Array) -> Array:
        given = action.copy()
        answer = self._ask("command", action)
        self._require(np.array_equal(action, given), "command", "changes the actions that it is given")
        command = self._numbers("command", "commands", answer, (len(action), self._sizes[2]))
        self._require(bool(np.isfinite(command).all()), "command", "gives commands that are not finite")
        return command

    def outcome(self) -> tuple[Array, Mask]:
        shape = (self._simulator.num_envs,)
        answer = self._ask("outcome")
        rewards, ended = self._tuple("outcome", answer, ("rewards", "terminations"))
        numbers = self._numbers("outcome", "rewards", rewards, shape)
        self._finite("outcome", "a reward", numbers[:, None])
        return numbers, self._mask("outcome", "terminations", ended, shape)

    def succeeded(self) -> Mask:
        answer = self._ask("succeeded")
        return self._mask("succeeded", "successes", answer, (self._simulator.num_envs,))

    def observe(self) -> Array:
        shape = self._simulator.num_envs, len(self.spec.observation)
        seen = self._numbers("observe", "observations", self._ask("observe"), shape)
        self._finite("observe", "an observation", seen)
        return seen

    def _ask(self, method: str, *given: object) -> object:
        """An answer; the simulations stay as they are, and the answer is no view of them."""
        live = {"qpos": self._simulator.qpos, "qvel": self._simulator.qvel}
        before = {name: array.copy() for name, array in live.items()}
        answer: object = called(self.spec, method, lambda: getattr(self._task, method)(*given))
        parts = answer if isinstance(answer, tuple) else (answer,)
        for name, array in live.items():
            kept = np.array_equal(array, before[name], equal_nan=True)
            self._require(kept, method, f"writes into simulator.{name}")
            alias = any(isinstance(part, np.ndarray) and np.shares_memory(part, array) for part in parts)
            fault = f"returns a view of simulator.{name}, which changes with the next step; return a copy"
            self._require(not alias, method, fault)
        return answer

    def _tuple(self, method: str, answer: object, names: tuple[str, ...]) -> tuple[object, ...]:
        if not isinstance(answer, tuple) or len(answer) != len(names):
            raise self._failed(method, f"must return a tuple: {', '.join(names)}")
        return answer

    def _numbers(self, method: str, what: str, answer: object, shape: tuple[int, ...]) -> Array:
        return self._shaped(method, what, answer, (shape, "f", "floating-point numbers"))

    def _mask(self, method: str, what: str, answer: object, shape: tuple[int, ...]) -> Mask:
        return self._shaped(method, what, answer, (shape, "b", "booleans"))

    def _shaped(
        self, method: str, what: str, answer: object, wanted: tuple[tuple[int, ...], str, str]
    ) -> NDArray[Any]:
        shape, kind, words = wanted
        if not isinstance(answer, np.ndarray):
            raise self._failed(method, f"returns {what} that are a {type(answer).__name__}, no array")
        fault = f"returns {what} of shape {answer.shape} where {shape} is meant"
        self._require(answer.shape == shape, method, fault)
        fault = f"returns {what} that are {answer.dtype} where {words} are meant"
        self._require(answer.dtype.kind == kind, method, fault)
        return answer

    def _finite(self, method: str, what: str, given: Array) -> None:
        """Numbers are finite wherever the simulation's are."""
        qpos, qvel = self._simulator.qpos, self._simulator.qvel
        sane = np.isfinite(np.concatenate((qpos, qvel), axis=1).sum(axis=1)).reshape(-1, 1)
        wrong = np.argwhere(~np.isfinite(given) & sane)
        if len(wrong):
            row, column = map(int, wrong[0])
            which = f" {self.spec.observation[column].name}" if method == "observe" else ""
            value = given[row, column]
            raise self._failed(method, f"gives {what}{which} of {value} in a simulation that is finite")

    def _failed(self, method: str, fault: str) -> CheckFailed:
        return CheckFailed(f"task {self.spec.name}: {method}() {fault}")

    def _require(self, condition: bool, method: str, fault: str) -> None:
        if not condition:
            raise self._failed(method, fault)


def called(spec: TaskSpec, method: str, call: Callable[[], T]) -> T:
    """What a call of the user's code gives.

    Raises:
        CheckFailed: if it raises; the message says what and where.
    """
    try:
        return call()
    except Sim2RealError:
        raise
    except Exception as error:
        raise CheckFailed(f"task {spec.name}: {method}() raises {told(error)}") from error
