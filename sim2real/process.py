"""What belongs to the process of a user is found as it was left; and other processes beside it.

Learners seed Python's, numpy's and torch's own generators, and want one thread for small networks. Whoever
calls us may have seeded them for something else.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1].split('|'); from importlib import import_module; "
    "module, name = sys.argv[2].split(':'); getattr(import_module(module), name)(*sys.argv[3:])"
)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back random generators and torch's thread count afterwards; also as a decorator."""
    torch = sys.modules.get("torch")
    own, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - the legacy one is the process's
    if torch is not None:
        threads, torchs = torch.get_num_threads(), torch.get_rng_state()
        on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)  # noqa: NPY002
        if torch is not None:
            torch.set_num_threads(threads)
            torch.set_rng_state(torchs)
            if on_gpu is not None:
                torch.cuda.set_rng_state_all(on_gpu)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let Python's and numpy's own generators draw from a seed, and put them back afterwards."""
    own, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - the legacy one is the process's
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)  # noqa: NPY002


def end(pipe: Connection, process: subprocess.Popen[bytes], patience: float) -> None:
    """Close a process's pipe, at which it ends by itself, and kill it if it has not within some seconds."""
    pipe.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def fresh_interpreter(
    function: str, *arguments: str, files: tuple[int, ...] = (), variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that runs a function of ours: no fork, and not the caller's script once more.

    Args:
        function: ``module:name``.
        arguments: that it gets.
        files: open ones that the process keeps, by the same numbers.
        variables: of its environment, beside those of this process.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, "|".join(sys.path), function, *arguments],
        pass_fds=files,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(variables or {})},
    )
