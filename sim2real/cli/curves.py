"""What transfer gains as the budget grows, from comparisons at several budgets."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.terminal import console

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands
    from sim2real.evaluate.curves import Curve
    from sim2real.evaluate.statistics import Estimate


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
    from sim2real.report.curves import draw_curves
    from sim2real.report.style import save_png
    from sim2real.transfer.learning_curves import read_curves

    found = read_curves(arguments.runs)
    out = arguments.out or arguments.runs[0]
    out.mkdir(parents=True, exist_ok=True)
    for target, curves in found.items():
        print_gains(target, curves)
        print_times(curves, arguments.threshold)
        picture = out / f"curves-{target}.png"
        save_png(draw_curves(target, curves), picture)
        print(f"wrote {picture}")


def print_gains(target: str, curves: Mapping[str, Curve]) -> None:
    """Print jumpstart, area and asymptote against learning from scratch, and where transfer hurts."""
    from rich.table import Column, Table

    from sim2real.evaluate.curves import gains, negative_transfer
    from sim2real.transfer.compare import SCRATCH

    scratch = curves.get(SCRATCH)
    show = console()
    if scratch is None:
        show.print(f"{target}: without {SCRATCH} among the methods there is nothing to gain against")
        return
    table = Table(
        Column("method", overflow="fold"), "jumpstart", "area", "asymptote", "by budget",
        title=f"{target}: gains on {SCRATCH}, in mean return",
    )  # fmt: skip
    for method, curve in curves.items():
        if method == SCRATCH:
            continue
        gain = gains(curve, scratch, last=1)
        effects = [f"{at.budget:,g}: {at.effect}" for at in negative_transfer(curve, scratch)]
        told = map(_told, (gain.jumpstart, gain.area, gain.asymptote))
        table.add_row(method, *told, ", ".join(effects))
    show.print(table)


def print_times(curves: Mapping[str, Curve], thresholds: Sequence[float]) -> None:
    """Print how long each method takes to each return; runs that never get there are censored."""
    from rich.table import Column, Table

    from sim2real.evaluate.curves import time_to_threshold

    if not thresholds:
        return
    table = Table(
        Column("method", overflow="fold"), "return", "reached", "median steps", "restricted mean",
        title="steps to a return (Kaplan–Meier)",
    )  # fmt: skip
    for method, curve in curves.items():
        for threshold in thresholds:
            found = time_to_threshold(curve, threshold)
            median = "never" if math.isinf(found.median) else f"{found.median:,.0f}"
            reached = f"{found.reached} of {len(curve.scores)}"
            table.add_row(method, f"{threshold:g}", reached, median, _told(found.restricted_mean, ",.0f"))
    console().print(table)


def _told(estimate: Estimate, form: str = ".1f") -> str:
    if estimate.interval is None:
        return f"{estimate.value:{form}}, no interval"
    low, high = estimate.interval
    return f"{estimate.value:{form}} [{low:{form}}, {high:{form}}]"
