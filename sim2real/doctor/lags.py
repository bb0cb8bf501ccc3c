"""How long after its command a joint moves: estimated, because stamps alone don't tell."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sim2real.doctor.view import View
from sim2real.recordings.recording import FloatArray

_REACH = 0.5  # s
_ALIKE = 0.7  # least correlation at the peak
_ROUNDING = 1e-12  # of the squares, which a constant leaves of a difference of sums
_HOLES = 10  # a log may be so much longer than its rows; one lost stamp must not fill the memory with a grid


def command_lag(view: View) -> FloatArray:
    """Seconds by which each position comes after its command; below 0, before it.

    The peak, within ±0.5 s, of the correlation of the overlapping parts of both signals on an even
    grid, refined by a parabola through the peak and its neighbours.

    Returns:
        FloatArray: NaN for a joint that is not told where to go or does not move, whose best correlation
            is below 0.7, or whose peak lies on the border. Shape (k,).
    """
    count = view.position.shape[1]
    lag = np.full(count, np.nan)
    if view.time[-1] - view.time[0] > _HOLES * view.period * len(view.time):
        return lag
    grid = np.arange(view.time[0], view.time[-1], view.period)
    reach = min(int(_REACH / view.period), len(grid) // 3)
    if reach < 2:
        return lag
    # of the nearest row: that before it would be another one where the grid lies just before the stamps
    told = np.searchsorted((view.time[1:] + view.time[:-1]) / 2, grid)
    for j in np.flatnonzero(view.moves & view.commanded & view.follows):
        real = np.interp(grid, view.time, view.position[:, j])
        guess = view.command[told, j]
        scores, _ = correlations(guess, real, range(-reach, reach + 1))
        lag[j] = _peak(scores, reach) * view.period
    return lag


def correlations(guess: FloatArray, real: FloatArray, shifts: Iterable[int]) -> tuple[FloatArray, FloatArray]:
    """Correlation of the overlapping parts of two signals, and how much larger the second is there.

    Args:
        guess: shape (n,).
        real: shape (n,).
        shifts: rows by which the second comes later; below 0, earlier; of a size below n.

    Returns:
        tuple: two arrays with a number for each shift; a correlation of 0 where one of both is constant.
    """
    sizes = [float(np.abs(x - x.mean()).max()) or 1.0 for x in (guess, real)]  # of which no square overflows
    a, b = ((x - x.mean()) / size for x, size in zip((guess, real), sizes, strict=True))
    sums = [np.concatenate([[0.0], np.cumsum(x)]) for x in (a, a * a, b, b * b)]
    count, found = len(a), []
    for shift in shifts:
        one, other = (max(0, -shift), count - max(0, shift)), (max(0, shift), count - max(0, -shift))
        rows = one[1] - one[0]
        own, square = (table[one[1]] - table[one[0]] for table in sums[:2])
        its, its_square = (table[other[1]] - table[other[0]] for table in sums[2:])
        left, right = square - own * own / rows, its_square - its * its / rows
        varies = min(left / (square or 1.0), right / (its_square or 1.0)) > _ROUNDING
        product = float(a[slice(*one)] @ b[slice(*other)]) - own * its / rows
        found.append((product / np.sqrt(left * right), np.sqrt(right / left)) if varies else (0.0, np.nan))
    table = np.array(found)
    return table[:, 0], table[:, 1] * (sizes[1] / sizes[0])


def _peak(scores: FloatArray, reach: int) -> float:
    """Shift of the highest score, between rows; NaN where there is none to trust."""
    best = int(np.argmax(scores))
    if scores[best] < _ALIKE or best in (0, len(scores) - 1):
        return np.nan
    before, at, after = scores[best - 1 : best + 2]
    curvature = before - 2 * at + after
    shift = (before - after) / (2 * curvature) if curvature < 0 else 0.0
    return float(best - reach + shift)
