import json
import struct
import sys

import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType, IndexType, Writer

from sim2real.doctor import BAD_DATA, diagnose
from sim2real.errors import MissingExtra, RecordingError
from sim2real.recordings import load_recordings, read_raw
from sim2real.recordings.raw import trusted
from sim2real.recordings.ros_messages import Kind, decoded


def as_json(stamp, names, position, velocity):
    header = {"stamp": {"sec": stamp // 10**9, "nanosec": stamp % 10**9}}
    return json.dumps({"header": header, "name": names, "position": position, "velocity": velocity}).encode()


def as_cdr(stamp, names, position, velocity):
    """The message as ROS 2 puts it on the wire: numbers aligned to their size after a 4-byte head."""
    data = struct.pack("<iI", stamp // 10**9, stamp % 10**9)

    def text(data, value):
        data += b"\0" * (-len(data) % 4)
        return data + struct.pack("<I", len(value) + 1) + value.encode() + b"\0"

    def count(data, number):
        data += b"\0" * (-len(data) % 4)
        return data + struct.pack("<I", number)

    data = count(text(data, "base"), len(names))
    for name in names:
        data = text(data, name)
    for numbers in (position, velocity, []):
        data = count(data, len(numbers))
        if numbers:
            data += b"\0" * (-len(data) % 8)
            data += struct.pack(f"<{len(numbers)}d", *numbers)
    return b"\0\1\0\0" + data


ENCODERS = {"json": as_json, "cdr": as_cdr}


@pytest.fixture
def write_mcap(tmp_path, motion):
    def write(
        encoding="json", late=3_000_000, every=1, names=None, topics=("/joint_states", "/joint_commands")
    ):
        path = tmp_path / "run.mcap"
        names = names or motion["joints"]
        with path.open("wb") as file:
            writer = Writer(file, compression=CompressionType.ZSTD)
            writer.start()
            schema = writer.register_schema("sensor_msgs/msg/JointState", "jsonschema", b"{}")
            state, command = (writer.register_channel(topic, encoding, schema) for topic in topics)
            for i, microseconds in enumerate(motion["stamps"]):
                stamp = 1_700_000_000_000_000_000 + round(microseconds * 1000)
                encode = ENCODERS.get(encoding, as_json)
                goal = encode(stamp, motion["joints"], motion["command"][i], [])
                if i % every == 0:
                    writer.add_message(command, stamp, goal, stamp)
                stamp += late
                read = encode(stamp, names, motion["position"][i], motion["velocity"][i])
                writer.add_message(state, stamp, read, stamp)
            writer.finish()
        return path

    return write


@pytest.mark.parametrize("encoding", ["json", "cdr"])
def test_both_streams_keep_their_stamps(write_mcap, motion, encoding):
    [run] = load_recordings(write_mcap(encoding))
    assert run.name == "run"
    assert run.joints == tuple(motion["joints"])
    stamps = np.array(motion["stamps"]) * 1e-6
    assert run.time == pytest.approx(stamps - stamps[0], abs=2e-9)  # an epoch of 1.7e18 ns loses nothing
    assert run.measured_at - run.time == pytest.approx(np.full(40, 0.003), abs=2e-9)
    for signal in ("command", "position", "velocity"):
        assert np.array_equal(getattr(run, signal), motion[signal])


@pytest.mark.parametrize("encoding", ["json", "cdr"])
def test_a_simulations_clock_begins_at_0(write_mcap, motion, encoding, monkeypatch):
    """A first stamp of 0 is one; of messages that all have none, the log's stamps are taken."""
    right, epoch = ENCODERS[encoding], 1_700_000_000_000_000_000
    begin = epoch + round(motion["stamps"][0] * 1000)
    monkeypatch.setitem(ENCODERS, encoding, lambda stamp, *rest: right(stamp - begin, *rest))
    [run] = load_recordings(write_mcap(encoding, late=0))
    stamps = np.array(motion["stamps"]) * 1e-6
    assert run.time == pytest.approx(stamps - stamps[0], abs=2e-9)
    monkeypatch.setitem(ENCODERS, encoding, lambda stamp, *rest: right(0, *rest))
    [run] = load_recordings(write_mcap(encoding, late=0))
    assert run.time == pytest.approx(stamps - stamps[0], abs=2e-9)


def test_states_that_name_no_joint_are_refused(write_mcap, monkeypatch):
    def nameless(stamp, names, position, velocity):
        return as_json(stamp, [] if velocity else names, position, velocity)

    monkeypatch.setitem(ENCODERS, "json", nameless)
    with pytest.raises(RecordingError, match=r"no message on /joint_states names a joint.*state_joints"):
        load_recordings(write_mcap("json"))


def test_a_slower_command_holds(write_mcap, motion):
    [run] = load_recordings(write_mcap(every=4))
    assert run.state_time is None
    assert np.array_equal(run.command, np.repeat(np.array(motion["command"])[::4], 4, axis=0))
    assert np.array_equal(run.position, motion["position"])


def test_measurements_before_the_first_command_are_left_out(write_mcap, motion):
    [run] = load_recordings(write_mcap(late=-1_000_000))
    assert np.array_equal(run.position, motion["position"][1:])
    assert np.array_equal(run.command, motion["command"][:-1])


def test_columns_go_by_name(write_mcap, motion):
    [run] = load_recordings(write_mcap(names=motion["joints"][::-1]))
    assert np.array_equal(run.position, np.array(motion["position"])[:, ::-1])


def test_other_topics_are_named_in_a_mapping(write_mcap, tmp_path):
    path = write_mcap(topics=("/arm/state", "/arm/goal"))
    held = r"/arm/goal \(sensor_msgs/msg/JointState\), /arm/state"
    with pytest.raises(
        RecordingError, match=f"no messages on /joint_states and /joint_commands; it has {held}"
    ):
        load_recordings(path)
    (tmp_path / "mapping.toml").write_text(
        'state_topic = "/arm/state"\ncommand_topic = "/arm/goal"\n[joints.jaw]\nsource = "Jaw"\n'
    )
    [run] = load_recordings(path)
    assert run.joints == ("jaw",)


def test_a_joint_that_is_not_measured_is_damage(write_mcap):
    path = write_mcap(names=["Rotation", "Pitch", "Elbow", "Wrist_Pitch", "Wrist_Roll", "Claw"])
    with pytest.raises(
        RecordingError,
        match=r"no message of the states has joint 'Jaw', which is commanded \(they have 'Claw'",
    ):
        load_recordings(path)
    [log] = read_raw(path)
    assert np.isnan(log.position[:, 5]).all()
    assert not np.isnan(log.position[:, :5]).any()


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.01, 0.3, 0.9, 0.9995])
def test_a_truncated_file_is_refused(write_mcap, kept):
    path = write_mcap()
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(RecordingError, match=r"run\.mcap: not a readable MCAP file .*Copy it again"):
        load_recordings(path)


@pytest.mark.parametrize(
    ("encoding", "says"), [("protobuf", "are encoded as 'protobuf'; known: cdr"), ("cdr", "not plain CDR")]
)
def test_messages_of_another_kind_are_refused(write_mcap, encoding, says, monkeypatch):
    monkeypatch.setitem(ENCODERS, "cdr", as_json)
    with pytest.raises(RecordingError, match=f"message 0 on /joint_states can't be read: .*{says}"):
        load_recordings(write_mcap(encoding))


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_a_short_cdr_message_is_refused(cut):
    whole = as_cdr(5, ["a", "bc"], [1.0, 2.0], [])
    kind = Kind("sensor_msgs/msg/JointState", "cdr")
    assert decoded(kind, whole).state.position == (1.0, 2.0)
    with pytest.raises(ValueError, match=r"ends too early|not plain CDR"):
        decoded(kind, whole[: min(cut, len(whole) - 20)])


def test_without_the_package_it_says_what_to_install(write_mcap, monkeypatch):
    path = write_mcap()
    monkeypatch.setitem(sys.modules, "mcap.reader", None)
    with pytest.raises(MissingExtra, match=r"sim2real\[recordings\]"):
        load_recordings(path)


class Wire:
    """Bytes of a message, written field by field: CDR, or with ``ros1`` what ROS 1 writes."""

    def __init__(self, ros1=False, big=False, widest=8):
        self.ros1, self.order, self.widest = ros1, ">" if big else "<", widest
        self.body = bytearray()
        kind = {8: 0, 4: 6}[widest] + (not big)
        self.head = b"" if ros1 else bytes([0, kind, 0, 0])

    def number(self, kind, *values):
        size = min(self.widest, struct.calcsize("=" + kind))
        for value in values:
            self.body += b"\0" * (0 if self.ros1 else -len(self.body) % size)
            self.body += struct.pack(self.order + kind, value)
        return self

    def text(self, value):
        raw = value.encode() + (b"" if self.ros1 else b"\0")
        self.number("I", len(raw)).body.extend(raw)
        return self

    def texts(self, values):
        self.number("I", len(values))
        for value in values:
            self.text(value)
        return self

    def row(self, values):
        return self.number("I", len(values)).number("d", *values)

    def header(self, stamp):
        if self.ros1:
            self.number("I", 7)
        return self.number("I", stamp // 10**9, stamp % 10**9).text("base")

    def point(self, values):
        return self.row(values).row([]).row([]).row([]).number("I", 0, 0)

    def done(self):
        return self.head + bytes(self.body)


def joint_state(stamp, names, position, wire=None):
    return (wire or Wire()).header(stamp).texts(names).row(position).row([]).row([]).done()


def controller_state(stamp, names, goal, real):
    wire = Wire().header(stamp).texts(names)
    for values in (goal, real, np.subtract(goal, real), [0.0] * len(goal)):  # the last is newer than the type
        wire.point(values)
    return wire.done()


def dynamic_state(stamp, names, position):
    wire = Wire().header(stamp).texts([*names, "battery"]).number("I", len(names) + 1)
    for value in position:
        wire.texts(["position", "temperature"]).row([value, 40.0])
    return wire.texts(["voltage"]).row([24.0]).done()


def array(values):
    return Wire().number("I", 1).text("joints").number("I", len(values), 1, 0).row(values).done()


JOINT_STATE, ARRAY = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
CONTROLLER = "control_msgs/msg/JointTrajectoryControllerState"
NAMES = ("a", "b", "jaw")
EPOCH = 1_719_500_000_000_000_000
STEP = 20_000_000


def at(k):
    return EPOCH + k * STEP


def angles(k):
    return [float(np.sin(0.05 * k)), float(np.cos(0.05 * k)), 0.01 * k]


@pytest.fixture
def bag(tmp_path):
    """Writes messages (topic, type, ns, bytes) and returns the file."""

    def write(messages, name="run.mcap", encoding="cdr", **options):
        path = tmp_path / name
        with path.open("wb") as file:
            writer = Writer(file, **options)
            writer.start()
            channels = {}
            for topic, kind, stamp, data in sorted(messages, key=lambda m: m[2]):
                if (topic, kind) not in channels:
                    schema = writer.register_schema(kind, "ros2msg", b"")
                    channels[topic, kind] = writer.register_channel(topic, encoding, schema)
                writer.add_message(channels[topic, kind], stamp, data, stamp)
            writer.finish()
        return path

    return write


def commands(count=100):
    return [
        ("/joint_commands", JOINT_STATE, at(k), joint_state(at(k), NAMES, angles(k + 5)))
        for k in range(count)
    ]


def states(count):
    return [("/joint_states", JOINT_STATE, at(k), joint_state(at(k), NAMES, angles(k))) for k in range(count)]


@pytest.mark.parametrize("topic", ["/joint_states", "/gripper/joint_states"])
@pytest.mark.parametrize("every", [1, 4])
def test_a_gripper_on_messages_of_its_own_is_merged_by_time(bag, topic, every):
    messages = commands()
    for k in range(100):
        messages.append(("/joint_states", JOINT_STATE, at(k), joint_state(at(k), NAMES[:2], angles(k)[:2])))
        if k % every == 0:
            stamp = at(k) + 5_000_000
            jaw = joint_state(stamp, NAMES[2:], [0.01 * (k + 0.25)])  # where it is a quarter of a step later
            messages.append((topic, JOINT_STATE, stamp, jaw))
    [log] = read_raw(bag(messages))
    assert log.joints == NAMES
    assert not log.damage
    rows = np.rint(log.time / 0.02).astype(int)
    assert len(rows) == 100
    assert log.position[:, :2] == pytest.approx(np.array([angles(k)[:2] for k in rows]), abs=0)
    assert log.position[1:97, 2] == pytest.approx(0.01 * rows[1:97], abs=1e-9)
    assert "jaw come on messages of their own" in log.notes[0]


@pytest.mark.parametrize(
    ("lost", "says", "rows"),
    [
        (range(30, 32), "", 0),  # two messages of a part are between others
        (range(30, 60), r"jaw has no message for 0\.62 s after 0\.58 s \(1 such\), where its place", 30),
        (range(60, 100), "", 0),
    ],
)
def test_a_part_that_stops_for_a_while_is_not_made_up(bag, lost, says, rows):
    messages = commands()
    for k in range(100):
        messages.append(("/joint_states", JOINT_STATE, at(k), joint_state(at(k), NAMES[:2], angles(k)[:2])))
        if k not in lost:
            jaw = joint_state(at(k), NAMES[2:], angles(k)[2:])
            messages.append(("/gripper/joint_states", JOINT_STATE, at(k), jaw))
    [log] = read_raw(bag(messages))
    assert sum(len(damage.rows) for damage in log.damage) == rows
    assert ("39 rows before or after all of them are left out" in log.notes[0]) == (lost.stop == 100)
    if says:
        with pytest.raises(RecordingError, match=says):
            trusted(log)
    else:
        assert trusted(log).joints == NAMES


def test_commands_of_speeds_are_named(bag):
    messages = states(20)
    for k in range(20):
        speeds = Wire().header(at(k)).texts(NAMES).row([]).row([0.1] * len(NAMES)).row([]).done()
        messages.append(("/joint_commands", JOINT_STATE, at(k), speeds))
    path = bag(messages)
    with pytest.raises(
        RecordingError, match=r"commands has a position of 'a', 'b', 'jaw'; commanded joint pos"
    ):
        load_recordings(path)
    assert diagnose(read_raw(path)).verdict == BAD_DATA


def test_a_joint_that_two_topics_tell_differently_is_refused(bag):
    sides = [
        (f"/{side}/joint_states", JOINT_STATE, at(k), joint_state(at(k), NAMES, angles(k)))
        for side in ("left", "right")
        for k in range(50)
    ]
    path = bag([*sides, *commands()])
    with pytest.raises(RecordingError, match="joint 'a' is on /left/joint_states and on /right/"):
        load_recordings(path)
    (path.parent / "mapping.toml").write_text(
        'state_topic = "/right/joint_states"\n' + "".join(f"[joints.{name}]\n" for name in NAMES)
    )
    assert len(load_recordings(path)[0].time) == 50


def test_commands_in_parts_hold(bag):
    messages = [
        ("/joint_states", JOINT_STATE, at(k), joint_state(at(k), NAMES, angles(k))) for k in range(60)
    ]
    for k in range(60):
        part, values = (NAMES[:2], angles(k)[:2]) if k % 2 else (NAMES[2:], angles(k)[2:])
        messages.append(("/joint_commands", JOINT_STATE, at(k), joint_state(at(k), part, values)))
    [run] = load_recordings(bag(messages))
    assert run.joints == ("jaw", "a", "b")
    assert np.array_equal(run.command[0], [angles(0)[2], *angles(1)[:2]])  # the state of stamp 1 is the first
    assert np.array_equal(run.command[9], [angles(10)[2], *angles(9)[:2]])


def test_commands_of_one_stamp_in_messages_of_their_own_are_one_row(bag):
    messages = [
        ("/joint_commands", JOINT_STATE, at(k), joint_state(at(k), [name], [value]))
        for k in range(40)
        for name, value in zip(NAMES, angles(k), strict=True)
    ]
    [log] = read_raw(bag([*states(40), *messages]))
    assert np.array_equal(log.command, [angles(k) for k in range(40)])


def test_a_controllers_state_tells_both(bag):
    path = bag(
        [
            ("/arm/state", CONTROLLER, at(k), controller_state(at(k), NAMES, angles(k + 5), angles(k)))
            for k in range(40)
        ]
    )
    [run] = load_recordings(path)
    assert np.array_equal(run.command, [angles(k + 5) for k in range(40)])
    assert np.array_equal(run.position, [angles(k) for k in range(40)])


def test_dynamic_joint_states_and_arrays_are_read(bag):
    messages = [
        (
            "/joint_states", "control_msgs/msg/DynamicJointState", at(k),
            dynamic_state(at(k), NAMES, angles(k)),
        )
        for k in range(40)
    ]  # fmt: skip
    messages += [("/joint_commands", ARRAY, at(k), array(angles(k)[::-1])) for k in range(40)]
    path = bag(messages)
    with pytest.raises(RecordingError, match="std_msgs/msg/Float64MultiArray: numbers without names; name"):
        load_recordings(path)
    mapping = path.parent / "mapping.toml"
    joints = "".join(f"[joints.{name}]\n" for name in NAMES)
    mapping.write_text('command_joints = ["jaw", "b"]\n' + joints)
    with pytest.raises(RecordingError, match="the message has 3 numbers, and 2 joints are named"):
        load_recordings(path)
    mapping.write_text('command_joints = ["jaw", "b", "a"]\n' + joints)
    [run] = load_recordings(path)
    assert run.joints == NAMES
    assert np.array_equal(run.command, run.position)
    mapping.write_text('command_joints = ["jaw", "b", "a"]\n')
    [same] = load_recordings(path)
    assert np.array_equal(same.command, run.command[:, [NAMES.index(joint) for joint in same.joints]])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("sensor_msgs/msg/Image", "messages are sensor_msgs/msg/Image, which tells nothing of joints"),
        ("trajectory_msgs/msg/JointTrajectory", "JointTrajectory: a plan, .* record its state, which tells"),
        (ARRAY, "messages are std_msgs/msg/Float64MultiArray: numbers without names"),
        ("x", "messages are std_msgs/Float64MultiArray, as it seems: numbers without names"),
    ],
)
def test_other_messages_are_named_as_what_they_are(bag, kind, says):
    messages = states(9)
    messages += [("/joint_commands", kind, at(k), array(angles(k))) for k in range(9)]
    with pytest.raises(RecordingError, match=says):
        load_recordings(bag(messages))


