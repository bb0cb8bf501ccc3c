"""Isaac Lab's ``IO_descriptors.yaml``, and the ``env.yaml`` of the same run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sim2real.documents import Section, is_number
from sim2real.errors import InvalidValue, UnknownName
from sim2real.io_table import SCAN_OFFSET
from sim2real.scaffold.described import Description, Robot
from sim2real.world import element_names

_ACTIONS = {
    "JointPositionAction": "joint_position",
    "JointVelocityAction": "joint_velocity",
    "JointEffortAction": "joint_effort",
}
_OBSERVATIONS = {
    "base_lin_vel": "base_lin_vel",
    "base_ang_vel": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "base_pos_z": "height",
    "height_scan": "height_scan",
    "generated_commands": "command",
    "velocity_commands": "command",
    "command": "command",
    "joint_pos_rel": "joint_pos",
    "joint_pos": "joint_pos",
    "joint_vel_rel": "joint_vel",
    "joint_vel": "joint_vel",
    "last_action": "last_action",
    "actions": "last_action",
}
_VELOCITY = [0.5, 0.0, 0.0]
_RANGES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")


def isaac_lab(file: Section, env: Section | None, robot: Robot) -> Description:
    """What a descriptor says.

    Args:
        file: the descriptor.
        env: the ``env.yaml`` of the same run, if there is one.
        robot: that it should be about.

    Raises:
        UnknownName: for a term that can't be read, or a joint that the model lacks.
        InvalidValue: for sizes that don't add up, or drives that are no gains.
    """
    actions = file.entries("actions")
    driven = [name for entry in actions for name in entry.texts("joint_names")]
    observed = _group(file)
    own = _articulation(file, driven)
    names = [*own.texts("joint_names")] if "joint_names" in own else list(dict.fromkeys(driven))
    used = {*driven, *(name for entry in observed for name in _joints(entry, names))}
    robot.check([name for name in names if name in used] or driven, Path(file.path).name)
    kept = [name for name in names if name in used]
    joints = [_joint(own, names.index(name), name) for name in kept]
    for entry in observed:
        _check_offsets(entry, joints)
    scene = file.section("scene")
    found = Description(
        source=Path(file.path).name,
        control_dt=_time(scene.number("dt")),
        joints=joints,
        observation=[_observation(entry, kept, robot) for entry in observed],
        action=[_action(entry, kept, joints) for entry in actions],
        start={"pose": "default"},
    )
    sizes = [_size(entry) for entry in observed]
    if all(sizes):
        found.num_obs = sum(size * _history(entry) for size, entry in zip(sizes, observed, strict=True))
    if any(term["term"] == "height_scan" for term in found.observation):
        found.notes.append(
            f"height_scan is that of level ground, from the base, less {SCAN_OFFSET:g} m as is usual; its "
            "offset in io.toml can say another"
        )
    for term, size in zip(found.observation, sizes, strict=True):
        if term["term"] == "command":
            found.command = _VELOCITY if size in (0, len(_VELOCITY)) else [0.0] * size
            found.notes.append(f"command = {found.command} in io.toml is assumed; edit it")
    step, mine = scene.number("physics_dt", 0.0), float(robot.model.opt.timestep)
    if step and not math.isclose(step, mine, rel_tol=1e-6):
        found.notes.append(f"trained at physics steps of {step:g} s, where {robot.file} takes {mine:g} s")
    if env is not None:
        _take_env(found, env, robot)
        _take_contacts(found, env, robot)
    return found


def _group(file: Section) -> list[Section]:
    """The terms that the policy sees."""
    groups = file.section("observations")
    name = "policy" if "policy" in groups else next(iter(groups.values), "")
    if not name or ("policy" not in groups and len(groups.values) > 1):
        raise InvalidValue(
            f"{file.path}: none of its groups of observations is named policy; there are "
            f"{', '.join(groups.values) or 'none'}"
        )
    return groups.entries(name)


def _articulation(file: Section, driven: Sequence[str]) -> Section:
    """The robot that has the driven joints; an empty section where the file has none."""
    for entry in file.section("articulations").sections().values():
        if set(driven) <= set(entry.texts("joint_names", ())):
            return entry
    return Section(file.path, {})


def _joint(own: Section, number: int, name: str) -> dict[str, object]:
    joint: dict[str, object] = {"name": name}
    if "default_joint_pos" in own:
        joint["default"] = own.numbers("default_joint_pos")[number]
    for key in ("stiffness", "damping"):
        if f"default_joint_{key}" in own and own.numbers("default_joint_stiffness")[number] > 0:
            joint[key] = own.numbers(f"default_joint_{key}")[number]
    return joint


def _joints(entry: Section, names: Sequence[str]) -> tuple[str, ...]:
    return entry.texts("joint_names", names) if "joint" in _function(entry) else ()


def _function(entry: Section) -> str:
    """What a term computes: the last part of its path."""
    return entry.text("full_path", entry.text("name", "")).rpartition(".")[2]


def _observation(entry: Section, names: list[str], robot: Robot) -> dict[str, object]:
    function, name = _function(entry), entry.text("name", _function(entry))
    known = _OBSERVATIONS.get(function)
    if known is None:
        raise UnknownName(f"observation term of {Path(entry.path).name}:", function, _OBSERVATIONS)
    term: dict[str, object] = {"term": known}
    options, joints = entry.section("overloads"), list(_joints(entry, names))
    if joints and joints != names:
        term["joints"] = joints
    if known == "joint_pos" and function == "joint_pos":
        term["relative"] = False
    if known == "base_lin_vel":
        base = robot.base(names)
        if base and any(robot.base_mass_at(base)):
            term["at"] = robot.base_mass_at(base)  # Isaac Lab's root velocity is that of the centre of mass
    if known == "height_scan":
        term["rays"] = _size(entry)
    _check(
        entry,
        name,
        {"last_action": 0, "height_scan": 0, "command": 0, "height": 1}.get(known, len(joints) or 3),
    )
    for key in ("scale", "clip"):
        if options.values.get(key) is not None:
            term[key] = options.values[key]
    if _history(entry) > 1:
        term["history"] = _history(entry)
    return term


def _check(entry: Section, name: str, size: int) -> None:
    """Refuse what can't be taken over, or is of another size."""
    for key, unknown in (
        ("joint_vel_offsets other than 0", any(_numbers(entry, "joint_vel_offsets"))),
        ("modifiers", entry.section("extras").values.get("modifiers")),
    ):
        if unknown:
            raise InvalidValue(f"{entry.path}: {name} has {key}, which can't be taken over")
    if size and _size(entry) not in (0, size):
        raise InvalidValue(
            f"{entry.path}: {name} has a shape of {_size(entry)} numbers where {size} are meant; is this the "
            "descriptor of another robot?"
        )


