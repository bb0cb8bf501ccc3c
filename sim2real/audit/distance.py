"""How far apart trajectories are, in units of how far the nominal one spreads.

A column (a coordinate, a velocity, an entry of the observation) is divided by its standard deviation over
time and starts of the nominal motion, or by a hundredth of the largest in its group where it hardly moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.interface import Array, Mask

_TOLERANCE = 1e-7  # differences below this are rounding, not physics
_FLOOR = 0.01
_BLOWN_UP = 1e6  # what stands for a number that is none


@dataclass(frozen=True)
class Paths:
    """Trajectories of several rows from common starts."""

    values: Array
    """Shape (time, rows, starts, columns)."""
    scale: Array
    """Shape (columns,)."""
    diverged: Mask
    """Rows of which a simulation blew up. Shape (rows,)."""

    @classmethod
    def of(cls, values: Array, groups: Sequence[int], diverged: Mask) -> Paths:
        """Scale by the first row, which is nominal.

        Args:
            values: shape (time, rows, starts, columns).
            groups: number of columns of each kind, in order.
            diverged: simulations that blew up. Shape (rows · starts,).
        """
        values = np.where(np.isfinite(values), values, _BLOWN_UP)
        spread = values[:, 0].std(axis=(0, 1))
        for part in np.split(spread, np.cumsum(groups)[:-1]):
            part[:] = np.maximum(part, _FLOOR * part.max(initial=0.0))
        spread[spread == 0.0] = 1.0
        return cls(values, spread, np.asarray(diverged.reshape(values.shape[1:3]).any(axis=1)))

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

    def beyond(self, numbers: Array, time: int, start: int) -> float:
        """Largest scaled difference of some columns from the first row's; 0 if it is no more than rounding.

        What is no number is as far away as can be.
        """
        far = float(np.abs((numbers - self.values[time, 0, start]) / self.scale).max(initial=0.0))
        return 0.0 if far <= _TOLERANCE else np.nan_to_num(far, nan=_BLOWN_UP)

    def moved(self, row: int, base: int, noise: float = 0.0) -> bool:
        """Whether the difference is more than rounding, and than ten times the noise of the engine."""
        return self.furthest(row, base) > max(_TOLERANCE, 10 * noise)
