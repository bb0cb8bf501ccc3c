"""Find the physics of a robot from its recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("identify", help="find the physics that recordings of a robot show")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--recordings", type=Path, required=True, help="folder of recordings")
    command.add_argument(
        "--free", nargs="+", default=(), help="parameters that may change; default the world's"
    )
    command.add_argument("--held", nargs="+", help="recordings to hold out; default every fourth")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--allow-bad-data", action="store_true", help="fit what can be read of what the log doctor calls bad"
    )
    command.add_argument("--out", type=Path, help="folder of the results; default runs/identify-WORLD")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status is that of the verdicts."""
    from rich.console import Console

    from sim2real.identify.identify import Options, identify
    from sim2real.identify.intake import take_in
    from sim2real.identify.page import write_page
    from sim2real.identify.summary import identification_tables
    from sim2real.world import World

    world = World.load(arguments.world)
    out = arguments.out or Path("runs") / f"identify-{world.name}"
    console = Console()
    taken = take_in(world, arguments.recordings, out, arguments.allow_bad_data)
    options = Options(
        free=tuple(arguments.free),
        held=tuple(arguments.held) if arguments.held else None,
        seed=arguments.seed,
        complaints=taken.complaints,
        checkpoint=out / "checkpoint.json",
    )
    with console.status("begin") as status:
        found = identify(
            world,
            taken.recordings,
            options,
            lambda what, number, cost: status.update(f"{what}: round {number}, {1000 * cost:.2f} mrad"),
        )
    found.save(out)
    page = write_page(found, out)
    for table in identification_tables(found):
        console.print(table)
    print(f"wrote {out / 'identified.toml'} and {page}")
    return found.exit_code
