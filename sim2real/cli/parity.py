"""How far an engine agrees with MuJoCo about a world."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.show import show_tables
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, working


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("parity", help="how far another engine agrees with MuJoCo about a world")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--simulator", default="bullet", help="engine: bullet (default) or warp")
    command.add_argument("--seconds", type=float, default=1.0, help="length of the open-loop motions")
    command.add_argument("--out", type=Path, help="folder of the results; default runs/parity-WORLD-ENGINE")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.pipelines.agreement import parity
    from sim2real.report.parity import tables

    world = load_world(arguments.world, arguments)
    out = arguments.out or Path("runs") / f"parity-{world.name}-{arguments.simulator}"
    with working(console(), f"comparing {arguments.simulator} with mujoco on {world.name}"):
        found = parity(world, arguments.simulator, arguments.seconds, out)
    show_tables(*tables(found))
    print(f"wrote {out}")
