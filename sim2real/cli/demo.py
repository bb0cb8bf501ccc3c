"""The whole way once."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.evaluate import print_report
from sim2real.cli.terminal import command_line, counting


@command(
    "demo",
    option("--out", type=Path, default=Path("runs/demo")),
)
def run(arguments: Arguments) -> None:
    """The whole way once, on the rotary pendulum."""
    from sim2real.pipelines.demo import demo

    found = demo(arguments.out, command_line(), counting)
    print_report(found.report, found.page)
