"""What a descriptor says, and the robot that it should be about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import mujoco

from sim2real.documents import Section
from sim2real.errors import InvalidValue, UnknownName
from sim2real.io_table import IoTable
from sim2real.scaffold.example import base_of
from sim2real.world import drive_of, drives, element_names
from sim2real.world.drives import Drive
from sim2real.world.levers import is_scalar

_FALL = 0.6  # of the start height
_ERROR = 0.2  # m/s
_LEVEL = 1 - 1e-9  # cosine of half a turn that is none


@dataclass(frozen=True)
class Robot:
    """The model that a policy should drive."""

    model: mujoco.MjModel
    file: str
    """Of the model, as messages name it."""

    def check(self, joints: Sequence[str], source: str) -> None:
        """Refuse a descriptor of another robot.

        Raises:
            UnknownName: for a joint that the model lacks.
        """
        known = [name for name, joint in self.joints.items() if is_scalar(self.model, joint)]
        missing = [joint for joint in joints if joint not in known]
        if missing:
            rest = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise UnknownName(f"joint of {source} in {self.file}{rest}:", missing[0], known)

    @property
    def joints(self) -> dict[str, int]:
        """Numbers of the joints, by name."""
        return {name: k for k, name in enumerate(element_names(self.model, "joint"))}

    def base(self, joints: Sequence[str]) -> str:
        """Name of the free joint above some joints; empty where they stand on the world."""
        number = base_of(self.model, [self.joints[joint] for joint in joints])
        return "" if number is None else element_names(self.model, "joint")[number]

    def imu_at(self, base: str) -> list[float] | None:
        """Where a velocimeter is in the frame of the base, m; None if the model has none there, or askew."""
        model = self.model
        for sensor in range(model.nsensor):
            site = model.sensor_objid[sensor]
            if (
                model.sensor_type[sensor] == mujoco.mjtSensor.mjSENS_VELOCIMETER
                and model.site_bodyid[site] == model.jnt_bodyid[self.joints[base]]
                and abs(model.site_quat[site][0]) > _LEVEL
            ):
                return [float(x) for x in model.site_pos[site]]
        return None

    def base_mass_at(self, base: str) -> list[float]:
        """Where the centre of mass of the base is in its frame, m."""
        return [float(x) for x in self.model.body_ipos[self.model.jnt_bodyid[self.joints[base]]]]

    def has_servo(self, joint: str) -> bool:
        """Whether the model's own drive of a joint takes a position."""
        driven, _ = drives(self.model)
        return joint in driven and drive_of(self.model, driven.index(joint)) is Drive.SERVO

    def driven(self) -> list[str]:
        """Joints with a drive, in the model's order."""
        own = set(drives(self.model)[0])
        return [name for name in self.joints if name in own]


@dataclass
class Description:
    """The table of an ``io.toml`` in the making."""

    source: str
    """The file that it comes from, as messages name it."""
    control_dt: float
    joints: list[dict[str, object]]
    """Each with its name, and what is known of ``default``, ``stiffness``, ``damping``, ``effort``."""
    observation: list[dict[str, object]]
    action: list[dict[str, object]]
    num_obs: int | None = None
    """What the network takes, where something says it."""
    command: Sequence[object] = ()
    hold: float = 0.0
    implicit_damping: bool = False
    """Whether the policy was trained with damping within the integrator's step."""
    episode: float = 20.0
    fall_contacts: Sequence[str] = ()
    """Bodies whose contact ends an episode."""
    start: Mapping[str, object] = field(default_factory=lambda: {"pose": "scene"})
    notes: list[str] = field(default_factory=list)
    """What was assumed, or what differs from the model, a sentence each."""

    def table(self, robot: Robot) -> dict[str, object]:
        """What the file says.

        Raises:
            UnknownName: for a joint that the model lacks.
            InvalidValue: for one that no gain is known for, or sizes that don't add up to the network's
                input.
        """
        names = [str(joint["name"]) for joint in self.joints]
        robot.check(names, self.source)
        for joint in self.joints:
            if robot.model.jnt_type[robot.joints[str(joint["name"])]] == mujoco.mjtJoint.mjJNT_SLIDE:
                joint["kind"] = "slide"
        self._check_gains(robot)
        self._check_integrator(robot)
        base = robot.base(names)
        top: dict[str, object] = {"control_dt": self.control_dt, "episode": self.episode}
        if self.implicit_damping:
            top["implicit_damping"] = True
        if self.hold:
            top["hold"] = self.hold
        if self.command:
            top["command"] = list(self.command)
        if base:
            top["base"] = base
        if self.num_obs is not None:
            top["num_obs"] = self.num_obs
        top |= {"joints": self.joints, "observation": self.observation, "action": self.action}
        start = {key: value for key, value in self.start.items() if base or key != "height"}
        follows = {"success": {"tracking_error": _ERROR}} if len(self.command) >= 2 else {}
        contacts = {"contacts": list(self.fall_contacts)} if self.fall_contacts else {}
        table = {
            **top,
            "start": start,
            **({"fall": {"height": _FALL, **contacts}, **follows} if base else {}),
        }
        IoTable.of(Section(self.source, table))
        return table

    def _check_integrator(self, robot: Robot) -> None:
        kinds, mine = mujoco.mjtIntegrator, robot.model.opt.integrator
        if mine == kinds.mjINT_RK4:
            self.notes.append(
                f"{robot.file} integrates by RK4, which evaluates gains several times in a step"
            )
        if self.implicit_damping and mine in (kinds.mjINT_RK4, kinds.mjINT_EULER):
            self.notes.append(
                f"damping was within the integrator's step in {self.source}, but isn't in {robot.file}; give "
                'it <option integrator="implicitfast"/>'
            )

    def _check_gains(self, robot: Robot) -> None:
        known = {str(joint["name"]): joint for joint in self.joints}
        without = [
            name
            for term in self.action
            if term["term"] == "joint_position"
            for name in _of(term, list(known))
            if "stiffness" not in known[name] and not robot.has_servo(name)
        ]
        if without:
            more = f" and {len(without) - 1} more" if len(without) > 1 else ""
            raise InvalidValue(
                f"no gains for joint {without[0]!r}{more}: {self.source} has none and {robot.file} "
                "no position actuator; give the env.yaml of the training run (--env), or give the model one"
            )


def _of(term: Mapping[str, object], joints: list[str]) -> list[str]:
    own = term.get("joints", joints)
    return list(map(str, own)) if isinstance(own, list) else joints


def numbers_of(file: Section, key: str, count: int) -> list[float]:
    """A number for each joint; one alone is for all."""
    numbers = list(file.numbers(key))
    numbers = numbers * count if len(numbers) == 1 else numbers
    if len(numbers) != count:
        raise InvalidValue(f"{file.path}: {key} has {len(numbers)} numbers for {count} joints")
    return numbers
