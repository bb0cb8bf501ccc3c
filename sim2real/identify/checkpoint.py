"""Where an interrupted identification goes on: a JSON file of what is already settled.

The file has a fingerprint of the world, the recordings and the options; one that was written for others, by
a version that settled other things, or before the world was changed, is begun anew, and so is one that was
spoilt since.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sim2real.documents import Section
from sim2real.errors import InvalidValue
from sim2real.files import write_text
from sim2real.identify.model_selection import Comparison, Structure
from sim2real.identify.space import FloatArray
from sim2real.replay import Motion
from sim2real.world import World

_FORMAT = 4
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

    def point(self, name: str, names: Sequence[str]) -> FloatArray | None:
        """A fitted point of these parameters, in the unit cube."""
        saved = self.settled.get(f"point {name}")
        if not isinstance(saved, dict) or saved.get("names") != list(names):
            return None
        return np.array(saved["unit"], dtype=float)

    def keep_point(self, name: str, names: Sequence[str], point: FloatArray) -> None:
        """Settle a fitted point."""
        self._keep(f"point {name}", {"names": list(names), "unit": [float(x) for x in point]})

    def structure(self, again: str = "") -> Structure | None:
        """The chosen model; ``again`` names a second."""
        saved = self.settled.get(f"structure{again}")
        if not isinstance(saved, dict):
            return None
        steps = [_comparison(step) for step in saved["steps"]]
        return Structure(list(saved["names"]), dict(saved["values"]), steps, dict(saved["fixed"]))

    def keep_structure(self, structure: Structure, again: str = "") -> None:
        """Settle the chosen model."""
        self._keep(f"structure{again}", asdict(dataclasses.replace(structure, best=None)))

    def _keep(self, name: str, value: object) -> None:
        self.settled[name] = value
        if self.path is not None:
            table = {"key": self.key, **self.settled}
            write_text(self.path, json.dumps({"seal": _seal(table), **table}))


def _seal(table: Mapping[str, object]) -> str:
    """What shows that a file is as it was written, to the last value."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _comparison(saved: dict[str, Any]) -> Comparison:
    lists = {name: tuple(value) for name, value in saved.items() if isinstance(value, list)}
    return Comparison(**(saved | lists))
