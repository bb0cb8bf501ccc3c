"""Where an interrupted identification goes on: a JSON file of what is already settled.

The file has a fingerprint of the world, the recordings and the options; one that was written for others, by
a version that settled other things, or before the world was changed, is begun anew, and so is one that was
spoilt since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from sim2real.documents import Section
from sim2real.errors import InvalidValue
from sim2real.files import write_text
from sim2real.replay import Motion
from sim2real.world import World

_T = TypeVar("_T")

_FORMAT = 6
"""To be raised whenever what is settled changes its form or meaning."""


def content_of(world: World) -> list[object]:
    """What makes a world what it is: its name, its files, and its parameters as they are in memory."""
    files = [(world.path / name).read_bytes() for name in ("scene.xml", "physics.toml")]
    return [world.name, *files, *[(p.name, p.nominal, p.low, p.high) for p in world.parameters.values()]]


@dataclass
class Checkpoint:
    """What is settled; without a path, nothing is kept."""

    path: Path | None
    key: str
    settled: dict[str, object] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path | None, world: World, motions: Sequence[Motion], options: str = "") -> Checkpoint:
        """Read what a file holds for the same world, recordings and options."""
        digest = hashlib.sha256(f"{_FORMAT} {content_of(world)} {options}".encode())
        for motion in motions:
            digest.update(motion.name.encode())
            digest.update(np.ascontiguousarray(motion.measured).tobytes())
        key = digest.hexdigest()
        if path is None or not path.is_file():
            return cls(path, key)
        try:
            table = dict(Section.read_json(path).values)
        except InvalidValue:
            return cls(path, key)
        whole = table.pop("seal", "") == _seal(table)
        return cls(path, key, table if whole and table.pop("key", "") == key else {})

    def once(self, name: str, work: Callable[[], _T]) -> _T:
        """What some work gives, as JSON has it, now or in the call that was interrupted."""
        if name not in self.settled:
            self.settled[name] = work()
            if self.path is not None:
                table = {"key": self.key, **self.settled}
                write_text(self.path, json.dumps({"seal": _seal(table), **table}))
        return cast(_T, self.settled[name])


def _seal(table: Mapping[str, object]) -> str:
    """What shows that a file is as it was written, to the last value."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