@pytest.mark.parametrize("wire", [{"ros1": True}, {"big": True}, {"widest": 4}, {"widest": 4, "big": True}])
def test_every_way_to_write_a_message_reads_alike(wire):
    data = joint_state(at(3), NAMES, angles(3), Wire(**wire))
    for kind in ("sensor_msgs/msg/JointState", "sensor_msgs/JointState", "x", ""):
        encoding = "ros1" if wire.get("ros1") else "cdr"
        found = decoded(Kind(kind, encoding), data).state
        assert (found.stamp, found.name, found.position) == (at(3), NAMES, tuple(angles(3)))


@pytest.mark.parametrize("ending", ["mcap.zstd", "mcap.zst"])
def test_a_file_compressed_as_a_whole_is_read(write_mcap, motion, tmp_path, ending):
    path = write_mcap()
    packed = tmp_path / "packed" / f"run.{ending}"
    packed.parent.mkdir()
    packed.write_bytes(zstandard.compress(path.read_bytes()))
    [run] = load_recordings(packed.parent)
    assert run.name == "run"
    assert np.array_equal(run.position, motion["position"])
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(RecordingError, match="not a readable MCAP file"):
        load_recordings(packed)


@pytest.mark.parametrize("columns", [slice(None), slice(5, 6)])
def test_what_is_nan_throughout_was_not_measured(write_mcap, motion, columns):
    velocity = np.array(motion["velocity"])
    velocity[:, columns] = np.nan
    motion["velocity"] = velocity.tolist()
    [log] = read_raw(write_mcap("cdr"))
    assert log.velocity is None
    assert "not measured, so it is left out" in log.notes[0]
    assert load_recordings(log.source)[0].velocity is None


