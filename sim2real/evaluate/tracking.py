"""How far a predicted joint trajectory is from a measured one, column by column.

    >>> time = np.arange(0.0, 10.0, 0.02)
    >>> early = np.sin(time)[:, None]
    >>> late = np.sin(time - 0.033)[:, None]
    >>> (1000 * lag(time, late, early)).round(1).tolist()
    [33.0]

Every function takes ``measured`` and ``predicted`` of shape (n, k) on the shared stamps ``time``
(n,) in seconds, and returns shape (k,): NaN where a joint's data can't answer (it never moves,
never rests). Definitions and their traps: RMSE of a whole motion is dominated by standing errors,
so rest and motion are also reported apart; a range from the 5th to the 95th percentile is not
ruled by one spike.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

_REST_SECONDS = 0.3
_COMMAND_BAND = 0.0005  # rad; commands are exact but for rounding
_MEASURED_BAND = 0.005  # rad, three steps of a 12-bit encoder
_LEAST_RANGE = 0.01  # rad; a joint that moves less has no lag and no meaningful normalization
_LEAST_CORRELATION = 0.5
_MAX_LAG = 0.5  # s


def rmse(measured: FloatArray, predicted: FloatArray, rows: Mask | None = None) -> FloatArray:
    """Root mean square error, rad.

    Args:
        measured: shape (n, k).
        predicted: shape (n, k).
        rows: count only these entries, shape (n, k); by default all.
    """
    squares = (predicted - measured) ** 2
    return np.sqrt(_mean(squares, rows))


def normalized_rmse(measured: FloatArray, predicted: FloatArray) -> FloatArray:
    """RMSE over the range (95th minus 5th percentile) of the measured joint; NaN below 10 mrad."""
    span = _span(measured)
    moves = span >= _LEAST_RANGE
    return np.where(moves, rmse(measured, predicted) / np.where(moves, span, 1.0), np.nan)


def lag(time: FloatArray, measured: FloatArray, predicted: FloatArray) -> FloatArray:
    """Seconds by which the measurement comes after the prediction.

    The argmax, within ±0.5 s, of the correlation of the overlapping parts, each with its mean
    removed and its norm divided out, refined by a parabola through the peak and its neighbours.
    Signals are first put on an even grid of the mean period.

    Returns:
        FloatArray: NaN for a joint that moves less than 10 mrad, whose best correlation is below
            0.5, or whose peak lies on the border.
    """
    count = len(time)
    grid = np.linspace(time[0], time[-1], count)
    period = float(grid[1] - grid[0])
    reach = min(int(_MAX_LAG / period), count // 3)
    if reach < 1:
        return np.full(measured.shape[1], np.nan)
    real, guess = on_grid(grid, time, measured), on_grid(grid, time, predicted)
    shifts = np.arange(-reach, reach + 1)
    scores = np.stack([_correlation(*_overlap(real, guess, int(shift))) for shift in shifts])
    best = np.argmax(scores, axis=0)
    peak = np.clip(best, 1, len(shifts) - 2)
    columns = np.arange(scores.shape[1])
    before, at, after = (scores[peak + step, columns] for step in (-1, 0, 1))
    curvature = before - 2 * at + after
    refined = np.divide(before - after, 2 * curvature, out=np.zeros_like(at), where=curvature < 0)
    known = (
        (best == peak)
        & (at >= _LEAST_CORRELATION)
        & (_span(measured) >= _LEAST_RANGE)
        & (_span(predicted) >= _LEAST_RANGE)
    )
    return np.where(known, (shifts[peak] + refined) * period, np.nan)


def at_rest(time: FloatArray, command: FloatArray, measured: FloatArray) -> Mask:
    """Where a joint rests: for 0.3 s its command has been still and it has not moved 5 mrad.

    Returns:
        Mask: shape (n, k); False in the first 0.3 s, whose past is unknown.
    """
    period = (time[-1] - time[0]) / (len(time) - 1)
    width = int(np.ceil(_REST_SECONDS / period)) + 1
    rest = np.zeros(measured.shape, dtype=bool)
    if width <= len(time):
        still = _sweep(command, width) <= _COMMAND_BAND
        rest[width - 1 :] = still & (_sweep(measured, width) <= _MEASURED_BAND)
    return rest


def steady_state_error(measured: FloatArray, predicted: FloatArray, rest: Mask) -> FloatArray:
    """Mean absolute error over the rows where the real joint rests (see `at_rest`), rad."""
    return _mean(np.abs(predicted - measured), rest)


def _mean(values: FloatArray, rows: Mask | None) -> FloatArray:
    """Mean of each column over the chosen rows; NaN where there are none."""
    if rows is None:
        return np.asarray(values.mean(axis=0))
    count = rows.sum(axis=0)
    total = np.where(rows, values, 0.0).sum(axis=0)
    mean: FloatArray = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return mean


def _span(values: FloatArray) -> FloatArray:
    low, high = np.percentile(values, [5, 95], axis=0)
    return np.asarray(high - low)


def _sweep(values: FloatArray, width: int) -> FloatArray:
    """Range within the last ``width`` rows. Shape (n - width + 1, k)."""
    return np.asarray(np.ptp(sliding_window_view(values, width, axis=0), axis=-1))


def on_grid(grid: FloatArray, time: FloatArray, values: FloatArray) -> FloatArray:
    """Columns interpolated at other stamps. Shape (len(grid), k)."""
    return np.stack([np.interp(grid, time, column) for column in values.T], axis=1)


def _overlap(real: FloatArray, guess: FloatArray, shift: int) -> tuple[FloatArray, FloatArray]:
    """The two signals where they overlap when the guess is moved ``shift`` rows later."""
    if shift >= 0:
        return real[shift:], guess[: len(guess) - shift]
    return real[:shift], guess[-shift:]


def _correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    score: FloatArray = np.divide((a * b).sum(axis=0), norm, out=np.full(a.shape[1], -1.0), where=norm > 0)
    return score
