"""All parameters of a learner in one array, and Adam on it: one pass instead of one for each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class FlatParameters:
    """Named arrays side by side in one, and their gradients in another.

    Attributes:
        value: all parameters.
        grad: gradients in the same order.
        slices: where each array lies.
        values: the arrays by name; they are views, so writing into them changes ``value``.
        grads: of ``grad``.
    """

    def __init__(self, named: Mapping[str, NDArray[np.float32]]) -> None:
        """Copy the arrays."""
        ends = np.cumsum([0, *(array.size for array in named.values())]).tolist()
        self.slices = {name: slice(*part) for name, part in zip(named, pairwise(ends), strict=True)}
        self.value: Floats = np.concatenate([np.ravel(array) for array in named.values()], dtype=np.float32)
        self.grad: Floats = np.zeros_like(self.value)
        self.values, self.grads = (
            {name: flat[part].reshape(named[name].shape) for name, part in self.slices.items()}
            for flat in (self.value, self.grad)
        )


class Adam:
    """Adam (Kingma & Ba 2015) on `FlatParameters`, as ``torch.optim.Adam`` does it.

    Arrays that rest keep their moments and their count of steps.

    Attributes:
        mean: first moment of the gradient, of all parameters.
        square: second moment.
        steps: that each array took, shape (arrays,).
    """

    def __init__(self, parameters: FlatParameters, epsilon: float = 1e-5) -> None:
        """Begin with no steps taken."""
        self._of, self._epsilon = parameters, epsilon
        self.mean, self.square, self._change, self._root = np.zeros((4, parameters.value.size), np.float32)
        self.steps = np.zeros(len(parameters.slices), dtype=np.int64)
        self._free = np.ones(len(self.steps), dtype=np.bool_)
        self._runs: list[tuple[slice, float, int]] = []

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that it goes on from, by name; writing into the arrays restores it."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def choose(self, rates: Mapping[str, float]) -> None:
        """Say which arrays the next steps move.

        Args:
            rates: learning rate of each by name, as a multiple of what `step` is given; others rest.
        """
        parts = list(self._of.slices.values())
        faster = np.array([rates.get(name, 0.0) for name in self._of.slices])
        self._free = np.array([name in rates for name in self._of.slices])
        alike = np.stack([self._free, faster, self.steps], axis=1)
        borders = [0, *(np.flatnonzero((alike[1:] != alike[:-1]).any(axis=1)) + 1).tolist(), len(parts)]
        self._runs = [
            (slice(parts[first].start, parts[end - 1].stop), float(faster[first]), int(first))
            for first, end in pairwise(borders)
            if self._free[first]
        ]

    def step(self, rate: float, longest: float) -> None:
        """Move the chosen arrays along ``parameters.grad``.

        Args:
            rate: learning rate.
            longest: a gradient of all chosen arrays together that is longer is cut to this norm.
        """
        gradient = self._of.grad
        norm = sum(float(np.dot(gradient[part], gradient[part])) for part, *_ in self._runs) ** 0.5
        shorter = min(longest / (norm + 1e-6), 1.0)
        self.steps += self._free
        for part, faster, first in self._runs:
            gradient[part] *= np.float32(shorter)
            self._move(part, rate * faster, int(self.steps[first]))

    def _move(self, part: slice, rate: float, steps: int) -> None:
        gradient, mean, square = self._of.grad[part], self.mean[part], self.square[part]
        change, root = self._change[part], self._root[part]
        np.subtract(gradient, mean, out=change)
        change *= 0.1
        mean += change
        np.multiply(gradient, gradient, out=change)
        change *= 0.001
        square *= 0.999
        square += change
        np.sqrt(square, out=root)
        root /= (1 - 0.999**steps) ** 0.5
        root += self._epsilon
        np.divide(mean, root, out=change)
        change *= -rate / (1 - 0.9**steps)
        self._of.value[part] += change
