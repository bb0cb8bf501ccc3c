"""Watch a policy: in MuJoCo's viewer, or without a display as a video, source and target side by side.

    play(policy, "furuta", "combined_a")

The motion is that of the first episode of an evaluation.
"""

from sim2real.playback.clip import Clip, record
from sim2real.playback.side_by_side import default_video, has_window, play
from sim2real.playback.video import write_video
from sim2real.playback.viewer import show

__all__ = ["Clip", "default_video", "has_window", "play", "record", "show", "write_video"]
