from pathlib import Path

import numpy as np
import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import Recording


def recording(**changes):
    values = np.linspace(0.0, 1.0, 10).reshape(5, 2)
    given = {
        "name": "wave",
        "joints": ("hip", "knee"),
        "time": np.arange(5) * 0.02,
        "command": values,
        "position": values + 0.1,
    }
    return Recording(**(given | changes))


def with_value(value, row=3, column=1):
    values = np.zeros((5, 2))
    values[row, column] = value
    return values


def test_a_good_recording_is_taken_as_it_is():
    good = recording(velocity=np.zeros((5, 2)))
    assert good.duration == pytest.approx(0.08)
    assert good.velocity is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("signal", ["command", "position", "velocity"])
def test_a_number_that_is_none_is_named_with_its_row_and_joint(signal, value):
    with pytest.raises(RecordingError, match=rf"{signal} of joint 'knee' is {value} in row 3"):
        recording(**{signal: with_value(value)})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"position": np.zeros((4, 2))}, "position has 4 rows and time has 5"),
        ({"command": np.zeros((6, 2))}, "command has 6 rows and time has 5"),
        ({"time": np.arange(7) * 0.02}, "command has 5 rows and time has 7"),
        ({"position": np.zeros((5, 3))}, "but there are 2 joints"),
        ({"velocity": np.zeros(5)}, "velocity has shape"),
        ({"joints": ("hip",)}, "but there are 1 joints"),
        ({"joints": ("hip", "hip")}, "'hip' is named twice"),
        ({"joints": ()}, "no joints"),
        ({"time": np.zeros((5, 1))}, "time has shape"),
        ({"time": np.array([0.0])}, "at least two stamps"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(RecordingError, match=says):
        recording(**changes)


@pytest.mark.parametrize(
    ("time", "says"),
    [
        ([0, 0.02, 0.01, 0.03, 0.04], "goes back from 0.020000 s to 0.010000 s in row 2"),
        ([0, 0.02, 0.04, 0.04, 0.06], "stamp 0.040000 s of row 3 is that of row 2 again"),
        ([0, 0.02, np.nan, 0.04, 0.06], "time in row 2 is nan"),
    ],
)
def test_time_must_grow(time, says):
    with pytest.raises(RecordingError, match=says):
        recording(time=np.array(time))


def test_the_message_names_the_file():
    with pytest.raises(RecordingError, match=r"logs.run7\.npz: "):
        recording(time=np.zeros(5), source=Path("logs") / "run7.npz")
