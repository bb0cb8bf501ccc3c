"""Play a policy's episode in the source and in a target, and show both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.rollouts import SEED
from sim2real.evaluate.variants import chosen_variants
from sim2real.playback.clip import Clip, draws_itself, record
from sim2real.playback.video import check_suffix, write_video
from sim2real.playback.viewer import has_display, show
from sim2real.world import World


def play(
    policy: Candidate,
    world: str | World,
    variant: str | None = None,
    video: str | Path | None = None,
    seconds: float = 10.0,
    *,
    done: Callable[[Clip], None] = lambda _: None,
) -> list[Clip]:
    """Watch a policy in a window, or as a video, with a variant beside the nominal physics.

    Args:
        policy: ours, or others'.
        world: where, or its name or folder.
        variant: a held-out one, or the path of a domain's TOML file; by default the nominal physics alone.
        video: a file to write, ``.webp``, ``.gif`` or ``.mp4``; by default a window, and where there is no
            display, or only the env knows how it looks, ``runs/play-POLICY.webp``.
        seconds: of simulated time, at most.
        done: called after each motion, before anything is shown.

    Returns:
        The motions, that of the nominal physics first.

    Raises:
        InvalidValue: for another kind of file, or a world whose bodies can't be drawn.
        UnknownName: for a variant that does not exist.
        PolicyError: if the policy does not fit the world.
        MissingDisplay: if nothing here can draw.
    """
    world = world if isinstance(world, World) else World.load(world)
    if video is None and not has_window(world):
        video = default_video(policy)
    if video is not None:
        check_suffix(Path(video))
    motions = []
    for chosen in chosen_variants(world, [variant] if variant else []):
        motions.append(record(world, chosen, policy, seconds, SEED))
        done(motions[-1])
    if video is None:
        show(motions)
    else:
        write_video(motions, Path(video))
    return motions


def has_window(world: World) -> bool:
    """Whether motions of a world can be seen in a window here: MuJoCo's viewer, which wants its bodies."""
    return has_display() and not draws_itself(world)


def default_video(policy: Candidate) -> Path:
    """Where a video goes for which no file is named."""
    return Path("runs") / f"play-{policy.name}.webp"
