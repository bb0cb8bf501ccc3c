"""Messages of ROS that tell of joints, from bytes: their type says what they are, else what fits them.

    decoded(Kind("sensor_msgs/msg/JointState", "cdr"), data).state.position

Types: ``sensor_msgs/JointState``; ``control_msgs/JointTrajectoryControllerState``, which tells both where a
joint should be and where it is; ``control_msgs/DynamicJointState``; ``std_msgs/Float64MultiArray`` and
``Float32MultiArray``, whose joints somebody must name. Encodings: ``cdr`` as ROS 2 writes it, ``ros1``,
``json``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

ENCODINGS = ("cdr", "ros1", "json")


@dataclass(frozen=True)
class JointMessage:
    """What one message says of joints; ``stamp`` in ns, 0 where it has none."""

    stamp: int
    name: tuple[str, ...]
    position: tuple[float, ...]
    velocity: tuple[float, ...] = ()
    effort: tuple[float, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """A message as a measurement and as a command; one and the same for types that don't tell them apart."""

    state: JointMessage
    goal: JointMessage


@dataclass(frozen=True)
class Kind:
    """Type and encoding of a topic's messages."""

    type: str
    """As the file names it, such as ``sensor_msgs/msg/JointState``."""
    encoding: str

    @cached_property
    def known(self) -> str:
        """The type as `_SHAPES` has it; empty for another one."""
        package, _, name = self.type.replace("::", "/").replace("/dds_/", "/").rpartition("/")
        short = f"{package.removesuffix('/msg')}/{name.strip('_')}"
        return short if short in _SHAPES else ""

    @property
    def foreign(self) -> bool:
        """Whether it names a type, and one that tells nothing of joints."""
        return "/" in self.type and not self.known


CONTROLLER_STATE = "control_msgs/JointTrajectoryControllerState"
_HEADER = {"stamp": "stamp", "frame_id": "s"}
_POINT = {"positions": "d*", "velocities": "d*", "accelerations": "d*", "effort": "d*", "after": "stamp"}
_LAYOUT = {"dim": [{"label": "s", "size": "I", "stride": "I"}], "data_offset": "I"}
_SHAPES: Mapping[str, Mapping[str, object]] = {
    "sensor_msgs/JointState": {
        "header": _HEADER, "name": "s*", "position": "d*", "velocity": "d*", "effort": "d*",
    },
    # newer versions have more behind the error, older ones say desired and actual
    CONTROLLER_STATE: {
        "header": _HEADER, "joint_names": "s*", "reference": _POINT, "feedback": _POINT, "error": _POINT,
    },
    "control_msgs/DynamicJointState": {
        "header": _HEADER, "joint_names": "s*",
        "interface_values": [{"interface_names": "s*", "values": "d*"}],
    },
    "std_msgs/Float64MultiArray": {"layout": _LAYOUT, "data": "d*"},
    "std_msgs/Float32MultiArray": {"layout": _LAYOUT, "data": "f*"},
}  # fmt: skip
_ZSTD = b"\x28\xb5\x2f\xfd"


def decoded(kind: Kind, data: bytes, joints: Sequence[str] = ()) -> Decoded:
    """A message.

    Args:
        kind: what the file says that it is. Where that names no type, the first that fits is taken.
        data: its bytes.
        joints: names of the numbers in a message without names.

    Raises:
        ValueError: if it is of another type or encoding, or damaged; says which.
    """
    if kind.type.endswith("/JointTrajectory"):
        raise ValueError(
            f"messages are {kind.type}: a plan, of which the controller makes commands; record its state, "
            f"which tells them ({CONTROLLER_STATE}, on ~/controller_state or ~/state)"
        )
    if kind.foreign:
        raise ValueError(
            f"messages are {kind.type}, which tells nothing of joints; known: {', '.join(_SHAPES)}"
        )
    if kind.encoding not in ENCODINGS:
        raise ValueError(f"messages are encoded as {kind.encoding!r}; known: {', '.join(ENCODINGS)}")
    if data.startswith(_ZSTD):
        raise ValueError(
            "every message is compressed by itself; write the bag again with compression_mode none"
        )
    if kind.known.endswith("MultiArray") and not joints:
        raise _unnamed(kind.type)
    table = _from_json(data) if kind.encoding == "json" else _from_bytes(kind, data)
    try:
        state = _message(table, joints, False)
        return Decoded(state, _message(table, joints, True) if _is_of_both(table) else state)
    except (AttributeError, KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(f"not a message on joints: {error!r}") from error


def _from_json(data: bytes) -> dict[str, Any]:
    try:
        table = json.loads(data)
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error
    if not isinstance(table, dict):
        raise ValueError(f"not a message on joints: {str(table)[:40]!r}")
    return table


def _from_bytes(kind: Kind, data: bytes) -> dict[str, Any]:
    if kind.known:
        return _Reader(kind.encoding, data).message(_SHAPES[kind.known], whole=kind.known != CONTROLLER_STATE)
    for widest in (8, 4):
        for shape in _SHAPES.values():
            try:
                return _Reader(kind.encoding, data, widest).message(shape)
            except ValueError:
                continue
    named = f"of type {kind.type!r}" if kind.type else "without a type"
    raise ValueError(f"messages {named} fit none of {', '.join(_SHAPES)}")


def _is_of_both(table: Mapping[str, Any]) -> bool:
    """Whether it tells apart where joints are and where they should be."""
    return "joint_names" in table and "interface_values" not in table


def _message(table: Mapping[str, Any], joints: Sequence[str], goal: bool) -> JointMessage:
    if "data" in table:
        return _of_array(tuple(map(float, table["data"])), joints)
    header = table.get("header") or {}
    stamp = header.get("stamp") or {}
    # ROS 1 in JSON says secs and nsecs
    seconds, nanoseconds = stamp.get("sec", stamp.get("secs", 0)), stamp.get("nanosec", stamp.get("nsecs", 0))
    when = int(seconds) * 10**9 + int(nanoseconds)
    if "interface_values" in table:
        return _of_interfaces(when, table)
    if _is_of_both(table):
        keys = ("reference", "desired") if goal else ("feedback", "actual")
        point: Mapping[str, Any] = next((table[key] for key in keys if key in table), {})
        names, signals = table["joint_names"], ("positions", "velocities", "effort")
    else:
        point, names, signals = table, table["name"], ("position", "velocity", "effort")
    return JointMessage(when, _names(names), *(_numbers(point.get(key)) for key in signals))


def _of_array(numbers: tuple[float, ...], joints: Sequence[str]) -> JointMessage:
    if not joints:
        raise _unnamed("std_msgs/Float64MultiArray, as it seems")
    if len(joints) != len(numbers):
        raise ValueError(f"the message has {len(numbers)} numbers, and {len(joints)} joints are named for it")
    return JointMessage(0, tuple(joints), numbers)


def _unnamed(kind: str) -> ValueError:
    return ValueError(
        f"messages are {kind}: numbers without names; name their joints in order, as command_joints or "
        "state_joints in a mapping.toml"
    )


def _of_interfaces(stamp: int, table: Mapping[str, Any]) -> JointMessage:
    """The joints that have a position; of the others, such as of a sensor, nothing is taken."""
    pairs = zip(_names(table["joint_names"]), table["interface_values"], strict=True)
    values = {
        name: dict(zip(entry["interface_names"], map(float, entry["values"]), strict=True))
        for name, entry in pairs
    }
    held = {name: entry for name, entry in values.items() if "position" in entry}

    def signal(key: str) -> tuple[float, ...]:
        return tuple(entry[key] for entry in held.values() if key in entry)

    rest = (signal(key) if len(signal(key)) == len(held) else () for key in ("velocity", "effort"))
    return JointMessage(stamp, tuple(held), signal("position"), *rest)


def _names(values: Sequence[object]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"not a message on joints: names are {str(values)[:40]!r}")
    return tuple(map(str, values))


def _numbers(values: Sequence[float | None] | None) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in values or ())


