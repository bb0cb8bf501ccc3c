import numpy as np
import pytest

from sim2real.evaluate.tracking import at_rest, lag, normalized_rmse, rmse, steady_state_error

TIME = np.arange(1500) * 0.02006


def sines(shift=0.0):
    return np.stack([np.sin(3 * (TIME - shift)), 0.2 * np.sin(5 * (TIME - shift)) + 4], axis=1)


def test_a_constant_bias_is_the_rmse_and_the_steady_state_error():
    measured = np.zeros((200, 2))
    predicted = measured + np.array([0.03, -0.05])
    rest = np.ones((200, 2), dtype=bool)
    assert rmse(measured, predicted) == pytest.approx([0.03, 0.05])
    assert steady_state_error(measured, predicted, rest) == pytest.approx([0.03, 0.05])


def test_rmse_of_a_sine_is_its_amplitude_over_root_two():
    turns = np.sin(np.linspace(0, 20 * np.pi, 4001))[:-1, None]
    assert rmse(turns, np.zeros_like(turns)) == pytest.approx(2**-0.5, rel=1e-3)


def test_rmse_counts_only_the_chosen_rows():
    measured, predicted = np.zeros((4, 1)), np.array([[1.0], [5.0], [1.0], [5.0]])
    rows = np.array([[True], [False], [True], [False]])
    assert rmse(measured, predicted, rows) == pytest.approx(1.0)
    assert np.isnan(rmse(measured, predicted, np.zeros_like(rows))).all()


def test_the_range_ignores_a_spike():
    ramp = np.linspace(0, 1, 1001)[:, None]
    spiked = ramp.copy()
    spiked[500] = 100.0
    expected = rmse(spiked, spiked + 0.09)[0] / 0.9
    assert normalized_rmse(spiked, spiked + 0.09) == pytest.approx(expected, rel=2e-3)


def test_a_joint_that_hardly_moves_has_no_normalized_error():
    assert np.isnan(normalized_rmse(np.full((50, 1), 0.3), np.zeros((50, 1)))).all()


@pytest.mark.parametrize("late", [0.0, 0.003, 0.0133, 0.02006, 0.0871, -0.0517, 0.31])
def test_the_lag_of_a_delayed_sine_is_found_below_the_sample_period(late):
    assert lag(TIME, sines(late), sines()) == pytest.approx([late, late], abs=2e-4)


def test_offset_and_amplitude_do_not_matter_for_the_lag():
    assert lag(TIME, 0.3 * sines(0.05) - 2, sines()) == pytest.approx([0.05, 0.05], abs=2e-4)


def test_uneven_stamps_are_taken_as_they_are():
    time = TIME + np.random.default_rng(0).uniform(-0.004, 0.004, len(TIME))
    early = np.sin(3 * time)[:, None]
    late = np.sin(3 * (time - 0.033))[:, None]
    assert lag(time, late, early) == pytest.approx([0.033], abs=3e-4)


@pytest.mark.parametrize(
    ("measured", "predicted"),
    [
        (np.zeros((1500, 2)), sines()),  # does not move
        (sines(), np.random.default_rng(0).normal(size=(1500, 2))),  # nothing in common
        (np.repeat(TIME[:, None], 2, axis=1) ** 3, sines()),  # peak on the border or too low
    ],
)
def test_no_lag_is_made_up(measured, predicted):
    assert np.isnan(lag(TIME, measured, predicted)).all()


def test_two_rows_have_no_lag():
    assert np.isnan(lag(TIME[:2], sines()[:2], sines()[:2])).all()


def test_rest_begins_0_3_s_after_the_last_change():
    command = np.zeros((100, 1))
    command[50:] = 0.2
    rest = at_rest(TIME[:100], command, np.zeros((100, 1)))[:, 0]
    assert TIME[np.flatnonzero(rest)[0]] == pytest.approx(0.3, abs=0.021)
    moved = np.flatnonzero(~rest[50:])
    assert (moved == np.arange(len(moved))).all()
    assert TIME[len(moved)] == pytest.approx(0.3, abs=0.021)


def test_a_joint_that_drifts_does_not_rest():
    command = np.zeros((100, 1))
    drift = 0.05 * TIME[:100, None]
    assert not at_rest(TIME[:100], command, drift).any()
    assert at_rest(TIME[:100], command, 0.1 * drift)[20:].all()


def test_a_motion_shorter_than_the_window_has_no_rest():
    few = np.zeros((5, 1))
    assert not at_rest(TIME[:5], few, few).any()
    assert np.isnan(steady_state_error(few, few, at_rest(TIME[:5], few, few))).all()
