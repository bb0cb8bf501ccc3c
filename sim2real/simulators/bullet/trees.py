"""What Bullet builds bodies from: the trees of a compiled `mujoco.MjModel`, and the numbers that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.interface import Array
from sim2real.simulators.bullet.contacts import Shape

WORLD = 0
"""The body that all trees hang on."""
_GRAIN = 1e-6
"""Share of a free body that is the grain at its origin."""
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
_FREE = int(mujoco.mjtJoint.mjJNT_FREE)


@dataclass(frozen=True)
class Numbers:
    """What of a model differs between simulations and decides Bullet's bodies. Shapes as in MjModel."""

    body_mass: Array
    body_inertia: Array
    body_ipos: Array
    body_iquat: Array
    jnt_range: Array
    """Where Bullet's limits are: MuJoCo's, inside of them by their margins."""
    geom_pos: Array
    geom_friction: Array
    gravity: Array
    ballast: Array
    """Moment of inertia about every axis that the link of a joint has more, kg·m². Shape (njnt,)."""


@dataclass(frozen=True)
class Inertial:
    """Mass and inertia of one link."""

    mass: float
    """kg."""
    moments: Array
    """Principal moments of inertia, kg·m². Shape (3,)."""
    position: Array
    """Centre of mass in the frame of the body, m. Shape (3,)."""
    axes: Array
    """Orientation of the principal axes in the frame of the body: a quaternion."""


@dataclass(frozen=True)
class Tree:
    """One multibody: everything that hangs, through joints, on a child of the world."""

    root: int
    free: int | None
    """The root's free joint, if it has one; then the root is the multibody's base."""
    bodies: list[int]
    shapes: list[Shape]
    """Those of its geoms that can touch something."""
    offsets: dict[int, Array]
    """By body: where the origin of the link that carries it lies, in the body's frame."""


def make_trees(model: mujoco.MjModel, shapes: Sequence[Shape]) -> list[Tree]:
    """The trees of a model, with the shapes that can touch something."""
    trees = []
    for root in np.flatnonzero(model.body_parentid == WORLD)[1:].tolist():
        first = int(model.body_jntadr[root])
        free = first if first >= 0 and model.jnt_type[first] == _FREE else None
        bodies = np.flatnonzero(model.body_rootid == root).tolist()
        offsets = {body: np.zeros(3) for body in bodies}
        for body in bodies[free is not None :]:
            for joint in body_joints(model, body)[-1:]:
                offsets[body] = model.jnt_pos[joint].copy()
        mine = [shape for shape in shapes if model.body_rootid[model.geom_bodyid[shape[0]]] == root]
        trees.append(Tree(root, free, bodies, mine, offsets))
    return trees


def body_joints(model: mujoco.MjModel, body: int) -> list[int]:
    """Joints of a body, in order."""
    first = int(model.body_jntadr[body])
    return list(range(first, first + int(model.body_jntnum[body])))


def inertials(model: mujoco.MjModel, numbers: Numbers, tree: Tree) -> dict[str, Inertial]:
    """What the links of a tree weigh, by their names; those that are not there weigh nothing.

    A joint's link has the ballast. A free body is two links: Bullet moves the centre of mass of the base, and
    MuJoCo the body's origin, so a grain at the origin is the base, with the rest of the body fixed to it.
    """
    found = {}
    for body in tree.bodies:
        joints = body_joints(model, body)
        for joint in joints[:-1]:
            ballast = np.full(3, numbers.ballast[joint])
            found[f"part{joint}"] = Inertial(0.0, ballast, np.zeros(3), _IDENTITY)
        whole = Inertial(
            float(numbers.body_mass[body]),
            np.asarray(numbers.body_inertia[body] + sum(numbers.ballast[joints[-1:]])),
            numbers.body_ipos[body],
            numbers.body_iquat[body],
        )
        if body == tree.root and tree.free is not None:
            grain = np.full(3, _GRAIN * whole.moments.mean())
            found[f"base{body}"] = Inertial(_GRAIN * whole.mass, grain, np.zeros(3), _IDENTITY)
            whole = _without(whole, found[f"base{body}"])
        found[f"body{body}"] = whole
    return found


def _without(whole: Inertial, grain: Inertial) -> Inertial:
    """The rest of a body without a grain at its origin."""
    mass = whole.mass - grain.mass
    if not whole.position.any():
        return Inertial(mass, whole.moments - grain.moments, whole.position, whole.axes)
    turn, quat = np.zeros(9), np.zeros(4)
    mujoco.mju_quat2Mat(turn, whole.axes)
    tensor = turn.reshape(3, 3) * whole.moments @ turn.reshape(3, 3).T
    arm = whole.position
    about_origin = arm @ arm * np.eye(3) - np.outer(arm, arm)
    tensor -= np.diag(grain.moments) + whole.mass * grain.mass / mass * about_origin
    moments, axes = np.linalg.eigh(tensor)
    axes[:, 0] *= np.linalg.det(axes)
    mujoco.mju_mat2Quat(quat, axes.ravel())
    return Inertial(mass, moments, arm * (whole.mass / mass), quat)
