"""Networks forward and backward in numpy: on small ones a framework's time is mostly overhead.

What each kind of layer gives stands in `sim2real.policy.kinds`; here is the chain rule for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import PolicyError
from sim2real.policy import Layer, Network
from sim2real.policy.kinds import ACTIVATIONS, KINDS

Floats = NDArray[np.float32]


@dataclass
class _Node:
    """A layer with its arrays, and whether the way back goes through it."""

    layer: Layer
    values: Mapping[str, Floats]
    grads: Mapping[str, Floats]
    learns: bool = True
    """Whether an array of it is free."""
    passes: Sequence[bool] = field(default_factory=tuple)
    """Of each input: whether anything before it is free."""

    @property
    def number(self) -> np.float32:
        """The limit of a clip, the factor of a low_rank."""
        return np.float32(self.layer.number or 0.0)


class Backprop:
    """A network whose outputs can be differentiated by its arrays.

    Raises:
        PolicyError: for a layer that remembers, whose gradient goes back through time.
    """

    def __init__(self, network: Network, values: Mapping[str, Floats], grads: Mapping[str, Floats]) -> None:
        """Bind the layers to their arrays.

        Args:
            network: what.
            values: its arrays by name, which it reads anew each time.
            grads: where `backward` writes, by the same names.
        """
        self._network = network
        self._ways = {output: network.order(output) for output in network.outputs}
        self._nodes: dict[str, _Node] = {}
        for layer in (layer for way in self._ways.values() for layer in way):
            name = layer.name
            if layer.kind not in _BACKWARD:
                raise PolicyError(
                    f"layer {name!r} of kind {layer.kind} can't learn here; the kinds that can are "
                    f"{', '.join(_BACKWARD)}"
                )
            arrays = KINDS[layer.kind].shapes
            own, back = ({a: table[f"{name}.{a}"] for a in arrays} for table in (values, grads))
            self._nodes[name] = _Node(layer, own, back)
        self._seen: dict[str, Floats] = {}
        self.choose([name for name in values if name in grads])

    def choose(self, free: Collection[str]) -> None:
        """Say which arrays learn; gradients of others need not be written."""
        moving: set[str] = set()
        for name, node in self._nodes.items():
            node.learns = any(f"{name}.{array}" in free for array in node.values)
            node.passes = [source in moving for source in node.layer.inputs]
            if node.learns or any(node.passes):
                moving.add(name)

    def forward(
        self, inputs: Mapping[str, Floats], outputs: Collection[str] = ("action", "value")
    ) -> list[Floats]:
        """The outputs, each of shape (rows, n).

        Args:
            inputs: what the network reads, by name. Shape (rows, size).
            outputs: which.
        """
        seen = self._seen = dict(inputs)
        for output in outputs:
            for layer in self._ways[output]:
                if layer.name not in seen:
                    taken = (seen[source] for source in layer.inputs)
                    seen[layer.name] = _FORWARD[layer.kind](self._nodes[layer.name], *taken)
        return [seen[self._network.outputs[output]] for output in outputs]

    def backward(self, gradients: Mapping[str, Floats]) -> None:
        """Write the gradients of the free arrays.

        Args:
            gradients: of the loss by outputs of the last `forward`, each of shape (rows, n).
        """
        coming = {self._network.outputs[output]: gradient for output, gradient in gradients.items()}
        for name in reversed(self._nodes):
            node = self._nodes[name]
            if name not in coming or not (node.learns or any(node.passes)):
                continue
            before = [self._seen[source] for source in node.layer.inputs]
            found = _BACKWARD[node.layer.kind](node, coming[name], self._seen[name], *before)
            for source, passes, gradient in zip(node.layer.inputs, node.passes, found, strict=True):
                if passes:
                    coming[source] = coming[source] + gradient if source in coming else gradient


def _dense(node: _Node, x: Floats) -> Floats:
    y: Floats = x @ node.values["weight"].T
    y += node.values["bias"]
    return y


def _dense_back(node: _Node, g: Floats, _: Floats, x: Floats) -> list[Floats]:
    if node.learns:
        np.matmul(g.T, x, out=node.grads["weight"])
        np.matmul(np.ones(len(g), np.float32), g, out=node.grads["bias"])
    return [g @ node.values["weight"]] if node.passes[0] else [g]


def _low_rank_back(node: _Node, g: Floats, _: Floats, x: Floats) -> list[Floats]:
    g = node.number * g
    inner: Floats = g @ node.values["B"]
    if node.learns:
        np.matmul(g.T, x @ node.values["A"].T, out=node.grads["B"])
        np.matmul(inner.T, x, out=node.grads["A"])
    return [inner @ node.values["A"]]


def _affine_back(node: _Node, g: Floats, _: Floats, x: Floats) -> list[Floats]:
    if node.learns:
        np.sum(g * x, axis=0, out=node.grads["scale"])
        np.sum(g, axis=0, out=node.grads["shift"])
    return [g * node.values["scale"]]


def _concat_back(_: _Node, g: Floats, __: Floats, *parts: Floats) -> list[Floats]:
    return np.split(g, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)


def _tanh_slope(_: Floats, y: Floats) -> Floats:
    slope: Floats = y * y
    np.subtract(1, slope, out=slope)
    return slope


def _gelu_slope(x: Floats, y: Floats) -> Floats:
    """Φ(x) + x φ(x)."""
    below = np.divide(y, x, out=np.full_like(x, 0.5), where=np.abs(x) > 1e-6)
    return np.asarray(below + x * np.exp(-0.5 * x * x) * np.float32(1 / np.sqrt(2 * np.pi)))


def _sigmoid(x: Floats) -> Floats:
    return ACTIVATIONS["sigmoid"](x)


_SLOPES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "elu": lambda _, y: np.minimum(y, 0) + 1,
    "gelu": _gelu_slope,
    "leaky_relu": lambda x, _: np.where(x > 0, np.float32(1), np.float32(0.01)),
    "relu": lambda _, y: (y > 0).astype(np.float32),
    "sigmoid": lambda _, y: y * (1 - y),
    "silu": lambda x, y: _sigmoid(x) + y * (1 - _sigmoid(x)),
    "softplus": lambda x, _: _sigmoid(x),
    "tanh": _tanh_slope,
}
"""Of each activation, from what it was given and what it gave."""


def _activation_back(node: _Node, g: Floats, y: Floats, x: Floats) -> list[Floats]:
    slope = _SLOPES[node.layer.kind](x, y)
    slope *= g
    return [slope]


_FORWARD: Mapping[str, Callable[..., Floats]] = {
    "dense": _dense,
    "low_rank": lambda node, x: node.number * (x @ node.values["A"].T) @ node.values["B"].T,
    "normalize": lambda node, x: (x - node.values["mean"]) / node.values["std"],
    "affine": lambda node, x: x * node.values["scale"] + node.values["shift"],
    "clip": lambda node, x: np.clip(x, -node.number, node.number),
    "sum": lambda _, *parts: np.asarray(sum(parts[1:], parts[0])),
    "concat": lambda _, *parts: np.concatenate(parts, axis=1),
    **{name: lambda node, x: ACTIVATIONS[node.layer.kind](x) for name in ACTIVATIONS},
}

_BACKWARD: Mapping[str, Callable[..., list[Floats]]] = {
    "dense": _dense_back,
    "low_rank": _low_rank_back,
    "normalize": lambda node, g, _, __: [g / node.values["std"]],
    "affine": _affine_back,
    "clip": lambda node, g, _, x: [g * (np.abs(x) <= node.number)],
    "sum": lambda _, g, __, *parts: [g for _ in parts],
    "concat": _concat_back,
    **dict.fromkeys(_SLOPES, _activation_back),
}
