"""How long after its command a joint moves: estimated, because stamps alone don't tell."""

from __future__ import annotations

import numpy as np

from sim2real.doctor.view import View
from sim2real.recordings.recording import FloatArray

_REACH = 0.5  # s
_ALIKE = 0.7  # least correlation at the peak
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
    held = np.searchsorted(view.time, grid, side="right") - 1
    for j in np.flatnonzero(view.moves & view.commanded & view.follows):
        real = np.interp(grid, view.time, view.position[:, j])
        guess = view.command[held, j]
        scores = np.array([_correlation(guess, real, shift) for shift in range(-reach, reach + 1)])
        lag[j] = _peak(scores, reach) * view.period
    return lag


def _correlation(guess: FloatArray, real: FloatArray, shift: int) -> float:
    a = guess[max(0, -shift) : len(guess) - max(0, shift)]
    b = real[max(0, shift) : len(real) - max(0, -shift)]
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm else 0.0


def _peak(scores: FloatArray, reach: int) -> float:
    """Shift of the highest score, between rows; NaN where there is none to trust."""
    best = int(np.argmax(scores))
    if scores[best] < _ALIKE or best in (0, len(scores) - 1):
        return np.nan
    before, at, after = scores[best - 1 : best + 2]
    curvature = before - 2 * at + after
    shift = (before - after) / (2 * curvature) if curvature < 0 else 0.0
    return float(best - reach + shift)
