"""Multilayer perceptrons in numpy, forward and backward; on small networks frameworks are mostly overhead."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class MLP:
    """Dense layers with an activation between them; its weights and their gradients are others' arrays."""

    def __init__(
        self, values: Mapping[str, Floats], grads: Mapping[str, Floats], head: str, activation: str
    ) -> None:
        """Take the layers ``head.0.weight``, ``head.0.bias``, ``head.1.weight`` and so on.

        Args:
            values: weights (outputs, inputs) and biases (outputs,) by name.
            grads: where `backward` writes, by the same names.
            head: of the names.
            activation: ``tanh``, ``relu`` or ``elu``.
        """
        count = sum(name.startswith(f"{head}.") and name.endswith(".weight") for name in values)
        self._layers = [
            tuple(table[f"{head}.{k}.{kind}"] for table in (values, grads) for kind in ("weight", "bias"))
            for k in range(count)
        ]
        self._activate, self._slope = _ACTIVATIONS[activation]
        self._buffers: dict[int, list[Floats]] = {}
        self._inputs: list[Floats] = []

    def forward(self, x: Floats) -> Floats:
        """Outputs, shape (rows, outputs); the array is written anew by the next call of as many rows.

        Args:
            x: inputs, shape (rows, inputs).
        """
        outputs = self._buffers_of(len(x))
        self._inputs = [x, *outputs[:-1]]
        for k, ((weight, bias, *_), y) in enumerate(zip(self._layers, outputs, strict=True)):
            np.matmul(x, weight.T, out=y)
            y += bias
            if k < len(self._layers) - 1:
                self._activate(y)
            x = y
        return x

    def backward(self, gradient: Floats) -> None:
        """Write the gradients of all weights.

        Args:
            gradient: of the loss by the outputs of the last `forward`, shape (rows, outputs).
        """
        ones = np.ones(len(gradient), np.float32)
        for k in reversed(range(len(self._layers))):
            weight, _, weight_grad, bias_grad = self._layers[k]
            np.matmul(gradient.T, self._inputs[k], out=weight_grad)
            np.matmul(ones, gradient, out=bias_grad)
            if k:
                gradient = gradient @ weight
                gradient *= self._slope(self._inputs[k])

    def _buffers_of(self, rows: int) -> list[Floats]:
        if rows not in self._buffers:
            self._buffers[rows] = [np.empty((rows, len(bias)), np.float32) for _, bias, *_ in self._layers]
        return self._buffers[rows]


def _elu(y: Floats) -> None:
    np.copyto(y, np.expm1(np.minimum(y, 0)), where=y < 0)


def _tanh_slope(y: Floats) -> Floats:
    slope: Floats = y * y
    np.subtract(1, slope, out=slope)
    return slope


_ACTIVATIONS: Mapping[str, tuple[Callable[[Floats], object], Callable[[Floats], Floats]]] = {
    "tanh": (lambda y: np.tanh(y, out=y), _tanh_slope),
    "relu": (lambda y: np.maximum(y, 0, out=y), lambda y: (y > 0).astype(np.float32)),
    "elu": (_elu, lambda y: np.minimum(y, 0) + 1),
}
"""Each in place, and its slope as a function of its output."""