@lru_cache(maxsize=256)
def _form(kinds: str) -> tuple[struct.Struct, int]:
    """How numbers are read, and the size of the first, in bytes."""
    return struct.Struct(kinds), struct.calcsize(f"={kinds[1:2]}")


class _Reader:
    """A cursor over the bytes of a message.

    CDR aligns numbers to their size, counted after a head of 4 bytes, and ends texts with a zero; ROS 1 does
    neither, and puts a number before every stamp of a header.
    """

    def __init__(self, encoding: str, data: bytes, widest: int = 8) -> None:
        self.ros1 = encoding == "ros1"
        if not self.ros1 and (len(data) < 4 or data[0] != 0 or data[1] not in (0, 1, 6, 7)):
            raise ValueError("not plain CDR")
        self.data, self.at = data if self.ros1 else data[4:], 0
        self.order = "<" if self.ros1 or data[1] % 2 else ">"
        self.widest = 4 if not self.ros1 and data[1] > 1 else widest  # the second version of CDR aligns to 4

    def message(self, shape: Mapping[str, object], whole: bool = True) -> dict[str, Any]:
        """The message; ``whole`` refuses bytes behind it, those aside that fill up to 8."""
        table: dict[str, Any] = self._table(shape)
        if whole and len(self.data) - self.at >= 8:
            raise ValueError(f"the message goes on for {len(self.data) - self.at} bytes behind its end")
        return table

    def _table(self, shape: Mapping[str, object]) -> dict[str, Any]:
        if self.ros1 and shape is _HEADER:
            self.numbers("I")
        return {key: self._value(kind) for key, kind in shape.items()}

    def _value(self, kind: object) -> object:
        if isinstance(kind, Mapping):
            return self._table(kind)
        if isinstance(kind, list):
            return [self._table(kind[0]) for _ in range(self.count(4))]
        if kind == "stamp":
            seconds, nanoseconds = self.numbers("iI")
            return {"sec": seconds, "nanosec": nanoseconds}
        if kind == "s":
            return self.text()
        if kind == "s*":
            return [self.text() for _ in range(self.count(4))]
        letter = str(kind)[0]
        if str(kind).endswith("*"):
            count = self.count(_form(self.order + letter)[1])
            return list(self.numbers(letter * count)) if count else []
        return self.numbers(letter)[0]

    def numbers(self, kinds: str) -> tuple[float, ...]:
        form, size = _form(self.order + kinds)
        if not self.ros1:
            self.at += -self.at % min(self.widest, size)
        if self.at + form.size > len(self.data):
            raise ValueError("the message ends too early")
        found = form.unpack_from(self.data, self.at)
        self.at += form.size
        return found

    def count(self, size: int) -> int:
        """Length of a sequence; refused where so many items can't follow."""
        (count,) = self.numbers("I")
        if count * size > len(self.data) - self.at:
            raise ValueError("the message ends too early")
        return int(count)

    def text(self) -> str:
        length = self.count(1)
        raw = self.data[self.at : self.at + length]
        self.at += length
        return raw.rstrip(b"\0").decode("utf-8")
