"""What several commands ask: a world and its task, recordings, and where many cells run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, option

if TYPE_CHECKING:
    from sim2real.transfer.compare import Design
    from sim2real.transfer.target import Budget
    from sim2real.world import World

WORLD = option("world", help="a world's name or folder")
ANY_WORLD = option("world", help="a world's name or folder, or gym:ID of a gymnasium env")
ALLOW_DEAD = option("--allow-dead", action="store_true", help="also values that change nothing")
IMPORT = option(
    "--import",
    dest="imports",
    action="append",
    default=[],
    metavar="MODULE",
    help="module (or .py file) to import first, which registers tasks of one's own; may come again",
)
TASK = (option("--task", help="a task's name, for the one that the world names"), IMPORT)
CELLS = (
    option("--tries", type=positive, default=64, help="episodes per result and physics (64)"),
    option("--jobs", type=positive, default=2, help="cells at once (2)"),
    option(
        "--cluster",
        metavar="ADDRESS",
        help="who runs the cells instead: dask://HOST:PORT or ray://HOST:PORT; dask or ray for one here",
    ),
)
UNWRAP = option(
    "--unwrap", action="store_true", help="take jumps by a whole turn out of the recordings' angles"
)
RECORDINGS = (
    UNWRAP,
    option(
        "--allow-bad-data", action="store_true", help="take what can be read of what the log doctor calls bad"
    ),
)


def load_world(name: str, arguments: Arguments) -> World:
    """A world, with the task that was asked for.

    Raises:
        InvalidValue: for an env of a module that a file names and the user does not.
    """
    from sim2real.errors import InvalidValue
    from sim2real.world import SCHEME, World

    module = name.removeprefix(SCHEME).rpartition(":")[0] if name.startswith(SCHEME) else ""
    if module and getattr(arguments, "world", name) is None and module not in sys.modules:
        raise InvalidValue(
            f"a policy's file names the world {name}, and its module is imported on your word alone; give "
            f"--world {name}"
        )
    world = World.load(name)
    return world if arguments.task is None else world.with_task(arguments.task)


def design_of(
    arguments: Arguments, targets: Sequence[str], budget: Budget, variants: Sequence[str] | None
) -> Design:
    """What a comparison runs, as `CELLS` asked."""
    from sim2real.evaluate.rollouts import Trials
    from sim2real.transfer.compare import Design

    seen = None if variants is None else tuple(variants)
    where = arguments.jobs, tuple(arguments.imports), arguments.cluster
    return Design(tuple(dict.fromkeys(targets)), budget, seen, Trials(arguments.tries), *where)
