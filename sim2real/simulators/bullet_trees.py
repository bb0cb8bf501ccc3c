"""What Bullet builds bodies from: the trees of a compiled `mujoco.MjModel`, and the numbers that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.interface import Array, Mask
from sim2real.simulators.bullet_contacts import Shape

WORLD = 0
"""The body that all trees hang on."""
_FREE = int(mujoco.mjtJoint.mjJNT_FREE)


@dataclass(frozen=True)
class Numbers:
    """What of a model differs between simulations and decides Bullet's bodies. Shapes as in MjModel."""

    body_mass: Array
    body_inertia: Array
    body_ipos: Array
    body_iquat: Array
    jnt_range: Array
    geom_friction: Array
    gravity: Array
    ballast: Array
    """Moment of inertia about every axis that the link of a joint has more, kg·m². Shape (njnt,)."""

    def same_bodies(self, other: Numbers) -> bool:
        """Whether bodies built for one need no other than `changeDynamics` for the other."""
        names = ("body_ipos", "body_iquat", "jnt_range")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)


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


def limited(model: mujoco.MjModel) -> Mask:
    """Which joints have limits. Shape (njnt,)."""
    off = mujoco.mjtDisableBit.mjDSBL_LIMIT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    return np.asarray((model.jnt_limited == 1) & (not model.opt.disableflags & off))


def link_inertia(model: mujoco.MjModel, numbers: Numbers, body: int) -> Array:
    """Principal moments of the link that carries a body: the body's, and the ballast of its last joint."""
    ballast = [numbers.ballast[joint] for joint in body_joints(model, body)[-1:]]
    return np.asarray(numbers.body_inertia[body] + sum(ballast))
