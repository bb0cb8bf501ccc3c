"""Joints with free play (backlash): a second joint on the same axis, with a tiny range.

The first joint is the motor's side, which the actuator drives and whose armature it has; the second is the
play, after the recipe of MuJoCo's manual ("Backlash"). Tasks and policies see the load's side, the sum of
both, in the columns of a model without play.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids
from sim2real.world import World, compile_scene
from sim2real.world.entries import BACKLASH


def with_backlash(world: World) -> World:
    """The world compiled with play in every joint that has a ``backlash`` parameter; itself if none has.

    Raises:
        InvalidValue: for a joint that others follow in its body.
    """
    joints = [j for p in world.parameters.values() if p.quantity.name == "backlash" for j in p.elements]
    if not joints:
        return world

    def add(spec: mujoco.MjSpec) -> None:
        for name in joints:
            _add_play(spec, spec.joint(name))

    model = compile_scene(world.path / "scene.xml", world.parameters, world.variants, add)
    return replace(world, model=model)


def _add_play(spec: mujoco.MjSpec, joint: mujoco._specs.MjsJoint) -> None:
    body = joint.parent
    if body.joints[-1].name != joint.name:
        raise InvalidValue(
            f"joint {joint.name!r} is not the last of body {body.name!r}, which a backlash needs; let the "
            "joints after it be those of a body of their own"
        )
    scratch = mujoco.MjSpec()
    bare = scratch.worldbody.add_body().add_joint()
    body.add_joint(
        name=joint.name + BACKLASH,
        type=joint.type,
        axis=joint.axis,
        pos=joint.pos,
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        range=[-_TINY, _TINY],
        solref_limit=[2 * spec.option.timestep, 1.0],
        **{field: getattr(bare, field) for field in _OF_CLASSES},
    )


_OF_CLASSES = (
    "damping",
    "stiffness",
    "armature",
    "frictionloss",
    "margin",
    "ref",
    "springref",
    "springdamper",
    "solimp_limit",
    "actfrclimited",
    "actgravcomp",
)
"""What a joint would have from the scene's default classes; the play has none of it."""

_TINY = 1e-6  # rad or m; the engine wants a range


@dataclass(frozen=True)
class Backlash:
    """Where the shown coordinates are among those of a model with play."""

    qpos: Ids
    """Columns of ``qpos`` that are shown. Shape (nq without play,)."""
    qvel: Ids
    play: tuple[Ids, Ids, Ids, Ids]
    """Columns of the play in ``qpos`` and ``qvel``, and of the joints in what is shown of both."""

    @classmethod
    def of(cls, model: mujoco.MjModel) -> Backlash | None:
        """The play of a model; None if it has none."""
        names = [model.joint(j).name for j in range(model.njnt)]
        plays = [model.joint(name) for name in names if name.endswith(BACKLASH)]
        if not plays:
            return None
        hidden_q, hidden_v = ([int(getattr(j, adr)[0]) for j in plays] for adr in ("qposadr", "dofadr"))
        joints = [joint.name.removesuffix(BACKLASH) for joint in plays]
        return cls(
            np.setdiff1d(np.arange(model.nq), hidden_q),
            np.setdiff1d(np.arange(model.nv), hidden_v),
            (np.array(hidden_q), np.array(hidden_v), *shown_columns(model, joints)),
        )

    def shown_qpos(self, qpos: Array) -> Array:
        """A copy of what is shown of ``qpos``."""
        return qpos[:, self.qpos].copy()

    def shown_qvel(self, qvel: Array) -> Array:
        """A copy of what is shown of ``qvel``."""
        return qvel[:, self.qvel].copy()

    def seen(self, qpos: Array) -> Array:
        """What is shown of ``qpos``, the load's side of each joint. Shape (…, nq without play)."""
        shown: Array = qpos[..., self.qpos]
        shown[..., self.play[2]] += qpos[..., self.play[0]]
        return shown

    def show(self, qpos: Array, qvel: Array, shown_qpos: Array, shown_qvel: Array) -> None:
        """Refresh what is shown: the load's side of each joint."""
        play_q, play_v, joint_q, joint_v = self.play
        shown_qpos[:] = qpos[:, self.qpos]
        shown_qvel[:] = qvel[:, self.qvel]
        shown_qpos[:, joint_q] += qpos[:, play_q]
        shown_qvel[:, joint_v] += qvel[:, play_v]

    def start(self, qpos: Array, qvel: Array, env_ids: Ids, shown: tuple[Array, Array]) -> None:
        """Place simulations as shown, with the play in its middle."""
        rows = env_ids[:, None]
        qpos[rows, self.qpos] = shown[0]
        qvel[rows, self.qvel] = shown[1]
        qpos[rows, self.play[0]] = 0.0
        qvel[rows, self.play[1]] = 0.0


def shown_columns(model: mujoco.MjModel, names: Sequence[str]) -> tuple[Ids, Ids]:
    """Columns of joints, one after the other, in the ``qpos`` and ``qvel`` that are shown."""
    hidden = [model.joint(j) for j in range(model.njnt) if model.joint(j).name.endswith(BACKLASH)]
    joints = [model.joint(name) for name in names]

    def columns(address: str, field: str) -> Ids:
        before = np.array([getattr(joint, address)[0] for joint in hidden], dtype=np.intp)
        spans = [getattr(joint, address)[0] + np.arange(len(getattr(joint, field))) for joint in joints]
        found = np.concatenate([np.empty(0, dtype=np.intp), *spans])
        shown: Ids = found - (before[None, :] < found[:, None]).sum(axis=1)
        return shown

    return columns("qposadr", "qpos0"), columns("dofadr", "damping")
