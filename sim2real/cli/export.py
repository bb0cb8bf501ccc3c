"""Write a policy as ONNX, or make one of ours of a file of Stable-Baselines3."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.task import add_task, load_world


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
    from sim2real.foreign.export import export_policy
    from sim2real.policy import Policy

    if arguments.onnx is None and arguments.npz is None:
        raise InvalidValue("nothing to write; give --onnx FILE, --npz FILE or both")
    policy = Policy.load(arguments.policy)
    for path in filter(None, (arguments.onnx, arguments.npz)):
        difference = export_policy(policy, path)
        print(f"acts as the policy, to {difference:.1g}, on 1000 observations\nwrote {path}")


def run_import(arguments: argparse.Namespace) -> None:
    """Run the import."""
    from sim2real.foreign import import_policy
    from sim2real.policy import Policy

    stem = Path(arguments.policy.partition(":")[2].partition(",")[0]).stem
    out = arguments.out or Path("runs") / stem
    Policy.check_folder(out)
    policy = import_policy(arguments.policy, load_world(arguments.world, arguments), arguments.label)
    policy.save(out)
    step = policy.contract.provenance[0]
    print(f"{step.method} of {step.steps:,} steps, and {step.settings['critic']}\nwrote {out}")
