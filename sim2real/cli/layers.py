"""Which layers of a policy hold the physics, and which the task."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sim2real.cli.arguments import Commands, positive
from sim2real.cli.show import show_tables
from sim2real.cli.task import add_cluster, add_task, load_world
from sim2real.cli.terminal import console


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("layers", help="which layers of a policy hold physics, and which the task")
    command.add_argument("policies", nargs="+", metavar="POLICY", help="policies of the source, a seed each")
    command.add_argument("--target", required=True, help="a held-out variant")
    command.add_argument("--world", help="name or folder of the world; default the one that the policy names")
    command.add_argument(
        "--donors", nargs="+", default=[], help="policies of the target, of the same seeds; default trained"
    )
    command.add_argument("--budget", type=positive, default=50_000, help="control steps an arm (50000)")
    command.add_argument("--tries", type=positive, default=64, help="episodes per result and physics (64)")
    add_cluster(command)
    command.add_argument("--out", type=Path, help="folder; default runs/layers-POLICY-TARGET")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.evaluate.rollouts import Trials
    from sim2real.pipelines.transfer_studies import layer_transfer
    from sim2real.policy import Policy
    from sim2real.report.layers import table_of
    from sim2real.transfer.compare import Design
    from sim2real.transfer.target import Budget

    policies, donors = (
        [Policy.load(name) for name in names] for names in (arguments.policies, arguments.donors)
    )
    world = load_world(arguments.world or policies[0].contract.world, arguments)
    design = Design(
        (arguments.target,),
        Budget(arguments.budget),
        (),
        Trials(arguments.tries),
        arguments.jobs,
        tuple(arguments.imports),
        arguments.cluster,
    )
    out, show = arguments.out or Path("runs") / f"layers-{policies[0].name}-{arguments.target}", console()
    found = layer_transfer(world, policies, design, out, donors, _lines)
    show_tables(table_of(found))
    show.print(*found.sentences, sep="\n", soft_wrap=True)
    print(f"wrote {out / 'layers.png'} and layers.json beside it")


def _lines(_: str, __: int) -> AbstractContextManager[Callable[[str], None]]:
    """A line for each policy and cell, of which nobody knows the number beforehand."""
    return nullcontext(lambda line: console().print(line, soft_wrap=True))
