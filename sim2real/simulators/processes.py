"""Simulations in processes of their own, on arrays in shared memory.

A worker is a fresh interpreter, not a fork (which would hang with MuJoCo's threads) and not a second run of
the caller's script. Arrays lie in an anonymous file that has no name to leak; commands go through a pipe. A
worker ends when the pipe does: when the simulator is closed or collected, or its process dies in any way.
An interrupt from the keyboard is the caller's business; workers ignore it, and an answer that it kept the
caller from reading is thrown away when the next one comes.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import signal
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any, Protocol

import numpy as np

from sim2real.errors import InvalidValue, Sim2RealError
from sim2real.interface import Array, Ids
from sim2real.process import end, fresh_interpreter

_PATIENCE = 5.0  # s for a worker to end by itself

Shapes = Mapping[str, tuple[int, ...]]
"""Of what each simulation has on a board, by name."""


def shared(file: int, shapes: Shapes, num_envs: int) -> dict[str, Array]:
    """Named float64 arrays in shared memory, a row for each simulation.

    Args:
        file: open, which is mapped and made as long as it takes.
        shapes: of a row, by name.
        num_envs: rows.
    """
    sizes = [num_envs * int(np.prod(shape)) for shape in shapes.values()]
    os.ftruncate(file, 8 * sum(sizes) + 8)
    memory = np.frombuffer(mmap.mmap(file, 0), dtype=np.float64)
    parts = np.split(memory[: sum(sizes)], np.cumsum(sizes)[:-1])
    return {
        name: part.reshape((num_envs, *shape))
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


class Staff(Protocol):
    """Who has the simulations: this process, or others."""

    arrays: dict[str, Array]
    """Live, by name. Shapes (num_envs, ...)."""

    def all(self, *command: object) -> None:
        """Call a method by its name for all simulations, whose ids are its first argument: None."""

    def some(self, name: str, env_ids: Ids, arguments: Callable[[Ids], tuple[object, ...]]) -> None:
        """Call a method for some simulations: their ids, then the arguments' rows that are theirs."""

    def close(self) -> None:
        """End them."""


class Alone:
    """This process has all simulations."""

    def __init__(self, desk: str, shapes: Shapes, num_envs: int, *given: object) -> None:
        """Make the desk; see `Crew`."""
        self.arrays = {name: np.zeros((num_envs, *shape)) for name, shape in shapes.items()}
        self._desk: Any = _found(desk)(self.arrays, *given)

    def all(self, *command: object) -> None:
        """Call a method; see `Staff.all`."""
        name, *arguments = command
        getattr(self._desk, str(name))(*arguments)

    def some(self, name: str, env_ids: Ids, arguments: Callable[[Ids], tuple[object, ...]]) -> None:
        """Call a method for some simulations; see `Staff.some`."""
        getattr(self._desk, name)(env_ids, *arguments(np.arange(len(env_ids))))

    def close(self) -> None:
        """Close the desk."""
        self._desk.close()


class Crew:
    """Processes that share simulations out evenly."""

    def __init__(self, desk: str, shapes: Shapes, num_envs: int, count: int, *given: object) -> None:
        """Start ``count`` workers; each makes its desk, and answers by the desk's methods.

        Args:
            desk: ``module:Class``, called with the worker's rows of the arrays, then with ``given``.
            shapes: of the arrays on the board.
            num_envs: simulations.
            count: workers.
            given: anything that can be pickled.

        Raises:
            InvalidValue: with the message of what a desk raised.
        """
        with _anonymous_file() as file:
            self.arrays = shared(file.fileno(), shapes, num_envs)
            bounds = np.linspace(0, num_envs, count + 1).round().astype(int).tolist()
            self.workers = [_Worker(desk, file.fileno(), slice(*pair)) for pair in pairwise(bounds)]
        for worker in self.workers:
            worker.ask("open", dict(shapes), num_envs, worker.rows, *given)
        _await(self.workers)

    def all(self, *command: object) -> None:
        """Ask all workers the same, and wait for them; see `Staff.all`."""
        for worker in self.workers:
            worker.ask(*command)
        _await(self.workers)

    def some(self, name: str, env_ids: Ids, arguments: Callable[[Ids], tuple[object, ...]]) -> None:
        """Ask the workers of some simulations, and wait for them; see `Staff.some`."""
        asked = []
        for worker in self.workers:
            rows = np.flatnonzero((worker.rows.start <= env_ids) & (env_ids < worker.rows.stop))
            if not len(rows):
                continue
            asked.append(worker)
            worker.ask(name, env_ids[rows] - worker.rows.start, *arguments(rows))
        _await(asked)

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.close()


class _Worker:
    """The caller's end of a process that has some of the simulations."""

    def __init__(self, desk: str, file: int, rows: slice) -> None:
        self.rows, self._engine, self._number = rows, desk.split(".")[2], 0
        self._pipe, theirs = Pipe()
        one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        with theirs:
            files = (theirs.fileno(), file)
            self._process = fresh_interpreter(
                f"{__name__}:serve", desk, *map(str, files), files=files, variables=one_thread
            )
        self.close = weakref.finalize(self, end, self._pipe, self._process, _PATIENCE)

    def ask(self, *command: object) -> None:
        """Send a command, to be `awaited`."""
        self._number += 1
        with contextlib.suppress(BrokenPipeError):  # `awaited` says it better
            self._pipe.send((self._number, *command))

    def awaited(self) -> None:
        """Wait for the answer.

        Raises:
            InvalidValue: with the message of what the desk raised.
            RuntimeError: if the process has ended.
        """
        try:
            while True:
                number, error = self._pipe.recv()
                if number == self._number:
                    break
        except (EOFError, ConnectionError) as lost:
            code = self._process.wait(_PATIENCE)
            raise RuntimeError(
                f"a worker process of {self._engine} ended with exit code {code}; make the simulator anew"
            ) from lost
        if error is not None:
            raise InvalidValue(error)


def serve(desk: str, pipe: str, file: str) -> None:
    """Be a worker until the pipe ends: what the process runs, with the numbers of pipe and file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make = _found(desk)
    with contextlib.suppress(EOFError, ConnectionError), Connection(int(pipe)) as caller:
        made: Any = None
        while True:
            number, name, *arguments = caller.recv()
            error: str | None = None
            try:
                if made is None:
                    shapes, num_envs, rows, *given = arguments
                    arrays = shared(int(file), shapes, num_envs)
                    made = make({key: array[rows] for key, array in arrays.items()}, *given)
                else:
                    getattr(made, name)(*arguments)
            except Sim2RealError as mistake:
                error = str(mistake)  # not every error can be sent
            caller.send((number, error))


def _found(desk: str) -> Callable[..., Any]:
    module, _, name = desk.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _await(workers: Iterable[_Worker]) -> None:
    """Hear all answers, then raise the first error among them."""
    errors = []
    for worker in workers:
        try:
            worker.awaited()
        except (ValueError, RuntimeError) as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _anonymous_file() -> contextlib.AbstractContextManager[IO[bytes]]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("sim2real"), "rb+")
    return tempfile.TemporaryFile()
