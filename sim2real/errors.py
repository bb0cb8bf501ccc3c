"""One class per user mistake; every message says what was given, what is possible, and the next step."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


class Sim2RealError(ValueError):
    """Base of every mistake that the caller can put right."""

    exit_status = 2
    """What the command line ends with."""


class UnknownName(Sim2RealError):
    """A name that does not exist; the message names the nearest ones that do.

    Args:
        kind: what the name should have named, for example ``"parameter"``.
        given: the name as it was given.
        known: the names that exist.
    """

    def __init__(self, kind: str, given: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(given, names, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        super().__init__(f"unknown {kind} {given!r}: {hint}known: {', '.join(names) or 'none'}")
        self._given = (kind, given, names)

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, list[str]]]:
        """How it comes out of another process."""
        return type(self), self._given


class InvalidValue(Sim2RealError):
    """A value outside what is physically or logically possible."""


class DeadParameter(Sim2RealError):
    """A parameter that changes nothing, or that moves only half of what it should."""


class PolicyError(Sim2RealError):
    """A policy folder that is damaged, or does not fit the env it should drive."""


class RecordingError(Sim2RealError):
    """A recording that cannot be read, or whose numbers cannot be trusted."""


class BadData(RecordingError):
    """Recordings that can be read, or some of them, but that nothing should be fitted to."""

    exit_status = 15  # that of the verdict BAD_DATA


class BudgetExhausted(RuntimeError):
    """The target env's budget of steps, episodes or seconds is spent."""


class DiskFull(OSError):
    """No room for what should be written: a full disk, a quota, or a limit on the size of files."""


class MissingExtra(ImportError):
    """An optional package is missing.

    Args:
        package: the package that could not be imported.
        extra: the extra of sim2real that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; run `pip install "sim2real[{extra}]"`')
        self._given = (package, extra)

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """How it comes out of another process."""
        return type(self), self._given


class MissingDisplay(RuntimeError):
    """Nothing can be drawn here, neither in a window nor without one."""


def told(error: BaseException) -> str:
    """What somebody else's code raised, and in which line of it, on one line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _HERE not in Path(f.filename).parents]
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    places = [f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in (*own, *frames[-1:])]
    return f"{type(error).__name__}: {' '.join(str(error).split())}{places[0] if places else ''}"


_HERE = Path(__file__).parent
