"""Motions side by side as a file: WebP or GIF, or MP4 where there is ffmpeg."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from sim2real.errors import InvalidValue
from sim2real.files import write_atomically
from sim2real.interface import Array
from sim2real.playback.clip import Clip
from sim2real.playback.drawing import PANE, Picture, View, pictures

_RATE = 25
"""Pictures a second."""
SUFFIXES = (".mp4", ".webp", ".gif")


def write_video(motions: Sequence[Clip], path: Path) -> None:
    """Write a video in real time; who ends earlier stays where it ended.

    Args:
        motions: from left to right.
        path: its suffix, ``.webp``, ``.gif`` or ``.mp4``, says the format.

    Raises:
        InvalidValue: for another suffix, or MP4 where there is no ffmpeg.
        MissingDisplay: if nothing here can draw.
    """
    check_suffix(path)
    frames = _frames(motions)
    if path.suffix == ".mp4":
        write_atomically(path, lambda temporary: _with_ffmpeg(frames, temporary))
        return
    first, *others = [Image.fromarray(frame) for frame in frames]

    def write(temporary: Path) -> None:
        first.save(
            temporary,
            save_all=True,
            append_images=others,
            duration=1000 // _RATE,
            loop=0,
            quality=80,  # of WebP; GIF knows neither this nor the next
            method=0,
        )

    write_atomically(path, write)


def check_suffix(path: Path) -> None:
    """Refuse a file that can't be written, before a motion is played."""
    if path.suffix not in SUFFIXES:
        raise InvalidValue(f"{path} is to be a video, and ends with none of {', '.join(SUFFIXES)}")
    if path.suffix == ".mp4" and ffmpeg() is None:
        raise InvalidValue(
            f"{path} needs ffmpeg; install it (`pip install imageio-ffmpeg` brings one), or name a .webp"
        )


def ffmpeg() -> str | None:
    """The program that encodes MP4: the system's, or that of the package imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if found is None and importlib.util.find_spec("imageio_ffmpeg") is not None:
        found = str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    return found


def _frames(motions: Sequence[Clip]) -> Iterator[Picture]:
    """Pictures of all motions side by side, with their titles."""
    font = ImageFont.load_default(16)
    with ExitStack() as stack:
        draw = [_kept(motion) for motion in motions if motion.pictures]
        if not draw:
            views = (View.of(m.model, m.qpos[:: max(1, len(m.qpos) // 50)]) for m in motions)
            view = functools.reduce(View.joined, views)
            draw = [
                _posed(motion, stack.enter_context(pictures(motion.model, view, *PANE))) for motion in motions
            ]
        for k in range(int(max(motion.seconds for motion in motions) * _RATE) + 1):
            panes = []
            for motion, drawn in zip(motions, draw, strict=True):
                step = min(round(k / _RATE / motion.dt), len(motion.qpos) - 1)
                pane = Image.fromarray(drawn(step))
                ImageDraw.Draw(pane).text(
                    (8, 6), _caption(motion, step), "white", font, stroke_width=2, stroke_fill="black"
                )
                panes.append(np.asarray(pane))
            yield np.concatenate(panes, axis=1)


def _kept(motion: Clip) -> Callable[[int], Picture]:
    """What draws a step of a motion that came with pictures, in the middle of its pane."""

    def drawn(step: int) -> Picture:
        return np.asarray(ImageOps.pad(Image.fromarray(motion.pictures[step]), PANE))

    return drawn


def _posed(motion: Clip, draw: Callable[[Array], Picture]) -> Callable[[int], Picture]:
    """What draws a step of a motion by its positions."""
    return lambda step: draw(motion.qpos[step])


def _caption(motion: Clip, step: int) -> str:
    text = f"{motion.title}\n{step * motion.dt:.1f} s"
    if step < len(motion.qpos) - 1:
        return text
    return f"{text}  {motion.end}  return {motion.total:.0f}"


def _with_ffmpeg(frames: Iterator[Picture], path: Path) -> None:
    first = next(frames)
    size = f"{first.shape[1]}x{first.shape[0]}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(_RATE), "-i", "-"]
    command = [str(ffmpeg()), "-y", "-loglevel", "error", *source, "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for frame in (first, *frames):
            encoder.stdin.write(frame.tobytes())
        _, complaint = encoder.communicate()
    if encoder.returncode:
        raise InvalidValue(
            f"ffmpeg can't write {path}: {complaint.decode(errors='replace').strip()}; name a .webp"
        )
