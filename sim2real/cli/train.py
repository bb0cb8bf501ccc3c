"""Pre-train a policy."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands, positive, print_measured, seed
from sim2real.cli.task import add_task, load_world


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("train", help="pre-train a policy in a source domain")
    command.add_argument("world", help="a world's name or folder, or gym:ID of a gymnasium env")
    command.add_argument(
        "--domain", default="nominal", help="nominal (default), training, or the path of a TOML file"
    )
    command.add_argument("--steps", type=positive, help="control steps; default per world")
    command.add_argument(
        "--start", help="policy to go on from: a name or folder, or '' for none; default per world"
    )
    command.add_argument("--simulator", help="engine: mujoco (default), bullet or warp")
    command.add_argument("--seed", type=seed, default=0)
    command.add_argument(
        "--allow-dead", action="store_true", help="train with parameters that change nothing"
    )
    command.add_argument("--out", type=Path, help="folder of the policy; default runs/WORLD-DOMAIN-SEED")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    world = load_world(arguments.world, arguments)
    randomized = not world.domain(arguments.domain).is_point
    given = {"total_steps": arguments.steps, "start": arguments.start, "simulator": arguments.simulator}
    if arguments.allow_dead:
        given["allow_dead"] = True
    from sim2real.learn.train import train

    if arguments.simulator == "warp":
        from sim2real.learn.rsl_rl import settings_for
    else:
        from sim2real.learn.settings import settings_for
    settings = settings_for(world, randomized, **given)
    domain = Path(arguments.domain).stem
    out = arguments.out or Path("runs") / f"{world.path.name}-{domain}-{arguments.seed}"
    policy = train(world, out, arguments.domain, arguments.seed, settings, progress=True)
    print_measured(policy, out)
