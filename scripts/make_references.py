"""Measure what random actions and an oracle reach on every variant, and store it beside the world.

    python scripts/make_references.py               # writes envs/<world>/references.toml for every world
    python scripts/make_references.py --missing     # only variants that it does not have yet
    python scripts/make_references.py --quick       # two variants of one world, into runs/quick

The oracle of a variant is the better of two: the best shipped policy as it is, and that policy after
warm-started training in the true physics of the variant. Training in the target from scratch is no
oracle: it gets stuck where warm-started training doesn't. In engines other than MuJoCo, which step a hundred
times slower on a CPU, the oracle is the best shipped policy as it is, over fewer episodes.
"""

import argparse
import multiprocessing
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import tomli_w

from sim2real.catalog import entries
from sim2real.episodes import RandomActor
from sim2real.evaluate.rollouts import Trials, mean_returns
from sim2real.files import write_text
from sim2real.policy import Policy
from sim2real.simulators import Engine
from sim2real.world import World

EPISODES = (64, 16)


def reference_of(
    job: tuple[str, str], steps: int, counts: tuple[int, int]
) -> tuple[str, str, dict[str, float]]:
    """World, variant and its entry; counts of episodes are those at home and in other engines."""
    from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
    from sim2real.transfer.target import Budget, Seal, TargetEnv

    name, variant_name = job
    world = World.load(name)
    variant = world.variants[variant_name]

    at_home = variant.simulator == "mujoco"

    def score(actor: Policy | RandomActor) -> float:
        trials = Trials(counts[not at_home], simulator=Engine(variant.simulator, 1))
        return mean_returns(world, actor, [variant], trials)[variant_name]

    shipped = [p for p in entries("policies") if p.startswith(f"{name}-")]
    scores = {policy: score(Policy.load(policy)) for policy in shipped}
    start = max(scores, key=lambda policy: scores[policy])
    random = score(RandomActor(len(Policy.load(start).contract.action), seed=0))
    entry = {"random": random, "zero_shot": scores[start]}
    if at_home:
        target = TargetEnv(world, variant, Budget(steps), 64, Engine("mujoco", 1), Seal(secret=0))
        settings = FineTuneSettings(batch_size=512)
        entry |= {"warm_started": score(fine_tune(Policy.load(start), target, settings)), "steps": steps}
    return (
        name,
        variant_name,
        {**entry, "oracle": max(entry["zero_shot"], entry.get("warm_started", -np.inf))},
    )


def known(world: World, path: Path) -> dict[str, dict[str, float]]:
    """What is stored of the variants that the world still has."""
    entries = tomllib.loads(path.read_text("utf-8"))["variants"] if path.is_file() else {}
    return {name: entry for name, entry in entries.items() if name in world.variants}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--quick", action="store_true", help="two variants of one world, into runs/quick")
    parser.add_argument("--steps", type=int, default=100_000, help="of warm-started training per variant")
    parser.add_argument("--missing", action="store_true", help="keep what is there, measure what is not")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    names, steps, counts, most = arguments.worlds or entries("envs"), arguments.steps, EPISODES, None
    if arguments.quick:
        names, steps, counts, most = names[:1], 16_384, (2, 1), 2
    worlds = {name: World.load(name) for name in names}
    paths = {
        name: (Path("runs/quick") / name if arguments.quick else world.path) / "references.toml"
        for name, world in worlds.items()
    }
    tables = {n: known(world, paths[n]) if arguments.missing else {} for n, world in worlds.items()}
    jobs = [(n, v) for n, world in worlds.items() for v in list(world.variants)[:most] if v not in tables[n]]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for name, variant, entry in pool.imap(partial(reference_of, steps=steps, counts=counts), jobs):
            tables[name][variant] = entry
            print(name, variant, {key: round(value, 1) for key, value in entry.items()}, flush=True)
            ordered = {v: tables[name][v] for v in worlds[name].variants if v in tables[name]}
            note = "# Mean returns per variant; made by scripts/make_references.py\n"
            write_text(paths[name], note + tomli_w.dumps({"variants": ordered}))


if __name__ == "__main__":
    main()
