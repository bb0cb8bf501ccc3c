"""What every simulator tells of its world by name, once: columns of joints and actuators, ranges, rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Drive, Ids, Joint, TaskSpec
from sim2real.simulators.activation import clipped
from sim2real.simulators.backlash import Backlash, shown_columns
from sim2real.world import World, drive_of, drives, element_names, levers

HOME = "home"
"""The keyframe that is rest, as robots of MuJoCo Menagerie name it; else the first, else ``qpos0``."""


class Named:
    """The part of `sim2real.interface.Simulator` that is about names."""

    world: World
    encoders_read: Mapping[str, str] = MappingProxyType({})
    """Sensors of the scene that a task has asked for and that are encoders, by the joints that they read."""

    def joints(self, names: Sequence[str]) -> tuple[Ids, Ids]:
        """Columns of joints in ``qpos`` and in ``qvel``: one of each for a hinge or a slide."""
        return shown_columns(self.world.model, names)

    def columns(self, task: TaskSpec) -> tuple[Ids, Ids, Ids]:
        """Columns of what a task names: in ``qpos``, in ``qvel`` and in the commands.

        Raises:
            InvalidValue: for a joint or an actuator that is missing, or of another kind.
        """
        model, play = self.world.model, Backlash.of(self.world.model)
        hidden = 0 if play is None else len(play.play[0])
        qpos, qvel = np.arange(model.nq - hidden), np.arange(model.nv - hidden)
        wants = f"{self.world.path / 'scene.xml'} does not suit task {task.name}: "
        if task.joints:
            for joint in task.joints:
                _check_joint(model, joint, wants)
            qpos, qvel = self.joints([joint.name for joint in task.joints])
        driven = [_actuator(model, drive, wants) for drive in task.drives]
        commands = model.actuator_ctrladr[driven] if driven else np.arange(model.nu)
        return qpos, qvel, commands.astype(np.intp)

    def laws(self, task: TaskSpec) -> tuple[Array, Array]:
        """Factor and offset from a task's commands to the actuators', whatever gear and gain a servo has.

        Shapes as the commands that the task names; 1 and 0 for what is no servo.
        """
        model = self.world.model
        servos = [drive.kind == "servo" for drive in task.drives]
        numbers = [_actuator(model, drive, "") for drive in task.drives]
        laws = [
            _servo_law(model, k) if servo else (1.0, 0.0) for k, servo in zip(numbers, servos, strict=True)
        ]
        factors, offsets = np.array(laws or [(1.0, 0.0)] * model.nu).reshape(-1, 2).T
        return factors, offsets

    def rest(self) -> tuple[Array, Array, Array]:
        """Where the scene puts everything: positions, velocities and commands. Shapes (nq,), (nv,), (nu,).

        The keyframe ``home``, else the first one, else ``qpos0`` with commands that hold it.
        """
        model, play = self.world.model, Backlash.of(self.world.model)
        qpos, qvel, ctrl = model.qpos0.copy(), np.zeros(model.nv), _holding(model)
        key = _home(model)
        if key is not None:
            qpos, qvel, ctrl = model.key_qpos[key], model.key_qvel[key], model.key_ctrl[key]
        if play is not None:
            qpos, qvel = play.shown_qpos(qpos[None])[0], play.shown_qvel(qvel[None])[0]
        return np.array(qpos), np.array(qvel), np.array(ctrl)

    def mocap(self) -> tuple[Array, Array]:
        """Where the same keyframe, else the model, has what mocap moves. Shapes (nmocap, 3), (nmocap, 4)."""
        data = at_rest(self.world.model)
        return np.array(data.mocap_pos), np.array(data.mocap_quat)

    def limits(self, joint: str) -> tuple[float, float]:
        """Range of a joint, rad or m; infinite where it has none."""
        view = self.world.model.joint(joint)
        low, high = view.range if view.limited[0] else (-np.inf, np.inf)
        return float(low), float(high)

    def dofs(self, joints: Sequence[str]) -> Ids:
        """Columns of one-dof joints in ``speed``, ``load_force`` and ``dry_friction``: the motor's side."""
        return np.array([self.world.model.joint(name).dofadr[0] for name in joints], dtype=np.intp)

    def _sensor_columns(self, name: str) -> slice:
        """Where the readings of a sensor are.

        Raises:
            UnknownName: if the scene has none of the name.
        """
        model = self.world.model
        number = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name))
        if number < 0:
            known = [model.sensor(k).name for k in range(model.nsensor)]
            raise UnknownName(f"sensor of world {self.world.name}", name, filter(None, known))
        self.encoders_read = dict.fromkeys(_encoded(model, number), name) | dict(self.encoders_read)
        first = int(model.sensor_adr[number])
        return slice(first, first + int(model.sensor_dim[number]))

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


