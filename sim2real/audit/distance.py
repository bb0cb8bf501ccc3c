"""How far apart trajectories are, in units of how far the nominal one spreads.

A column (a coordinate, a velocity, an entry of the observation) is divided by its standard deviation over
time and starts of the nominal motion, or by a hundredth of the largest in its group where it hardly moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.interface import Array

_TOLERANCE = 1e-7  # differences below this are rounding, not physics
_FLOOR = 0.01


@dataclass(frozen=True)
class Paths:
    """Trajectories of several rows from common starts."""

    values: Array
    """Shape (time, rows, starts, columns)."""
    scale: Array
    """Shape (columns,)."""

    @classmethod
    def of(cls, values: Array, groups: Sequence[int], nominal: int = 0) -> Paths:
        """Scale by the nominal row.

        Args:
            values: shape (time, rows, starts, columns).
            groups: number of columns of each kind, in order.
            nominal: the row.
        """
        spread = values[:, nominal].std(axis=(0, 1))
        for part in np.split(spread, np.cumsum(groups)[:-1]):
            part[:] = np.maximum(part, _FLOOR * part.max(initial=0.0))
        spread[spread == 0.0] = 1.0
        return cls(values, spread)

    def difference(self, row: int, base: int) -> Array:
        """Scaled difference of two rows. Shape (time, starts, columns)."""
        scaled: Array = (self.values[:, row] - self.values[:, base]) / self.scale
        return scaled

    def distance(self, row: int, base: int) -> float:
        """Root mean square of the scaled difference."""
        return float(np.sqrt(np.mean(self.difference(row, base) ** 2)))

    def furthest(self, row: int, base: int) -> float:
        """Largest scaled difference."""
        return float(np.abs(self.difference(row, base)).max())

    def moved(self, row: int, base: int, noise: float = 0.0) -> bool:
        """Whether the difference is more than rounding, and than ten times the noise of the engine."""
        return self.furthest(row, base) > max(_TOLERANCE, 10 * noise)
