"""How large the noise of measured signals is: what no model can explain, and need not."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from sim2real.doctor.view import quantization
from sim2real.identify.problem import Problem
from sim2real.identify.space import FloatArray

NOISES = 1.5
"""Errors up to this many times the noise of the measurements lack nothing."""

_FINEST = 5e-5  # rad or m, or share of what joints of unlike units move: no sensor of a robot shows less
_MOVES = 20.0  # times the sensors' floor, below which a joint's motion shows nothing
_NORMAL = 1.4826  # from the median of absolute values to a normal's standard deviation


def noise_of(problem: Problem) -> FloatArray:
    """Standard deviation of the white noise of each measured signal, in its unit. Shape (k,)."""
    return np.array([white_noise(pieces) for pieces in zip(*(m.T for m in problem.measured), strict=True)])


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


def sensor_floor(problem: Problem) -> FloatArray:
    """What the sensors' own noise and steps come to in the scaled errors of every joint. Shape (k,)."""
    return np.maximum(noise_of(problem) / problem.scale, _FINEST)


def visible_error(problem: Problem) -> float:
    """Mean error that sensors can show, scaled; 0 where joints hardly move, which shows nothing."""
    floor = float(sensor_floor(problem).mean())
    moved = np.mean([m.std(axis=0) for m in problem.measured], axis=0) / problem.scale
    return floor * NOISES if moved.mean() > _MOVES * floor else 0.0
