"""The joint-space forces of many simulations, from MuJoCo, for bodies that another engine moves.

Bullet knows neither armature, nor dry joint friction, nor an implicit damper or servo, and a torque that
stands for them explicitly is unstable where the armature is larger than the link's own inertia. So MuJoCo's
own step, on the same model without contacts and joint limits, says where the joints would go; the force that
takes bodies without armature there is ``(M - armature) · acceleration + bias``, M the joint-space inertia. So
every parameter means what it means in MuJoCo: servos, back-EMF, gears, clamping, springs, dampers, delays.

Bullet solves contacts with the inertia of the links alone. A light link behind a heavy armature would then be
thrown about by every error of the forces, so links get a share of their armature as inertia (ballast), equal
about all axes, and what that adds to the bodies' inertia and bias is part of the formula.

Forces of contacts and limits are Bullet's. Armature and dampers resist them too, so a step needs to know
them beforehand: `Forces.contact` holds what Bullet's last solution showed (see `reactions.py`), and a
step whose contacts turn out otherwise is done again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import mujoco
import numpy as np

from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.bullet.contacts import limited
from sim2real.simulators.bullet.reactions import Contacts, Reactions, ancestors, impulses
from sim2real.simulators.bullet.trees import Numbers
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.simulators.physics_table import PhysicsTable
from sim2real.world import World

_BALLAST = 0.3
"""Share of a hinge's armature that Bullet's link has as inertia of its own; see the module's story."""
_FREE, _BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
_HUGE = 1e10  # MuJoCo's own bound of sane numbers


@dataclass(frozen=True)
class Prediction:
    """What a step would do without the contacts that are not known yet."""

    push: Array
    """Generalized forces for bodies without armature. Shape (n, nv)."""
    qpos: Array
    """Positions before the step. Shape (n, nq)."""
    qvel: Array
    """Velocities after it. Shape (n, nv)."""
    inertia: Array
    """Joint-space inertia with armature and implicit damping, of the state before. Shape (n, nv, nv)."""
    bodies: Array
    """That of Bullet's bodies. Shape (n, nv, nv)."""
    bias: Array
    """Generalized forces that keep Bullet's bodies from accelerating, but for contacts. Shape (n, nv)."""
    coupled: bool
    """Whether the prediction depends on the forces of contacts at all."""

    @cached_property
    def mobility(self) -> Array:
        """Inverse of ``inertia``. Shape (n, nv, nv)."""
        return np.asarray(np.linalg.inv(self.inertia), dtype=np.float64)

    def of(self, rows: Mask) -> Prediction:
        """That of some of the simulations."""
        parts = (self.push, self.qpos, self.qvel, self.inertia, self.bodies, self.bias)
        push, qpos, qvel, inertia, bodies, bias = (part[rows] for part in parts)
        chosen = Prediction(push, qpos, qvel, inertia, bodies, bias, self.coupled)
        if "mobility" in vars(self):
            vars(chosen)["mobility"] = self.mobility[rows]  # of the same state, so not to be computed again
        return chosen


