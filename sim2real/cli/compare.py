"""Run transfer methods side by side under one budget, and say which helped."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import CELLS, TASK, WORLD, design_of, load_world
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import command_line, console, counting
from sim2real.errors import InvalidValue

if TYPE_CHECKING:
    from sim2real.policy import Policy
    from sim2real.world import World


@command(
    "compare",
    WORLD,
    option("--targets", nargs="+", required=True, help="held-out variants, each sealed"),
    option(
        "--methods",
        nargs="+",
        required=True,
        help="see `sim2real methods`; METHOD:NAME=VALUE,NAME=VALUE for settings, all for every one",
    ),
    option("--budget", type=positive, default=50_000, help="control steps a cell (50000)"),
    option("--episodes", type=positive, help="budget in episodes as well"),
    option("--seeds", type=positive, help="policies to start from; default up to 5 shipped ones"),
    option("--source", default="nominal", help="label of shipped policies (nominal)"),
    option("--policies", nargs="+", help="policies to start from, for shipped ones"),
    option(
        "--variants", nargs="*", help="to try results in beside targets and source; default all that run here"
    ),
    *CELLS,
    option("--out", type=Path, help="folder; default runs/compare-WORLD"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Transfer methods side by side: which helped, which hurt."""
    from sim2real.pipelines.compare import compare
    from sim2real.pipelines.reporting import Reporting
    from sim2real.report.compare import table_of
    from sim2real.transfer.methods import METHODS
    from sim2real.transfer.target import Budget

    world = load_world(arguments.world, arguments)
    policies = _policies(arguments, world)
    methods = list(METHODS) if arguments.methods == ["all"] else arguments.methods
    budget = Budget(arguments.budget, arguments.episodes)
    design = design_of(arguments, arguments.targets, budget, arguments.variants)
    out, show = arguments.out or Path("runs") / f"compare-{world.name}", console()
    reporting = Reporting({"command": command_line()}, partial(counting, lines=True))
    found = compare(world, policies, list(dict.fromkeys(methods)), design, out, reporting)
    show_tables(*(table_of(found, target) for target in found.targets))
    left_out = (f"left out: {cell}: {why}" for cell, why in found.failures.items())
    show.print(*found.sentences, *left_out, sep="\n")
    print(f"wrote {out / 'compare.html'}")


def _policies(arguments: Arguments, world: World) -> list[Policy]:
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
