"""A task of one's own in every command that makes an env, and where many of them run."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive

if TYPE_CHECKING:
    from sim2real.world import World


def add_task(command: argparse.ArgumentParser) -> None:
    """What every command asks that makes an env."""
    command.add_argument("--task", help="a task's name, for the one that the world names")
    add_imports(command)


def add_imports(command: argparse.ArgumentParser) -> None:
    """What every command asks that may need what the user's own modules register."""
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="module (or .py file) to import first, which registers tasks of one's own; may come again",
    )


def add_cluster(command: argparse.ArgumentParser) -> None:
    """Where cells of a comparison run."""
    command.add_argument("--jobs", type=positive, default=2, help="cells at once (2)")
    command.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="who runs the cells instead: dask://HOST:PORT or ray://HOST:PORT; dask or ray for one here",
    )


def load_world(name: str, arguments: argparse.Namespace) -> World:
    """A world, with the task that was asked for.

    Raises:
        InvalidValue: for an env of a module that a file names and the user does not.
    """
    from sim2real.errors import InvalidValue
    from sim2real.world import SCHEME, World

    module = name.removeprefix(SCHEME).rpartition(":")[0] if name.startswith(SCHEME) else ""
    if module and arguments.world is None and module not in sys.modules:
        raise InvalidValue(
            f"a policy's file names the world {name}, and its module is imported on your word alone; give "
            f"--world {name}"
        )
    world = World.load(name)
    return world if arguments.task is None else world.with_task(arguments.task)