def _encoded(model: mujoco.MjModel, sensor: int) -> list[str]:
    """Joints whose encoder a sensor of the scene is: it reads their position, or their actuator's."""
    kind, of, names = (
        int(model.sensor_type[sensor]),
        int(model.sensor_objid[sensor]),
        element_names(model, "joint"),
    )
    if kind == int(mujoco.mjtSensor.mjSENS_JOINTPOS):
        return [names[of]]
    return [
        n
        for k, n in enumerate(names)
        if kind == int(mujoco.mjtSensor.mjSENS_ACTUATORPOS) and of in levers(model, k)
    ]


def _check_joint(model: mujoco.MjModel, joint: Joint, wants: str) -> None:
    known = element_names(model, "joint")
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
    driven, names = drives(model)
    possible = [k for k, name in enumerate(names) if name == drive.name and drive.joint in ("", driven[k])]
    if not possible and drive.joint:
        possible = [k for k, joint in enumerate(driven) if joint == drive.joint]
    if len(possible) > 1:
        raise InvalidValue(
            f"{wants}{len(possible)} actuators drive joint {drive.joint!r}; name the one {drive.name!r} that "
            "the task commands"
        )
    if not possible:
        what = f"drives joint {drive.joint!r}" if drive.joint else f"is named {drive.name!r}"
        raise InvalidValue(f"{wants}no actuator {what}; add one, or choose another task")
    number = possible[0]
    kind = drive_of(model, number)
    serves = kind == "position servo" and model.actuator_dyntype[number] != mujoco.mjtDyn.mjDYN_INTEGRATOR
    if model.actuator_ctrlnum[number] != 1 or (serves if drive.kind == "motor" else not serves):
        raise InvalidValue(
            f"{wants}actuator {names[number]!r} is a {kind} where the task commands a {drive.kind}; give the "
            "scene one, or choose another task"
        )
    return number


def _servo_law(model: mujoco.MjModel, actuator: int) -> tuple[float, float]:
    """Factor and offset from where a servo should hold its joint to its command."""
    gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator]
    gear = model.actuator_gear[model.actuator_outadr[actuator], 0]
    return float(-bias[1] * gear / gain), float(-bias[0] / gain)


def at_rest(model: mujoco.MjModel) -> mujoco.MjData:
    """A simulation in that keyframe, if there is one."""
    key, data = _home(model), mujoco.MjData(model)
    if key is not None:
        mujoco.mj_resetDataKeyframe(model, data, key)
    return data


def _home(model: mujoco.MjModel) -> int | None:
    """The keyframe in which a scene rests."""
    return max(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_KEY, HOME), 0) if model.nkey else None


def _holding(model: mujoco.MjModel) -> Array:
    """Commands that keep servos where ``qpos0`` has them, and that ask nothing of others. Shape (nu,)."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    ctrl = np.zeros(model.nu)
    for k in range(model.nactuator):
        if drive_of(model, k) == "position servo":
            bias, length = model.actuator_biasprm[k], data.actuator_length[model.actuator_outadr[k]]
            ctrl[model.actuator_ctrladr[k]] = -(bias[0] + bias[1] * length) / model.actuator_gainprm[k, 0]
    return clipped(model, ctrl)
