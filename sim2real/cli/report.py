"""Put several runs into one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.terminal import command_line


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("report", help="several runs in one page: evaluate, attribute, worst, play")
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of results of one world")
    command.add_argument(
        "--baseline", help="label that the others are compared with; default the first run's"
    )
    command.add_argument("--out", type=Path, default=Path("runs/report"), help="folder; default runs/report")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.cli.evaluate import print_report
    from sim2real.report.runs import write_runs

    page, report = write_runs(arguments.runs, arguments.out, arguments.baseline, command_line())
    if report is not None:
        print_report(report)
    print(f"wrote {page}")
