"""Watch a policy, in its source and in a target."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import amount, seed
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, counting

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("play", help="watch a policy: in a window, or as a video")
    add_policies(command, several=False)
    command.add_argument(
        "--variant", help="a held-out variant, or a TOML file of a domain, beside the source"
    )
    command.add_argument("--seconds", type=amount, default=10.0, help="of simulated time at most; default 10")
    command.add_argument("--seed", type=seed, help="of the episode; default that of evaluations")
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
    from sim2real.evaluate.rollouts import SEED
    from sim2real.evaluate.variants import chosen_variants
    from sim2real.foreign import load_policy
    from sim2real.playback import check_suffix, has_display, record, show, write_video

    policy = load_policy(arguments.policy, arguments.trust)
    world = load_world(arguments.world or world_of([policy]), arguments)
    video = arguments.video
    if video is None and not has_display():
        video = Path("runs") / f"play-{policy.name}.webp"
    if video is not None:
        check_suffix(video)
    variants = chosen_variants(world, [arguments.variant] if arguments.variant else [])
    motions = []
    with counting(console(), "play", len(variants)) as tell:
        for variant in variants:
            chosen = SEED if arguments.seed is None else arguments.seed
            motions.append(record(world, variant, policy, arguments.seconds, chosen))
            tell(variant.name)
    for motion in motions:
        end = f", {motion.end}" if motion.end else ""
        print(f"{motion.title}: {motion.seconds:.1f} s, return {motion.total:.1f}{end}")
    if video is None:
        show(motions)
    else:
        write_video(motions, video)
        print(f"wrote {video}")
