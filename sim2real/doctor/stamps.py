"""Findings on time: what is missing, twice, out of order, uneven, on another clock or in another unit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim2real.doctor.finding import BAD, FACT, WARNING, Finding, Rows, scattered
from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_GAP = 1.5  # periods
_LONG_GAP = 0.5  # s; commands sent meanwhile are lost, and with them what follows from them
_JITTER = 0.1  # periods
_PERIODS = (5e-4, 0.5)  # s; what robots log at
_IMPOSSIBLE = (1e-4, 1.0)  # s; what none logs at
_FASTEST = 100.0  # rad/s
_DRIFT, _APART = 1e-3, 0.1  # s per s; clocks of one robot never run apart by the second
_RUN = 10  # rows; what is out of place for less was shuffled

_WRONG = {
    1e3: "milliseconds where microseconds are meant, or seconds where milliseconds are",
    1e-3: "microseconds where milliseconds are meant, or milliseconds where seconds are",
    1e6: "seconds where microseconds are meant",
    1e-6: "microseconds where seconds are meant, or nanoseconds where milliseconds are",
    1e9: "seconds where nanoseconds are meant",
    1e-9: "nanoseconds where seconds are meant",
}
"""What stamps are in, by the factor that brings them to seconds."""

Indices = NDArray[np.intp]


def order(log: RawLog) -> Iterator[Finding]:
    """Stamps that are no numbers, twice there, or go back; of both streams where they differ."""
    streams = {"": log.time} if log.shared else {"command ": log.command_time, "state ": log.time}
    for stream, time in streams.items():
        lost = np.flatnonzero(~np.isfinite(time))
        if lost.size:
            yield _bad(log, "missing numbers", f"{_count(lost.size, f'{stream}stamp')} no number", lost)
        finite = np.flatnonzero(np.isfinite(time))
        step = np.diff(time[finite])
        back = finite[1:][step < 0]
        if back.size and _begins_anew(time[finite], step):
            often = "anew" if back.size == 1 else f"anew {back.size} times"
            said = (
                f"the clock of its {stream}stamps begins {often}: several runs in one log, or a clock that "
                "was set; cut it there, as sorting would mix them"
            )
            yield _bad(log, "restart", said, back)
            continue
        if back.size:
            often = "once" if back.size == 1 else f"{back.size} times"
            said = f"time goes back {often} in its {stream}stamps; sort the rows by stamp"
            yield _bad(log, "shuffled stamps", said, back)
        _, first = np.unique(time[finite], return_index=True)
        twice = np.setdiff1d(finite, finite[first])
        if twice.size:
            said = f"{_count(twice.size, f'{stream}stamp')} there already; keep one row per stamp"
            yield _bad(log, "duplicated stamps", said, twice)


def _begins_anew(time: FloatArray, step: FloatArray) -> bool:
    """Whether stamps go back seldom and by much, and are in order between: no rows are out of place."""
    back = np.flatnonzero(step < 0)
    parts = np.split(time, back + 1)
    period = float(np.median(step))
    return period > 0 and all(len(part) >= _RUN for part in parts) and bool(-step[back].max() > _RUN * period)


def evenness(log: RawLog, factor: float) -> Iterator[Finding]:
    """Gaps and jitter of the measurements' stamps.

    Args:
        log: as it is; rows without measurements count, their stamps are there.
        factor: seconds per unit of its stamps.
    """
    finite = np.flatnonzero(np.isfinite(log.time))
    time, first = np.unique(log.time[finite] * factor, return_index=True)
    rows, step = finite[first], np.diff(time)
    period = float(np.median(step))
    spread = 1.4826 * float(np.median(np.abs(step - period)))
    gaps = np.flatnonzero(step > _GAP * period + 4 * spread)
    if gaps.size:
        yield _gaps(log.name, rows[gaps], rows[gaps + 1], step[gaps], period)
    even = step[step <= _GAP * period + 4 * spread]
    jitter = float(np.std(even)) / period
    if jitter > _JITTER:
        uneven = rows[1:][np.abs(step - period) > 3 * _JITTER * period]
        yield Finding(
            "jitter",
            WARNING,
            f"{log.name}: the period of {1000 * period:.2f} ms varies by {100 * jitter:.0f} % "
            "(standard deviation); step by the stamps, never by the mean",
            (log.name,),
            rows=scattered(log.name, uneven),
            value=jitter,
        )


def short(view: View, window: float) -> Iterator[Finding]:
    """A recording that ends before a command's effect is over."""
    duration = float(view.time[-1] - view.time[0])
    if duration < window:
        yield Finding(
            "too short",
            BAD,
            f"{view.log.name}: it lasts {duration:.2f} s, less than the {window:.2f} s within which a "
            "command's effect is looked for; record for longer or leave it out",
            (view.log.name,),
            value=duration,
        )


