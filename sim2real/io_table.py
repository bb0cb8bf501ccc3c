"""What somebody's policy sees and drives, as data: the file ``io.toml`` in a world's folder.

    control_dt = 0.02
    command = [0.5, 0.0, 0.0]

    [[joints]]                        # in the policy's order
    name = "left_knee_joint"
    default = 0.3                     # rad
    stiffness = 200.0                 # N·m/rad
    damping = 4.0                     # N·m·s/rad

    [[observation]]                   # in the policy's order
    term = "joint_vel"
    scale = 0.05

    [[action]]
    term = "joint_position"           # target = default + scale · action
    scale = 0.25

With gains, an actuator gives ``stiffness · (target - q) - damping · q̇`` at every physics step, whatever the
scene has there; `sim2real.tasks.io_task` does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sim2real.documents import Section, is_number
from sim2real.errors import InvalidValue, UnknownName

IO_FILE = "io.toml"
TOUCH = "touch of "
"""What the sensor of a body's contacts has before the body's name."""
FAR = 1e9
"""A tracking error that nothing has, m/s: where none is asked for."""

SCAN_OFFSET = 0.5
"""How far below the base a height scan calls the ground 0, m: Isaac Lab's default."""

OBSERVATIONS = {
    "base_lin_vel": ("base", "clip", "history", "scale", "at"),
    "base_ang_vel": ("base", "clip", "history", "scale"),
    "projected_gravity": ("base", "clip", "history", "scale"),
    "height": ("base", "clip", "history", "scale"),
    "height_scan": ("base", "clip", "history", "scale", "rays", "offset"),
    "command": ("clip", "history", "scale"),
    "joint_pos": ("clip", "history", "scale", "joints", "relative"),
    "joint_vel": ("clip", "history", "scale", "joints"),
    "last_action": ("clip", "history", "scale"),
    "phase": ("clip", "history", "scale", "period"),
    "contacts": ("clip", "history", "scale", "bodies"),
}
"""Observation terms, and what each may say; ``base``: it needs a free joint."""

ACTIONS = ("joint_position", "joint_velocity", "joint_effort")
"""Action terms: a target in rad or m, one in rad/s or m/s, an effort in N·m or N."""


@dataclass(frozen=True)
class PolicyJoint:
    """A joint of the policy's; nothing in a gain leaves the scene's own drive as it is."""

    name: str
    kind: str = "hinge"
    default: float = 0.0
    """Angle or place that positions are relative to, rad or m."""
    stiffness: float | None = None
    """N·m/rad or N/m."""
    damping: float | None = None
    """N·m·s/rad or N·s/m."""
    effort: float = math.inf
    """Most that the drive gives, N·m or N, beside the scene's own limits."""


@dataclass(frozen=True)
class Term:
    """Some entries of the observation or of the action, side by side."""

    name: str
    joints: tuple[str, ...]
    """In the term's order; empty for a term that is about none."""
    scale: tuple[float, ...]
    """Factor of each entry: on what is seen, or on the action."""
    offset: tuple[float, ...] = ()
    """Of an action term: the target for an action of 0. Of a height scan: what each ray's is less by, m."""
    clip: tuple[tuple[float, float], ...] = ()
    """Least and most of each entry: of an observation before its scale, of an action term's target."""
    history: int = 1
    """Control steps that are seen at once, the oldest first."""
    period: float = 1.0
    """Of the gait, s."""
    relative: bool = True
    """Whether joint positions are relative to the defaults."""
    bodies: tuple[str, ...] = ()
    """Whose contacts with anything are seen, 1 for touching."""
    at: tuple[float, ...] = (0.0, 0.0, 0.0)
    """The point of the base whose velocity is seen, in its frame, m."""


