"""Which numbers of a model differ from those of another of the same sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np

from sim2real.interface import Array, Mask


@dataclass(frozen=True)
class Written:
    """A field that differs."""

    name: str
    """Field of MjModel, or ``opt.<name>`` of its options."""
    differs: Mask
    """Shape (elements, numbers of each)."""
    relative: float
    """Largest difference, as a share of the largest number of the field."""

    @property
    def rows(self) -> list[int]:
        """Elements that differ."""
        return [int(row) for row in np.flatnonzero(self.differs.any(axis=1))]

    def columns(self, row: int) -> list[int]:
        """Numbers of an element that differ."""
        return [int(column) for column in np.flatnonzero(self.differs[row])]


def written(before: mujoco.MjModel, after: mujoco.MjModel) -> list[Written]:
    """Fields in which two models differ, by name."""
    found = []
    for name in _names():
        old, new = _value(before, name), _value(after, name)
        differs = (old != new) & ~(np.isnan(old) & np.isnan(new))
        if differs.any():
            size = max(float(np.abs(old).max()), 1e-12)
            found.append(Written(name, differs, float(np.abs(new - old)[differs].max()) / size))
    return found


def _value(model: mujoco.MjModel, name: str) -> Array:
    owner, _, field = name.rpartition(".")
    array = np.asarray(getattr(getattr(model, owner) if owner else model, field), dtype=float)
    return array.reshape(len(array), array.size // max(len(array), 1)) if array.ndim else array.reshape(1, 1)


@cache
def _names() -> tuple[str, ...]:
    """Numeric fields of a model and of its options."""
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    fields = [(model, "", name) for name in dir(model)] + [
        (model.opt, "opt.", name) for name in dir(model.opt)
    ]
    return tuple(
        prefix + name
        for owner, prefix, name in fields
        if not name.startswith("_") and _is_numeric(getattr(owner, name, None))
    )


def _is_numeric(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiub")