def clock_unit(view: View, ratio: FloatArray) -> tuple[float, Finding | None]:
    """The factor that brings stamps to seconds, and a finding if it is not 1.

    Args:
        view: a log.
        ratio: reported velocity over differentiated position of each joint, NaN where unknown.
    """
    period = view.period
    speed = np.abs(np.diff(view.position, axis=0)) / np.diff(view.time)[:, None]
    fast = float(np.percentile(speed, 99)) > _FASTEST
    known = ratio[np.isfinite(ratio)]
    told = float(np.median(known)) if known.size else np.nan
    for factor in _WRONG:
        agrees = bool(abs(np.log10(told * factor)) < 0.15) if told > 0 else False
        odd = period < _IMPOSSIBLE[0] or period > _IMPOSSIBLE[1] or (period < _PERIODS[0] and fast)
        plausible = _PERIODS[0] <= period * factor <= _PERIODS[1]
        if agrees or (odd and plausible):
            return factor, _wrong_clock(view, factor, agrees)
    return 1.0, None


def skew(view: View) -> Iterator[Finding]:
    """How the stamps of measurements lie against those of commands, where both have their own."""
    log = view.log
    if log.shared:
        return
    sent = np.sort(log.command_time[np.isfinite(log.command_time)])
    read = view.time
    overlap = min(sent[-1], read[-1]) - max(sent[0], read[0])
    if overlap < 0.5 * min(sent[-1] - sent[0], read[-1] - read[0]):
        yield Finding(
            "clock skew",
            BAD,
            f"{log.name}: commands are stamped {sent[0]:.3f} to {sent[-1]:.3f} s and measurements "
            f"{read[0]:.3f} to {read[-1]:.3f} s; bring both on one clock",
            (log.name,),
        )
        return
    if len(sent) != len(read):
        return
    apart = read - sent
    drift = _slope(read, apart)
    change = abs(drift) * float(read[-1] - read[0])
    after = f"measurements are stamped {1000 * float(np.median(apart)):.1f} ms after their commands"
    if abs(drift) > _DRIFT and change > view.period:
        yield Finding(
            "clock skew",
            BAD if abs(drift) > _APART else WARNING,
            f"{log.name}: {after}, and that changes by {1000 * change:.0f} ms over the recording: the two "
            "clocks run apart; put both streams on one",
            (log.name,),
            rows=(Rows(log.name, 0, len(log.time) - 1),),
            value=drift,
        )
    else:
        yield Finding("clock skew", FACT, f"{log.name}: {after}", (log.name,), value=float(np.median(apart)))


def _slope(x: FloatArray, y: FloatArray) -> float:
    x = x - x.mean()
    return float(x @ (y - y.mean()) / (x @ x))


def _bad(log: RawLog, kind: str, said: str, rows: Indices) -> Finding:
    return Finding(kind, BAD, f"{log.name}: {said}", (log.name,), rows=scattered(log.name, rows))


def _gaps(name: str, before: Indices, after: Indices, steps: FloatArray, period: float) -> Finding:
    lost = int(np.rint(steps / period - 1).sum())
    worst = float(steps.max())
    grave = worst > _LONG_GAP + period
    return Finding(
        "gap",
        BAD if grave else WARNING,
        f"{name}: {_count(len(steps), 'gap', '')} with about {_count(lost, 'missing row', '')}, the longest "
        f"{1000 * worst:.0f} ms after row {int(before[np.argmax(steps)])}"
        + ("; the commands sent meanwhile are lost: cut the recording there" if grave else ""),
        (name,),
        rows=tuple(Rows(name, int(a), int(b)) for a, b in zip(before, after, strict=True)),
        value=worst,
    )


def _wrong_clock(view: View, factor: float, agrees: bool) -> Finding:
    period = view.period
    meant = _WRONG[factor]
    why = "; the reported velocities say so too" if agrees else ""
    return Finding(
        "time unit",
        BAD,
        f"{view.log.name}: a row every {_seconds(period)} can't be, {_seconds(period * factor)} can: the "
        f"stamps are in {meant}{why}; multiply them by {factor:g}, or give the unit in a mapping file",
        (view.log.name,),
        value=factor,
    )


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= 0.5 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _count(number: int, noun: str, verb: str = "is") -> str:
    verb = {"is": " is" if number == 1 else " are"}.get(verb, "")
    return f"{number} {noun}{'' if number == 1 else 's'}{verb}"
