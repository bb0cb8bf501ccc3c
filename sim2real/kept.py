"""What is settled of long work, in a JSON file from which an interrupted call goes on.

    kept = Kept(folder / "checkpoint.json")
    point = kept.once("fit", key, tuple[float, ...], work)      # worked out now, or in an earlier call

A result is kept for what went into it: under another key it is worked out anew, and so is all that a file
holds which was spoilt since.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from sim2real.documents import Section
from sim2real.errors import InvalidValue
from sim2real.files import write_atomically
from sim2real.plain import as_type, plain

_T = TypeVar("_T")


class Kept:
    """Results by name, each with the key of what went into it; without a path, they are kept in memory."""

    def __init__(self, path: Path | None) -> None:
        """Read what a file holds; one that is missing or damaged holds nothing."""
        self.path, self._settled = path, dict[str, object]()
        with contextlib.suppress(FileNotFoundError, InvalidValue):
            table = {} if path is None else dict(Section.read_json(path).values)
            if table.pop("seal", "") == _seal(table):
                self._settled = table

    def has(self, name: str, key: str) -> bool:
        """Whether a result is there for what goes into it."""
        found = self._settled.get(name)
        return isinstance(found, list) and found[:1] == [key]

    def once(self, name: str, key: str, kind: type[_T], work: Callable[[], _T]) -> _T:
        """What some work gives, of a kind that JSON can hold, now or in the call that was interrupted."""
        if not self.has(name, key):
            self._settled[name] = [key, plain(work())]
            if self.path is not None:
                write_atomically(self.path, json.dumps({"seal": _seal(self._settled), **self._settled}))
        return cast(_T, as_type(kind, cast(list[object], self._settled[name])[1]))


def _seal(settled: dict[str, object]) -> str:
    """What shows that a file is as it was written, to the last value."""
    return hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()
