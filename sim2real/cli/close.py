"""From recordings to a policy that suits the robot, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "close", help="from recordings to a policy: doctor, identify, go on training, evaluate"
    )
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--recordings", type=Path, required=True, help="folder of recordings of the robot")
    command.add_argument("--policy", help="policy to go on from; default WORLD-nominal-0")
    command.add_argument("--free", nargs="+", default=(), help="parameters to identify; default the world's")
    command.add_argument("--steps", type=positive, default=300_000, help="of continued training, per domain")
    command.add_argument("--episodes", type=positive, default=64, help="per policy and physics")
    command.add_argument("--out", type=Path, help="folder; default runs/close-WORLD")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status is the identification's."""
    from sim2real.cli.evaluate import report
    from sim2real.evaluate.rollouts import Trials
    from sim2real.identify.identify import Options
    from sim2real.policy import Policy
    from sim2real.transfer.close import CloseSettings, close_gap
    from sim2real.world import World

    world = World.load(arguments.world)
    policy = Policy.load(arguments.policy or f"{world.name}-nominal-0")
    out = arguments.out or Path("runs") / f"close-{world.name}"
    settings = CloseSettings(
        arguments.steps, trials=Trials(arguments.episodes), options=Options(free=tuple(arguments.free))
    )
    closing = close_gap(world, arguments.recordings, policy, out, settings)
    for verdict in closing.found.verdicts:
        print(f"{verdict.name}: {verdict.text}")
    command = f"sim2real close {arguments.world} --recordings {arguments.recordings}"
    report(closing.world, closing.table, policy.contract.label, out, command)
    print(f"wrote {out / 'identified.toml'}")
    return closing.found.exit_code
