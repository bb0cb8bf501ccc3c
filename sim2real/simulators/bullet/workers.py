"""Simulations in processes of their own, on arrays in shared memory.

A worker is a fresh interpreter, not a fork (which would hang with MuJoCo's threads) and not a second run of
the caller's script. Arrays lie in an anonymous file that has no name to leak; commands go through a pipe. A
worker ends when the pipe does: when the simulator is closed or collected, or its process dies in any way.
An interrupt from the keyboard is the caller's business; workers ignore it, and an answer that it kept the
caller from reading is thrown away when the next one comes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO

import numpy as np

from sim2real.errors import InvalidValue, Sim2RealError
from sim2real.interface import Array, Ids
from sim2real.simulators.bullet.shard import Shard
from sim2real.simulators.play import Play
from sim2real.world import World

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1].split('|'); from {} import serve; serve(*map(int, sys.argv[2:]))"
)
_INPUTS = ("force", "dry_friction", "force_limit")
_PATIENCE = 5.0  # s for a worker to end by itself


class Board:
    """Named float64 arrays in shared memory, a row for each simulation."""

    def __init__(self, file: int, world: World, num_envs: int) -> None:
        """Map an open file, which is made as long as it takes."""
        model = world.model
        hidden = 0 if (play := Play.of(model)) is None else len(play.play[0])
        shapes = {
            "qpos": (model.nq - hidden,),
            "qvel": (model.nv - hidden,),
            "ctrl": (model.nu,),
            "diverged": (),
            "site": (model.nsite, 3),
            "force": (model.nbody, 6),
            "actuator_force": (model.nu,),
            "dry_friction": (model.nv,),
            "force_limit": (model.nu, 2),
            "speed": (model.nv,),
            "load_force": (model.nv,),
            "delay": (model.nu,),
        }
        sizes = [num_envs * int(np.prod(shape)) for shape in shapes.values()]
        os.ftruncate(file, 8 * sum(sizes) + 8)
        memory = np.frombuffer(mmap.mmap(file, 0), dtype=np.float64)
        parts = np.split(memory[: sum(sizes)], np.cumsum(sizes)[:-1])
        self.arrays: dict[str, Array] = {
            name: part.reshape((num_envs, *shape))
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }


@dataclass
class _Link:
    """An array of a shard and its place on the board."""

    own: Array
    shared: Array
    is_input: bool


class Worker:
    """The caller's end of a process that has some of the simulations."""

    def __init__(self, file: int, rows: slice) -> None:
        """Start the process; `ask` it first to ``open``."""
        self.rows = rows
        self._number = 0
        self._pipe, theirs = Pipe()
        program = _PROGRAM.format(__name__)
        command = [sys.executable, "-c", program, "|".join(sys.path), str(theirs.fileno()), str(file)]
        one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        with theirs:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(), file),
                stdin=subprocess.DEVNULL,
                env={**os.environ, **one_thread},
            )
        self.close = weakref.finalize(self, _end, self._pipe, self._process)

    def ask(self, *command: object) -> None:
        """Send a command, to be `awaited`."""
        self._number += 1
        with contextlib.suppress(BrokenPipeError):  # `awaited` says it better
            self._pipe.send((self._number, *command))

    def awaited(self) -> None:
        """Wait for the answer.

        Raises:
            InvalidValue: with the message of what the shard raised.
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
                f"a worker process of bullet ended with exit code {code}; make the simulator anew"
            ) from lost
        if error is not None:
            raise InvalidValue(error)


def serve(pipe: int, file: int) -> None:
    """Be a worker until the pipe ends: what the process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError), Connection(pipe) as caller:
        desk: _Desk | None = None
        while True:
            number, name, *arguments = caller.recv()
            error: str | None = None
            try:
                if desk is None:
                    desk = _Desk(file, *arguments)
                else:
                    getattr(desk, name)(*arguments)
            except Sim2RealError as mistake:
                error = str(mistake)  # not every error can be sent
            caller.send((number, error))


class _Desk:
    """A shard whose arrays are copied from and to the board."""

    def __init__(self, file: int, world: World, num_envs: int, rows: slice) -> None:
        self._world = world
        self._board = {name: array[rows] for name, array in Board(file, self._world, num_envs).arrays.items()}
        self._shard = Shard(self._world, rows.stop - rows.start)
        self._links = [_Link(self._shard.array(name), self._board[name], False) for name in ("qpos", "qvel")]

    def link(self, name: str, element: str | None) -> None:
        """Keep another array of the shard on the board from now on."""
        shared, own = self._board[name], self._shard.array(name, element)
        if element is not None:
            shared = shared[:, place(self._world, name, element)]
        self._links.append(_Link(own, shared, name in _INPUTS))
        shared[:] = own

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        self._take()
        self._shard.set_physics(env_ids, names, values)
        self._show()

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        self._take()
        self._shard.reset(env_ids, qpos, qvel, ctrl)
        self._show()

    def step(self, substeps: int, env_ids: Ids | None) -> None:
        self._take()
        self._shard.step(self._board["ctrl"], substeps, env_ids)
        self._show()

    def delay_commands(self) -> None:
        self._shard.delay_commands(self._board["delay"])

    def _take(self) -> None:
        for link in self._links:
            if link.is_input:
                link.own[:] = link.shared

    def _show(self) -> None:
        for link in self._links:
            link.shared[:] = link.own
        self._board["diverged"][:] = self._shard.diverged()


def place(world: World, name: str, element: str) -> int:
    """Where on the board's second axis a site or the force on a body lies."""
    model = world.model
    return int(model.site(element).id if name == "site" else model.body(element).id)


def start(world: World, num_envs: int, count: int) -> tuple[Board, Sequence[Worker]]:
    """The board and ``count`` workers that share the simulations out evenly, ready to be asked.

    Raises:
        InvalidValue: for a world that Bullet can't express.
        MissingExtra: if PyBullet is not installed.
    """
    with _anonymous_file() as file:
        board = Board(file.fileno(), world, num_envs)
        bounds = np.linspace(0, num_envs, count + 1).round().astype(int).tolist()
        workers = [Worker(file.fileno(), slice(*pair)) for pair in pairwise(bounds)]
    for worker in workers:
        worker.ask("open", world, num_envs, worker.rows)
    for worker in workers:
        worker.awaited()
    return board, workers


def _anonymous_file() -> contextlib.AbstractContextManager[IO[bytes]]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("sim2real"), "rb+")
    return tempfile.TemporaryFile()


def _end(pipe: Connection, process: subprocess.Popen[bytes]) -> None:
    pipe.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
