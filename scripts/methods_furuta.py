"""Every transfer method on the rotary pendulum, at one budget: what it reaches, and what it keeps.

    python scripts/methods_furuta.py                       # combined_a from nominal, 50,000 steps, five seeds
    python scripts/methods_furuta.py --methods rehearsal rehearsal:average=0.1,rehearse=training --seeds 3
    python scripts/methods_furuta.py --source randomized --target combined_b --steps 100000
    python scripts/methods_furuta.py --methods context --target three_periods_late --episodes 50
    python scripts/methods_furuta.py --source randomized --target training --steps 10000  # who hurts at home?
    python scripts/methods_furuta.py --quick               # one method, one seed, a single update

Success over fresh episodes of the sealed target and of nominal physics, with Student's intervals over seeds
and starts, and that of every seed; whether the return in the target is told from zero-shot's; weights of what
acts that learn; CPU seconds. What a method takes of the source costs nothing of the budget. Cells that are
done are kept under ``runs/``, as `sim2real compare` does.
"""

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sim2real.cli.arguments import positive
from sim2real.evaluate.statistics import Estimate
from sim2real.policy import Policy
from sim2real.transfer.compare import Compared, Design, Row, compare
from sim2real.transfer.methods import METHODS
from sim2real.transfer.target import Budget
from sim2real.world import Variant, World

WORLD = "furuta"


def by_seed(found: Compared, row: Row, variant: str) -> str:
    """Success of each seed in a variant."""
    episodes = [done.episodes for cell, done in found.done if cell.label == row.method]
    return " ".join(f"{table['success'][table['variant'] == variant].mean():.2f}" for table in episodes)


def said(estimate: Estimate) -> str:
    """A mean with its interval."""
    interval = estimate.interval
    return f"{estimate.value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def said_of(budget: Budget) -> str:
    """What may be spent."""
    limits = {"target steps": budget.steps, "target episodes": budget.episodes}
    return ", ".join(f"{limit:,} {name}" for name, limit in limits.items() if limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME[:SETTING=VALUE,...]")
    parser.add_argument("--target", default="combined_a", help="a variant, or training: its ranges")
    parser.add_argument("--source", default="nominal")
    parser.add_argument("--steps", type=positive, help="of the target; default 50,000, unless --episodes")
    parser.add_argument("--episodes", type=positive, help="of the target")
    parser.add_argument("--seeds", type=positive, default=5)
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument("--quick", action="store_true", help="one method, one seed, a single update")
    asked = parser.parse_args()
    methods, seeds, out = asked.methods, asked.seeds, Path("runs/methods-furuta")
    budget = Budget(asked.steps or (None if asked.episodes else 50_000), asked.episodes)
    if asked.quick:
        methods, seeds, budget, out = ["rehearsal"], 1, Budget(1_024), Path("runs/quick/methods-furuta")
    world = World.load(WORLD)
    home = Variant("training", "interpolation", {}, drawn=world.training_domain)
    world = dataclasses.replace(world, variants={**world.variants, home.name: home})
    policies = [Policy.load(f"{WORLD}-{asked.source}-{seed}") for seed in range(seeds)]
    design = Design((asked.target,), budget, variants=(), jobs=min(asked.jobs, seeds))
    found = compare(world, policies, methods, design, out, print)
    title = f"{asked.source} to {asked.target}, {said_of(budget)}, {seeds} seeds"
    table = Table(
        "method", "target", "by seed", "source", "by seed", "verdict", "weights", "CPU s", title=title
    )
    for row in found.rows:
        trained = row.cost.get("trained_weights")
        table.add_row(
            row.method,
            said(row.success["target"]),
            by_seed(found, row, asked.target),
            said(row.success["source"]),
            by_seed(found, row, "nominal"),
            row.verdict,
            "–" if trained is None else f"{trained:.0f}",
            f"{row.cost['cpu_seconds']:.1f}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
