"""The whole way once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.evaluate import print_report
from sim2real.cli.terminal import command_line, console, counting

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("demo", help="the whole way once, on the rotary pendulum")
    command.add_argument("--out", type=Path, default=Path("runs/demo"))
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from functools import partial

    from sim2real.pipelines.demo import demo

    found = demo(arguments.out, command_line(), partial(counting, console()))
    print_report(found.report)
    print(f"wrote {found.page}")