@dataclass(frozen=True)
class IoTable:
    """The whole file; see the module."""

    path: Path
    control_dt: float
    """Control period, s."""
    episode: float
    """Length of an episode, s."""
    hold: float
    """How long the first command is held before the policy is asked, s."""
    action_limit: float
    """Actions are clipped to ± this before anything else."""
    implicit_damping: bool
    """Whether an implicit integrator may take the damping within its step, as it does a servo's of the scene;
    else it is from the speed at the step's start, as in a loop that computes efforts by itself."""
    base: str
    """The free joint that carries the robot; empty for one that stands fixed."""
    joints: tuple[PolicyJoint, ...]
    observation: tuple[Term, ...]
    action: tuple[Term, ...]
    command: tuple[tuple[float, float], ...]
    """Least and most of each number of the command, drawn for each episode. For a floating base its first
    three are forward and sideward speed, m/s, and turning rate, rad/s."""
    start_pose: str
    """``scene``, where the scene puts the robot, by a keyframe if it has one; ``qpos0``, without one; or
    ``default``, with its joints at their defaults."""
    start_height: float | None
    """Of the base, m; the scene's where it is None."""
    start_spread: float
    """How far from their pose joints begin at most, drawn for each episode, rad or m."""
    fall_height: float
    """A base below this share of its start height has fallen."""
    fall_tilt: float
    """A base tilted by more than this has fallen, rad."""
    fall_contacts: tuple[str, ...]
    """Bodies whose contact with anything is a fall."""
    tracking_error: float
    """Most that the mean velocity of a success may be off the command, m/s."""
    upright: float
    """How long a success stays up, s."""

    @classmethod
    def of(cls, file: Section) -> IoTable:
        """What a file holds.

        Raises:
            UnknownName: for a misspelt term or joint.
            InvalidValue: for a misspelt key, or what contradicts itself.
        """
        return _Reader(file).table()

    @classmethod
    def beside(cls, scene: Path) -> IoTable | None:
        """That in the folder of a scene, if there is one."""
        path = scene.parent / IO_FILE
        return cls.of(Section.read_toml(path)) if path.is_file() else None

    @cached_property
    def joint(self) -> dict[str, PolicyJoint]:
        """Joints by name."""
        return {joint.name: joint for joint in self.joints}

    @cached_property
    def touched(self) -> tuple[str, ...]:
        """Bodies whose contacts matter."""
        seen = [body for term in self.observation for body in term.bodies]
        return tuple(dict.fromkeys((*seen, *self.fall_contacts)))

    @property
    def scans(self) -> bool:
        """Whether the ground's height around the base is seen."""
        return any(term.name == "height_scan" for term in self.observation)

    @cached_property
    def driven(self) -> dict[str, str]:
        """The action term of every joint that is driven, in the policy's order."""
        return {joint: term.name for term in self.action for joint in term.joints}


_TOP = ("control_dt", "episode", "hold", "action_limit", "implicit_damping", "base", "command", "num_obs")
_POSES = ("scene", "qpos0", "default")
_TABLES = ("joints", "observation", "action", "start", "fall", "success")


