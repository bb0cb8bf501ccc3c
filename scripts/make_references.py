"""Measure what random actions and an oracle reach on every variant, and store it beside the world.

    python scripts/make_references.py               # writes envs/<world>/references.toml for every world
    python scripts/make_references.py --missing     # only variants that it does not have yet

The oracle of a variant is the better of two: the best shipped policy as it is, and that policy after
warm-started training in the true physics of the variant. Training in the target from scratch is no
oracle: it gets stuck where warm-started training doesn't. In engines other than MuJoCo, which step a hundred
times slower on a CPU, the oracle is the best shipped policy as it is, over fewer episodes.
"""

import argparse
import multiprocessing
import tomllib

import numpy as np
import tomli_w

from sim2real.catalog import entries
from sim2real.episodes import RandomActor
from sim2real.evaluate.rollouts import Trials, mean_returns
from sim2real.files import write_text
from sim2real.policy import Policy
from sim2real.simulators import Engine
from sim2real.world import World

EPISODES, EPISODES_ELSEWHERE = 64, 16


def reference_of(job: tuple[str, str, int]) -> tuple[str, str, dict[str, float]]:
    from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
    from sim2real.transfer.target import Budget, TargetEnv

    name, variant_name, steps = job
    world = World.load(name)
    variant = world.variants[variant_name]

    at_home = variant.simulator == "mujoco"

    def score(actor: Policy | RandomActor) -> float:
        trials = Trials(EPISODES if at_home else EPISODES_ELSEWHERE, simulator=Engine(variant.simulator, 1))
        return mean_returns(world, actor, [variant], trials)[variant_name]

    shipped = [p for p in entries("policies") if p.startswith(f"{name}-")]
    scores = {policy: score(Policy.load(policy)) for policy in shipped}
    start = max(scores, key=lambda policy: scores[policy])
    random = score(RandomActor(len(Policy.load(start).contract.action), seed=0))
    entry = {"random": random, "zero_shot": scores[start]}
    if at_home:
        target = TargetEnv(world, variant, Budget(steps), num_envs=64, simulator=Engine("mujoco", 1))
        settings = FineTuneSettings(batch_size=512)
        entry |= {"warm_started": score(fine_tune(Policy.load(start), target, settings)), "steps": steps}
    return (
        name,
        variant_name,
        {**entry, "oracle": max(entry["zero_shot"], entry.get("warm_started", -np.inf))},
    )


def known(world: str) -> dict[str, dict[str, float]]:
    """What is stored of the variants that the world still has."""
    loaded = World.load(world)
    path = loaded.path / "references.toml"
    entries = tomllib.loads(path.read_text("utf-8"))["variants"] if path.is_file() else {}
    return {name: entry for name, entry in entries.items() if name in loaded.variants}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--steps", type=int, default=100_000, help="of warm-started training per variant")
    parser.add_argument("--missing", action="store_true", help="keep what is there, measure what is not")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    worlds = arguments.worlds or entries("envs")
    tables = {world: known(world) if arguments.missing else {} for world in worlds}
    jobs = [(w, v, arguments.steps) for w in worlds for v in World.load(w).variants if v not in tables[w]]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for world, variant, entry in pool.imap(reference_of, jobs):
            tables[world][variant] = entry
            print(world, variant, {key: round(value, 1) for key, value in entry.items()}, flush=True)
            variants = World.load(world).variants
            ordered = {name: tables[world][name] for name in variants if name in tables[world]}
            note = "# Mean returns per variant; made by scripts/make_references.py\n"
            write_text(
                World.load(world).path / "references.toml", note + tomli_w.dumps({"variants": ordered})
            )


if __name__ == "__main__":
    main()
