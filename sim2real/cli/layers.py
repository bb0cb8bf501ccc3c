"""Which layers of a policy hold the physics, and which the task."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import CELLS, TASK, design_of, load_world
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import console


@command(
    "layers",
    option("policies", nargs="+", metavar="POLICY", help="policies of the source, a seed each"),
    option("--target", required=True, help="a held-out variant"),
    option("--world", help="name or folder of the world; default the one that the policy names"),
    option(
        "--donors", nargs="+", default=[], help="policies of the target, of the same seeds; default trained"
    ),
    option("--budget", type=positive, default=50_000, help="control steps an arm (50000)"),
    *CELLS,
    option("--out", type=Path, help="folder; default runs/layers-POLICY-TARGET"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Which layers of a policy hold physics, and which the task."""
    from sim2real.pipelines.transfer_studies import layer_transfer
    from sim2real.policy import Policy
    from sim2real.report.compare import layer_table
    from sim2real.transfer.target import Budget

    policies, donors = (
        [Policy.load(name) for name in names] for names in (arguments.policies, arguments.donors)
    )
    world = load_world(arguments.world or policies[0].contract.world, arguments)
    design = design_of(arguments, [arguments.target], Budget(arguments.budget), ())
    out, show = arguments.out or Path("runs") / f"layers-{policies[0].name}-{arguments.target}", console()
    # a line for each policy and cell, of which nobody knows the number beforehand
    lines = nullcontext(lambda line: show.print(line, soft_wrap=True))
    found = layer_transfer(world, policies, design, out, donors, lambda *_: lines)
    show_tables(layer_table(found))
    show.print(*found.sentences, sep="\n", soft_wrap=True)
    print(f"wrote {out / 'layers.png'} and layers.json beside it")
