"""All parameters of a learner in one array, and Adam on it: one pass instead of one for each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class FlatParameters:
    """Named tensors that lie side by side in one array, and their gradients in another.

    Attributes:
        value: all parameters; the tensors are views of it, so writing into it changes the network.
        grad: gradients in the same order.
    """

    def __init__(self, named: Mapping[str, torch.Tensor]) -> None:
        """Move the tensors' memory into one array; they keep their identity, shape and values."""
        self._tensors = dict(named)
        shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
        ends = np.cumsum([tensor.numel() for tensor in named.values()])
        self.value: Floats = np.zeros(ends[-1], np.float32)
        self.grad: Floats = np.zeros_like(self.value)
        self.slices = {
            name: slice(*part) for name, part in zip(named, pairwise([0, *ends.tolist()]), strict=True)
        }
        self.values = {name: self.value[part].reshape(shapes[name]) for name, part in self.slices.items()}
        self.grads = {name: self.grad[part].reshape(shapes[name]) for name, part in self.slices.items()}
        for name, tensor in named.items():
            view = torch.from_numpy(self.values[name])
            view.copy_(tensor.detach())
            tensor.data = view

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which tensors learn: those that require a gradient. Shape (tensors,)."""
        return np.array([tensor.requires_grad for tensor in self._tensors.values()])


class Adam:
    """Adam (Kingma & Ba 2015) on `FlatParameters`, as ``torch.optim.Adam`` does it.

    Tensors that rest keep their moments and their count of steps.

    Attributes:
        mean: first moment of the gradient, of all parameters.
        square: second moment.
        steps: that each tensor took, shape (tensors,).
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

    def choose(self, free: NDArray[np.bool_], rates: NDArray[np.float64] | None = None) -> None:
        """Say which tensors the next steps move.

        Args:
            free: which, shape (tensors,).
            rates: learning rate of each, as a multiple of what `step` is given; by default 1. Same shape.
        """
        rates = np.ones(len(free)) if rates is None else rates
        self._free, parts = free, list(self._of.slices.values())
        alike = np.stack([free, rates, self.steps], axis=1)
        borders = [0, *(np.flatnonzero((alike[1:] != alike[:-1]).any(axis=1)) + 1).tolist(), len(free)]
        self._runs = [
            (slice(parts[first].start, parts[end - 1].stop), float(rates[first]), int(first))
            for first, end in pairwise(borders)
        ]

    def step(self, rate: float, longest: float) -> None:
        """Move the chosen tensors along ``parameters.grad``.

        Args:
            rate: learning rate.
            longest: a gradient of all chosen tensors together that is longer is cut to this norm.
        """
        free = [run for run in self._runs if self._free[run[2]]]
        gradient = self._of.grad
        norm = sum(float(np.dot(gradient[part], gradient[part])) for part, *_ in free) ** 0.5
        shorter = min(longest / (norm + 1e-6), 1.0)
        self.steps += self._free
        for part, faster, first in free:
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
