"""Fine-tuning on Furuta with and without what keeps the source: success in the target, and in the source.

    python scripts/rehearse_furuta.py                # nine seeds each, some five minutes on one core
    python scripts/rehearse_furuta.py --seeds 0 1 2 --methods full rehearsal
    python scripts/rehearse_furuta.py --quick        # one seed, one update

From the nominal policies into the sealed *combined_a*, 50,000 control steps; seed k starts from the shipped
policy of seed k modulo 3. Success is that of 64 fresh episodes, the source that of nominal physics; intervals
are Student's over seeds and starts. With rehearsal as many steps again are taken in the source, which cost
nothing of the budget.
"""

import argparse
import os
from time import process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.statistics import spread
from sim2real.policy import Policy
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

WORLD, VARIANT, EPISODES, SEED = "furuta", "combined_a", 64, 5_000_011
METHODS = {
    "full": {},
    "rehearsal": {"rehearsal": 0.5},
    "rehearsal of training": {"rehearsal": 0.5, "rehearse": "training"},
    "rehearsal, averaged": {"rehearsal": 0.5, "average": 0.1},
    "KL on source states": {"source_kl": 0.5},
    "rehearsal and KL": {"rehearsal": 0.5, "source_kl": 0.1},
    "L2-SP": {"l2sp": 0.1},
    "EWC": {"ewc": 1.0},
    "averaged": {"average": 0.1},
}


def success(policy: Policy, domain: Domain) -> np.ndarray:
    """Of each episode."""
    env = Sim2RealVectorEnv(WORLD, EPISODES, domain, autoreset=False)
    return run_episodes(policy, env, SEED).success.astype(float)


def tuned(seed: int, steps: int, method: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Successes in the target and in the source, and CPU seconds of the tuning."""
    world = World.load(WORLD)
    physics = world.variant(VARIANT)
    target = TargetEnv(world, physics, Budget(steps=steps), seal=Seal(secret=seed))
    policy, settings = Policy.load(f"{WORLD}-nominal-{seed % 3}"), FineTuneSettings(**METHODS[method])
    begun = process_time()
    adapted = fine_tune(policy, target, settings, seed, source=Source(world))
    seconds = process_time() - begun
    return success(adapted, physics.domain), success(adapted, world.domain(None)), seconds


def cell(successes: list[np.ndarray]) -> tuple[str, str]:
    """Mean with its interval, and each seed's."""
    found = spread(mean, np.stack(successes)[:, None]).estimate
    interval = f" [{found.interval[0]:.2f}, {found.interval[1]:.2f}]" if found.interval else ""
    return f"{found.value:.2f}{interval}", " ".join(f"{s.mean():.2f}" for s in successes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one update")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(9)))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    seeds, steps = ([0], 1024) if options.quick else (options.seeds, 50_000)
    table = Table(title=f"{WORLD}, nominal → {VARIANT}, {steps:,} target steps, seeds {seeds}")
    for column in ("method", "target", "by seed", "source after", "by seed", "CPU s"):
        table.add_column(column)
    for method in options.methods:
        targets, sources, seconds = zip(*(tuned(seed, steps, method) for seed in seeds), strict=True)
        row = (*cell(list(targets)), *cell(list(sources)))
        table.add_row(method, *row, f"{np.mean(seconds):.1f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
