"""Train the policies that ``policies/`` ships: every world, nominal and randomized, three seeds each.

    python scripts/make_policies.py                 # all of them, one process per core
    python scripts/make_policies.py furuta hopper   # some worlds

Policies that exist are kept; delete a folder to train it again. An interrupted training goes on where it was.
"""

import argparse
import multiprocessing
import time
from pathlib import Path

from sim2real.catalog import catalog, entries
from sim2real.policy import Policy

DOMAINS = {"nominal": "nominal", "randomized": "training"}
SEEDS = (0, 1, 2)


def train_one(job: tuple[str, str, int]) -> str:
    from sim2real.train.ppo import train

    world, label, seed = job
    name, start = f"{world}-{label}-{seed}", time.monotonic()
    policy = train(world, Path("runs/policies") / name, DOMAINS[label], seed)
    policy.save(catalog("policies") / name)
    measured = ", ".join(f"{key} {value:.3g}" for key, value in policy.contract.measured.items())
    return f"{name}: {measured}, {time.monotonic() - start:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    have = {name for name in entries("policies") if Policy.load(name)}
    # a fork would copy the simulator's threads, which hangs
    with multiprocessing.get_context("spawn").Pool(arguments.processes, maxtasksperchild=1) as pool:
        for label in DOMAINS:  # all nominal ones first: some randomized ones start from them
            worlds = arguments.worlds or entries("envs")
            jobs = [(w, label, s) for w in worlds for s in SEEDS if f"{w}-{label}-{s}" not in have]
            for line in pool.imap_unordered(train_one, jobs):
                print(line, flush=True)


if __name__ == "__main__":
    main()
