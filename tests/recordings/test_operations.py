import dataclasses

import numpy as np
import pytest

from sim2real.errors import RecordingError, UnknownName
from sim2real.recordings import Recording, Rescaling, resample, rescale


def test_an_even_grid_is_left_as_it_is():
    time = np.arange(50) / 50
    values = np.sin(time)[:, None]
    even = Recording("even", ("a",), time, values, values + 1, velocity=values * 2)
    again = resample(even, 50)
    for signal in ("time", "command", "position", "velocity"):
        assert getattr(again, signal) == pytest.approx(getattr(even, signal), abs=1e-12)


def test_commands_hold_and_measurements_are_linear(recordings):
    """Against a loop over the grid."""
    recording = dataclasses.replace(recordings[0], state_time=recordings[0].time + 0.004)
    fine = resample(recording, 333.0)
    assert fine.state_time is None
    assert fine.rate == pytest.approx(333.0)
    for i, now in enumerate(fine.time):
        row = max(j for j, stamp in enumerate(recording.time) if stamp <= now + 1e-9)
        assert np.array_equal(fine.command[i], recording.command[row])
        later = min(max(int(np.searchsorted(recording.measured_at, now)), 1), 39)
        before, after = recording.measured_at[later - 1 : later + 1]
        part = np.clip((now - before) / (after - before), 0, 1)
        mixed = recording.position[later - 1] * (1 - part) + recording.position[later] * part
        assert fine.position[i] == pytest.approx(mixed, abs=1e-12)
    assert recording.time[-1] - fine.time[-1] < 1 / 333


@pytest.mark.parametrize("rate", [0.0, -5.0, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(recordings, rate):
    with pytest.raises(RecordingError, match="give a rate above 0"):
        resample(recordings[0], rate)


def test_a_rate_that_leaves_one_row_is_refused(recordings):
    with pytest.raises(RecordingError, match=r"less than one period at 1 Hz; give more than 1\.28 Hz"):
        resample(recordings[0], 1)


def test_scale_sign_and_offset_are_explicit(recordings):
    first = recordings[0]
    changed = rescale(first, {"Jaw": Rescaling(-2.336, 0.5, "rad")})
    assert changed.units == ("rad",) * 6
    assert np.array_equal(changed.command[:, 5], first.command[:, 5] * -2.336 + 0.5)
    assert np.array_equal(changed.position[:, :5], first.position[:, :5])
    assert np.array_equal(changed.velocity[:, 5], first.velocity[:, 5] * -2.336)


def test_a_misspelt_joint_gets_a_hint(recordings):
    with pytest.raises(UnknownName, match="did you mean 'Elbow'"):
        rescale(recordings[0], {"Elbo": Rescaling()})
