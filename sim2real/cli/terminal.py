"""What commands show: results as they are, and long work while it goes on.

Progress is a line that changes where there is a terminal, and a line of its own for each stage elsewhere.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from sim2real.identify.options import Options
    from sim2real.pipelines.progress import Progress
    from sim2real.world import World


def command_line() -> str:
    """What was typed, to be typed again."""
    return shlex.join(["sim2real", *sys.argv[1:]])


def console() -> Console:
    """A console that shows names as they are: a bracket or a colon in one is no markup."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


@contextmanager
def working(show: Console, what: str) -> Iterator[None]:
    """Say what goes on while it does."""
    from rich.text import Text

    if show.is_terminal:
        with show.status(Text(what)):
            yield
    else:
        show.print(f"{what} …", soft_wrap=True)
        yield


@contextmanager
def counting(what: str, total: int, lines: bool = False) -> Iterator[Callable[[str], None]]:
    """Count what is done: a bar with the time left, or a line for each; the callable takes its name.

    Args:
        what: goes on.
        total: of what is to be done.
        lines: whether each has a line above the bar, too.
    """
    from rich.progress import Progress

    show, done = console(), 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        if show.is_terminal:
            bar.advance(task)
            if lines:
                show.print(name, soft_wrap=True)
        else:
            show.print(f"{what}: {done} of {total} done, {name}", soft_wrap=True)

    if not show.is_terminal:
        show.print(f"{what}: 0 of {total} done", soft_wrap=True)
    with Progress(console=show, disable=not show.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield tell


@contextmanager
def identifying(show: Console, world: World, options: Options) -> Iterator[Progress]:
    """Say which stage an identification is at, the error so far and the time left."""
    from rich.text import Text

    from sim2real.pipelines.progress import Progress, planned_stages

    with show.status("begin") as status:
        stages = planned_stages(world, options)
        yield Progress(
            lambda line: show.print(line, soft_wrap=True), stages, lambda line: status.update(Text(line))
        )
