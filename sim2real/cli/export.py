"""Write a policy as ONNX, or make one of ours of a file of Stable-Baselines3."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.task import add_task, load_world

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add both commands."""
    command = commands.add_parser("export", help="write a policy as one file for a robot, checked")
    command.add_argument("policy", help="a policy's name or folder")
    command.add_argument("--onnx", type=Path, metavar="FILE", help="for onnxruntime and the like")
    command.add_argument("--npz", type=Path, metavar="FILE", help="for numpy alone: scripts/run_exported.py")
    command.set_defaults(run=run)
    command = commands.add_parser("import", help="make a policy folder of a zip of Stable-Baselines3")
    command.add_argument(
        "policy", metavar="sb3:FILE.zip", help="with ,normalize=FILE where VecNormalize is not beside"
    )
    command.add_argument("--world", required=True, help="name or folder of the world that it was trained in")
    command.add_argument("--label", help="what reports call it; default the algorithm")
    command.add_argument("--out", type=Path, help="folder of the policy; default runs/FILE")
    add_task(command)
    command.set_defaults(run=run_import)


def run(arguments: argparse.Namespace) -> None:
    """Run the export."""
    from sim2real.errors import InvalidValue
    from sim2real.foreign.export import write_npz, write_onnx
    from sim2real.policy import Policy

    if arguments.onnx is None and arguments.npz is None:
        raise InvalidValue("nothing to write; give --onnx FILE, --npz FILE or both")
    policy = Policy.load(arguments.policy)
    for write, path in ((write_onnx, arguments.onnx), (write_npz, arguments.npz)):
        if path is not None:
            difference = write(policy, path)
            print(f"acts as the policy, to {difference:.1g}, on 1000 observations\nwrote {path}")


def run_import(arguments: argparse.Namespace) -> None:
    """Run the import."""
    from dataclasses import replace

    from sim2real.env import Sim2RealVectorEnv
    from sim2real.errors import InvalidValue
    from sim2real.foreign.adopt import import_policy
    from sim2real.foreign.specs import parse, read_zip
    from sim2real.policy import Policy

    spec = parse(arguments.policy)
    if spec.prefix != "sb3":
        raise InvalidValue(
            f"{arguments.policy} can be evaluated as it is, but only zips of Stable-Baselines3 can be made "
            "ours; give sb3:FILE.zip"
        )
    name = Path(spec.place).stem
    out = arguments.out or Path("runs") / name
    Policy.check_folder(out)
    saved, normalizer = read_zip(spec)
    env = Sim2RealVectorEnv(load_world(arguments.world, arguments), 1)
    policy = import_policy(saved, normalizer, env, name)
    label = arguments.label or spec.label or policy.label
    replace(policy, contract=replace(policy.contract, label=label)).save(out)
    critic = "its critic" if saved.critic else "a new critic"
    print(f"{saved.algorithm} of {saved.steps:,} steps, {len(saved.actor)} layers, and {critic}\nwrote {out}")
