"""A world folder from anybody's model or env."""

from __future__ import annotations

from sim2real.cli.command import Arguments, command, either, option
from sim2real.cli.options import IMPORT
from sim2real.cli.terminal import console, working


@command(
    "new",
    option("folder", help="folder to make; its name is the world's"),
    either(
        option("--model", help="MJCF file, or a URDF that MuJoCo loads"),
        option("--gym", metavar="ID", help="gymnasium env: Hopper-v5, or my_module:MyEnv-v0"),
        required=True,
    ),
    option("--task", action="store_true", help="write task.py too, an example to edit"),
    option(
        "--io",
        metavar="FILE",
        help="what a policy sees and drives, for a task without code: IO_descriptors.yaml (Isaac Lab), "
        "policy.onnx (mjlab) or config.yaml (unitree_rl_gym)",
    ),
    option("--env", metavar="FILE", help="Isaac Lab's env.yaml of the same run: the gains"),
    IMPORT,
)
def run(arguments: Arguments) -> None:
    """Write a world folder for an MJCF or a gymnasium env: parameters, variants, a task."""
    from sim2real.scaffold import new_world
    from sim2real.world import SCHEME

    module, _, _ = (arguments.gym or "").removeprefix(SCHEME).rpartition(":")
    model = arguments.model or SCHEME + arguments.gym.removeprefix(SCHEME)
    with working(console(), f"reading {model}"):
        made = new_world(arguments.folder, model, arguments.task, arguments.io, arguments.env)
    for note in made.notes:
        print(note)
    world, folder = made.world, arguments.folder
    ranges = sum(p.low < p.high for p in world.parameters.values())
    print(f"wrote {folder}: {ranges} parameters to train over, {len(world.variants) - 1} held-out variants")
    needed = "".join(f" --import {name}" for name in (*arguments.imports, module) if name)
    own = f"{needed} --import {folder}/task.py" if arguments.task else needed
    policy = (
        f"onnx:{arguments.io}" if (arguments.io or "").endswith(".onnx") else "torchscript:POLICY.pt --trust"
    )
    last = f"; sim2real evaluate {policy} --world {folder}" if arguments.io else ""
    if arguments.gym:
        last = f"; sim2real train {folder} --domain training{own}"
    print(f"next: sim2real worlds {folder}{needed}; sim2real audit {folder}{own}{last}")
