"""Train the policies that ``policies/`` ships: nominal, randomized and continued.

    python scripts/make_policies.py                 # all of them, one process per core
    python scripts/make_policies.py furuta --seeds 5  # some worlds, more than three seeds
    python scripts/make_policies.py --quick         # the cart-pole, hardly trained, into runs/quick

*Continued* is what *randomized* is fairly compared with: as many steps in nominal physics, from nominal
where *randomized* goes on from it, and else in one go. The transferred ones come from
`scripts/methods_worlds.py --ship`. Policies that exist are kept; delete a folder to train it again. An
interrupted training goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.catalog import catalog, entries
from sim2real.cli.arguments import positive
from sim2real.policy import Policy

if TYPE_CHECKING:
    from sim2real.learn.settings import PPOSettings
    from sim2real.world import World

DOMAINS = {"nominal": "nominal", "randomized": "training", "continued": "nominal"}


def train_one(job: tuple[str, str, int], steps: int | None, out: Path) -> str:
    from sim2real.learn.train import train
    from sim2real.world import World

    world, label, seed = World.load(job[0]), *job[1:]
    name, start = f"{world.name}-{label}-{seed}", time.monotonic()
    settings = how(world, label, steps)
    policy = train(world, Path("runs/policies") / name, DOMAINS[label], seed, settings)
    policy = dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, label=label))
    policy.save(out / name)
    measured = ", ".join(f"{key} {value:.3g}" for key, value in policy.contract.measured.items())
    return f"{name}: {measured}, {time.monotonic() - start:.0f} s"


def how(world: World, label: str, steps: int | None) -> PPOSettings:
    """Settings of an arm; *continued* takes the steps of *randomized* where nominal took its own."""
    from sim2real.learn.settings import settings_for

    nominal = settings_for(world, total_steps=steps)
    if label == "nominal":
        return nominal
    randomized = settings_for(world, True, total_steps=steps)
    if label == "randomized":
        return randomized
    if randomized.start:
        return randomized
    return dataclasses.replace(nominal, total_steps=randomized.total_steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument(
        "--quick", action="store_true", help="one world and seed, hardly trained, into runs/quick"
    )
    parser.add_argument("--seeds", type=positive, default=3, help="of every method; more tell more")
    parser.add_argument("--processes", type=positive, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    out, steps, seeds = catalog("policies"), None, arguments.seeds
    worlds = arguments.worlds or entries("envs")
    if arguments.quick:
        out, steps, seeds, worlds = Path("runs/quick"), 4096, 1, worlds[:1]
    have = {path.parent.name for path in out.glob("*/policy.toml") if Policy.load(path.parent)}
    # a fork would copy the simulator's threads, which hangs
    with multiprocessing.get_context("spawn").Pool(arguments.processes, maxtasksperchild=1) as pool:
        for label in DOMAINS:  # all nominal ones first: some randomized ones start from them
            jobs = [(w, label, s) for w in worlds for s in range(seeds) if f"{w}-{label}-{s}" not in have]
            for line in pool.imap_unordered(partial(train_one, steps=steps, out=out), jobs):
                print(line, flush=True)


if __name__ == "__main__":
    main()
