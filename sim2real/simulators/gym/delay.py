"""Commands that arrive some physics steps late, for a model that was compiled without delay buffers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim2real.interface import Array, Ids


class DelayLine:
    """The commands of the last physics steps, each actuator with a delay of its own."""

    def __init__(self, size: int, longest: int) -> None:
        """For ``size`` actuators, and delays of up to ``longest`` physics steps."""
        self.steps: Ids = np.zeros(size, dtype=np.intp)
        """Delay of each actuator, physics steps."""
        self._past: Array = np.zeros((longest, size))

    def begin(self, command: Array) -> None:
        """Fill the line with the first command, shape (size,)."""
        self._past[:] = command

    def pieces(self, command: Array, substeps: int) -> Iterator[tuple[Array, int]]:
        """What arrives in the next physics steps: commands, and how many steps each lasts."""
        stream = np.concatenate((self._past, np.tile(command, (substeps, 1))))
        length, columns = len(self._past), np.arange(len(self.steps))
        arrives = stream[length + np.arange(substeps)[:, None] - self.steps, columns]
        self._past = stream[len(stream) - length :]
        start = 0
        for step in range(1, substeps + 1):
            if step == substeps or (arrives[step] != arrives[start]).any():
                yield arrives[start], step - start
                start = step
