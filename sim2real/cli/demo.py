"""The whole way once."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.evaluate import print_report
from sim2real.cli.terminal import command_line, counting


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("demo", help="the whole way once, on the rotary pendulum")
    command.add_argument("--out", type=Path, default=Path("runs/demo"))
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.pipelines.demo import demo

    found = demo(arguments.out, command_line(), counting)
    print_report(found.report)
    print(f"wrote {found.page}")
