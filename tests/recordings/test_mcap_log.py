import json
import struct
import sys

import numpy as np
import pytest
from mcap.writer import CompressionType, Writer

from sim2real.errors import MissingExtra, RecordingError
from sim2real.recordings import load_recordings, read_raw
from sim2real.recordings.mcap_log import decode_cdr


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
    with pytest.raises(
        RecordingError, match=r"no messages on /joint_states and .* it has /arm/goal, /arm/state"
    ):
        load_recordings(path)
    (tmp_path / "mapping.toml").write_text(
        'state_topic = "/arm/state"\ncommand_topic = "/arm/goal"\n[joints.jaw]\nsource = "Jaw"\n'
    )
    [run] = load_recordings(path)
    assert run.joints == ("jaw",)


def test_a_joint_that_is_not_measured_is_damage(write_mcap):
    path = write_mcap(names=["Rotation", "Pitch", "Elbow", "Wrist_Pitch", "Wrist_Roll", "Claw"])
    with pytest.raises(RecordingError, match="message 0 on /joint_states has no position for every one of"):
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


@pytest.mark.parametrize("encoding", ["protobuf", "cdr"])
def test_messages_of_another_kind_are_refused(write_mcap, encoding, monkeypatch):
    monkeypatch.setitem(ENCODERS, "cdr", as_json)
    with pytest.raises(RecordingError, match="not a readable MCAP file of joint states"):
        load_recordings(write_mcap(encoding))


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_a_short_cdr_message_is_refused(cut):
    whole = as_cdr(5, ["a", "bc"], [1.0, 2.0], [])
    assert decode_cdr(whole).position == (1.0, 2.0)
    with pytest.raises(ValueError, match=r"ends too early|not plain CDR"):
        decode_cdr(whole[: min(cut, len(whole) - 20)])


def test_without_the_package_it_says_what_to_install(write_mcap, monkeypatch):
    path = write_mcap()
    monkeypatch.setitem(sys.modules, "mcap.reader", None)
    with pytest.raises(MissingExtra, match=r"sim2real\[recordings\]"):
        load_recordings(path)
