"""What transfer gains as the budget grows, from comparisons at several budgets."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.show import show_tables


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("curves", help="what transfer gains by budget, from several comparisons")
    command.add_argument("runs", nargs="+", type=Path, help="folders of compare, each at another --budget")
    command.add_argument(
        "--threshold", nargs="+", type=float, default=[], help="returns: how many steps does each take?"
    )
    command.add_argument("--out", type=Path, help="folder of the pictures; default the first run's")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.pipelines.transfer_studies import read_curves
    from sim2real.report.training_curves import curve_tables

    out = arguments.out or arguments.runs[0]
    for target, curves in read_curves(arguments.runs, out).items():
        show_tables(*curve_tables(target, curves, arguments.threshold))
        print(f"wrote {out / f'curves-{target}.png'}")
