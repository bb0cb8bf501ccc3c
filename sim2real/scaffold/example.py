"""The example task of a new world: its text, from the joints and actuators of the model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Drive, Signal, TaskSpec
from sim2real.simulators import Engine, make_simulator
from sim2real.world import World, drive_of, drives, element_names, nominal_value
from sim2real.world.drives import Drive as DriveKind
from sim2real.world.levers import is_scalar, moved_joints

_CONTROL_DT, _SECONDS = 0.02, 5.0


@dataclass(frozen=True)
class Robot:
    """What the example says of a model."""

    pose: list[tuple[str, str, float, float, float]]
    others: list[tuple[str, str, float]]
    drives: list[tuple[str, str, str, float, float]]
    base: str
    """Name of the free joint that carries what is moved; empty for a robot that stands on the world."""
    base_start: list[float]
    control_dt: float


def robot_of(world: World) -> Robot:
    """Read a robot off its model.

    Raises:
        InvalidValue: for a model in which the example has nothing to command, or no pose to hold.
    """
    model = world.model
    moved = sorted(set[int]().union(*(moved_joints(model, k) for k in range(model.nactuator))))
    if not moved:
        raise InvalidValue(
            f"{world.name} has no actuator that moves a joint, so there is nothing to command; add some, or "
            "go without a task"
        )
    names = element_names(model, "joint")
    mimic = _mimics(model)
    simulator = make_simulator(Engine("mujoco", 1), world, 1)
    rest, _, controls = simulator.rest()
    pose, others = [], []
    for joint in filter(lambda joint: is_scalar(model, joint), range(model.njnt)):
        kind = "hinge" if model.jnt_type[joint] == int(mujoco.mjtJoint.mjJNT_HINGE) else "slide"
        at = float(rest[model.jnt_qposadr[joint]])
        if joint in moved and joint not in mimic:
            pose.append((names[joint], kind, at, *_goals(model, joint, at)))
        else:
            others.append((names[joint], kind, at))
    base = base_of(model, moved)
    commanded = _drives(world, controls)
    if not commanded:
        raise InvalidValue(
            f"every actuator of {world.name} takes several commands of different kinds, which the example "
            "can't tell apart; add one that takes one, or go without a task"
        )
    if base is None and not pose and not others:
        raise InvalidValue(
            f"{world.name} has no hinge or slide, so the example has no pose to hold; add one, or go without "
            "a task and write your own"
        )
    first = int(model.jnt_qposadr[base]) if base is not None else 0
    dt = float(model.opt.timestep)
    return Robot(
        pose,
        others,
        commanded,
        names[base] if base is not None else "",
        [float(x) for x in rest[first : first + 7]] if base is not None else [],
        dt * max(1, round(_CONTROL_DT / dt)),
    )


def example_task(name: str, robot: Robot) -> str:
    """The text of ``task.py``; ``name`` is that of the task and of its world."""
    text = (files("sim2real.scaffold") / "example.py.txt").read_text(encoding="utf-8")
    parts = {
        "NAME": name,
        "POSE": _rows(robot.pose),
        "OTHERS": _rows(robot.others),
        "DRIVES": _rows(robot.drives),
        "DT": f"{robot.control_dt:.12g}",
        "STEPS": str(round(_SECONDS / robot.control_dt)),
        **(_FLOATING if robot.base else _STANDING),
    }
    if robot.base:
        at = ", ".join(f"{x:.9g}" for x in robot.base_start)
        parts["BASE"] = "# the free joint: its name and where it begins (m and a unit quaternion)\n"
        parts["BASE"] += f"BASE = {_word(robot.base)}\n"
        parts["BASE"] += f"BEGIN = ({at})\nFALLEN = {0.5 * robot.base_start[2]:.3g}  # m\n"
    filled = re.sub(r"@(\w*)@", lambda place: parts[place[1]] if place[1] else "@", text)
    return filled.replace("(\n)", "()").rstrip() + "\n"


def _rows(rows: Sequence[tuple[object, ...]]) -> str:
    return "".join(f"    ({', '.join(map(_word, row))}),\n" for row in rows)


def _word(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _goals(model: mujoco.MjModel, joint: int, at: float) -> tuple[float, float]:
    """Middle and spread of the goals: around rest, within the joint's range."""
    hinge = model.jnt_type[joint] == int(mujoco.mjtJoint.mjJNT_HINGE)
    spread = 0.3 if hinge else 0.1
    if model.jnt_limited[joint]:
        low, high = map(float, model.jnt_range[joint])
        spread = min(spread, 0.25 * (high - low))
        at = min(max(at, low + spread), high - spread)
    return at, max(spread, 1e-3)


def _mimics(model: mujoco.MjModel) -> set[int]:
    """Joints whose place follows from another's by an equality."""
    joints = model.eq_type == int(mujoco.mjtEq.mjEQ_JOINT)
    return {int(k) for k in model.eq_obj1id[joints & (model.eq_obj2id >= 0)]}


