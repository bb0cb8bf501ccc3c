"""What every simulator tells of its world by name, once: columns of joints and actuators, ranges, rest."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Drive, Ids, Joint, TaskSpec
from sim2real.simulators.play import Play, shown_columns
from sim2real.world import World

HOME = "home"
"""The keyframe that is rest, as robots of MuJoCo Menagerie name it; else the first, else ``qpos0``."""


class Named:
    """The part of `sim2real.interface.Simulator` that is about names."""

    world: World

    def joints(self, names: Sequence[str]) -> tuple[Ids, Ids]:
        """Columns of joints in ``qpos`` and in ``qvel``: one of each for a hinge or a slide."""
        return shown_columns(self.world.model, names)

    def columns(self, task: TaskSpec) -> tuple[Ids, Ids, Ids]:
        """Columns of what a task names: in ``qpos``, in ``qvel`` and in the commands.

        Raises:
            InvalidValue: for a joint or an actuator that is missing, or of another kind.
        """
        model, play = self.world.model, Play.of(self.world.model)
        hidden = 0 if play is None else len(play.play[0])
        qpos, qvel = np.arange(model.nq - hidden), np.arange(model.nv - hidden)
        wants = f"{self.world.path / 'scene.xml'} does not suit task {task.name}: "
        if task.joints:
            for joint in task.joints:
                _check_joint(model, joint, wants)
            qpos, qvel = self.joints([joint.name for joint in task.joints])
        drives = [_actuator(model, drive, wants) for drive in task.drives] or range(model.nu)
        return qpos, qvel, np.array(drives, dtype=np.intp)

    def rest(self) -> tuple[Array, Array, Array]:
        """Where the scene puts everything: positions, velocities and commands. Shapes (nq,), (nv,), (nu,).

        The keyframe ``home``, else the first one, else ``qpos0`` with commands that hold it.
        """
        model, play = self.world.model, Play.of(self.world.model)
        qpos, qvel, ctrl = model.qpos0.copy(), np.zeros(model.nv), _holding(model)
        if model.nkey:
            key = max(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_KEY, HOME), 0)
            qpos, qvel, ctrl = model.key_qpos[key], model.key_qvel[key], model.key_ctrl[key]
        if play is not None:
            qpos, qvel = play.shown_qpos(qpos[None])[0], play.shown_qvel(qvel[None])[0]
        return np.array(qpos), np.array(qvel), np.array(ctrl)

    def limits(self, joint: str) -> tuple[float, float]:
        """Range of a joint, rad or m; infinite where it has none."""
        view = self.world.model.joint(joint)
        low, high = view.range if view.limited[0] else (-np.inf, np.inf)
        return float(low), float(high)

    def dofs(self, joints: Sequence[str]) -> Ids:
        """Columns of one-dof joints in ``speed``, ``load_force`` and ``dry_friction``: the motor's side."""
        return np.array([self.world.model.joint(name).dofadr[0] for name in joints], dtype=np.intp)

    def _site_id(self, name: str) -> int:
        """Number of a site.

        Raises:
            UnknownName: if the scene has none of the name.
        """
        model = self.world.model
        number = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name))
        if number < 0:
            known = [model.site(k).name for k in range(model.nsite)]
            raise UnknownName(f"site of world {self.world.name}", name, filter(None, known))
        return number


_KINDS = {
    mujoco.mjtJoint.mjJNT_HINGE: "hinge",
    mujoco.mjtJoint.mjJNT_SLIDE: "slide",
    mujoco.mjtJoint.mjJNT_FREE: "free",
    mujoco.mjtJoint.mjJNT_BALL: "ball",
}
_DRIVING = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))


def _check_joint(model: mujoco.MjModel, joint: Joint, wants: str) -> None:
    known = [name for k in range(model.njnt) if (name := model.joint(k).name)]
    if joint.name not in known:
        raise InvalidValue(
            f"{wants}it has no joint {joint.name!r}, which the task moves; "
            f"name one so, or choose another task; it has: {', '.join(known) or 'none'}"
        )
    kind = _KINDS[mujoco.mjtJoint(model.joint(joint.name).type[0])]
    if kind != joint.kind:
        raise InvalidValue(f"{wants}joint {joint.name!r} is a {kind} joint where a {joint.kind} one is meant")


def _actuator(model: mujoco.MjModel, drive: Drive, wants: str) -> int:
    """Number of the actuator that is meant: of the name, or else the only one on the joint."""
    named = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, drive.name))
    number = named
    if drive.joint:
        joint = model.joint(drive.joint).id
        on_it = [
            k for k in range(model.nu) if model.actuator_trnid[k, 0] == joint and _drives_joint(model, k)
        ]
        if named not in on_it:
            number = on_it[0] if len(on_it) == 1 else -1
        if number < 0 and on_it:
            raise InvalidValue(
                f"{wants}{len(on_it)} actuators drive joint {drive.joint!r}; "
                f"name the one {drive.name!r} that the task commands"
            )
    if number < 0:
        what = f"drives joint {drive.joint!r}" if drive.joint else f"is named {drive.name!r}"
        raise InvalidValue(f"{wants}no actuator {what}; add one, or choose another task")
    kind = "servo" if model.actuator_biasprm[number, 1] != 0 else "motor"
    if kind != drive.kind:
        name = model.actuator(number).name or drive.joint
        raise InvalidValue(f"{wants}actuator {name!r} is a {kind} where the task commands a {drive.kind}")
    return number


def _drives_joint(model: mujoco.MjModel, actuator: int) -> bool:
    return int(model.actuator_trntype[actuator]) in _DRIVING


def _holding(model: mujoco.MjModel) -> Array:
    """Commands that keep servos where ``qpos0`` has them, and that ask nothing of motors. Shape (nu,)."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    ctrl = np.zeros(model.nu)
    for k in np.flatnonzero(model.actuator_biasprm[:, 1] * model.actuator_gainprm[:, 0]):
        bias = model.actuator_biasprm[k]
        ctrl[k] = -(bias[0] + bias[1] * data.actuator_length[k]) / model.actuator_gainprm[k, 0]
    low, high = model.actuator_ctrlrange.T
    limited = model.actuator_ctrllimited.astype(bool)
    return np.where(limited, np.clip(ctrl, low, high), ctrl)
