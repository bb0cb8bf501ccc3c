"""Write a policy as ONNX, or make one of ours of a file of Stable-Baselines3."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import TASK, load_world


@command(
    "export",
    option("policy", help="a policy's name or folder"),
    option("--onnx", type=Path, metavar="FILE", help="for onnxruntime and the like"),
    option("--npz", type=Path, metavar="FILE", help="for numpy alone: scripts/run_exported.py"),
)
def run(arguments: Arguments) -> None:
    """Write a policy as one file for a robot, checked."""
    from sim2real.errors import InvalidValue
    from sim2real.foreign.export import export_policy
    from sim2real.policy import Policy

    if arguments.onnx is None and arguments.npz is None:
        raise InvalidValue("nothing to write; give --onnx FILE, --npz FILE or both")
    policy = Policy.load(arguments.policy)
    for path in filter(None, (arguments.onnx, arguments.npz)):
        difference = export_policy(policy, path)
        print(f"acts as the policy, to {difference:.1g}, on 1000 observations\nwrote {path}")


@command(
    "import",
    option("policy", metavar="sb3:FILE.zip", help="with ,normalize=FILE where VecNormalize is not beside"),
    option("--world", required=True, help="name or folder of the world that it was trained in"),
    option("--label", help="what reports call it; default the algorithm"),
    option("--out", type=Path, help="folder of the policy; default runs/FILE"),
    *TASK,
)
def run_import(arguments: Arguments) -> None:
    """Make a policy folder of a zip of Stable-Baselines3."""
    from sim2real.foreign import import_policy
    from sim2real.policy import Policy

    stem = Path(arguments.policy.partition(":")[2].partition(",")[0]).stem
    out = arguments.out or Path("runs") / stem
    Policy.check_folder(out)
    policy = import_policy(arguments.policy, load_world(arguments.world, arguments), arguments.label)
    policy.save(out)
    step = policy.contract.provenance[0]
    print(f"{step.method} of {step.steps:,} steps, and {step.settings['critic']}\nwrote {out}")
