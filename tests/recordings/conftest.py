import dataclasses
import json

import numpy as np
import pytest

from sim2real.recordings import Recording

JOINTS = ("Rotation", "Pitch", "Elbow", "Wrist_Pitch", "Wrist_Roll", "Jaw")


@pytest.fixture
def motion():
    """A short motion as the SAGE project's collector would log it; every call a fresh copy."""
    rng = np.random.default_rng(7)
    stamps = 5.2 + 20060.0 * np.arange(40) + rng.uniform(-60, 60, 40)
    command = np.sin(stamps[:, None] * 1e-6 + np.arange(6)) / 3
    return {
        "joints": list(JOINTS),
        "stamps": list(stamps),
        "command": command.tolist(),
        "position": (command - 0.02).tolist(),
        "velocity": np.gradient(command, axis=0).tolist(),
    }


@pytest.fixture
def write_sage(tmp_path):
    def write(motion, name="wave"):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        control = [["type", "timestamp", "positions"]]
        state = [["type", "timestamp", "positions", "velocities", "torques"]]
        for stamp, positions in zip(motion["stamps"], motion["command"], strict=False):
            control.append(["CONTROL", str(stamp), quoted(positions)])
        for stamp, *lists in zip(motion["stamps"], motion["position"], motion["velocity"], strict=False):
            state.append(["STATE_MOTOR", str(stamp), *map(quoted, lists), quoted([0.0] * 6)])
        (folder / "control.csv").write_text("\n".join(map(",".join, control)) + "\n")
        (folder / "state_motor.csv").write_text("\n".join(map(",".join, state)) + "\n")
        (folder / "joint_list.txt").write_text("\n".join(motion["joints"]))
        events = f"EVENT,{motion['stamps'][0]},MOTION_START\nEVENT,{motion['stamps'][-1]},DISABLE\n"
        (folder / "event.csv").write_text("type,timestamp,event\n" + events)
        return folder

    return write


@pytest.fixture
def write_npz(tmp_path):
    def write(motion, name="wave", **changes):
        path = tmp_path / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            "time_us": np.rint(motion["stamps"]).astype(np.int64),
            "joints": np.array(motion["joints"]),
            "command": np.array(motion["command"], np.float32),
            "position": np.array(motion["position"], np.float32),
            "velocity": np.array(motion["velocity"], np.float32),
        } | changes
        np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
        return path

    return write


def quoted(numbers):
    return f'"{json.dumps(numbers)}"'


@pytest.fixture
def recordings(motion):
    """Two recordings with uneven stamps, velocities, units and a robot's name."""
    rng = np.random.default_rng(3)
    time = np.array(motion["stamps"]) * 1e-6
    first = Recording(
        name="one",
        joints=tuple(motion["joints"]),
        time=time,
        command=np.array(motion["command"]),
        position=np.array(motion["position"]) + rng.normal(0, 1e-3, (40, 6)),
        velocity=np.array(motion["velocity"]),
        units=("rad",) * 5 + ("fraction",),
        robot="so101",
    )
    return [first, dataclasses.replace(first, name="two", time=time + np.pi, command=first.command * 1.1)]


@pytest.fixture
def same():
    """Asserts that two recordings hold the same bits, names aside."""

    def check(one, other):
        assert (one.joints, one.units, one.robot) == (other.joints, other.units, other.robot)
        for signal in ("time", "command", "position", "velocity", "state_time"):
            a, b = getattr(one, signal), getattr(other, signal)
            assert (a is None) == (b is None)
            if a is not None:
                assert a.dtype == b.dtype == np.float64
                assert a.tobytes() == b.tobytes(), signal

    return check
