"""Motions in MuJoCo's own viewer: the last one, and the others as ghosts in its place."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import mujoco
import numpy as np

from sim2real.playback.clip import Clip
from sim2real.playback.drawing import visible

_GHOST = 0.25
"""Opacity of what stands beside."""


def has_display() -> bool:
    """Whether windows can be opened here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(motions: Sequence[Clip]) -> None:
    """Play the last motion in real time, and the others as ghosts, until the window is closed."""
    import mujoco.viewer

    motion, data = motions[-1], mujoco.MjData(motions[-1].model)
    others = [(other, mujoco.MjData(other.model)) for other in motions[:-1]]
    seconds = max(motion.seconds for motion in motions)
    with mujoco.viewer.launch_passive(motion.model, data) as viewer:
        option = visible(motion.model)
        viewer.opt.geomgroup[:], viewer.opt.flags[:] = option.geomgroup, option.flags
        begin = time.perf_counter()
        while viewer.is_running():
            now = (time.perf_counter() - begin) % (seconds + 1.0)
            with viewer.lock():
                pose(motion, data, now)
                viewer.user_scn.ngeom = 0
                for other, ghost in others:
                    pose(other, ghost, now)
                    add_ghost(viewer.user_scn, other.model, ghost)
            viewer.sync()
            time.sleep(1 / 60)


def pose(motion: Clip, data: mujoco.MjData, seconds: float) -> None:
    """Put a model where a motion had it."""
    step = min(int(seconds / motion.dt), len(motion.qpos) - 1)
    data.qpos[:] = motion.qpos[step]
    mujoco.mj_forward(motion.model, data)


def add_ghost(scene: mujoco.MjvScene, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Add what moves of a model to a scene, hardly opaque."""
    before = scene.ngeom
    moving = mujoco.mjtCatBit.mjCAT_DYNAMIC.value
    mujoco.mjv_addGeoms(model, data, visible(model), mujoco.MjvPerturb(), moving, scene)
    for k in range(before, scene.ngeom):
        scene.geoms[k].rgba[3] = np.float32(_GHOST)
