"""What contacts and limits push in joint space, where armature and damping resist them too.

Bullet solves its contacts for bodies without armature. From such a solution this computes, by one step of
Newton's method with the contacts that were active, the generalized forces under which the joints with
armature have the same velocities at the contacts: ``C v = C v_bullet``, ``v = v_free + H⁻¹ Gᵀ λ``. H is the
joint-space inertia with armature and implicit damping, C has the rows of the velocities that a contact
holds, and G those along which it pushes. A point that sticks is held in all directions; one that slides only
along the normal, and its push is inclined by the friction that was seen; a joint past its limit is held too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.interface import Array, Ids, Mask

_TINY = 1e-30
_STICKS = 0.995
"""Share of the friction cone up to which a contact counts as sticking."""


_SOFT = 1e-9
"""Added to the unit diagonal of a system, so that one point held twice is no trouble."""


Contact = tuple[float, ...]
"""Two bodies, a point, normal and tangents, forces along them, and friction: 18 numbers; see `Contacts`."""


@dataclass(frozen=True)
class Contacts:
    """Contacts that push, of several simulations, in world frame."""

    owner: Ids
    """Simulation of each. Shape (n,)."""
    bodies: Ids
    """MuJoCo's two bodies of each. Shape (n, 2)."""
    points: Array
    """m. Shape (n, 3)."""
    axes: Array
    """Normal, towards the first body, and two tangents. Shape (n, 3, 3)."""
    forces: Array
    """On the first body along the axes, N. Shape (n, 3)."""
    friction: Array
    """Coefficient. Shape (n,)."""


@dataclass(frozen=True)
class Rows:
    """Directions that contacts and limits hold (C), and along which they push (G)."""

    owner: Ids
    """Simulation of each, ascending. Shape (m,)."""
    holds: Array
    """C. Shape (m, nv)."""
    pushes: Array
    """G. Shape (m, nv)."""


class Reactions:
    """Generalized forces of contacts and limits of one model."""

    def __init__(self, model: mujoco.MjModel, limits: Mask) -> None:
        """Take what does not change.

        Args:
            model: the compiled model.
            limits: which joints have limits. Shape (njnt,).
        """
        self._moves = ancestors(model)
        self._root = model.body_rootid
        single = (model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE) | (
            model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE
        )
        joints = np.flatnonzero(single & limits)
        self._qpos, self._limited = model.jnt_qposadr[joints], np.eye(model.nv)[model.jnt_dofadr[joints]]
        self._joints = joints

    def rows(self, contacts: Contacts, cdof: Array, subtree_com: Array, qpos: Array, ranges: Array) -> Rows:
        """What is held and pushed.

        Args:
            contacts: that push in k simulations.
            cdof: MuJoCo's, of the state before the step. Shape (k, nv, 6).
            subtree_com: the same. Shape (k, nbody, 3).
            qpos: the same. Shape (k, nq).
            ranges: of the joints. Shape (njnt, 2) or (k, njnt, 2).
        """
        position = qpos[:, self._qpos]
        low, high = ranges[..., self._joints, 0], ranges[..., self._joints, 1]
        stopped, which = np.nonzero((position < low) | (position > high))  # as Bullet has it: at the start
        limits = self._limited[which]
        if not len(contacts.owner):
            return Rows(stopped, limits, limits)
        jacobian = self._jacobian(contacts, cdof, subtree_com)
        slope = contacts.forces[:, 1:] / contacts.forces[:, :1]
        slides = np.hypot(slope[:, 0], slope[:, 1]) > _STICKS * contacts.friction
        slope *= slides[:, None]
        normal, first, second = jacobian.swapaxes(0, 1)
        inclined = normal + slope[:, :1] * first + slope[:, 1:] * second
        tangents = jacobian[~slides, 1:].reshape(-1, jacobian.shape[-1])
        owner = np.concatenate((contacts.owner, np.repeat(contacts.owner[~slides], 2), stopped))
        order = np.argsort(owner, kind="stable")
        return Rows(
            owner[order],
            np.concatenate((normal, tangents, limits))[order],
            np.concatenate((inclined, tangents, limits))[order],
        )

    def _jacobian(self, contacts: Contacts, cdof: Array, subtree_com: Array) -> Array:
        """Velocity of the first body against the second along the axes, per velocity of each dof.

        Shape (n, 3, nv).
        """
        owner, bodies = np.tile(contacts.owner, 2), contacts.bodies.T.ravel()
        axes = np.concatenate((contacts.axes, -contacts.axes))
        arm = np.tile(contacts.points, (2, 1)) - subtree_com[owner, self._root[bodies]]
        turn, move = cdof[owner, :, :3].swapaxes(1, 2), cdof[owner, :, 3:].swapaxes(1, 2)
        # (turn × arm) · axis = (arm × axis) · turn
        velocity = (_cross(arm[:, None, :], axes) @ turn + axes @ move) * self._moves[bodies][:, None, :]
        count = len(contacts.owner)
        return np.asarray(velocity[:count] + velocity[count:])