def base_of(model: mujoco.MjModel, moved: Sequence[int]) -> int | None:
    """The free joint above what is moved."""
    for joint in moved:
        body = int(model.jnt_bodyid[joint])
        while body:
            first = int(model.body_jntadr[body])
            if first >= 0 and model.jnt_type[first] == int(mujoco.mjtJoint.mjJNT_FREE):
                return first
            body = int(model.body_parentid[body])
    return None


def _drives(world: World, controls: Array) -> list[tuple[str, str, str, float, float]]:
    """Every actuator with one command: in a servo's unit where it is one, around where the scene rests."""
    model = world.model
    driven, names = drives(model)
    found, one, simulator = [], (Signal("x", "1"),), make_simulator(Engine("mujoco", 1), world, 1)
    for k in range(model.nactuator):
        if model.actuator_ctrlnum[k] != 1:
            continue
        servo = drive_of(model, k) is DriveKind.SERVO
        servo &= int(model.actuator_dyntype[k]) != int(mujoco.mjtDyn.mjDYN_INTEGRATOR)
        drive = Drive(names[k], driven[k], "servo" if servo else "motor")
        spec = TaskSpec("", 0, 1.0, 1, one, one, 0, "", drives=(drive,))
        ((factor,), (offset,)) = simulator.laws(spec)
        low, high = (float(x) for x in model.actuator_ctrlrange[k])
        if not model.actuator_ctrllimited[k]:
            most = np.pi * factor if servo else _full_command(model, k, names[k])
            low, high = offset - most if servo else -most, offset + most if servo else most
        zero = float(np.clip(controls[model.actuator_ctrladr[k]], min(low, high), max(low, high)))
        if servo:
            full = min(0.25 * (high - low), _reach(model, driven[k]) * abs(factor))
            zero = min(max(zero, low + full), high - full)  # so that actions act both ways
        else:
            zero = 0.0 if low <= 0.0 <= high else 0.5 * (low + high)
            full = max(high - zero, zero - low)
        found.append((names[k], driven[k], drive.kind, (zero - offset) / factor, abs(full / factor)))
    return found


def _reach(model: mujoco.MjModel, joint: str) -> float:
    """How far from rest an action of 1 asks a servo to go, rad or m: twice the spread of the goals."""
    if not joint:
        return math.inf
    number = element_names(model, "joint").index(joint)
    return 2.0 * _goals(model, number, 0.0)[1] if is_scalar(model, number) else math.inf


def _full_command(model: mujoco.MjModel, actuator: int, name: str) -> float:
    """What a motor without a range of commands is asked for at most: as much as it or its joint may give."""
    limit, gain = nominal_value(model, "torque_limit", name), abs(float(model.actuator_gainprm[actuator, 0]))
    return limit / gain if 0 < limit < np.inf and gain else 1.0


_STANDING = {
    "BASE": "",
    "SUCCESS": "within a third of the goals' spread of the goal at the end",
    "BASE_SIGNALS": "",
    "BASE_JOINT": "",
    "BASE_INIT": "",
    "START": """\
        self.goal[env_ids] = pose
        qpos = xp.concat((ones * self.begin, ones * self.others), axis=1)
""",
    "OUTCOME": """\
        return near, near > 2.0  # nothing ends it but time
""",
    "SUCCEEDED": """\
        return self.xp.all(self.xp.abs(self.error()) < 1 / 3, axis=1)
""",
    "PARTS": "parts",
    "ROTATION": "",
}
_FLOATING = {
    "SUCCESS": "no fall",
    "BASE_SIGNALS": """\
            *(sim2real.Signal(f"up_{axis}", "1") for axis in "xyz"),
            sim2real.Signal("height", "m"),
            *(sim2real.Signal(f"velocity_{axis}", "m/s", 5.0) for axis in "xyz"),
            *(sim2real.Signal(f"turn_{axis}", "rad/s", 5.0) for axis in "xyz"),
""",
    "BASE_JOINT": """\
            sim2real.Joint(BASE, "free"),
""",
    "BASE_INIT": """\
        self.base = self.row(BEGIN)
        self.fallen = self.qpos[:, 0] > 1e9
""",
    "START": """\
        begun = self.begin + 0.1 * (pose - self.middle)
        qpos = xp.concat((begun, ones * self.others, ones * self.base), axis=1)
        self.fallen[env_ids] = False
""",
    "OUTCOME": """\
        self.fallen = self.qpos[:, -5] < FALLEN
        return 0.5 * near + 0.5 * self.up()[:, 2], self.fallen
""",
    "SUCCEEDED": """\
        return ~self.fallen
""",
    "PARTS": "(*parts, self.up(), self.qpos[:, -5:-4], qvel[:, -6:])",
    "ROTATION": '''
    def up(self):
        """The world's z in the frame of the base; (0, 0, 1) is upright."""
        w, x, y, z = (self.qpos[:, k] for k in (-4, -3, -2, -1))
        return self.xp.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), axis=1)
''',
}
