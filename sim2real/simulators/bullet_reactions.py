"""What contacts and limits push in joint space, where armature and damping resist them too.

Bullet solves its contacts for bodies without armature. From such a solution this computes, by one step of
Newton's method with the contacts that were active, the generalized forces under which the joints with armature
have the same velocities at the contacts: ``C v = C v_bullet`` with ``v = v_free + H⁻¹ Gᵀ λ``, where H is the joint-space
inertia with armature and implicit damping, C the rows of the velocities that a contact holds, and G those along
which it pushes. A point that sticks is held in all directions; one that slides only along the normal, and its
push is inclined by the friction that was seen; a joint at its limit is held itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.interface import Array, Ids

_STICKS = 0.995
"""Share of the friction cone up to which a contact counts as sticking."""


@dataclass(frozen=True)
class Contacts:
    """Contacts of one simulation that push, in world frame."""

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


class Reactions:
    """Generalized forces of contacts and limits of one model."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Take what does not change."""
        self._moves = ancestors(model)
        self._root = model.body_rootid
        single = (model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE) | (model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE)
        joints = np.flatnonzero(single & (model.jnt_limited == 1))
        self._qpos, self._qvel = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        self._low, self._high = model.jnt_range[joints].T

    def rows(self, contacts: Contacts | None, motion: tuple[Array, Array], qpos: Array) -> tuple[Array, Array]:
        """The held directions C and the pushed directions G, both of shape (m, nv).

        Args:
            contacts: that push, or None.
            motion: MuJoCo's ``cdof`` and ``subtree_com`` of the state before the step.
            qpos: after the step.
        """
        nv = len(motion[0])
        position = qpos[self._qpos]
        stopped = self._qvel[(position < self._low + 1e-6) | (position > self._high - 1e-6)]
        limits = np.zeros((len(stopped), nv))
        limits[np.arange(len(stopped)), stopped] = 1.0
        if contacts is None:
            return limits, limits
        jacobian = self._jacobian(contacts, motion)  # (n, 3, nv)
        along = np.maximum(contacts.forces[:, 0], 1e-300)
        slope = contacts.forces[:, 1:] / along[:, None]
        slides = np.hypot(slope[:, 0], slope[:, 1]) > _STICKS * contacts.friction
        normal, tangents = jacobian[:, 0], jacobian[~slides, 1:].reshape(-1, nv)
        inclined = normal + np.einsum("ni,nij->nj", slope * slides[:, None], jacobian[:, 1:])
        return np.concatenate((normal, tangents, limits)), np.concatenate((inclined, tangents, limits))

    def _jacobian(self, contacts: Contacts, motion: tuple[Array, Array]) -> Array:
        """Velocity of the first body against the second along the axes, per velocity of each dof."""
        cdof, subtree_com = motion
        total = np.zeros((len(contacts.points), 3, len(cdof)))
        for side, sign in ((0, 1.0), (1, -1.0)):
            bodies = contacts.bodies[:, side]
            arm = contacts.points - subtree_com[self._root[bodies]]
            velocity = np.cross(cdof[None, :, :3], arm[:, None, :]) + cdof[None, :, 3:]
            velocity *= sign * self._moves[bodies][:, :, None]
            total += contacts.axes @ velocity.swapaxes(1, 2)
        return total


def solve(rows: tuple[Array, Array], inertia: Array, free: Array, held: Array) -> Array:
    """Impulse in joint space that brings ``free`` to the velocities at the contacts that ``held`` has.

    Args:
        rows: C and G.
        inertia: H, shape (nv, nv).
        free: velocities without contacts. Shape (nv,).
        held: velocities of Bullet. Shape (nv,).
    """
    holds, pushes = rows
    response = holds @ np.linalg.solve(inertia, pushes.T)
    size = np.sqrt(np.abs(np.diag(response))) + 1e-300
    scaled = response / size[:, None] / size[None, :]
    gap = holds @ (held - free) / size
    return np.asarray(pushes.T @ (np.linalg.lstsq(scaled, gap, rcond=1e-7)[0] / size))


def ancestors(model: mujoco.MjModel) -> Array:
    """By body and dof: 1 where the dof moves the body. Shape (nbody, nv)."""
    moves = np.zeros((model.nbody, model.nv))
    for body in range(1, model.nbody):
        moves[body] = moves[model.body_parentid[body]]
        first = int(model.body_dofadr[body])
        if first >= 0:
            moves[body, first : first + int(model.body_dofnum[body])] = 1.0
    return moves
