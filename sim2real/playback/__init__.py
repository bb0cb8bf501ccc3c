"""Watch a policy: in MuJoCo's viewer, or without a display as a video, source and target side by side.

motions = [record(world, world.variant(name), policy) for name in ("nominal", "combined_a")]
write_video(motions, Path("play.webp"))
"""

from sim2real.playback.motion import Motion, record
from sim2real.playback.video import check_suffix, write_video
from sim2real.playback.viewer import has_display, show

__all__ = ["Motion", "check_suffix", "has_display", "record", "show", "write_video"]
