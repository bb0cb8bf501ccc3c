"""Parameters that change within an episode: wear, a battery that sags, physics drawn anew at intervals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim2real.interface import Array, Ids


class Schedule:
    """Says which parameters are due for a new value."""

    def due(self, steps: NDArray[np.int64]) -> Iterator[tuple[Ids, tuple[str, ...], Array]]:
        """Rows, names and values to write before the next control step.

        Args:
            steps: control steps into each row's episode. Shape (num_envs,).
        """
        yield from ()
