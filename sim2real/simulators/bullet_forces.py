"""The joint-space forces of many simulations, from MuJoCo, for bodies that another engine moves.

Bullet knows neither armature, nor dry joint friction, nor an implicit damper or servo, and a torque that stands
for them explicitly is unstable where the armature is larger than the link's own inertia. So MuJoCo's own step,
on the same model without contacts and joint limits, says where the joints would go; the force that takes bodies
without armature there is ``(M - armature) · acceleration + bias``, M the joint-space inertia. Every parameter then
means what it means in MuJoCo: servos, back-EMF, gears, clamping, springs, dampers, dry friction, delays.

Forces of contacts and limits are Bullet's. The armature resists them too, so a step needs to know them
beforehand: `Forces.contact` holds what the last step showed, ``(M - armature) · (what Bullet's velocity has more)``.
"""

from __future__ import annotations

import copy
import dataclasses

import mujoco
import numpy as np

from sim2real.interface import Array, Ids
from sim2real.simulators.bullet_urdf import Numbers
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

_HUGE = 1e10  # MuJoCo's own bound of sane numbers


class Forces(MujocoSimulator):
    """A `MujocoSimulator` whose steps touch nothing."""

    def __init__(self, world: World, num_envs: int) -> None:
        """Make ``num_envs`` simulations at nominal physics, on the caller's thread."""
        super().__init__(dataclasses.replace(world, model=_untouched(world.model)), num_envs, 1)
        model = self.world.model
        self.contact: Array = np.zeros((num_envs, model.nv))
        """Generalized forces of contacts and limits in the last step. Shape (num_envs, nv)."""
        self._applied = self._batch.bind("qfrc_applied")
        self._bias = self._batch.bind("qfrc_bias")
        self._sparse = self._batch.bind("M")
        self._rows = np.repeat(np.arange(model.nv), model.M_rownnz)

    def predict(self, ids: Ids) -> tuple[Array, Array]:
        """Step without contacts but for the forces in ``contact``; ``qvel`` is then the prediction.

        Returns:
            The generalized forces for bodies without armature, shape (len(ids), nv), and their joint-space
            inertia, shape (len(ids), nv, nv), both of the state before.
        """
        before = self.qvel[ids]
        self._applied[ids] = self.contact[ids]
        self._batch.step(ids, nstep=1, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        inertia = self._inertia(ids)
        gained = (self.qvel[ids] - before) / self.physics_dt
        return _times(inertia, gained) + self._bias[ids] - self.contact[ids], inertia

    def correct(self, ids: Ids, inertia: Array, predicted: Array) -> None:
        """Learn the forces of contacts and limits from what ``qvel`` has more than predicted."""
        more = _times(inertia, self.qvel[ids] - predicted) / self.physics_dt
        force = self.contact[ids] + more
        scale = np.abs(self._bias[ids]).max(axis=1, keepdims=True) + 1.0
        self.contact[ids] = np.where(np.abs(force) > 1e-9 * scale, force, 0.0)

    def command(self, ctrl: Array) -> None:
        """Set the commands of all simulations. Shape (num_envs, nu)."""
        self._ctrl[:] = ctrl

    def refresh(self, ids: Ids) -> None:
        """Compute sites anew, if somebody asked for one."""
        if self._stage:
            self._batch.forward(ids, stage=self._stage)

    def numbers(self, env_id: int) -> Numbers:
        """What decides the bodies of one simulation."""
        return Numbers(
            *(self._number(f.name.replace("gravity", "opt.gravity"), env_id) for f in dataclasses.fields(Numbers))
        )

    def sane(self, ids: Ids) -> Ids:
        """Which of the simulations have finite numbers, as a mask."""
        numbers = np.concatenate((self.qpos[ids], self.qvel[ids]), axis=1)
        return np.asarray((np.abs(numbers) < _HUGE).all(axis=1))

    def _number(self, field: str, env_id: int) -> Array:
        own = self._batch.expanded(field)
        if own is not None:
            return np.asarray(own[env_id])
        model = self.world.model
        return np.asarray(model.opt.gravity if field == "opt.gravity" else getattr(model, field))

    def _inertia(self, ids: Ids) -> Array:
        """Joint-space inertia without armature. Shape (len(ids), nv, nv)."""
        model = self.world.model
        inertia = np.zeros((len(ids), model.nv, model.nv))
        sparse = self._sparse[ids]
        inertia[:, self._rows, model.M_colind] = sparse
        inertia[:, model.M_colind, self._rows] = sparse
        armature = self._batch.expanded("dof_armature")
        diagonal = np.einsum("nii->ni", inertia)
        diagonal -= model.dof_armature if armature is None else armature[ids]
        return inertia


def _untouched(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model without contacts and joint limits."""
    free = copy.copy(model)
    free.opt.disableflags |= int(
        mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT | mujoco.mjtDisableBit.mjDSBL_SENSOR
    )
    if free.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4:  # Bullet's positions follow the new velocities
        free.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return free


def _times(matrices: Array, vectors: Array) -> Array:
    return np.asarray(np.einsum("nij,nj->ni", matrices, vectors))
