"""What the log doctor says: findings with the rows where they are seen, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog

BAD, WARNING, FACT = "bad", "warning", "fact"
"""Nothing may be fitted to it; to be known when fitting; worth knowing."""
SEVERITIES = (BAD, WARNING, FACT)

USABLE, BAD_DATA = "USABLE", "BAD_DATA"


@dataclass(frozen=True)
class Rows:
    """A stretch of a recording, both ends included, rows counted from 0."""

    recording: str
    first: int
    last: int

    def __str__(self) -> str:
        rows = f"row {self.first}" if self.first == self.last else f"rows {self.first}–{self.last}"
        return f"{self.recording}: {rows}"


@dataclass(frozen=True)
class Finding:
    """One thing found, in one sentence."""

    kind: str
    """Such as ``"gap"`` or ``"stuck sensor"``; see `sim2real.doctor.diagnose`."""
    severity: str
    """`BAD`, `WARNING` or `FACT`."""
    text: str
    recordings: tuple[str, ...]
    joint: str = ""
    """As the log names it; empty if it is about all of them."""
    rows: tuple[Rows, ...] = ()
    """Where it is seen; empty if it is seen everywhere."""
    value: float | None = None
    """The number it is about, if it is about one."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All findings on a folder of logs, the gravest first."""

    logs: tuple[RawLog, ...]
    findings: tuple[Finding, ...]
    views: tuple[View, ...] = field(repr=False, default=())
    """What was looked at: logs that could be read, cleaned."""
    world: str = ""

    @property
    def verdict(self) -> str:
        """`BAD_DATA` if any finding is bad, else `USABLE`."""
        return BAD_DATA if self.of(BAD) else USABLE

    @property
    def bad_recordings(self) -> tuple[str, ...]:
        """Names of the recordings that a bad finding concerns, sorted."""
        return tuple(sorted({name for finding in self.of(BAD) for name in finding.recordings}))

    def of(self, severity: str) -> list[Finding]:
        """The findings of one severity: those of `BAD` are the verdict's evidence."""
        return [finding for finding in self.findings if finding.severity == severity]


def stretches(mask: NDArray[np.bool_], least: int = 1) -> list[tuple[int, int]]:
    """First and last index of every run of at least ``least`` True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2) if b - a >= least]


def rows_of(view: View, spans: Sequence[tuple[int, int]]) -> tuple[Rows, ...]:
    """Spans of a view as rows of its log."""
    return tuple(Rows(view.log.name, int(view.rows[a]), int(view.rows[b])) for a, b in spans)


def scattered(name: str, rows: NDArray[np.intp]) -> tuple[Rows, ...]:
    """Single rows joined to stretches."""
    rows = np.unique(rows)
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if rows.size else []
    return tuple(Rows(name, int(part[0]), int(part[-1])) for part in parts)
