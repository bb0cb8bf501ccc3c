"""Findings on recordings that are there twice, above all on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from sim2real.doctor.finding import BAD, FACT, WARNING, Finding
from sim2real.doctor.view import View
from sim2real.recordings.recording import FloatArray

_RATE = 50.0  # Hz at which logs are compared
_SAME = 0.05  # rms of the difference over rms of the motion
_OVERLAP = 0.8
_MANY = 300  # logs, beyond which pairs are not compared
_LONG = 1_000_000  # rows at that rate, 5.5 h


def copies(views: Sequence[View]) -> Iterator[Finding]:
    """Recordings of one and the same motion, across folders such as train and test above all."""
    views = [view for view in views if _length(view) < _LONG]
    if len(views) > _MANY:
        return
    size = 2 ** int(np.ceil(np.log2(2 * max((_length(v) for v in views), default=1) + 2)))
    prints = [_fingerprint(view, size) for view in views]
    for (one, a), (other, b) in combinations(zip(views, prints, strict=True), 2):
        if one.log.joints == other.log.joints and _alike(a, b):
            yield _copy(one, other)


def _length(view: View) -> int:
    return int(min((view.time[-1] - view.time[0]) * _RATE, _LONG)) + 1


class _Print:
    """Commands of a log on an even grid, and the spectra of the values, their squares and their rows."""

    def __init__(self, values: FloatArray, size: int) -> None:
        self.values, self.size = values, size
        self.spectrum = np.fft.rfft(values, size, axis=0)
        self.squares = np.fft.rfft((values**2).sum(axis=1), size)
        self.rows = np.fft.rfft(np.ones(len(values)), size)


def _fingerprint(view: View, size: int) -> _Print:
    grid = view.time[0] + np.arange(_length(view)) / _RATE
    smooth = [np.interp(grid, view.time, column) for column in view.command.T]
    return _Print(np.stack(smooth, axis=1), size)


def _alike(one: _Print, other: _Print) -> bool:
    """Whether one's commands are the other's, moved in time: the shift with the least difference tells."""
    spectra = (
        one.rows * other.rows.conj(),
        one.squares * other.rows.conj() + one.rows * other.squares.conj(),
        (one.spectrum * other.spectrum.conj()).sum(axis=1),
    )
    rows, squares, product = (np.fft.irfft(spectrum, one.size) for spectrum in spectra)
    enough = rows > _OVERLAP * min(len(one.values), len(other.values)) - 0.5
    apart = np.where(enough, squares - 2 * product, np.inf) / np.maximum(rows, 1.0)
    shift = int(np.argmin(apart))
    shift = shift - one.size if shift > one.size // 2 else shift
    a, b = one.values[max(0, shift) :], other.values[max(0, -shift) :]
    count = min(len(a), len(b))
    motion = float(np.sqrt(np.mean((a[:count] - a[:count].mean(axis=0)) ** 2)))
    return motion > 0 and float(np.sqrt(np.mean((a[:count] - b[:count]) ** 2))) < _SAME * motion


def _copy(one: View, other: View) -> Finding:
    split = _top(one) != _top(other)
    exact = one.position.shape == other.position.shape and bool(
        np.allclose(one.position, other.position, rtol=0, atol=1e-9)
    )
    names = (one.log.name, other.log.name)
    what = "are the same recording" if exact else "hold the same motion, recorded twice"
    if exact:
        advice = "; remove one" + (", it leaks from one side of the split to the other" if split else "")
        return Finding("copy", BAD if split else WARNING, f"{names[0]} and {names[1]} {what}{advice}", names)
    advice = ": what is fitted to one has seen the other; keep both on one side of the split" if split else ""
    return Finding("copy", WARNING if split else FACT, f"{names[0]} and {names[1]} {what}{advice}", names)


def _top(view: View) -> str:
    """The folder that a log stands in."""
    return view.log.name.rpartition("/")[0].split("/")[0]
