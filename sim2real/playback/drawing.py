"""Pictures of poses without a display, by OpenGL in software or on a GPU."""

from __future__ import annotations

import copy
import ctypes.util
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.errors import MissingDisplay
from sim2real.interface import Array

Picture = NDArray[np.uint8]
"""Shape (height, width, 3)."""

PANE = (480, 360)
"""Width and height of what is shown of one motion, in pixels."""

_INERTIA = mujoco.mjtVisFlag.mjVIS_INERTIA
_WAYS = {"egl": "EGL", "osmesa": "OSMesa"}
"""Ways to draw without a display, and the library that each needs."""


@dataclass(frozen=True)
class View:
    """Where a camera stands, seen from the body that it goes along with."""

    centre: Array
    """Of what moves, m. Shape (3,)."""
    radius: float
    """Of a ball around all that moves, m."""

    @classmethod
    def of(cls, model: mujoco.MjModel, poses: Array) -> View:
        """What all poses of a model fit into. Shape (poses, nq)."""
        data, corners = mujoco.MjData(model), []
        shapes = (model.body_weldid[model.geom_bodyid] != 0) & (model.geom_rbound > 0)
        boxes = (model.body_weldid != 0) & (model.body_mass > 0) & bool(visible(model).flags[_INERTIA])
        halves = np.sqrt(1.5 * model.body_inertia[boxes].sum(axis=1) / model.body_mass[boxes])
        reach = np.concatenate((model.geom_rbound[shapes], halves))[:, None]
        for qpos in poses:
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            places = np.concatenate((data.geom_xpos[shapes], data.xipos[boxes])) - _along(model, data)
            corners += [*(places - reach), *(places + reach)]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        return cls((low + high) / 2, float(np.linalg.norm(high - low) / 2))

    def joined(self, other: View) -> View:
        """A view of both."""
        low, high = (
            choose(self.centre + sign * self.radius, other.centre + sign * other.radius)
            for sign, choose in ((-1, np.minimum), (1, np.maximum))
        )
        return View((low + high) / 2, float((high - low).max() / 2))


@contextmanager
def pictures(
    model: mujoco.MjModel, view: View, width: int, height: int
) -> Iterator[Callable[[Array], Picture]]:
    """What draws poses of a model.

    Raises:
        MissingDisplay: if nothing here can draw.
    """
    model = copy.copy(model)
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.offsamples = model.vis.quality.shadowsize = 0  # most of the time goes there
    context = _context(width, height)
    try:
        context.make_current()
        target = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, target)
        data, scene, rectangle = mujoco.MjData(model), _scene(model), mujoco.MjrRect(0, 0, width, height)
        option = visible(model)

        def drawn(qpos: Array) -> Picture:
            data.qpos[:] = qpos
            mujoco.mj_forward(model, data)
            camera = _camera(model, view, _along(model, data))
            context.make_current()
            every = mujoco.mjtCatBit.mjCAT_ALL.value
            mujoco.mjv_updateScene(model, data, option, None, camera, every, scene)
            picture = np.empty((height, width, 3), dtype=np.uint8)
            mujoco.mjr_render(rectangle, scene, target)
            mujoco.mjr_readPixels(picture, None, rectangle, target)
            return picture[::-1]

        yield drawn
        context.make_current()
        target.free()
    finally:
        context.free()


def visible(model: mujoco.MjModel) -> mujoco.MjvOption:
    """What is drawn: the usual, or where that leaves most bodies out all shapes, or boxes of like inertia."""
    option = mujoco.MjvOption()
    if not _most_are_seen(model, option):
        option.geomgroup[:] = 1  # robots have shapes that only collide in groups that are not usually drawn
    if not _most_are_seen(model, option):
        option.flags[_INERTIA] = 1
    return option


def _most_are_seen(model: mujoco.MjModel, option: mujoco.MjvOption) -> bool:
    drawn = option.geomgroup[model.geom_group].astype(bool)
    bodies = np.flatnonzero((model.body_weldid != 0) & (model.body_mass > 0))
    return len(bodies) == 0 or bool(np.isin(bodies, model.geom_bodyid[drawn]).mean() > 0.5)


class _Context(Protocol):
    def make_current(self) -> None:
        """Let OpenGL draw here from now on."""

    def free(self) -> None:
        """Give everything back."""


def _scene(model: mujoco.MjModel) -> mujoco.MjvScene:
    scene = mujoco.MjvScene(model, maxgeom=10_000)
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        scene.flags[flag] = 0
    return scene


def _camera(model: mujoco.MjModel, view: View, along: Array) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, camera)
    camera.lookat[:] = along + view.centre
    camera.distance = 1.1 * view.radius / math.sin(math.radians(model.vis.global_.fovy / 2))
    camera.elevation = -20.0
    return camera


def _along(model: mujoco.MjModel, data: mujoco.MjData) -> Array:
    """How far the body of the first joint has gone over the ground, m."""
    place = np.zeros(3)
    if model.njnt:
        place[:2] = data.xpos[model.jnt_bodyid[0], :2]
    return place


def _context(width: int, height: int) -> _Context:
    """An OpenGL context without a window."""
    asked = os.environ.get("MUJOCO_GL", "").lower()
    here = [way for way, library in _WAYS.items() if ctypes.util.find_library(library)]
    ways = [asked] if asked in _WAYS else here
    try:
        if ways[:1] == ["egl"]:
            from mujoco.egl import GLContext
        elif ways[:1] == ["osmesa"]:
            from mujoco.osmesa import GLContext
        else:
            from mujoco.gl_context import GLContext  # of the system's own windows
        context: _Context = GLContext(width, height)
        return context
    except Exception as error:  # OpenGL's loaders raise what they like
        raise MissingDisplay(
            f"nothing here can draw without a window ({type(error).__name__}: {error}); on Debian and "
            "Ubuntu, `apt install libegl1 libgl1` brings what can"
        ) from error
