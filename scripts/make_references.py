"""Measure what random actions and an oracle reach on every variant, and store it beside the world.

    python scripts/make_references.py               # writes envs/<world>/references.toml for every world
    python scripts/make_references.py furuta --missing  # only variants without a trained oracle
    python scripts/make_references.py --quick       # two variants of one world, into runs/quick

An oracle is trained in the true physics of its variant, three seeds, each going on from the shipped policy of
its number that does best there (`sim2real.transfer.oracle`). A file holds, with their standard errors over
seeds and starts, the mean returns of random actions and of the oracle; steps and seeds of its training; and
the shipped method that does best on the same episodes, with whether training beat it. What was trained is
kept in ``runs/references``, so that an interrupted call goes on, and the file is written after every variant.
"""

import argparse
import dataclasses
import multiprocessing
import tomllib
from functools import partial
from pathlib import Path

import tomli_w

from sim2real.catalog import entries
from sim2real.cli.arguments import positive
from sim2real.files import write_atomically
from sim2real.policy import Policy
from sim2real.simulators import installed
from sim2real.world import World

Table = dict[str, dict[str, object]]
OUT = Path("runs/references")


def entry_of(job: tuple[str, str], effort: dict[str, int], out: Path) -> tuple[str, str, dict[str, object]]:
    """World, variant and its entry."""
    from sim2real.transfer.oracle import OracleSettings, measure_oracle

    world, variant = World.load(job[0]), job[1]
    labels = ("nominal", "continued", "randomized")  # an oracle knows nothing of what was transferred
    shipped = [policy for label in labels for policy in Policy.shipped(world.name, label)]
    settings = dataclasses.replace(OracleSettings(), **effort)
    return *job, measure_oracle(world, world.variants[variant], shipped, out / world.name, settings).entry()


def stored(world: World, path: Path) -> Table:
    """Entries of the variants that the world still has."""
    table = tomllib.loads(path.read_text("utf-8"))["variants"] if path.is_file() else {}
    return {name: entry for name, entry in table.items() if name in world.variants}


def write(world: World, table: Table, path: Path) -> None:
    ordered = {name: table[name] for name in world.variants if name in table}
    note = "# Mean returns per variant; made by scripts/make_references.py\n"
    write_atomically(path, note + tomli_w.dumps({"variants": ordered}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--quick", action="store_true", help="two variants of one world, into runs/quick")
    parser.add_argument("--steps", type=positive, help="of each training; 100,000 by default")
    parser.add_argument("--missing", action="store_true", help="keep what is there, measure what is not")
    parser.add_argument("--processes", type=positive, default=2)
    arguments = parser.parse_args()
    names, most, out = arguments.worlds or entries("envs"), None, OUT
    effort = {} if arguments.steps is None else {"steps": arguments.steps}
    if arguments.quick:
        names, most, out = names[:1], 2, Path("runs/quick/references")
        effort = {"steps": 4_096, "seeds": 2, "evaluations": 1, "selection": 2, "episodes": 2, "elsewhere": 1}
    worlds = {name: World.load(name) for name in names}
    paths = {
        name: (Path("runs/quick") / name if arguments.quick else world.path) / "references.toml"
        for name, world in worlds.items()
    }
    tables = {name: stored(world, paths[name]) for name, world in worlds.items()}
    jobs = [
        (name, variant.name)
        for name, world in worlds.items()
        for variant in list(world.variants.values())[:most]
        if installed(variant.simulator)
        and not (arguments.missing and "oracle_error" in tables[name].get(variant.name, {}))
    ]
    # a fork would copy the simulator's threads, which hangs
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for name, variant, entry in pool.imap(partial(entry_of, effort=effort, out=out), jobs):
            tables[name][variant] = entry
            rounded = {
                key: round(value, 1) if isinstance(value, float) else value for key, value in entry.items()
            }
            print(name, variant, rounded, flush=True)
            write(worlds[name], tables[name], paths[name])


if __name__ == "__main__":
    main()
