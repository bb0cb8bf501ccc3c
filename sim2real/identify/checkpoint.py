"""Where an interrupted identification goes on: a JSON file of what is already settled.

The file has a fingerprint of the world, the recordings and the options; one that was written for others, by
a version that settled other things, or before the world was changed, is begun anew, and so is one that was
spoilt since.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from sim2real.documents import Section
from sim2real.errors import InvalidValue
from sim2real.files import write_atomically
from sim2real.plain import as_type, plain
from sim2real.replay import Motion
from sim2real.world import World

_T = TypeVar("_T")

_FORMAT = 8
"""To be raised whenever what is settled changes its form or meaning."""


@dataclass
class Checkpoint:
    """What is settled; without a path, nothing is kept."""

    path: Path | None
    key: str
    settled: dict[str, object] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path | None, world: World, motions: Sequence[Motion], options: str = "") -> Checkpoint:
        """Read what a file holds for the same world, recordings and options."""
        digest = hashlib.sha256(f"{_FORMAT} {world.source} {options}".encode())
        for motion in motions:
            digest.update(motion.name.encode())
            digest.update(np.ascontiguousarray(motion.measured).tobytes())
        found = cls(path, digest.hexdigest())
        if path is not None and path.is_file():
            with contextlib.suppress(InvalidValue):
                table = dict(Section.read_json(path).values)
                if table.pop("seal", "") == found._seal(table):
                    found.settled = table
        return found

    def once(self, name: str, kind: type[_T], work: Callable[[], _T]) -> _T:
        """What some work gives, of a kind that JSON can hold, now or in the call that was interrupted."""
        if name not in self.settled:
            self.settled[name] = plain(work())
            if self.path is not None:
                write_atomically(self.path, json.dumps({"seal": self._seal(self.settled), **self.settled}))
        return cast(_T, as_type(kind, self.settled[name]))

    def _seal(self, settled: Mapping[str, object]) -> str:
        """What shows that a file is as it was written, to the last value, and for this fit."""
        return hashlib.sha256(f"{self.key} {json.dumps(settled, sort_keys=True)}".encode()).hexdigest()
