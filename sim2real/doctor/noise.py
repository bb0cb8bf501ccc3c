"""How large the white noise in a signal is: what no model can explain, and need not."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from sim2real.doctor.view import quantization
from sim2real.recordings.recording import FloatArray

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


def _white(pieces: Sequence[FloatArray], order: int) -> float:
    """From differences, in which white noise is larger; from their median, as contacts make large ones."""
    differences = np.concatenate([np.abs(np.diff(piece, order)) for piece in pieces])
    larger = comb(2 * order, order) ** 0.5
    return _NORMAL * float(np.median(differences)) / larger if len(differences) else 0.0