def _check_offsets(entry: Section, joints: Sequence[Mapping[str, object]]) -> None:
    """Refuse angles that are told from elsewhere than the joints' defaults, from which they are here."""
    default = {str(joint["name"]): joint.get("default", 0.0) for joint in joints}
    told = _numbers(entry, "joint_pos_offsets") if _function(entry) == "joint_pos_rel" else ()
    for name, offset in zip(_joints(entry, list(default)), told, strict=False):
        usual = default.get(name, 0.0)
        if is_number(usual) and abs(offset - float(usual)) > _SAME:
            raise InvalidValue(
                f"{entry.path}: joint_pos_rel counts {name} from {offset:g}, and its default_joint_pos is "
                f"{float(usual):g}; is one of another robot or run? Make both alike"
            )


def _size(entry: Section) -> int:
    """Numbers of a term; 0 where its shape isn't told."""
    return math.prod(map(int, _numbers(entry, "shape") or (0,)))


def _history(entry: Section) -> int:
    return max(int(entry.section("overloads").whole("history_length", 0)), 1)


def _numbers(entry: Section, key: str) -> tuple[float, ...]:
    return entry.numbers(key) if isinstance(entry.values.get(key), list) else ()


def _action(entry: Section, names: list[str], joints: list[dict[str, object]]) -> dict[str, object]:
    kind = _function(entry)
    if kind not in _ACTIONS:
        raise UnknownName(f"action term of {Path(entry.path).name}:", kind, _ACTIONS)
    own = list(entry.texts("joint_names"))
    term: dict[str, object] = {"term": _ACTIONS[kind]}
    if own != names:
        term["joints"] = own
    for key in ("scale", "clip"):
        if entry.values.get(key) is not None:
            term[key] = entry.values[key]
    default = {str(joint["name"]): joint.get("default", 0.0) for joint in joints}
    offset = entry.values.get("offset", 0.0)
    usual = [default[name] if kind == "JointPositionAction" else 0.0 for name in own]
    if offset is not None and (offset if isinstance(offset, list) else [offset] * len(own)) != usual:
        term["offset"] = offset
    return term


def _take_env(found: Description, env: Section, robot: Robot) -> None:
    """Gains, efforts, the start, commands and the length of episodes."""
    scene = env.section("scene").section("robot")
    actuators = scene.section("actuators").sections()
    if not actuators:
        raise InvalidValue(f"{env.path}: there is no scene.robot.actuators; give Isaac Lab's env.yaml")
    for joint in found.joints:
        group = [entry for entry in actuators.values() if _is_of(entry, str(joint["name"]))]
        if group:
            found.implicit_damping |= "ImplicitActuator" in str(group[-1].values.get("class_type"))
            joint |= dict(_gains(group[-1], str(joint["name"])))
    found.notes += [note for entry in actuators.values() for note in _laws(entry)]
    _tell_armatures(found, actuators, robot)
    place = scene.section("init_state").values.get("pos")
    if isinstance(place, list) and len(place) == 3 and is_number(place[2]):
        found.start = {"pose": "default", "height": float(place[2])}
    if "episode_length_s" in env:
        found.episode = _time(env.number("episode_length_s"))
    for entry in env.section("commands").values.values():
        ranges = entry.get("ranges") if isinstance(entry, dict) else None
        if found.command and isinstance(ranges, dict) and all(key in ranges for key in _RANGES):
            found.command = [ranges[key] for key in _RANGES]
            found.notes = [note for note in found.notes if not note.startswith("command")]


