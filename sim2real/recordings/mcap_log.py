"""MCAP files, one motion each: joint states on some topics, joint commands on others.

States are on ``/joint_states``, and where that lacks a joint on other topics of that last name; commands on
``/joint_commands``, or topics of that last name; a trajectory controller's state tells both, where neither is
there. ``state_topic`` and ``command_topic`` of the mapping file name others. Types and encodings are those of
`sim2real.recordings.ros_messages`. A message without a stamp (0) has the time at which it was logged, brought
to the clock of the stamps where that is another one, as a simulation's.

States that come in parts are merged by time: rows are the messages of the part that comes most often, and the
other joints are linear between their own stamps. Commands hold until the next. Needs the package ``mcap``;
files that were compressed as a whole (``.mcap.zstd``) are read as well.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from sim2real.errors import MissingExtra, RecordingError
from sim2real.recordings.columns import LogMap
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray
from sim2real.recordings.ros_messages import CONTROLLER_STATE, JointMessage, Kind, decoded

COMPRESSED = (".zstd", ".zst")
_ZSTD = b"\x28\xb5\x2f\xfd"
_STATES, _COMMANDS = "joint_states", "joint_commands"
_SIGNALS = ("position", "velocity", "effort")
_LATE, _APART = 10**8, 10**9
"""ns by which messages may be logged after their stamps: without a word, and where both clocks may be one."""
_HOLE = 5  # periods without a message, over which nobody knows what a joint did


def read_mcap(path: Path, name: str, columns: LogMap | None = None) -> RawLog:
    """Read one motion.

    Args:
        path: the file.
        name: what to call the recording.
        columns: a mapping file that names other topics, or the joints of messages without names.

    Raises:
        RecordingError: for a truncated or foreign file, or one without states or without commands.
        MissingExtra: without the package ``mcap``.
    """
    lists = {} if columns is None else columns.lists
    bag = _Bag(path, lists)
    states, commands = bag.messages()
    joints = tuple(dict.fromkeys(joint for message in commands for joint in message.name))
    origin = min(message.stamp for message in (*states, *commands))
    goal, state = _Side("commands", commands, joints, origin), _Side("states", states, joints, origin)
    command_time, command = goal.held()
    time, position, velocity, effort = state.merged()
    damage = [Damage(f"{path}: {said}", rows) for said, rows in (*goal.faults, *state.faults)]
    return RawLog(
        name=name,
        joints=joints,
        command_time=command_time,
        command=command,
        time=time,
        position=position,
        velocity=velocity,
        effort=effort,
        damage=tuple(damage),
        notes=(*bag.notes, *state.notes),
        source=path,
    )


class _Bag:
    """The file, and which of its topics are read as what."""

    def __init__(self, path: Path, lists: Mapping[str, tuple[str, ...]]) -> None:
        self.path, self.lists = path, lists
        self.kinds: dict[str, Kind] = {}
        self.raw: dict[str, list[tuple[int, bytes, Kind]]] = {}
        self.clock: list[tuple[int, int]] = []
        """When messages were logged, and when their stamps say that they were sent, ns."""
        self.notes: list[str] = []
        try:
            from mcap.reader import NonSeekingReader, make_reader
        except ImportError as error:
            raise MissingExtra("mcap", "recordings") from error
        try:
            with self._opened() as file:
                reader = make_reader(file)
                summary = reader.get_summary()
                if summary is not None and not summary.channels:  # it need not repeat what the data hold
                    file.seek(0)
                    reader, summary = NonSeekingReader(file), None
                schemas = {} if summary is None else summary.schemas
                for channel in () if summary is None else summary.channels.values():
                    schema = schemas.get(channel.schema_id)
                    name = "" if schema is None else schema.name
                    self.kinds.setdefault(channel.topic, Kind(name, channel.message_encoding))
                wanted = None if summary is None else [*self._topics(False), *self._topics(True)]
                for schema, channel, message in reader.iter_messages(topics=wanted):
                    kind = Kind("" if schema is None else schema.name, channel.message_encoding)
                    self.kinds.setdefault(channel.topic, kind)
                    self.raw.setdefault(channel.topic, []).append((message.log_time, message.data, kind))
        except Exception as error:  # the decompressors raise classes of their own
            raise RecordingError(
                f"{path}: not a readable MCAP file ({str(error).strip() or type(error).__name__}); is it cut "
                "off? Copy it again, or save what is there with `mcap recover`"
            ) from error

    def _opened(self) -> IO[bytes]:
        file = self.path.open("rb")
        begin = file.read(len(_ZSTD))
        file.seek(0)
        if begin != _ZSTD:
            return file
        import zstandard

        with file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            return io.BytesIO(stream.read())

    def _topics(self, goal: bool) -> list[str]:
        """Topics of one side, the one that counts first."""
        given = self.lists.get("command_topic" if goal else "state_topic")
        if given:
            return list(given)
        last = _COMMANDS if goal else _STATES
        named = sorted(topic for topic in self.kinds if topic.rpartition("/")[2] == last)
        if f"/{last}" in named:
            named = [f"/{last}", *(topic for topic in named if topic != f"/{last}" and not goal)]
        return named or sorted(t for t, kind in self.kinds.items() if kind.known == CONTROLLER_STATE)

    def messages(self) -> tuple[list[JointMessage], list[JointMessage]]:
        """States and commands."""
        topics = {goal: self._topics(goal) for goal in (False, True)}
        missing = [
            topic
            for goal, names in topics.items()
            for topic in names or [f"/{_COMMANDS if goal else _STATES}"]
            if not self.raw.get(topic)
        ]
        if missing:
            held = ", ".join(f"{topic} ({kind.type or '?'})" for topic, kind in sorted(self.kinds.items()))
            raise RecordingError(
                f"{self.path}: no messages on {' and '.join(missing)}; it has {held or 'none'}; "
                "name state_topic and command_topic in a mapping.toml"
            )
        read = {
            (topic, goal): [self._decoded(topic, k, goal) for k in range(len(self.raw[topic]))]
            for goal, names in topics.items()
            for topic in names
        }
        told = [
            (topic, k, m.stamp) for (topic, _), found in read.items() for k, m in enumerate(found) if m.stamp
        ]
        self.clock = [(self.raw[topic][k][0], stamp) for topic, k, stamp in told]
        return self._side(topics[False], False, read), self._side(topics[True], True, read)

    def _side(
        self, topics: Sequence[str], goal: bool, read: Mapping[tuple[str, bool], list[JointMessage]]
    ) -> list[JointMessage]:
        """Messages of all topics by stamp; a joint that an earlier topic has is taken from there alone."""
        given = ("command_topic" if goal else "state_topic") in self.lists
        owner: dict[str, str] = {}
        messages: list[JointMessage] = []
        for topic in topics:
            found = self._stamped(read[topic, goal], topic)
            told = {joint for message in found for joint in message.name}
            new = told - set(owner)
            clash = sorted(joint for joint in told & set(owner) if owner[joint] != f"/{_STATES}")
            if clash and not given:
                raise RecordingError(
                    f"{self.path}: joint {clash[0]!r} is on {owner[clash[0]]} and on {topic}; name "
                    f"{'command_topic' if goal else 'state_topic'} in a mapping.toml"
                )
            owner |= dict.fromkeys(new, topic)
            messages += [part for message in found if (part := _only(message, new)).name]
        if not messages:
            raise RecordingError(
                f"{self.path}: no message on {' and '.join(topics)} names a joint; name them as "
                f"{'command_joints' if goal else 'state_joints'} in a mapping.toml"
            )
        return sorted(messages, key=lambda message: message.stamp) if len(topics) > 1 else messages

    def _stamped(self, messages: list[JointMessage], topic: str) -> list[JointMessage]:
        """Messages without a stamp get that of the log; but a simulation's clock begins at 0."""
        known = sorted({message.stamp for message in messages if message.stamp})
        unknown = [k for k, message in enumerate(messages) if not message.stamp]
        steps = [later - earlier for earlier, later in itertools.pairwise(known)]
        if not unknown or (unknown == [0] and steps and known[0] <= _HOLE * statistics.median(steps)):
            return messages
        when = [self.raw[topic][k][0] for k in unknown]
        late = statistics.median(logged - stamp for logged, stamp in self.clock) if self.clock else 0
        said = f"messages on {topic} have no stamps"
        if not -_LATE <= late <= _APART:  # none is logged before it is sent
            when = _on_clock(self.clock, when)
            said += ", and others another clock than the log: they have the time of those logged with them"
            self.notes.append(said)
        elif late > _LATE:
            said += (
                f" and have the time of the log, which has others {late / 1e6:.0f} ms after their stamps: "
            )
            self.notes.append(said + "either they come so late, or two clocks are that far apart")
        stamps = dict(zip(unknown, when, strict=True))
        return [dataclasses.replace(m, stamp=stamps.get(k, m.stamp)) for k, m in enumerate(messages)]

    def _decoded(self, topic: str, number: int, goal: bool) -> JointMessage:
        _, data, kind = self.raw[topic][number]
        names = self.lists.get("command_joints" if goal else "state_joints", ())
        try:
            found = decoded(kind, data, names)
        except ValueError as error:
            raise RecordingError(
                f"{self.path}: message {number} on {topic} can't be read: {error}"
            ) from error
        message = found.goal if goal else found.state
        twice = [joint for joint, count in Counter(message.name).items() if count > 1]
        if twice:
            raise RecordingError(f"{self.path}: message {number} on {topic} names joint {twice[0]!r} twice")
        return message


