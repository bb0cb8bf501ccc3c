"""What transfer gains as the budget grows, from comparisons at several budgets."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.show import show_tables


@command(
    "curves",
    option("runs", nargs="+", type=Path, help="folders of compare, each at another --budget"),
    option("--threshold", nargs="+", type=float, default=[], help="returns: how many steps does each take?"),
    option("--out", type=Path, help="folder of the pictures; default the first run's"),
)
def run(arguments: Arguments) -> None:
    """What transfer gains by budget, from several comparisons."""
    from sim2real.pipelines.transfer_studies import read_curves
    from sim2real.report.training_curves import curve_tables

    out = arguments.out or arguments.runs[0]
    for target, curves in read_curves(arguments.runs, out).items():
        show_tables(*curve_tables(target, curves, arguments.threshold))
        print(f"wrote {out / f'curves-{target}.png'}")
