import numpy as np
import pytest
import scipy.signal

from sim2real.evaluate.frequency import BANDS, response, smoothness

RNG = np.random.default_rng(0)
TIME = np.cumsum(RNG.uniform(0.018, 0.022, 3000))  # a minute at about 50 Hz, on uneven stamps
TONES = np.array([0.35, 0.7, 1.4, 2.8, 5.6])


def sound(time, ratio=1.0, late=0.0):
    """A tone in the middle of every band."""
    return ratio * np.sin(2 * np.pi * TONES * (time[:, None] - late)).sum(axis=1)


def test_a_planted_ratio_and_delay_are_found_in_every_band():
    measured = np.stack([sound(TIME, 0.9, 0.05), sound(TIME, 1.2, -0.02)], axis=1)
    predicted = np.stack([sound(TIME)] * 2, axis=1)
    found = response(TIME, measured, predicted)
    assert found.ratio[:4, 0] == pytest.approx(0.9, abs=0.01)
    assert found.ratio[:4, 1] == pytest.approx(1.2, abs=0.015)
    expected = np.angle(np.exp(-2j * np.pi * TONES * 0.05))
    assert found.phase[:4, 0] == pytest.approx(expected[:4], abs=0.02)
    assert found.phase[:4, 1] == pytest.approx(2 * np.pi * TONES[:4] * 0.02, abs=0.02)
    assert found.ratio[4] == pytest.approx([0.9, 1.2], rel=0.05)  # a line between stamps is interpolated
    assert np.all(found.coherence > 0.99)


def test_a_chirp_through_a_known_filter():
    """A first-order lag of 2 Hz: H = 1 / (1 + i f / 2)."""
    time = np.arange(0, 120, 0.01)
    chirp = scipy.signal.chirp(time, 0.2, 120, 9.0)
    pole = np.exp(-2 * np.pi * 2.0 * 0.01)
    late = scipy.signal.lfilter([1 - pole], [1, -pole], chirp)
    found = response(time, late[:, None], chirp[:, None])
    for band, (low, high) in enumerate(BANDS):
        f = np.linspace(low, high, 200)
        _, h = scipy.signal.freqz([1 - pole], [1, -pole], f, fs=100)
        assert found.ratio[band, 0] == pytest.approx(np.abs(h.mean()), rel=0.05)
        assert found.phase[band, 0] == pytest.approx(np.angle(h.mean()), abs=0.06)


def test_where_the_data_cant_tell_there_is_no_number():
    still = np.zeros((3000, 1))
    slow = np.sin(2 * np.pi * 0.35 * TIME)[:, None]
    assert np.isnan(response(TIME, slow, still).ratio).all()
    found = response(TIME, slow, slow)
    assert found.ratio[0, 0] == pytest.approx(1)
    assert np.isnan(found.ratio[2:]).all()
    noise = RNG.normal(size=(3000, 1))
    assert np.isnan(response(TIME, noise, sound(TIME)[:, None]).ratio[2:]).all()
    short = response(TIME[:20], slow[:20], slow[:20])
    assert np.isnan(short.ratio[:4]).all()


def test_bands_above_half_the_rate_are_left_out():
    time = np.arange(0, 60, 0.1)
    signal = np.sin(2 * np.pi * 0.7 * time)[:, None]
    assert np.isnan(response(time, signal, signal).ratio[4, 0])


def minimum_jerk(time, duration):
    s = np.clip(time / duration, 0, 1)
    return 10 * s**3 - 15 * s**4 + 6 * s**5


def test_smoothness_is_that_of_the_literature_and_independent_of_size_and_time():
    time = np.arange(0, 3, 0.005)
    moves = [minimum_jerk(time, 1.0), 7 * minimum_jerk(time, 1.0), minimum_jerk(time, 2.0)]
    found = smoothness(time, np.stack(moves, axis=1))
    assert found == pytest.approx(-1.41, abs=0.03)  # Balasubramanian 2015, figure 2
    assert found[0] == pytest.approx(found[1])


def test_a_tremor_is_less_smooth_and_what_never_moves_has_none():
    time = np.arange(0, 3, 0.005)
    move = minimum_jerk(time, 1.0)
    shaky = move + 0.01 * np.sin(2 * np.pi * 7 * time)
    calm, trembling, still = smoothness(time, np.stack([move, shaky, 0 * time], axis=1))
    assert trembling < calm - 0.2
    assert np.isnan(still)
