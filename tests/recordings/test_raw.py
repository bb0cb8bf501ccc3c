from dataclasses import replace

import numpy as np
import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import RawLog
from sim2real.recordings.raw import Damage, raw_of, trusted, unreadable

TIME = np.arange(6) * 0.1
VALUES = np.arange(6.0)[:, None]


@pytest.fixture
def log():
    return RawLog("run", ("hip",), TIME, VALUES, TIME, VALUES + 10, velocity=VALUES + 20)


def test_shared_stamps_make_one_row_each(log):
    run = trusted(log)
    assert run.state_time is None
    assert np.array_equal(run.velocity, VALUES + 20)


def test_a_measurement_after_each_command_keeps_both_stamps(log):
    run = trusted(replace(log, time=TIME + 0.03))
    assert np.array_equal(run.time, TIME)
    assert np.array_equal(run.measured_at, TIME + 0.03)
    assert np.array_equal(run.command, VALUES)


def test_otherwise_each_measurement_gets_the_command_in_force(log):
    """Against a loop over the commands."""
    read = np.array([-0.05, 0.0, 0.02, 0.25, 0.299, 0.7])
    run = trusted(replace(log, time=read))
    assert np.array_equal(run.time, read[1:])
    for i, now in enumerate(run.time):
        assert run.command[i] == max(
            value for stamp, value in zip(TIME, VALUES[:, 0], strict=True) if stamp <= now
        )
    assert np.array_equal(run.position[:, 0], [11, 12, 13, 14, 15])
    assert np.array_equal(run.velocity[:, 0], [21, 22, 23, 24, 25])


def test_clocks_that_do_not_meet_are_refused(log):
    with pytest.raises(RecordingError, match="0 of 6 measurements come after the first command"):
        trusted(replace(log, time=TIME - 5))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"command_time": TIME[::-1].copy()}, "time goes back"),
        ({"time": np.append(TIME[:-1], np.nan)}, "time in row 5 is nan"),
        ({"damage": (Damage("f.csv, line 3: cut off"), Damage("more"))}, r"^f\.csv, line 3: cut off$"),
    ],
)
def test_what_can_not_be_trusted_is_refused(log, changes, says):
    with pytest.raises(RecordingError, match=says):
        trusted(replace(log, **changes))


def test_nothing_readable_says_why(tmp_path):
    lost = unreadable("a", tmp_path, "a.npz: cut off")
    with pytest.raises(RecordingError, match=r"a\.npz: cut off"):
        trusted(lost)


def test_a_recording_goes_back_and_forth(recordings, same):
    late = replace(recordings[0], state_time=recordings[0].time + 0.003)
    for recording in (recordings[1], late):
        same(recording, trusted(raw_of(recording)))