class _Reader:
    """Reads the file part by part; later parts are checked against earlier ones."""

    def __init__(self, file: Section) -> None:
        self.file = file.only(*_TOP, *_TABLES)
        self.joints = tuple(map(self._joint, file.entries("joints")))
        self.names = [joint.name for joint in self.joints]
        for name in self.names:
            if self.names.count(name) > 1:
                raise InvalidValue(f"{file.path}: joint {name!r} is there twice; name each once")
        self.base = file.text("base", "")
        self.command = self._command()

    def table(self) -> IoTable:
        file = self.file
        action = tuple(map(self._action, file.entries("action")))
        driven = [joint for term in action for joint in term.joints]
        for joint in driven:
            if driven.count(joint) > 1:
                raise InvalidValue(f"{file.path}: two action terms drive joint {joint!r}; let one do it")
        observation = tuple(self._term(entry, len(driven)) for entry in file.entries("observation"))
        if not action or not observation:
            raise InvalidValue(f"{file.path}: it needs at least one [[observation]] and one [[action]]")
        size = sum(len(term.scale) * term.history for term in observation)
        if "num_obs" in file and file.whole("num_obs") != size:
            parts = " + ".join(f"{len(t.scale) * t.history} {t.name}" for t in observation)
            raise InvalidValue(
                f"{file.path}: the terms make {size} numbers ({parts}) where the network takes num_obs = "
                f"{file.whole('num_obs')}; name the terms that it was trained with"
            )
        start = file.section("start").only("pose", "height", "spread")
        fall = file.section("fall").only("height", "tilt", "contacts")
        success = file.section("success").only("tracking_error", "upright")
        pose = start.text("pose", "scene")
        if pose not in _POSES:
            raise UnknownName(f"start pose in {file.path}:", pose, _POSES)
        for section, key in (
            (start, "height"),
            (fall, "height"),
            (fall, "tilt"),
            (success, "tracking_error"),
        ):
            if key in section and not self.base:
                raise InvalidValue(
                    f"{file.path}: {section.place}{key} needs a base; name its free joint, as base = "
                    '"floating_base"'
                )
        episode = self._above(file, "episode", 20.0)
        return IoTable(
            path=Path(file.path),
            control_dt=self._above(file, "control_dt"),
            episode=episode,
            hold=file.number("hold", 0.0),
            action_limit=self._above(file, "action_limit", 100.0),
            implicit_damping="implicit_damping" in file
            and file.value_like("implicit_damping", False) is True,
            base=self.base,
            joints=self.joints,
            observation=observation,
            action=action,
            command=self.command,
            start_pose=pose,
            start_height=start.number("height") if "height" in start else None,
            start_spread=start.number("spread", 0.0),
            fall_height=fall.number("height", 0.5),
            fall_tilt=fall.number("tilt", math.pi),
            fall_contacts=fall.texts("contacts", ()),
            tracking_error=success.number("tracking_error", FAR),
            upright=success.number("upright", episode),
        )

    def _joint(self, entry: Section) -> PolicyJoint:
        entry.only("name", "kind", "default", "stiffness", "damping", "effort")
        kind = entry.text("kind", "hinge")
        if kind not in ("hinge", "slide"):
            raise UnknownName(f"kind of joint in {entry.path}:", kind, ("hinge", "slide"))
        gains = {key: self._gain(entry, key) for key in ("stiffness", "damping") if key in entry}
        effort = self._above(entry, "effort") if "effort" in entry else math.inf
        return PolicyJoint(entry.text("name"), kind, entry.number("default", 0.0), **gains, effort=effort)

    def _term(self, entry: Section, actions: int) -> Term:
        name = entry.text("term")
        if name not in OBSERVATIONS:
            raise UnknownName(f"observation term in {entry.path}:", name, OBSERVATIONS)
        needs_base = "base" in OBSERVATIONS[name]
        entry.only("term", *(key for key in OBSERVATIONS[name] if key != "base"))
        if needs_base and not self.base:
            raise InvalidValue(
                f'{entry.path}: {name} is about the base; name its free joint, as base = "floating_base"'
            )
        joints = self._joints(entry) if name.startswith("joint_") else ()
        bodies = entry.texts("bodies") if name == "contacts" else ()
        sizes = {"command": len(self.command), "last_action": actions, "phase": 2, "height": 1}
        sizes |= {"contacts": len(bodies), "height_scan": entry.whole("rays", 0)}
        size = len(joints) or sizes.get(name, 3)
        if not size:
            raise InvalidValue(
                f"{entry.path}: term {name} sees nothing; name bodies, rays = 187, or command = [0.5, 0, 0]"
            )
        history = entry.whole("history", 1)
        if history < 0:
            raise InvalidValue(f"{entry.path}: {entry.place}history is {history}; give at least 1")
        term = Term(
            name,
            joints,
            self._each(entry, "scale", joints or size, 1.0),
            clip=self._clip(entry, len(joints) or size),
        )
        if 0.0 in term.scale:
            raise InvalidValue(f"{entry.path}: {entry.place}scale is 0, which hides the term; leave it out")
        at = entry.numbers("at") if "at" in entry else term.at
        if len(at) != 3:
            raise InvalidValue(f"{entry.path}: {entry.place}at has {len(at)} numbers where 3 are meant")
        period = self._above(entry, "period") if name == "phase" else term.period
        relative = entry.value_like("relative", True) is True if "relative" in entry else True
        term = replace(term, history=max(history, 1), period=period, at=at, relative=relative)
        below = self._each(entry, "offset", size, SCAN_OFFSET) if name == "height_scan" else ()
        return replace(term, bodies=bodies, offset=below)

    def _action(self, entry: Section) -> Term:
        name = entry.text("term")
        if name not in ACTIONS:
            raise UnknownName(f"action term in {entry.path}:", name, ACTIONS)
        entry.only("term", "joints", "scale", "offset", "clip")
        joints = self._joints(entry)
        known = {joint.name: joint for joint in self.joints}
        for joint in (known[name] for name in joints):
            gains = joint.stiffness is not None, joint.damping is not None
            if name == "joint_velocity" and (not gains[1] or joint.stiffness):
                raise InvalidValue(
                    f"{entry.path}: a velocity of joint {joint.name!r} needs its damping and no stiffness"
                )
            if name == "joint_position" and not joint.stiffness and any(gains):
                raise InvalidValue(
                    f"{entry.path}: a position of joint {joint.name!r} needs a stiffness above 0"
                )
        zero = tuple(known[joint].default if name == "joint_position" else 0.0 for joint in joints)
        offset = self._each(entry, "offset", joints, 0.0) if "offset" in entry else zero
        scale = self._each(entry, "scale", joints, 1.0)
        if 0.0 in scale:
            raise InvalidValue(f"{entry.path}: {entry.place}scale is 0, which drives nothing; leave it out")
        return Term(name, joints, scale, offset=offset, clip=self._clip(entry, len(joints)))

    def _joints(self, entry: Section) -> tuple[str, ...]:
        given = entry.texts("joints", self.names)
        for name in given:
            if name not in self.names:
                raise UnknownName(f"joint of {entry.place.rstrip('.')} in {entry.path}:", name, self.names)
        return given

    def _command(self) -> tuple[tuple[float, float], ...]:
        given = self.file.values.get("command", [])
        if not isinstance(given, list):
            raise self._refused("command", given, "a list of numbers, or of [least, most]")
        rows = [entry if isinstance(entry, list) else [entry, entry] for entry in given]
        for row in rows:
            if not _is_range(row) or not all(map(math.isfinite, row)):
                raise self._refused("command", given, "a list of numbers, or of [least, most]")
        return tuple((float(low), float(high)) for low, high in rows)

    def _each(self, entry: Section, key: str, of: int | Sequence[str], default: float) -> tuple[float, ...]:
        """A number for each entry of a term: one for all, a list, or a table by joint."""
        size = of if isinstance(of, int) else len(of)
        given = entry.values.get(key, default)
        if isinstance(given, dict):
            names = [] if isinstance(of, int) else list(of)
            table = entry.section(key).only(*names)
            return tuple(table.number(name, default) for name in names)
        if not isinstance(given, list):
            return (entry.number(key, default),) * size
        if len(given) != size:
            raise InvalidValue(f"{entry.path}: {entry.place}{key} has {len(given)} numbers, not {size}")
        return entry.numbers(key)

    def _clip(self, entry: Section, size: int) -> tuple[tuple[float, float], ...]:
        """Least and most of each entry: one number for ±, a pair for all, or a pair for each."""
        given = entry.values.get("clip", _OPEN)
        rows = given if isinstance(given, list) and given and isinstance(given[0], list) else [given] * size
        pairs = [
            row if isinstance(row, list | tuple) else [-row, row] if is_number(row) else [] for row in rows
        ]
        if len(pairs) != size or not all(_is_range(pair) for pair in pairs):
            raise InvalidValue(
                f"{entry.path}: {entry.place}clip is {given!r}; give [least, most], or a pair for each of "
                f"{size} entries"
            )
        return tuple((float(low), float(high)) for low, high in pairs)

    def _gain(self, entry: Section, key: str) -> float:
        value = entry.number(key)
        if value < 0:
            raise InvalidValue(f"{entry.path}: {entry.place}{key} is {value:g}; give one of at least 0")
        return value

    def _above(self, entry: Section, key: str, default: float | None = None) -> float:
        value = entry.number(key, default)
        if value <= 0:
            raise InvalidValue(f"{entry.path}: {entry.place}{key} is {value:g}; give one above 0")
        return value

    def _refused(self, key: str, given: object, meant: str) -> InvalidValue:
        return InvalidValue(f"{self.file.path}: {key} is {given!r} where {meant} is meant")


_OPEN = (-math.inf, math.inf)


def _is_range(pair: Sequence[object]) -> bool:
    ends = [float(end) for end in pair if is_number(end)]
    return len(ends) == len(pair) == 2 and ends[0] <= ends[1]
