"""How large the white noise in a signal is, which no model can explain, and how fast what is beneath it."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from sim2real.doctor.view import quantization
from sim2real.recordings.recording import FloatArray

STRIDE = 0.1
"""Seconds over which a joint must move to be moving."""

_NORMAL = 1.4826  # from the median of absolute values to a normal's standard deviation


def white_noise(pieces: Sequence[FloatArray]) -> float:
    """Standard deviation of the white noise in pieces of one signal.

    From fifth differences, which a smooth motion does not have, and not below that of rounding to the
    sensor's step, step / √12.
    """
    step = quantization(np.concatenate(pieces))
    rounding = float(step) / 12**0.5 if np.isfinite(step) else 0.0
    span = max(float(np.ptp(piece)) for piece in pieces)
    return max(_white(pieces, 5), rounding, 1e-6 * span, 1e-9)


def white_errors(error: FloatArray) -> FloatArray:
    """Of a residual, standard deviation of what is white in it, from second differences. Shape (k,)."""
    return np.array([_white([column], 2) for column in error.T])


def speeds(time: FloatArray, positions: FloatArray) -> FloatArray:
    """Of joints over a tenth of a second, so that noise is none, rad/s or m/s. Shape (n, k)."""
    later = [np.interp(time + STRIDE, time, column) for column in positions.T]
    return np.asarray(np.abs(np.stack(later, axis=1) - positions) / STRIDE)


def _white(pieces: Sequence[FloatArray], order: int) -> float:
    """From differences, in which white noise is larger; from their median, as contacts make large ones."""
    differences = np.concatenate([np.abs(np.diff(piece, order)) for piece in pieces])
    larger = comb(2 * order, order) ** 0.5
    return _NORMAL * float(np.median(differences)) / larger if len(differences) else 0.0
