"""MCAP files, one motion each: joint states on one topic, joint commands on another.

Both carry messages shaped like ROS 2's ``sensor_msgs/msg/JointState``: ``name`` (k,), ``position``
(k,), ``velocity`` and ``effort`` (k,) or empty, and ``header.stamp`` with ``sec`` and ``nanosec``.
Encodings: ``json``, and ``cdr`` as ROS 2 writes it. Topics: ``/joint_states`` and
``/joint_commands``, or ``state_topic`` and ``command_topic`` of the mapping file. A message without
a stamp (0) has the time at which it was logged. Needs the package ``mcap``.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real.errors import MissingExtra, RecordingError
from sim2real.recordings.columns import LogMap
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray

STATE_TOPIC, COMMAND_TOPIC = "/joint_states", "/joint_commands"


@dataclass(frozen=True)
class JointMessage:
    """One message; ``stamp`` in ns."""

    stamp: int
    name: tuple[str, ...]
    position: tuple[float, ...]
    velocity: tuple[float, ...] = ()
    effort: tuple[float, ...] = ()


def read_mcap(path: Path, name: str, columns: LogMap | None = None) -> RawLog:
    """Read one motion.

    Args:
        path: the ``.mcap`` file.
        name: what to call the recording.
        columns: a mapping file that names other topics.

    Raises:
        RecordingError: for a truncated or foreign file, or one without both topics.
        MissingExtra: without the package ``mcap``.
    """
    text = {} if columns is None else columns.text
    topics = (text.get("state_topic", STATE_TOPIC), text.get("command_topic", COMMAND_TOPIC))
    states, commands = _messages(path, topics)
    joints = commands[0].name
    damage: list[Damage] = []
    state = _Topic(path, topics[0], states, joints, damage)
    command = _Topic(path, topics[1], commands, joints, damage)
    origin = min(states[0].stamp, commands[0].stamp)
    return RawLog(
        name=name,
        joints=joints,
        command_time=_stamps(commands, origin),
        command=command.table("position"),
        time=_stamps(states, origin),
        position=state.table("position"),
        velocity=state.optional("velocity"),
        effort=state.optional("effort"),
        damage=tuple(damage),
        source=path,
    )


def decode_cdr(data: bytes) -> JointMessage:
    """A ``sensor_msgs/msg/JointState`` in the plain CDR of ROS 2.

    Raises:
        ValueError: if the bytes are something else.
    """
    reader = _Cdr(data)
    seconds, nanoseconds = map(int, reader.numbers("iI"))
    reader.text()
    names = tuple(reader.text() for _ in range(reader.count(4)))
    position, velocity, effort = (reader.doubles() for _ in range(3))
    return JointMessage(seconds * 10**9 + nanoseconds, names, position, velocity, effort)


def decode_json(data: bytes) -> JointMessage:
    """The same message as JSON.

    Raises:
        ValueError: if the bytes are something else.
    """
    table = json.loads(data)
    try:
        stamp = table.get("header", {}).get("stamp", {})
        signals = [tuple(float(x) for x in table.get(key) or ()) for key in _SIGNALS]
        when = int(stamp.get("sec", 0)) * 10**9 + int(stamp.get("nanosec", 0))
        return JointMessage(when, tuple(map(str, table["name"])), *signals)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a JointState: {error!r}") from error


_SIGNALS = ("position", "velocity", "effort")
_DECODERS = {"cdr": decode_cdr, "json": decode_json}


def _messages(path: Path, topics: tuple[str, str]) -> list[list[JointMessage]]:
    try:
        from mcap.reader import make_reader
    except ImportError as error:
        raise MissingExtra("mcap", "recordings") from error
    found: dict[str, list[JointMessage]] = {topic: [] for topic in topics}
    others: set[str] = set()
    try:
        with path.open("rb") as file:
            reader = make_reader(file)
            summary = reader.get_summary()
            if summary is not None:
                others = {channel.topic for channel in summary.channels.values()}
            for _, channel, message in reader.iter_messages(topics=list(topics)):
                found[channel.topic].append(
                    _decoded(channel.message_encoding, message.data, message.log_time)
                )
    except Exception as error:  # the decompressors raise classes of their own
        raise RecordingError(
            f"{path}: not a readable MCAP file of joint states ({_said(error)}); is it cut off? "
            "Copy it again, or save what is there with `mcap recover`"
        ) from error
    missing = [topic for topic in topics if not found[topic]]
    if missing:
        raise RecordingError(
            f"{path}: no messages on {' and '.join(missing)}; it has {', '.join(sorted(others)) or 'none'}; "
            "name state_topic and command_topic in a mapping.toml"
        )
    return [found[topic] for topic in topics]


def _said(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def _decoded(encoding: str, data: bytes, logged: int) -> JointMessage:
    if encoding not in _DECODERS:
        raise ValueError(f"messages are encoded as {encoding!r}; known: {', '.join(_DECODERS)}")
    message = _DECODERS[encoding](data)
    if message.stamp:
        return message
    return JointMessage(logged, message.name, message.position, message.velocity, message.effort)


def _stamps(messages: list[JointMessage], origin: int) -> FloatArray:
    """Seconds since the origin, subtracted as whole ns: an epoch does not fit a float."""
    return np.array([message.stamp - origin for message in messages]) * 1e-9


@dataclass(frozen=True)
class _Topic:
    """Messages of one topic; a signal that does not fit is noted and becomes NaN."""

    path: Path
    name: str
    messages: list[JointMessage]
    joints: tuple[str, ...]
    damage: list[Damage]

    def table(self, signal: str) -> FloatArray:
        """One column per joint. Shape (n, k)."""
        values = np.full((len(self.messages), len(self.joints)), np.nan)
        bad = [i for i, message in enumerate(self.messages) if not self._fill(values[i], message, signal)]
        if bad:
            said = (
                f"{self.path}: message {bad[0]} on {self.name} has no {signal} for every one of "
                f"{', '.join(self.joints)} ({len(bad)} such messages)"
            )
            self.damage.append(Damage(said, tuple(bad)))
        return values

    def optional(self, signal: str) -> FloatArray | None:
        """None where no message has the signal."""
        known = any(getattr(message, signal) for message in self.messages)
        return self.table(signal) if known else None

    def _fill(self, row: FloatArray, message: JointMessage, signal: str) -> bool:
        numbers = getattr(message, signal)
        if len(numbers) != len(message.name):
            return False
        by_name = dict(zip(message.name, numbers, strict=True))
        row[:] = [by_name.get(joint, np.nan) for joint in self.joints]
        return all(joint in by_name for joint in self.joints)


class _Cdr:
    """A cursor over CDR bytes; numbers are aligned to their size, counted after the 4-byte head."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] not in (0, 1):
            raise ValueError("not plain CDR")
        self.data, self.at = data[4:], 0
        self.order = "<" if data[1] else ">"

    def numbers(self, kinds: str) -> tuple[float, ...]:
        size = struct.calcsize("=" + kinds[:1])
        self.at += -self.at % size
        form = self.order + kinds
        if self.at + struct.calcsize(form) > len(self.data):
            raise ValueError("the message ends too early")
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
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

    def doubles(self) -> tuple[float, ...]:
        count = self.count(8)
        return self.numbers("d" * count) if count else ()
