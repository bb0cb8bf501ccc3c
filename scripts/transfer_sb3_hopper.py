"""A stranger's policy learns other physics: Stable-Baselines3's Hopper-v5, heavier and on slippery ground.

    python scripts/transfer_sb3_hopper.py path/to/ppo_hopper.zip  # VecNormalize beside, as rl-zoo saves it
    python scripts/transfer_sb3_hopper.py --seeds 1               # one seed instead of five
    python scripts/transfer_sb3_hopper.py --quick                 # a single update, a few episodes

The zip is imported (network, critic and normalizer; nothing is unpickled), and goes on learning for 100,000
steps in a sealed target: `gym:Hopper-v5` with its torso's mass × 1.5 and its foot's friction × 0.6. Without a
zip one that is hardly trained stands in its place. Printed: return before and after, in the target and in the
env as it is, with Student's intervals over seeds of the transfer and over starts, and that of every seed.
Cells that are done are kept in ``runs/transfer-sb3-hopper``.
"""

import argparse
import dataclasses
import os
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.cli.arguments import positive
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.statistics import Estimate
from sim2real.foreign import import_policy
from sim2real.learn.settings import settings_for
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.transfer.compare import Compared, Design, Row, compare
from sim2real.transfer.target import Budget
from sim2real.world import CONTROL, Variant, World

TARGET = Variant(
    "heavier_on_slippery", "combined", {"torso.mass": 1.5 * 3.6651914, "foot_geom.friction": 1.2}
)


def start(world: World, file: Path, out: Path) -> Policy:
    """The zip as a policy of ours, or one that learnt for a few updates."""
    if file.is_file():
        return import_policy(f"sb3:{file}", world, "ppo")
    print(f"no {file.name}: give its path; a policy that is hardly trained stands in its place")
    if (out / "start").is_dir():
        return Policy.load(out / "start")
    return train(world, out / "start", seed=0, settings=settings_for(world, total_steps=4096))


def said(estimate: Estimate) -> str:
    """A mean with its interval."""
    interval = estimate.interval
    return f"{estimate.value:.0f}" + (f" [{interval[0]:.0f}, {interval[1]:.0f}]" if interval else "")


def by_seed(found: Compared, row: Row, variant: str) -> str:
    """Mean return of each seed in a variant."""
    tables = [done.episodes for cell, done in found.done if cell.label == row.method]
    means = [np.asarray(t["return"], dtype=float)[t["variant"] == variant].mean() for t in tables]
    return " ".join(f"{value:.0f}" for value in means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("zip", type=Path, nargs="?", help="default: sb3/ in SIM2REAL_STRANGERS, or beside")
    parser.add_argument("--methods", nargs="+", default=["fine-tune", "rehearsal"])
    parser.add_argument("--steps", type=positive, default=100_000, help="budget in the target")
    parser.add_argument("--seeds", type=positive, default=5, help="of the transfer")
    parser.add_argument("--episodes", type=positive, default=32, help="per result and physics")
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument("--quick", action="store_true", help="a single update, a few episodes")
    asked = parser.parse_args()
    methods, steps, episodes, seeds = asked.methods, asked.steps, asked.episodes, asked.seeds
    out = Path("runs/transfer-sb3-hopper")
    if asked.quick:
        methods, steps, episodes, seeds = ["fine-tune"], 1024, 2, 1
        out = Path("runs/quick/transfer-sb3-hopper")
    world = World.load(Path(__file__).resolve().parent / "hopper_v5")
    world = dataclasses.replace(world, variants={CONTROL: world.variants[CONTROL], TARGET.name: TARGET})
    beside = Path(__file__).resolve().parents[2] / "shared" / "strangers"
    file = asked.zip or Path(os.environ.get("SIM2REAL_STRANGERS", beside)) / "sb3" / "ppo_hopper.zip"
    policy = start(world, file, out)
    policies = [
        dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, seed=seed))
        for seed in range(seeds)
    ]
    design = Design((TARGET.name,), Budget(steps), (), Trials(episodes), min(asked.jobs, seeds))
    found = compare(world, policies, methods, design, out, print)
    title = f"{policy.label} of {policy.steps[0]:,} steps, {steps:,} more in the target: mean return"
    table = Table("method", "target", "by seed", "env as it is", "by seed", "falls", "CPU s", title=title)
    for row in found.rows:
        table.add_row(
            row.method,
            said(row.returns["target"]),
            by_seed(found, row, TARGET.name),
            said(row.returns["source"]),
            by_seed(found, row, CONTROL),
            f"{row.cost['falls']:.0f}",
            f"{row.cost['cpu_seconds']:.0f}",
        )
    console = Console(width=160)
    console.print(table)
    console.print(*found.sentences, sep="\n")


if __name__ == "__main__":
    main()
