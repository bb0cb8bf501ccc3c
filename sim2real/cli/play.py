"""Watch a policy, in its source and in a target."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import Commands, amount
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.task import add_task, load_world

if TYPE_CHECKING:
    from sim2real.playback import Clip


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("play", help="watch a policy: in a window, or as a video")
    add_policies(command, several=False)
    command.add_argument(
        "--variant", help="a held-out variant, or a TOML file of a domain, beside the source"
    )
    command.add_argument("--seconds", type=amount, default=10.0, help="of simulated time at most; default 10")
    command.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="file to write, .webp, .gif or .mp4; default a window, or runs/play-POLICY.webp without "
        "a display",
    )
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.foreign import load_policy
    from sim2real.playback import default_video, has_window, play

    policy = load_policy(arguments.policy, arguments.trust)
    world = load_world(arguments.world or world_of([policy]), arguments)
    video = arguments.video or (None if has_window(world) else default_video(policy))

    def tell(motion: Clip) -> None:
        end = f", {motion.end}" if motion.end else ""
        print(f"{motion.title}: {motion.seconds:.1f} s, return {motion.total:.1f}{end}", flush=True)

    play(policy, world, arguments.variant, video, arguments.seconds, done=tell)
    if video is not None:
        print(f"wrote {video}")
