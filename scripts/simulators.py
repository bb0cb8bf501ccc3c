"""Trained in one engine, run in another: return and success of policies, three seeds, with intervals.

    python scripts/simulators.py                        # shipped policies in every engine that is installed
    python scripts/simulators.py furuta --train bullet  # train nominal policies in an engine first
    python scripts/simulators.py --quick                # one world, one episode each, into runs/quick

Nominal physics everywhere: what is lost from one engine to the next is lost to contact, joint limits,
friction, servo and integrator alone. Each world's table replaces that world's in ``policies/simulators.md``;
those of other worlds stay.
"""

import argparse
from pathlib import Path

import numpy as np

from sim2real.catalog import catalog, entries
from sim2real.cli.arguments import positive
from sim2real.evaluate.episode_table import Episodes
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.evaluate.statistics import spread
from sim2real.evaluate.verdict import number
from sim2real.files import write_atomically
from sim2real.policy import Policy
from sim2real.simulators import installed
from sim2real.world import CONTROL, SIMULATORS, World

SEEDS = (0, 1, 2)
OUT = Path("runs/simulators")


def trained_in(world: World, engine: str) -> list[Policy]:
    """Nominal policies trained in an engine, one a seed; those that exist are kept."""
    from sim2real.learn.settings import settings_for
    from sim2real.learn.train import train

    settings = settings_for(world, simulator=engine)
    folders = [OUT / f"{world.name}-{engine}-{seed}" for seed in SEEDS]
    return [
        Policy.load(folder) if folder.is_dir() else train(world, folder, None, seed, settings, progress=True)
        for seed, folder in zip(SEEDS, folders, strict=True)
    ]


def groups_of(world: World) -> dict[str, list[Policy]]:
    """Policies by row of the table: the shipped ones, and those that were trained in other engines."""
    rows = {
        f"{label}, mujoco": [Policy.load(f"{world.name}-{label}-{seed}") for seed in SEEDS]
        for label in ("nominal", "randomized")
    }
    for engine in SIMULATORS[1:]:
        folders = [OUT / f"{world.name}-{engine}-{seed}" for seed in SEEDS]
        if all(folder.is_dir() for folder in folders):
            rows[f"nominal, {engine}"] = [Policy.load(folder) for folder in folders]
    return rows


def cell(table: Episodes, policies: list[Policy]) -> str:
    """Mean return with its interval over seeds, and success with Wilson's, of some policies."""
    names = [policy.name for policy in policies]
    chosen = [table["policy"] == name for name in names]
    columns = (table[name].astype(float) for name in ("return", "success"))
    returns, success = (np.stack([column[mask][None] for mask in chosen]) for column in columns)
    rate = spread(mean, success).within(0.0, 1.0, success.size)
    return f"{number(spread(mean, returns).estimate, digits=0)} · {number(rate, 100, 0)} %"


def section(name: str, engines: list[str], episodes: int) -> str:
    world = World.load(name)
    rows = groups_of(world)
    policies = [policy for group in rows.values() for policy in group]
    tables = {e: run_policies(world, policies, [CONTROL], Trials(episodes, simulator=e)) for e in engines}
    lines = [heading(name), "", f"Episodes of each policy: {episodes}.", ""]
    lines.append("| trained in | " + " | ".join(engines) + " |")
    lines.append("|---|" + "---|" * len(engines))
    for row, group in rows.items():
        lines.append(f"| {row} | " + " | ".join(cell(tables[e], group) for e in engines) + " |")
    return "\n".join([*lines, ""])


def heading(name: str) -> str:
    return f"## {World.load(name).title}"


def kept(path: Path) -> dict[str, str]:
    """The sections of an existing file, by heading."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    parts = [f"## {part.rstrip()}\n" for part in ("\n" + text).split("\n## ")[1:]]
    return {part.split("\n", 1)[0]: part for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--quick", action="store_true", help="one world, MuJoCo and Bullet, one episode each")
    parser.add_argument("--train", nargs="*", default=[], choices=SIMULATORS[1:], help="engines to train in")
    parser.add_argument("--episodes", type=positive, default=32, help="per policy and engine")
    arguments = parser.parse_args()
    engines = [name for name in SIMULATORS if installed(name)]
    path, worlds = catalog("policies") / "simulators.md", entries("envs")
    chosen = arguments.worlds or worlds
    if arguments.quick:  # compiling for Warp takes half a minute
        path, chosen, arguments.episodes = Path("runs/quick/simulators.md"), chosen[:1], 1
        engines = [name for name in engines if name != "warp"]
    for name in chosen:
        for engine in arguments.train:
            trained_in(World.load(name), engine)
        made = section(name, engines, arguments.episodes)
        print(made, flush=True)
        sections = kept(path) | {heading(name): made}
        known = set(map(heading, worlds))
        write_atomically(path, HEAD + "\n".join(text for title, text in sections.items() if title in known))


HEAD = """# From one engine to another

Made by `python scripts/simulators.py`. Rows: where a policy was trained; columns: where it is run, on nominal
physics. Mean return with the 95 % interval over three seeds · success over all their episodes with
the Wilson 95 % interval.

"""


if __name__ == "__main__":
    main()
