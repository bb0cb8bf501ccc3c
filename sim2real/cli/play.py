"""Watch a policy, in its source and in a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import amount
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import TASK, load_world
from sim2real.cli.policies import POLICY, world_of

if TYPE_CHECKING:
    from sim2real.playback import Clip


@command(
    "play",
    *POLICY,
    option("--variant", help="a held-out variant, or a TOML file of a domain, beside the source"),
    option("--seconds", type=amount, default=10.0, help="of simulated time at most; default 10"),
    option(
        "--video",
        type=Path,
        metavar="FILE",
        help="file to write, .webp, .gif or .mp4; default a window, or runs/play-POLICY.webp without "
        "a display",
    ),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Watch a policy: in a window, or as a video."""
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