def gathered(found: Sequence[Contact]) -> Contacts:
    """Contacts as arrays, from the simulation and the contact of each: 19 numbers."""
    numbers = np.array(found, dtype=np.float64).reshape(-1, 19)
    labels = numbers[:, :3].astype(np.intp)
    return Contacts(
        owner=labels[:, 0],
        bodies=labels[:, 1:],
        points=numbers[:, 3:6],
        axes=numbers[:, 6:15].reshape(-1, 3, 3),
        forces=numbers[:, 15:18],
        friction=numbers[:, 18],
    )


def impulses(rows: Rows, mobility: Array, free: Array, held: Array) -> Array:
    """Impulses in joint space that bring ``free`` to the velocities at the contacts that ``held`` has.

    Args:
        rows: of k simulations.
        mobility: H⁻¹. Shape (k, nv, nv).
        free: velocities without contacts. Shape (k, nv).
        held: velocities of Bullet. Shape (k, nv).

    Returns:
        Shape (k, nv).
    """
    result = np.zeros_like(free)
    if not len(rows.owner):
        return result
    counts = np.bincount(rows.owner, minlength=len(free))
    starts = np.cumsum(counts) - counts
    nothing = np.zeros((1, free.shape[1]))
    all_holds, all_pushes = np.concatenate((rows.holds, nothing)), np.concatenate((rows.pushes, nothing))
    # filled up with rows of nothing to a size that its own count decides: the same bits in any company
    sizes = np.where(counts > 0, 1 << np.ceil(np.log2(np.maximum(counts, 1))).astype(np.intp), 0)
    for size in sorted(set(sizes[counts > 0].tolist())):
        ids = np.flatnonzero(sizes == size)
        number = np.arange(size)
        places = np.where(number < counts[ids, None], starts[ids, None] + number, len(rows.owner))
        holds, pushes = all_holds[places], all_pushes[places].swapaxes(1, 2)
        response = holds @ (mobility[ids] @ pushes)
        scale = np.sqrt(np.abs(np.einsum("kmm->km", response)))[:, :, None] + _TINY
        response /= scale * scale.swapaxes(1, 2)
        np.einsum("kmm->km", response)[:] += _SOFT
        gap = holds @ (held[ids] - free[ids])[:, :, None] / scale
        result[ids] = (pushes @ (np.linalg.solve(response, gap) / scale))[:, :, 0]
    return result


def _cross(one: Array, other: Array) -> Array:
    a, b, c = (one[..., k] for k in range(3))
    x, y, z = (other[..., k] for k in range(3))
    return np.stack((b * z - c * y, c * x - a * z, a * y - b * x), axis=-1)


def ancestors(model: mujoco.MjModel) -> Array:
    """By body and dof: 1 where the dof moves the body. Shape (nbody, nv)."""
    moves = np.zeros((model.nbody, model.nv))
    for body in range(1, model.nbody):
        moves[body] = moves[model.body_parentid[body]]
        first = int(model.body_dofadr[body])
        if first >= 0:
            moves[body, first : first + int(model.body_dofnum[body])] = 1.0
    return moves