def _take_contacts(found: Description, env: Section, robot: Robot) -> None:
    """Bodies whose contact ends an episode, as far as the model has them."""
    known = element_names(robot.model, "body")
    for name, term in env.section("terminations").values.items():
        if not isinstance(term, dict) or not str(term.get("func")).endswith("illegal_contact"):
            continue
        sensor = env.section("terminations").section(name).section("params").section("sensor_cfg")
        given = sensor.values.get("body_names")
        patterns = [given] if isinstance(given, str) else list(sensor.texts("body_names", ()))
        mine = [body for body in known if any(_fits(env, pattern, body) for pattern in patterns)]
        found.fall_contacts = [*found.fall_contacts, *mine]
        if not mine:
            found.notes.append(f"{name} ends an episode by {patterns}, which {robot.file} doesn't have")


def _tell_armatures(found: Description, actuators: Mapping[str, Section], robot: Robot) -> None:
    """Say where the model has another inertia of rotors than the training."""
    other = []
    for name in (str(joint["name"]) for joint in found.joints):
        dof = robot.model.jnt_dofadr[robot.joints[name]]
        mine, group = robot.model.dof_armature[dof], [e for e in actuators.values() if _is_of(e, name)]
        given = _by_pattern(group[-1], "armature", name) if group else None
        if given is not None and not math.isclose(given, mine, rel_tol=0.01):
            other.append(f"{name} {given:g} for {mine:g} kg·m²")
    if other:
        found.notes.append(f"trained with other armatures than {robot.file}'s: {', '.join(other)}")


def _fits(env: Section, pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error as error:
        raise InvalidValue(f"{env.path}: {pattern!r} is no pattern ({error})") from error


def _is_of(entry: Section, joint: str) -> bool:
    return any(_fits(entry, pattern, joint) for pattern in entry.texts("joint_names_expr"))


def _gains(entry: Section, joint: str) -> Iterator[tuple[str, float]]:
    kind = str(entry.values.get("class_type", ""))
    if "ActuatorNet" in kind:
        raise InvalidValue(
            f"{entry.path}: {entry.place.rstrip('.')} is a network ({kind.rpartition(':')[2]}), whose effort "
            "is no gain times an error; export the policy with an actuator that has gains"
        )
    for key in ("stiffness", "damping"):
        value = _by_pattern(entry, key, joint)
        if value is None:
            raise InvalidValue(
                f"{entry.path}: {entry.place}{key} says nothing for joint {joint!r}; put the number in"
            )
        yield key, value
    limit = _by_pattern(entry, "effort_limit", joint) or _by_pattern(entry, "effort_limit_sim", joint)
    if limit is not None and math.isfinite(limit) and limit < _ENDLESS:
        yield "effort", limit


_ACTUATORS = ("ImplicitActuator", "IdealPDActuator", "DCMotor", "DelayedPDActuator")
_SAME = 1e-5  # rad, of two angles that were rounded
_ENDLESS = 1e6  # N·m, of a drive that is not meant to have a limit


def _laws(entry: Section) -> Iterator[str]:
    """What a group of actuators does beside gains and a limit, which the world doesn't do by itself."""
    kind = str(entry.values.get("class_type", "")).rpartition(":")[2]
    group = entry.place.rstrip(".").rpartition(".")[2]
    delay, top, speed = (
        entry.values.get(key) for key in ("max_delay", "saturation_effort", "velocity_limit")
    )
    if is_number(delay) and float(delay) > 0:
        yield (
            f"{group} ({kind}) acted {entry.values.get('min_delay', 0)} to {delay} physics steps late in "
            "training; give its joints a latency in physics.toml"
        )
    if is_number(top) and is_number(speed):
        yield (
            f"{group} ({kind}) lost torque with speed in training, from {top:g} N·m at rest to none at "
            f"{speed:g} rad/s; give its joints a speed_loss in physics.toml"
        )
    if kind and kind not in _ACTUATORS:
        yield f"{group} is a {kind}, of which gains and limit alone are taken; look at what else it does"


def _by_pattern(entry: Section, key: str, joint: str) -> float | None:
    value = entry.values.get(key)
    if isinstance(value, dict):
        value = next((v for pattern, v in value.items() if _fits(entry, str(pattern), joint)), None)
    return float(value) if is_number(value) else None


def _time(seconds: float) -> float:
    """Seconds as they were meant: 0.02 of a float32's 0.0199999995."""
    return float(f"{seconds:.6g}")
