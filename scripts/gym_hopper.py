"""How policies of Gymnasium's Hopper-v5 fare in 20 physics that they have never seen; page and all.

    python scripts/gym_hopper.py path/to/ppo_hopper.zip  # of Stable-Baselines3, VecNormalize beside
    python scripts/gym_hopper.py --quick                 # a few steps, variants and episodes

The world is `scripts/hopper_v5/physics.toml`: the env's own model under other masses, friction, damping and
motors, with late commands and noisy readings. Beside the zip, three seeds are trained here, and kept in
``runs/gym-hopper``. Scores are 0 for random actions and 100 for the best policy known in each physics, both
measured on episodes of their own. Printed: score and return in each, and the report's verdict.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.cli.arguments import positive
from sim2real.episodes import RandomActor
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.rollouts import Trials, mean_returns, run_policies, steps_of
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.verdict import verdict
from sim2real.foreign import load_policy
from sim2real.learn.settings import settings_for
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.report.gap import write_report
from sim2real.world import World

ASIDE = 2_000_003  # seed of the episodes that references are measured on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("zip", type=Path, nargs="?", help="default: sb3/ in SIM2REAL_STRANGERS, or beside")
    parser.add_argument("--steps", type=positive, help="of each training; default that of the world")
    parser.add_argument("--episodes", type=positive, default=16, help="per policy and physics")
    parser.add_argument("--quick", action="store_true", help="a few steps, variants and episodes")
    parser.add_argument("--out", type=Path, default=Path("runs/gym-hopper"))
    arguments = parser.parse_args()
    world = World.load(Path(__file__).resolve().parent / "hopper_v5")
    beside = Path(__file__).resolve().parents[2] / "shared" / "strangers"
    file = arguments.zip or Path(os.environ.get("SIM2REAL_STRANGERS", beside)) / "sb3" / "ppo_hopper.zip"
    out, steps, episodes, seeds = arguments.out, arguments.steps, arguments.episodes, range(3)
    names = list(world.variants)
    if arguments.quick:
        out, steps, episodes, seeds = Path("runs/quick/gym-hopper"), 4096, 2, range(1)
        names = ["nominal", "much_heavier_torso", "late_32ms", "noisy_speeds"]
    policies = [trained(world, out / f"nominal-{seed}", seed, steps) for seed in seeds]
    theirs = [load_policy(f"theirs=sb3:{file}")] if file.is_file() else []
    if not theirs:
        print(f"no {file.name}: give its path; only what is trained here is evaluated")
    everyone = [*policies, *theirs]
    table = run_policies(world, everyone, names, Trials(episodes))
    references = measured(world, everyone, names, episodes)
    report = gap_report(table, references, GapOptions(title=world.title))
    page = write_report(report, table, out, {"control steps": steps_of(everyone)})
    show(report)
    print(f"wrote {page}")


def trained(world: World, folder: Path, seed: int, steps: int | None) -> Policy:
    """A policy of a seed, trained unless it is there."""
    if folder.is_dir():
        return Policy.load(folder)
    return train(world, folder, seed=seed, settings=settings_for(world, total_steps=steps), progress=True)


def measured(world: World, policies: list, names: list[str], episodes: int) -> dict[str, Reference]:
    """Random actions, and the best of the policies in each physics."""
    aside, variants = Trials(episodes, ASIDE), [world.variants[name] for name in names]
    size = len(world.own_task.spec.action)
    random = mean_returns(world, RandomActor(size, 0), variants, aside)
    table = run_policies(world, policies, names, aside)

    def best(variant: str) -> float:
        here = table["variant"] == variant
        return max(
            float(np.mean(table["return"][here & (table["label"] == p.label) & (table["policy"] == p.name)]))
            for p in policies
        )

    known = {name: max(best(name), random[name] + 1.0) for name in names}
    return {name: Reference(random[name], known[name], picked=True) for name in names}


def show(report: GapReport) -> None:
    console = Console(markup=False, highlight=False)
    grid = Table("physics", *(f"{label}: score, return" for label in report.labels), title=report.title)
    for variant in report.variants:
        cells = [report.cell(label, variant) for label in report.labels]
        grid.add_row(variant, *(f"{c.score.value:.0f}, {c.returns.value:.0f}" if c else "–" for c in cells))
    console.print(grid)
    console.print(*verdict(report), sep="\n")


if __name__ == "__main__":
    main()
