"""A prediction against a measurement by frequency: too weak, too late, too smooth?

Both are put on an even grid and taken apart by Fourier's transform, in windows of a few seconds (Welch 1967).
What the measurement does to the prediction in a band is the complex ratio

    H = sum of conj(P) M / sum of |P|²      over the band's lines and all windows,

with P and M the spectra of prediction and measurement: |H| is the amplitude ratio, its angle the phase. A
real joint that moves 10 % less and 50 ms later than predicted has |H| = 0.9 and, at 2 Hz, a phase of -36
degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real.evaluate.tracking import FloatArray, on_grid

BANDS = ((0.25, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0))
"""Octaves, Hz."""

_WINDOW = 8.0  # s; two lines in the lowest band
_LEAST_POWER = 1e-3  # of all of the prediction's; below, its spectrum in a band is leakage
_LEAST_COHERENCE = 0.5
_HIGHEST = 10.0  # Hz, of the spectral arc length
_LEAST_AMPLITUDE = 0.05


@dataclass(frozen=True, eq=False)
class Response:
    """What a measurement does to a prediction, by band and joint; NaN where the data can't tell."""

    ratio: FloatArray
    """Amplitude of measured over predicted. Shape (bands, joints)."""
    phase: FloatArray
    """Phase of the measurement, rad; negative where it comes later. Shape (bands, joints)."""
    coherence: FloatArray
    """Share of the measured power that the prediction tells, 0 to 1. Same shape."""


def response(time: FloatArray, measured: FloatArray, predicted: FloatArray) -> Response:
    """Amplitude ratio and phase in each of `BANDS`.

    Args:
        time: stamps, s, rising. Shape (n,).
        measured: shape (n, joints).
        predicted: likewise.

    Returns:
        Response: NaN in bands where the prediction has less than a thousandth of its power or explains less
            than half of the measurement, and above half the sampling rate.
    """
    grid = np.linspace(time[0], time[-1], len(time))
    period = float(grid[1] - grid[0])
    p, m = (_spectra(on_grid(grid, time, values), period) for values in (predicted, measured))
    lines = np.fft.rfftfreq(_rows(len(time), period), period)
    power, cross, other = np.abs(p) ** 2, np.conj(p) * m, np.abs(m) ** 2
    total = power.sum(axis=(0, 1))
    shape = (len(BANDS), measured.shape[1])
    ratio, phase, coherence = (np.full(shape, np.nan) for _ in range(3))
    for band, (low, high) in enumerate(BANDS):
        inside = (lines >= low) & (lines < high)
        if inside.sum() * len(p) < 2 or high > 0.5 / period:  # one line alone is always coherent
            continue
        own, joint, theirs = (part[:, inside].sum(axis=(0, 1)) for part in (power, cross, other))
        scale = np.where(own * theirs > 0, own * theirs, np.inf)
        told = np.abs(joint) ** 2 / scale
        known = (own > _LEAST_POWER * total) & (told > _LEAST_COHERENCE)
        found = np.divide(joint, own, out=np.full(shape[1], np.nan, dtype=complex), where=known)
        ratio[band], phase[band] = np.abs(found), np.angle(found)
        coherence[band] = np.where(own > _LEAST_POWER * total, told, np.nan)
    return Response(ratio, phase, coherence)


def smoothness(time: FloatArray, position: FloatArray) -> FloatArray:
    """Spectral arc length of each joint's speed: the nearer to 0, the smoother (Balasubramanian 2015).

    The length, negative, of the speed's normalized spectrum up to 10 Hz, or to where it stays below a
    twentieth. A single smooth movement has -1.4 to -1.6.

    Args:
        time: stamps, s. Shape (n,).
        position: shape (n, joints).

    Returns:
        Shape (joints,); NaN for one that never moves.
    """
    grid = np.linspace(time[0], time[-1], len(time))
    period = float(grid[1] - grid[0])
    speed = np.abs(np.gradient(on_grid(grid, time, position), period, axis=0))
    padded = 2 ** (int(np.ceil(np.log2(len(grid)))) + 4)
    known = int(np.count_nonzero(np.fft.rfftfreq(padded, period) <= _HIGHEST))
    lengths = np.full(position.shape[1], np.nan)
    for joint in range(position.shape[1]):  # of hours of all joints at once, padded, it would fill a memory
        column = np.abs(np.fft.rfft(speed[:, joint], padded)[:known])
        if column[0] <= 0:
            continue
        amplitude = column / column[0]
        last = np.flatnonzero(amplitude >= _LEAST_AMPLITUDE)[-1]
        if last:
            steps = np.diff(amplitude[: last + 1])
            lengths[joint] = -np.sqrt((1 / last) ** 2 + steps**2).sum()
    return lengths


def _rows(count: int, period: float) -> int:
    """Of a window."""
    return min(count, max(2, round(_WINDOW / period)))


def _spectra(values: FloatArray, period: float) -> FloatArray:
    """Of windows that overlap by half, under Hann's bell. Shape (windows, lines, joints)."""
    rows = _rows(len(values), period)
    starts = range(0, len(values) - rows + 1, max(1, rows // 2))
    parts = np.stack([values[start : start + rows] for start in starts])
    bell = np.hanning(rows)[:, None]
    return np.asarray(np.fft.rfft((parts - parts.mean(axis=1, keepdims=True)) * bell, axis=1))
