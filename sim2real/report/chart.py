"""Curves over time that a reader can zoom into: names, colours and compressed numbers for ``chart.js``."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_MOST = 600_000
"""Numbers in a page's charts; more rows are thinned out, since a page is to stay below 2 MB."""
_GONE = np.iinfo(np.int32).min


@dataclass(frozen=True, eq=False)
class Take:
    """One stretch of time: a recording, or a part of one."""

    name: str
    x: FloatArray
    """Shape (n,)."""
    lines: Mapping[str, FloatArray]
    """By series, a column a panel. Shapes (n, panels); a NaN interrupts a curve."""
    shaded: Sequence[tuple[float, float]] = ()
    """Stretches of x to point at."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Panels above each other, with the same series in each."""

    panels: Sequence[str]
    takes: Sequence[Take]
    colours: Mapping[str, str]
    """Of each series, the first drawn on top: a variable of the page's style, such as ``series-1``."""
    unit: str = ""
    """Of x."""
    start: int = 0
    """The take that is shown first."""
    held: Sequence[str] = ()
    """Series whose values hold until the next, as a command does."""
    reference: str = ""
    """Series that the others can be shown less of; none by default."""

    @property
    def plain(self) -> dict[str, object]:
        """What ``chart.js`` reads: names, and numbers as deflated differences, column after column."""
        count = sum(len(take.x) for take in self.takes) * (1 + len(self.panels) * len(self.colours))
        every = max(1, -(-count // _MOST))
        values = [np.abs(y[np.isfinite(y)]) for take in self.takes for y in take.lines.values()]
        top = max((float(y.max()) for y in values if y.size), default=1.0)
        quantum = (
            _quantum(max((float(np.ptp(t.x)) for t in self.takes), default=1.0), 1e6),
            _quantum(top, 2e4),
        )
        return {
            "panels": list(self.panels),
            "series": [
                {"name": name, "colour": colour, "held": name in self.held}
                for name, colour in self.colours.items()
            ],
            "quantum": quantum,
            "unit": self.unit,
            "start": self.start,
            "reference": self.reference,
            "every": every,
            "takes": [self._packed(take, every, quantum) for take in self.takes],
        }

    def _packed(self, take: Take, every: int, quantum: tuple[float, float]) -> dict[str, object]:
        x = take.x[::every]
        columns = [_whole(x - x[0], quantum[0])]
        columns += [
            _whole(column, quantum[1]) for name in self.colours for column in take.lines[name][::every].T
        ]
        deltas = np.diff(np.array(columns, dtype=np.int64), axis=1, prepend=0).astype("<i4")
        return {
            "name": take.name,
            "rows": len(x),
            "first": float(x[0]),
            "shaded": [list(map(float, ends)) for ends in take.shaded],
            "data": base64.b64encode(zlib.compress(deltas.tobytes(), 9)).decode("ascii"),
        }


def _quantum(top: float, steps: float) -> float:
    """The power of ten of which the largest number has so many, or up to ten times as many."""
    return float(10.0 ** np.floor(np.log10(max(top, 1e-12) / steps)))


def _whole(values: FloatArray, quantum: float) -> NDArray[np.int64]:
    """In whole steps; a NaN is the lowest number of 32 bits: what wraps there wraps back when added up."""
    known = np.isfinite(values)
    return np.where(known, np.rint(np.where(known, values, 0.0) / quantum), _GONE).astype(np.int64)
