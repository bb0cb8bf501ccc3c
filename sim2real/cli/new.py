"""A world folder from anybody's model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sim2real.cli.terminal import console, working

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "new", help="write a world folder for an MJCF: parameters, variants, a task"
    )
    command.add_argument("folder", help="folder to make; its name is the world's")
    command.add_argument("--model", required=True, help="MJCF file, or a URDF that MuJoCo loads")
    command.add_argument("--task", action="store_true", help="write task.py too, an example to edit")
    command.add_argument(
        "--io",
        metavar="FILE",
        help="what a policy sees and drives, for a task without code: IO_descriptors.yaml (Isaac Lab), "
        "policy.onnx (mjlab) or config.yaml (unitree_rl_gym)",
    )
    command.add_argument("--env", metavar="FILE", help="Isaac Lab's env.yaml of the same run: the gains")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.scaffold import new_world

    with working(console(), f"reading {arguments.model}"):
        made = new_world(arguments.folder, arguments.model, arguments.task, arguments.io, arguments.env)
    for note in made.notes:
        print(note)
    world, folder = made.world, arguments.folder
    ranges = sum(p.low < p.high for p in world.parameters.values())
    print(f"wrote {folder}: {ranges} parameters to train over, {len(world.variants) - 1} held-out variants")
    own = f" --import {folder}/task.py" if arguments.task else ""
    policy = (
        f"onnx:{arguments.io}" if (arguments.io or "").endswith(".onnx") else "torchscript:POLICY.pt --trust"
    )
    last = f"; sim2real evaluate {policy} --world {folder}" if arguments.io else ""
    print(f"next: sim2real worlds {folder}; sim2real audit {folder}{own}{last}")
