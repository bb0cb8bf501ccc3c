"""The plane under a robot, and how near the robot's geoms come to it."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.world.contacts import possible_partners
from sim2real.world.poses import in_poses
from sim2real.world.values import nominal_value

FloatArray = NDArray[np.float64]


def plane_parameters(model: mujoco.MjModel) -> dict[str, float]:
    """Height of a model's first plane and, where its friction counts (priority), that.

    Returns:
        Their values by parameter, as the model has them; none without a plane.
    """
    planes = np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE))
    if not len(planes):
        return {}
    plane = int(planes[0])
    partners, name = possible_partners(model, plane), str(model.geom(plane).name)
    rules = (model.geom_priority[partners] < model.geom_priority[plane]).all()
    quantities = ("height", "friction") if rules else ("height",)
    return {f"{name}.{quantity}": nominal_value(model, quantity, name) for quantity in quantities}


def tip_height(model: mujoco.MjModel, positions: FloatArray, joints: Sequence[str]) -> FloatArray:
    """Height of the lowest point that can touch the ground, over the world's origin, m.

    Args:
        model: of the robot; a mesh counts as its bounding sphere, lower than it is.
        positions: of joints. Shape (n, k).
        joints: names of the k columns; others are at rest.

    Returns:
        0 where nothing can touch. Shape (n,).
    """
    moving = [
        g
        for g in range(model.ngeom)
        if model.geom_bodyid[g] > 0 and (model.geom_contype[g] or model.geom_conaffinity[g])
    ]
    if not moving:
        return np.zeros(len(positions))
    lowest = (
        min(data.geom_xpos[g, 2] - _depth(model, g, data.geom_xmat[g, 6:]) for g in moving)
        for data in in_poses(model, joints, positions)
    )
    return np.fromiter(lowest, np.float64, len(positions))


def _depth(model: mujoco.MjModel, geom: int, up: FloatArray) -> float:
    """How far a geom reaches below its centre, m; ``up`` is the world's z in its frame, shape (3,)."""
    kind, size, steep = int(model.geom_type[geom]), model.geom_size[geom], abs(float(up[2]))
    if kind == int(mujoco.mjtGeom.mjGEOM_SPHERE):
        return float(size[0])
    if kind == int(mujoco.mjtGeom.mjGEOM_CAPSULE):
        return float(size[0] + steep * size[1])
    if kind == int(mujoco.mjtGeom.mjGEOM_CYLINDER):
        return float(size[0] * np.sqrt(max(1 - steep**2, 0.0)) + steep * size[1])
    if kind == int(mujoco.mjtGeom.mjGEOM_ELLIPSOID):
        return float(np.linalg.norm(up * size))
    if kind == int(mujoco.mjtGeom.mjGEOM_BOX):
        return float(np.abs(up) @ size)
    return float(model.geom_rbound[geom])  # no deeper than that