def test_a_joint_that_a_message_names_twice_is_refused(bag):
    messages = [("/joint_states", JOINT_STATE, at(k), joint_state(at(k), NAMES, angles(k))) for k in range(9)]
    twice = ("a", "b", "a")
    messages += [
        ("/joint_commands", JOINT_STATE, at(k), joint_state(at(k), twice, angles(k))) for k in range(9)
    ]
    with pytest.raises(RecordingError, match="message 0 on /joint_commands names joint 'a' twice"):
        load_recordings(bag(messages))


@pytest.mark.parametrize(
    "options",
    [
        {"repeat_channels": False, "repeat_schemas": False},
        {"repeat_channels": False, "use_statistics": False, "use_summary_offsets": False},
        {"use_chunking": False},
        {"index_types": IndexType.NONE},
        {"compression": CompressionType.LZ4},
    ],
)
def test_every_way_to_write_a_file_reads_alike(bag, options):
    """A summary need not repeat the channels."""
    [run] = load_recordings(bag([*states(30), *commands(30)], **options))
    assert np.array_equal(run.position, [angles(k) for k in range(30)])
    assert np.array_equal(run.command, [angles(k + 5) for k in range(30)])


def test_messages_of_two_types_on_one_topic_are_named(bag):
    image = ("/joint_states", "sensor_msgs/msg/Image", at(3) + 1, array(angles(3)))
    with pytest.raises(
        RecordingError, match=r"message 4 on /joint_states can't be read: .*sensor_msgs/msg/Image"
    ):
        load_recordings(bag([*states(9), *commands(9), image]))


