"""Every transfer method on the rotary pendulum, at one budget: what it reaches, and what it keeps.

    python scripts/methods_furuta.py                       # combined_a from nominal, 50,000 steps, five seeds
    python scripts/methods_furuta.py --target combined_b --source randomized --steps 100000
    python scripts/methods_furuta.py --methods rehearsal averaged --seeds 3
    python scripts/methods_furuta.py --quick               # two methods, one seed, hardly any steps

Success over fresh episodes of the target and of nominal physics, with that of every seed; weights of the
acting network that learn; CPU seconds. Settings are each method's usual ones.
"""

import argparse
import time

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from sim2real.cli.arguments import positive
from sim2real.evaluate.rollouts import Trials, evaluate
from sim2real.policy import Policy
from sim2real.transfer.methods import METHODS
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import Run, transfer
from sim2real.world import World

WORLD, EPISODES = "furuta", 64


def one(method: str, policy: str, target: str, steps: int) -> tuple[float, float, object, float]:
    """Success in the target, in nominal physics, trained weights and CPU seconds."""
    world, start = World.load(WORLD), Policy.load(policy)
    sealed = TargetEnv(
        world, world.variants[target], Budget(steps=steps), seal=Seal(secret=start.contract.seed)
    )
    begun = time.process_time()
    adapted = transfer(start, sealed, method, Source(world), Run())
    seconds = time.process_time() - begun
    table = evaluate(world, [adapted], [target], Trials(EPISODES))
    success = {name: float(table["success"][table["variant"] == name].mean()) for name in ("nominal", target)}
    trained = adapted.contract.provenance[-1].settings.get("trained_weights", "–")
    return success[target], success["nominal"], trained, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--target", default="combined_a")
    parser.add_argument("--source", default="nominal")
    parser.add_argument("--steps", type=positive, default=50_000)
    parser.add_argument("--seeds", type=positive, default=5)
    parser.add_argument("--processes", type=positive, default=2)
    parser.add_argument("--quick", action="store_true", help="two methods, one seed, hardly any steps")
    arguments = parser.parse_args()
    methods, seeds, steps = arguments.methods, arguments.seeds, arguments.steps
    if arguments.quick:
        methods, seeds, steps = ["zero-shot", "rehearsal"], 1, 4_096
    title = f"{arguments.source} to {arguments.target}, {steps:,} target steps, {seeds} seeds"
    table = Table("method", "target", "seeds", "source", "seeds", "trained weights", "CPU s", title=title)
    for method in methods:
        starts = [f"{WORLD}-{arguments.source}-{seed}" for seed in range(seeds)]
        jobs = (delayed(one)(method, start, arguments.target, steps) for start in starts)
        found = Parallel(n_jobs=min(arguments.processes, seeds))(jobs)
        target, source, trained, seconds = zip(*found, strict=True)
        table.add_row(
            method,
            f"{np.mean(target):.2f}",
            " ".join(f"{share:.2f}" for share in target),
            f"{np.mean(source):.2f}",
            " ".join(f"{share:.2f}" for share in source),
            str(trained[0]),
            f"{np.mean(seconds):.1f}",
        )
        print(method, [round(float(x), 2) for x in target], [round(float(x), 2) for x in source], flush=True)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
