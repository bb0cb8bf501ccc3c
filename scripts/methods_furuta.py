"""Every transfer method on the rotary pendulum, at one budget: what it reaches, and what it keeps.

    python scripts/methods_furuta.py                       # combined_a from nominal, 50,000 steps, five seeds
    python scripts/methods_furuta.py --methods rehearsal rehearsal:average=0.1,rehearse=training --seeds 3
    python scripts/methods_furuta.py --source randomized --target combined_b --steps 100000
    python scripts/methods_furuta.py --quick               # two methods, one seed, a single update

Success over fresh episodes of the sealed target and of nominal physics, with Student's intervals over seeds
and starts, and that of every seed; weights of what acts that learn; CPU seconds. What a method takes of the
source costs nothing of the budget.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from sim2real.cli.arguments import positive
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.rollouts import Trials, evaluate
from sim2real.evaluate.statistics import spread
from sim2real.policy import Policy
from sim2real.transfer.methods import METHODS
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import transfer
from sim2real.world import World

WORLD, EPISODES = "furuta", 64
Found = tuple[np.ndarray, np.ndarray, object, float]


def one(method: str, policy: str, target: str, steps: int) -> Found:
    """Successes in the target and in nominal physics, trained weights and CPU seconds."""
    world, start = World.load(WORLD), Policy.load(policy)
    seal = Seal(secret=start.contract.seed)
    sealed = TargetEnv(world, world.variant(target), Budget(steps=steps), seal=seal)
    begun = time.process_time()
    adapted = transfer(start, sealed, method, Source(world))
    seconds = time.process_time() - begun
    table = evaluate(world, [adapted], [target], Trials(EPISODES))
    there, here = (table["success"][table["variant"] == name].astype(float) for name in (target, "nominal"))
    trained = adapted.contract.provenance[-1].settings.get("trained_weights", "–")
    return there, here, trained, seconds


def cell(successes: Sequence[np.ndarray]) -> tuple[str, str]:
    """Mean with its interval, and each seed's."""
    found = spread(mean, np.stack(successes)[:, None]).estimate
    interval = f" [{found.interval[0]:.2f}, {found.interval[1]:.2f}]" if found.interval else ""
    return f"{found.value:.2f}{interval}", " ".join(f"{s.mean():.2f}" for s in successes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME[:SETTING=VALUE,...]")
    parser.add_argument("--target", default="combined_a")
    parser.add_argument("--source", default="nominal")
    parser.add_argument("--steps", type=positive, default=50_000)
    parser.add_argument("--seeds", type=positive, default=5)
    parser.add_argument("--processes", type=positive, default=2)
    parser.add_argument("--quick", action="store_true", help="two methods, one seed, a single update")
    arguments = parser.parse_args()
    methods, seeds, steps = arguments.methods, arguments.seeds, arguments.steps
    if arguments.quick:
        methods, seeds, steps = ["zero-shot", "rehearsal"], 1, 1_024
    title = f"{arguments.source} to {arguments.target}, {steps:,} target steps, {seeds} seeds"
    table = Table("method", "target", "by seed", "source", "by seed", "trained weights", "CPU s", title=title)
    starts = [f"{WORLD}-{arguments.source}-{seed}" for seed in range(seeds)]
    for method in methods:
        jobs = (delayed(one)(method, start, arguments.target, steps) for start in starts)
        found = Parallel(n_jobs=min(arguments.processes, seeds))(jobs)
        there, here, trained, seconds = zip(*found, strict=True)
        row = (*cell(there), *cell(here), str(trained[0]), f"{np.mean(seconds):.1f}")
        table.add_row(method, *row)
        print(method, *row, sep="  ", flush=True)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
