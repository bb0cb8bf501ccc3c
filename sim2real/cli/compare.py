"""Run transfer methods side by side under one budget, and say which helped."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import Commands, positive
from sim2real.cli.show import show_tables
from sim2real.cli.task import add_cluster, add_task, load_world
from sim2real.cli.terminal import command_line, console, counting
from sim2real.errors import InvalidValue

if TYPE_CHECKING:
    from sim2real.policy import Policy
    from sim2real.world import World


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("compare", help="transfer methods side by side: which helped, which hurt")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--targets", nargs="+", required=True, help="held-out variants, each sealed")
    command.add_argument(
        "--methods",
        nargs="+",
        required=True,
        help="see `sim2real methods`; METHOD:NAME=VALUE,NAME=VALUE for settings, all for every one",
    )
    command.add_argument("--budget", type=positive, default=50_000, help="control steps a cell (50000)")
    command.add_argument("--episodes", type=positive, help="budget in episodes as well")
    command.add_argument(
        "--seeds", type=positive, help="policies to start from; default up to 5 shipped ones"
    )
    command.add_argument("--source", default="nominal", help="label of shipped policies (nominal)")
    command.add_argument("--policies", nargs="+", help="policies to start from, for shipped ones")
    command.add_argument(
        "--variants", nargs="*", help="to try results in beside targets and source; default all that run here"
    )
    command.add_argument("--tries", type=positive, default=64, help="episodes per result and physics (64)")
    add_cluster(command)
    command.add_argument("--out", type=Path, help="folder; default runs/compare-WORLD")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.evaluate.rollouts import Trials
    from sim2real.pipelines.compare import compare
    from sim2real.pipelines.reporting import Reporting
    from sim2real.report.compare import table_of
    from sim2real.transfer.compare import Design
    from sim2real.transfer.methods import METHODS
    from sim2real.transfer.target import Budget

    world = load_world(arguments.world, arguments)
    policies = _policies(arguments, world)
    methods = list(METHODS) if arguments.methods == ["all"] else arguments.methods
    design = Design(
        tuple(dict.fromkeys(arguments.targets)),
        Budget(arguments.budget, arguments.episodes),
        None if arguments.variants is None else tuple(arguments.variants),
        Trials(arguments.tries),
        arguments.jobs,
        tuple(arguments.imports),
        arguments.cluster,
    )
    out, show = arguments.out or Path("runs") / f"compare-{world.name}", console()
    reporting = Reporting({"command": command_line()}, partial(counting, lines=True))
    found = compare(world, policies, list(dict.fromkeys(methods)), design, out, reporting)
    show_tables(*(table_of(found, target) for target in found.targets))
    left_out = (f"left out: {cell}: {why}" for cell, why in found.failures.items())
    show.print(*found.sentences, *left_out, sep="\n")
    print(f"wrote {out / 'compare.html'}")


def _policies(arguments: argparse.Namespace, world: World) -> list[Policy]:
    from sim2real.policy import Policy

    if arguments.policies:
        return [Policy.load(name) for name in arguments.policies]
    shipped = Policy.shipped(world.name, arguments.source)
    if not shipped or len(shipped) < (arguments.seeds or 1):
        raise InvalidValue(
            f"{len(shipped)} policies {world.name}-{arguments.source}-SEED are shipped; lower --seeds, "
            "choose another --source, or name yours with --policies"
        )
    return shipped[: arguments.seeds or 5]