@pytest.mark.parametrize("speed", [0.5, 3.0])
@pytest.mark.parametrize("begin", [0, 10**9])
def test_messages_without_stamps_come_to_the_clock_of_the_others(bag, tmp_path, speed, begin):
    """A simulation's clock goes at another speed; commands come before and after the states."""
    (tmp_path / "mapping.toml").write_text('command_topic = "/goals"\ncommand_joints = ["a", "b", "jaw"]\n')
    logged = [EPOCH + round(k * STEP / speed) for k in range(40)]
    messages = [("/goals", ARRAY, stamp, array(angles(k + 5))) for k, stamp in enumerate(logged)]
    messages += [
        ("/joint_states", JOINT_STATE, logged[k], joint_state(begin + k * STEP, NAMES, angles(k)))
        for k in range(3, 37)
    ]
    path = bag(messages)
    [run] = load_recordings(path)
    assert run.time == pytest.approx(run.time[0] + 0.02 * np.arange(34), abs=1e-8)
    assert run.measured_at == pytest.approx(run.time, abs=1e-8)
    assert np.array_equal(run.command, [angles(k + 5) for k in range(3, 37)])
    assert "messages on /goals have no stamps" in read_raw(path)[0].notes[0]


@pytest.mark.parametrize(("late", "says"), [(4, None), (300, "has others 299 ms after their stamps")])
def test_messages_without_stamps_keep_the_logs_time_where_that_is_the_stamps(bag, late, says):
    """Which come some ms before their messages are logged; many may be the way's or the clocks'."""
    plain = [("/joint_commands", JOINT_STATE, at(k), joint_state(0, NAMES, angles(k + 5))) for k in range(30)]
    late = [
        (
            "/joint_states",
            JOINT_STATE,
            at(k) + late * 1_000_000,
            joint_state(at(k) + 1_000_000, NAMES, angles(k)),
        )
        for k in range(30)
    ]
    [log] = read_raw(bag([*plain, *late]))
    assert len(log.notes) == (says is not None)
    assert (says or "") in "".join(log.notes)
    assert log.time - log.command_time == pytest.approx(np.full(30, 0.001), abs=1e-8)