def _on_clock(clock: Sequence[tuple[int, int]], logged: Sequence[int]) -> list[int]:
    """When messages without stamps were sent, ns, by the clock of those with: of a simulation, for example.

    It may run at another speed, so their time is linear between that of the messages logged around them.
    """
    first, origin = min(clock)
    at, own = np.array([(a - first, stamp - origin) for a, stamp in sorted(clock)], dtype=np.float64).T
    when = np.array([a - first for a in logged], dtype=np.float64)
    rate = own[-1] / at[-1] if at[-1] else 1.0
    beyond = np.minimum(when, 0) + np.maximum(when - at[-1], 0)
    found = np.interp(when, at, own) + rate * beyond
    return [origin + round(ns) for ns in found.tolist()]


def _only(message: JointMessage, joints: set[str]) -> JointMessage:
    """What a message says of some joints."""
    if joints.issuperset(message.name):
        return message
    keep = [k for k, joint in enumerate(message.name) if joint in joints]

    def of(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(values[k] for k in keep) if len(values) == len(message.name) else values

    names = tuple(message.name[k] for k in keep)
    return JointMessage(message.stamp, names, of(message.position), of(message.velocity), of(message.effort))


@dataclass
class _Side:
    """Messages of states or of commands; what does not fit is noted and becomes NaN."""

    what: str
    messages: list[JointMessage]
    joints: tuple[str, ...]
    origin: int

    def __post_init__(self) -> None:
        """Nothing is noted yet."""
        self.faults: list[tuple[str, tuple[int, ...]]] = []
        self.notes: list[str] = []
        for signal in _SIGNALS:
            bad = [k for k, m in enumerate(self.messages) if len(getattr(m, signal)) not in (0, len(m.name))]
            if bad:
                message = self.messages[bad[0]]
                said = (
                    f"message {bad[0]} of the {self.what} has {len(getattr(message, signal))} numbers as "
                    f"{signal} of {len(message.name)} joints ({len(bad)} such messages)"
                )
                whole = len({frozenset(m.name) for m in self.messages}) == 1  # else messages are no rows
                self.faults.append((said, tuple(bad) if whole else ()))

    def held(self) -> tuple[FloatArray, FloatArray]:
        """Stamps and positions, each until the next; rows before every joint has one are left out."""
        time, table = self._stamps(self.messages), self._table(self.messages, "position")
        told = self._told(self.messages, "position")
        never = [joint for j, joint in enumerate(self.joints) if not told[:, j].any()]
        if never:
            said = (
                f"no message of the {self.what} has a position of {', '.join(map(repr, never))}; commanded "
                "joint positions are needed, not speeds or torques"
            )
            self.faults.append((said, ()))
        if told.all():
            return time, table
        last = np.maximum.accumulate(np.where(told, np.arange(len(table))[:, None], -1), axis=0)
        # parts of one stamp are one row
        known = (last >= 0).all(axis=1) & np.append(np.diff(time) != 0, True)
        return time[known], np.take_along_axis(table, last, axis=0)[known]

    def merged(self) -> tuple[FloatArray, FloatArray, FloatArray | None, FloatArray | None]:
        """Stamps of the part that comes most often, and the signals there, linear for the other joints."""
        parts = Counter(frozenset(set(m.name) & set(self.joints)) for m in self.messages)
        main = max(parts, key=lambda part: (bool(part), parts[part], len(part)))
        rows = [m for m in self.messages if frozenset(set(m.name) & set(self.joints)) == main]
        time = self._stamps(rows)
        never = [joint for joint in self.joints if not any(joint in part for part in parts)]
        if never:
            others = sorted({joint for m in self.messages for joint in m.name} - set(self.joints))
            said = (
                f"no message of the {self.what} has joint {', '.join(map(repr, never))}, which is commanded"
            )
            said += f" (they have {', '.join(map(repr, others))} besides)" if others else ""
            self.faults.append((said, ()))
        signals: dict[str, FloatArray] = {}
        inside = np.ones(len(time), dtype=bool)
        for signal in _SIGNALS:
            table = self._table(rows, signal)
            for j, joint in enumerate(self.joints):
                if joint not in main and joint not in never:
                    table[:, j], within = self._between(joint, signal, time)
                    inside &= within if signal == "position" else True
            signals[signal] = table
        self._tell(main, never, int(np.count_nonzero(~inside)))
        for joint in (joint for joint in self.joints if joint not in main and joint not in never):
            self._check_holes(joint, time[inside])
        known = [any(len(getattr(m, signal)) for m in self.messages) for signal in ("velocity", "effort")]
        return (
            time[inside],
            signals["position"][inside],
            signals["velocity"][inside] if known[0] else None,
            signals["effort"][inside] if known[1] else None,
        )

    def _between(self, joint: str, signal: str, time: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A joint's signal at other stamps, and which of those are no further than a period from its own."""
        having = self._having(joint, signal)
        if not having:
            return np.full(len(time), np.nan), np.zeros(len(time), dtype=bool)
        stamps = self._stamps(having)
        values = np.array([getattr(m, signal)[m.name.index(joint)] for m in having])
        order = np.argsort(stamps, kind="stable")
        stamps, values = stamps[order], values[order]
        period = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
        within = (time >= stamps[0] - period) & (time <= stamps[-1] + period)
        return np.interp(time, stamps, values), within

    def _having(self, joint: str, signal: str) -> list[JointMessage]:
        return [m for m in self.messages if joint in m.name and len(getattr(m, signal)) == len(m.name)]

    def _check_holes(self, joint: str, time: FloatArray) -> None:
        """Note where a joint's own messages are missing for so long that nothing lies between them."""
        stamps = np.sort(self._stamps(self._having(joint, "position")))
        steps = np.diff(stamps)
        wide = np.flatnonzero(steps > _HOLE * np.median(steps)) if len(steps) else ()
        rows = [
            row for k in wide for row in np.flatnonzero((time > stamps[k]) & (time < stamps[k + 1])).tolist()
        ]
        if rows:
            said = (
                f"{joint} has no message for {steps.max():.2f} s after {stamps[int(np.argmax(steps))]:.2f} s "
                f"({len(wide)} such), where its place would be made up; cut the recording there, or record "
                "again"
            )
            self.faults.append((said, tuple(rows)))

    def _tell(self, main: frozenset[str], never: Sequence[str], outside: int) -> None:
        others = [joint for joint in self.joints if joint not in main and joint not in never]
        if others:
            self.notes.append(
                f"{', '.join(others)} come on messages of their own; merged by time, linear between their "
                f"stamps, at those of {', '.join(joint for joint in self.joints if joint in main)}"
                + (f"; {outside} rows before or after all of them are left out" if outside else "")
            )

    def _stamps(self, messages: Sequence[JointMessage]) -> FloatArray:
        """Seconds since the origin, subtracted as whole ns: an epoch does not fit a float."""
        return np.array([message.stamp - self.origin for message in messages]) * 1e-9

    def _table(self, messages: Sequence[JointMessage], signal: str) -> FloatArray:
        """One column per joint, NaN where a message does not tell. Shape (n, k)."""
        values = np.full((len(messages), len(self.joints)), np.nan)
        for row, j, number in self._cells(messages, signal):
            values[row, j] = number
        return values

    def _told(self, messages: Sequence[JointMessage], signal: str) -> FloatArray:
        told = np.zeros((len(messages), len(self.joints)), dtype=bool)
        for row, j, _ in self._cells(messages, signal):
            told[row, j] = True
        return told

    def _cells(self, messages: Sequence[JointMessage], signal: str) -> Iterator[tuple[int, int, float]]:
        place = {joint: j for j, joint in enumerate(self.joints)}
        for row, message in enumerate(messages):
            numbers = getattr(message, signal)
            if len(numbers) == len(message.name):
                for joint, number in zip(message.name, numbers, strict=True):
                    if joint in place:
                        yield row, place[joint], number
