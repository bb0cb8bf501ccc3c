"""Findings on rows that are lost or repeated though the stamps don't tell: they were made evenly later."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sim2real.doctor.finding import WARNING, Finding, rows_of
from sim2real.doctor.view import View

_WINDOW = 7  # steps from row to row, of which the one in the middle is in question
_CALM = 0.35  # of a step, by which those around it may differ
_LEAST_SIZE = 0.3  # squared, in each joint's usual steps
_LOST = (1.7, 2.4)  # usual steps where one row is lost
_TIMES, _SHARE = 5, 5e-3  # least number of such rows, and least share of those that could tell
_REPEATED = 0.02  # of the rows in motion


def lost_rows(view: View) -> Iterator[Finding]:
    """Steps that are twice those before and after, in all joints at once, between stamps like all others."""
    step = np.diff(view.position[:, view.moves], axis=0)
    even = np.abs(np.diff(view.time) / view.period - 1) < 0.5
    if len(step) < _WINDOW or not step.shape[1] or np.nan_to_num(view.step).max() > 0.02:
        return
    usual = np.percentile(np.abs(step), 90, axis=0)
    windows = sliding_window_view(step / np.where(usual > 0, usual, np.inf), _WINDOW, axis=0)
    middle, around = windows[:, :, 3], windows[:, :, [1, 2, 4, 5]]
    typical = np.median(around, axis=2)
    size = (typical**2).sum(axis=1)
    with np.errstate(all="ignore"):
        times = (middle * typical).sum(axis=1) / size
        spread = np.sqrt((np.abs(around - typical[:, :, None]).max(axis=2) ** 2).sum(axis=1) / size)
        rest = np.sqrt(((middle - times[:, None] * typical) ** 2).sum(axis=1) / size)
    clear = (size > _LEAST_SIZE) & (spread < _CALM) & even[3:-3]
    doubled = clear & (rest < _CALM) & (times > _LOST[0]) & (times < _LOST[1])
    count = int(np.count_nonzero(doubled))
    if count < max(_TIMES, _SHARE * np.count_nonzero(clear)):
        return
    share = count / np.count_nonzero(clear)
    rows = [(int(k) + 3, int(k) + 4) for k in np.flatnonzero(doubled)]
    text = (
        f"{view.log.name}: joints go twice as far as before and after within {count} rows, some "
        f"{100 * share:.0f} % of those that could tell, though stamps are even: rows were lost before they "
        "were stamped; keep the stamps at which they were measured"
    )
    yield Finding("lost rows", WARNING, text, (view.log.name,), rows=rows_of(view, rows), value=share)


def repeated_rows(view: View) -> Iterator[Finding]:
    """Measurements that are there again in the next row while the joints go on."""
    moving = np.flatnonzero(view.moves)
    if len(view.time) < _WINDOW + 1 or not moving.size:
        return
    step = np.abs(np.diff(view.position[:, moving], axis=0))
    windows = sliding_window_view(step, _WINDOW, axis=0)
    least = 3 * np.nan_to_num(np.fmax(view.step[moving], _least_step(step))) + 1e-9
    before, after = windows[:, :, :3].max(axis=2) > least, windows[:, :, 4:].max(axis=2) > least
    runs = (before & after).any(axis=1)
    again = runs & (step[3:-3] == 0).all(axis=1)
    count = int(np.count_nonzero(again))
    share = count / max(1, int(np.count_nonzero(runs)))
    if share < _REPEATED or count < _TIMES:
        return
    text = (
        f"{view.log.name}: {100 * share:.0f} % of the rows in motion repeat the measurements of the row "
        "before: joints are read less often than logged, so that positions come up to a row late; keep one "
        "row per reading"
    )
    rows = [(int(k) + 3, int(k) + 4) for k in np.flatnonzero(again)]
    yield Finding("repeated rows", WARNING, text, (view.log.name,), rows=rows_of(view, rows), value=share)


def _least_step(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least that each joint goes from row to row, if few steps are different, else 0. Shape (k,)."""
    moved = [np.abs(column[column > 0]) for column in step.T]
    return np.array([m.min() if len(m) and len(np.unique(m)) < 0.1 * len(step) else 0.0 for m in moved])