class Forces(MujocoSimulator):
    """A `MujocoSimulator` whose steps touch nothing."""

    def __init__(self, world: World, num_envs: int) -> None:
        """Make ``num_envs`` simulations at nominal physics, on the caller's thread."""
        super().__init__(replace(world, model=_untouched(world.model)), num_envs, 1)
        self._table = PhysicsTable(world, num_envs)  # frictions have a meaning in the world as it is
        model = self.world.model
        self.contact: Array = np.zeros((num_envs, model.nv))
        """Generalized forces of contacts and limits in the last step. Shape (num_envs, nv)."""
        self._kept: dict[str, tuple[Callable[[], Array], Array]] = {}
        self._applied = self._batch.bind("qfrc_applied")
        self._bias = self._batch.bind("qfrc_bias")
        self._sparse = self._batch.bind("M")
        self._rows = np.repeat(np.arange(model.nv), model.M_rownnz)
        self._cdof = self._batch.bind("cdof")
        self._cdof_dot = self._batch.bind("cdof_dot")
        self._hinges = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE)
        free, ball = (model.jnt_type == kind for kind in (_FREE, _BALL))
        self._quats = [*(model.jnt_qposadr[free] + 3).tolist(), *model.jnt_qposadr[ball].tolist()]
        self._hinge_dofs = model.jnt_dofadr[self._hinges]
        self._rotors = _rotors(model)
        # a hinge's link is moved by all that moves its body, but for the body's later joints
        self._moves = ancestors(model)[model.jnt_bodyid[self._hinges]]
        self._moves *= np.arange(model.nv) <= self._hinge_dofs[:, None]
        self._reactions = Reactions(model, limited(world.model))
        self._subtree_com = self._batch.bind("subtree_com")
        self._derivative = self._batch.bind("qDeriv")
        self._deriv_rows = np.repeat(np.arange(model.nv), model.D_rownnz)
        self._bound = bool(model.neq or np.any(model.tendon_limited))
        self._bound |= bool(np.any(model.jnt_limited))  # those that are left to MuJoCo
        self._implicit = model.opt.integrator != mujoco.mjtIntegrator.mjINT_EULER

    def actuator_force(self) -> Array:
        """Force of every actuator in the last physics step; see the protocol."""
        return self._keep(super().actuator_force)

    def load_force(self) -> Array:
        """What else acted in the last physics step; see the protocol."""
        return self._keep(super().load_force)

    def _keep(self, law: Callable[[], Array]) -> Array:
        """A copy, renewed after every physics step; computing sites spoils the engine's own."""
        return self._kept.setdefault(law.__name__, (law, law().copy()))[1]

    def predict(self, ids: Ids, first: Prediction | None = None) -> Prediction:
        """Step without contacts but for the forces in ``contact``; ``qvel`` is then the prediction.

        Args:
            ids: n simulations.
            first: their prediction from the same state with other forces of contacts, if there was one.
        """
        before = self._qvel[ids]
        qpos = self._qpos[ids] if first is None else first.qpos
        self._applied[ids] = self.contact[ids]
        self._batch.step(ids, nstep=1, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        for law, kept in self._kept.values():
            kept[ids] = law()[ids]
        if first is None:
            bodies, joints = self._inertias(ids)
            ballast, turning = self._ballast_inertia(ids, before)
            bodies += ballast
            bias = self._bias[ids] + turning
            coupled = bool(np.any(bodies != joints)) or self._sticky(ids)
        else:
            bodies, joints, bias, coupled = first.bodies, first.inertia, first.bias, first.coupled
        after = self._qvel[ids]
        push = _times(bodies, (after - before) / self.physics_dt) + bias - self.contact[ids]
        return Prediction(push, qpos, after, joints, bodies, bias, coupled)

    def rewind(self, ids: Ids, state: Array) -> None:
        """Return to a state that was kept, with what has been learnt of the contacts."""
        self._batch.state[ids] = state

    def states(self, ids: Ids) -> tuple[list[list[float]], list[list[float]]]:
        """Positions and velocities of simulations, a list for each, with what tasks are not shown."""
        return self._qpos[ids].tolist(), self._qvel[ids].tolist()

    def fastest(self, ids: Ids) -> Array:
        """Largest velocity of each simulation. Shape (len(ids),)."""
        return np.asarray(np.abs(self._qvel[ids]).max(axis=1, initial=0.0))

    def put(self, ids: Ids, qpos: Array, qvel: Array) -> None:
        """Set the state of simulations; a quaternion keeps the sign nearer to the one before."""
        for first in self._quats:
            turn, before = qpos[:, first : first + 4], self._qpos[ids, first : first + 4]
            turn[np.einsum("ni,ni->n", turn, before) < 0.0] *= -1.0
        self._qpos[ids], self._qvel[ids] = qpos, qvel

    def keep(self, ids: Ids) -> Array:
        """The state, for `rewind`."""
        return np.asarray(self._batch.state[ids])

    def learn(self, ids: Ids, prediction: Prediction, contacts: Contacts) -> Array:
        """Take the forces of contacts and limits from Bullet's solution.

        Args:
            ids: k simulations.
            prediction: theirs.
            contacts: theirs, with owners from 0 to k - 1.

        Returns:
            How far the predicted velocities were from those under the forces learnt. Shape (k,).
        """
        dt, old = self.physics_dt, self.contact[ids]
        rows = self._reactions.rows(
            contacts, self._cdof[ids], self._subtree_com[ids], prediction.qpos, self._ranges(ids)
        )
        if not len(rows.owner) and not old.any():
            return np.zeros(len(ids))
        mobility = prediction.mobility
        free = prediction.qvel - dt * _times(mobility, old)
        new = impulses(rows, mobility, free, self._qvel[ids]) / dt
        self.contact[ids] = new
        return np.asarray(np.abs(dt * _times(mobility, new - old)).max(axis=1, initial=0.0))

    def show(self) -> None:
        """Refresh what is shown of the positions and velocities."""
        self._show()

    def command(self, ctrl: Array) -> None:
        """Set the commands of all simulations. Shape (num_envs, nu)."""
        self._ctrl[:] = ctrl

    def refresh(self, ids: Ids) -> None:
        """Compute sites anew, if somebody asked for one."""
        if self._stage:
            self._batch.forward(ids, stage=self._stage)
        self.show()

    def numbers(self, env_id: int) -> Numbers:
        """What decides the bodies of one simulation."""
        ids = np.array([env_id])
        gravity = self._number("opt.gravity", env_id)
        if self.world.model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_GRAVITY:
            gravity = np.zeros(3)
        return Numbers(
            body_mass=self._number("body_mass", env_id),
            body_inertia=self._number("body_inertia", env_id),
            body_ipos=self._number("body_ipos", env_id),
            body_iquat=self._number("body_iquat", env_id),
            jnt_range=self._ranges(ids)[0],
            geom_pos=self._number("geom_pos", env_id),
            geom_friction=self._number("geom_friction", env_id),
            gravity=gravity,
            ballast=self._ballast(ids)[0],
        )

    def sane(self, ids: Ids) -> Mask:
        """Which of the simulations have finite numbers. Shape (len(ids),)."""
        numbers = np.concatenate((self._qpos[ids], self._qvel[ids]), axis=1)
        return np.asarray((np.abs(numbers) < _HUGE).all(axis=1))

    def _number(self, field: str, env_id: int) -> Array:
        own = self._batch.expanded(field)
        if own is not None:
            return np.asarray(own[env_id]).copy()
        model = self.world.model
        return np.asarray(model.opt.gravity if field == "opt.gravity" else getattr(model, field))

    def _inertias(self, ids: Ids) -> tuple[Array, Array]:
        """Joint-space inertia of the bodies alone, and with armature and implicit damping.

        Both of shape (len(ids), nv, nv).
        """
        model = self.world.model
        joints = np.zeros((len(ids), model.nv, model.nv))
        sparse = self._sparse[ids]
        joints[:, self._rows, model.M_colind] = sparse
        joints[:, model.M_colind, self._rows] = sparse
        bodies = joints.copy()
        np.einsum("nii->ni", bodies)[:] -= self._armature(ids)
        if self._implicit:
            joints[:, self._deriv_rows, model.D_colind] -= self.physics_dt * self._derivative[ids]
        else:
            np.einsum("nii->ni", joints)[:] += self.physics_dt * self._of("dof_damping", ids)
        return bodies, joints

    def _armature(self, ids: Ids) -> Array:
        """Of joints and of actuators there. Shape (len(ids), nv), or (nv,) if all have the same."""
        return self._of("dof_armature", ids) + self._rotors

    def _ballast(self, ids: Ids) -> Array:
        """Moment of inertia that each joint's link has more, kg·m². Shape (len(ids), njnt)."""
        armature = np.broadcast_to(self._armature(ids), (len(ids), self.world.model.nv))
        ballast = np.zeros((len(ids), self.world.model.njnt))
        ballast[:, self._hinges] = _BALLAST * armature[:, self._hinge_dofs]
        return ballast

    def _ballast_inertia(self, ids: Ids, qvel: Array) -> tuple[Array, Array]:
        """What the ballast adds to joint-space inertia and bias."""
        if not len(self._hinges):
            return np.zeros((1, 1, 1)), np.zeros((1, 1))
        weight = (_BALLAST * self._armature(ids)[..., self._hinge_dofs])[..., None, None]
        moves = self._moves[:, :, None]
        n, nv = qvel.shape
        turns = self._cdof[ids][:, None, :, :3] * moves  # (n, hinges, nv, 3)
        lines = turns.swapaxes(1, 2).reshape(n, nv, -1)  # a row a dof: three columns a link
        heavy = (weight * turns).swapaxes(1, 2).reshape(n, nv, -1)
        change = self._cdof_dot[ids][:, None, :, :3] * moves
        drift = change.swapaxes(1, 2).reshape(n, nv, -1).swapaxes(1, 2) @ qvel[:, :, None]
        return heavy @ lines.swapaxes(1, 2), (heavy @ drift)[:, :, 0]

    def _ranges(self, ids: Ids) -> Array:
        """Where joints are stopped. Shape (len(ids), njnt, 2)."""
        model = self.world.model
        inset = model.jnt_margin[:, None] * np.array([1.0, -1.0])
        return np.broadcast_to(self._of("jnt_range", ids) + inset, (len(ids), model.njnt, 2))

    def _sticky(self, ids: Ids) -> bool:
        """Whether what MuJoCo's own constraints hold depends on the forces of contacts."""
        dry = ("dof_frictionloss", "tendon_frictionloss")
        return self._bound or any(bool(np.any(self._of(field, ids))) for field in dry)

    def _of(self, field: str, ids: Ids) -> Array:
        own = self._batch.expanded(field)
        return np.asarray(getattr(self.world.model, field) if own is None else own[ids])


def _untouched(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model without contacts and without the joint limits that Bullet has."""
    free = copy.copy(model)
    off = mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_SENSOR
    free.opt.disableflags |= int(off)
    free.jnt_limited[limited(model)] = 0
    return free


def _rotors(model: mujoco.MjModel) -> Array:
    """What the armature of actuators comes to at the hinges and slides that they drive. Shape (nv,)."""
    found = np.zeros(model.nv)
    for actuator in np.flatnonzero(model.actuator_armature):
        gear = float(model.actuator_gear[model.actuator_outadr[actuator], 0])
        dof = model.jnt_dofadr[model.actuator_trnid[actuator, 0]]
        found[dof] += gear**2 * float(model.actuator_armature[actuator])
    return found


def _times(matrices: Array, vectors: Array) -> Array:
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])
