"""A policy's network as a torch module, for whatever wants autograd, and back.

twin = Twin(policy.network, policy.weights)
action, memory = twin({"observation": torch.zeros(1, 6)})
dataclasses.replace(policy, weights={**policy.weights, **twin.weights()})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim2real.policy import Layer, Network, Weights
from sim2real.policy.kinds import ACTIVATIONS, KINDS

Arrays = Mapping[str, Tensor]


class Twin(nn.Module):
    """The layers of a network with their arrays as parameters; statistics of observations are buffers."""

    def __init__(self, network: Network, weights: Weights, output: str = "action") -> None:
        """Copy the arrays that an output comes from.

        Args:
            network: what.
            weights: its arrays.
            output: which of its outputs the module gives.
        """
        super().__init__()
        self._layers = network.order(output)
        self._output = network.outputs[output]
        self._names = {
            layer.name: {a: f"{layer.name}.{a}" for a in KINDS[layer.kind].shapes} for layer in self._layers
        }
        for layer in self._layers:
            for name in self._names[layer.name].values():
                array = torch.from_numpy(np.array(weights[name], dtype=np.float32))
                if layer.kind == "normalize":
                    self.register_buffer(_key(name), array)
                else:
                    self.register_parameter(_key(name), nn.Parameter(array))

    def weights(self) -> dict[str, np.typing.NDArray[np.float32]]:
        """The arrays by their names in `Policy.weights`, copied."""
        names = [name for arrays in self._names.values() for name in arrays.values()]
        return {name: getattr(self, _key(name)).detach().cpu().numpy().copy() for name in names}

    def forward(self, inputs: Arrays, memory: Arrays | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """What comes out, shape (rows, n), and what recurrent layers remember, as `sim2real.policy.Run` does.

        Args:
            inputs: what the network reads, by name. Shape (rows, size).
            memory: of each recurrent layer; None at the start of episodes.
        """
        seen, kept = dict(inputs), {}
        for layer in self._layers:
            arrays = {a: getattr(self, _key(name)) for a, name in self._names[layer.name].items()}
            taken = [seen[source] for source in layer.inputs]
            if layer.kind in _REMEMBER:
                x, units = taken[0], arrays["weight_hh"].shape[1]
                nothing = x.new_zeros((len(x), KINDS[layer.kind].memory * units))
                kept[layer.name] = _REMEMBER[layer.kind](arrays, x, memory[layer.name] if memory else nothing)
                seen[layer.name] = kept[layer.name][:, :units]
            else:
                seen[layer.name] = _FORWARD[layer.kind](layer, arrays, *taken)
        return seen[self._output], kept


def _key(name: str) -> str:
    """A name that torch takes: it has no dots."""
    return name.replace(".", "/")


def _gru(arrays: Arrays, x: Tensor, before: Tensor) -> Tensor:
    return torch.gru_cell(x, before, *(arrays[name] for name in _GATES))


def _lstm(arrays: Arrays, x: Tensor, before: Tensor) -> Tensor:
    return torch.cat(torch.lstm_cell(x, before.chunk(2, dim=1), *(arrays[name] for name in _GATES)), dim=1)


def _low_rank(layer: Layer, arrays: Arrays, x: Tensor) -> Tensor:
    return (layer.number or 0.0) * functional.linear(functional.linear(x, arrays["A"]), arrays["B"])


def _activation(layer: Layer, _: Arrays, x: Tensor) -> Tensor:
    function = getattr(torch if hasattr(torch, layer.kind) else functional, layer.kind)
    y: Tensor = function(x)
    return y


def _clip(layer: Layer, _: Arrays, x: Tensor) -> Tensor:
    limit = layer.number or 0.0
    return torch.clamp(x, -limit, limit)


_GATES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_REMEMBER: Mapping[str, Callable[[Arrays, Tensor, Tensor], Tensor]] = {"gru": _gru, "lstm": _lstm}
_FORWARD: Mapping[str, Callable[..., Tensor]] = {
    "dense": lambda _, arrays, x: functional.linear(x, arrays["weight"], arrays["bias"]),
    "low_rank": _low_rank,
    "normalize": lambda _, arrays, x: (x - arrays["mean"]) / arrays["std"],
    "affine": lambda _, arrays, x: x * arrays["scale"] + arrays["shift"],
    "clip": _clip,
    "sum": lambda _, __, *parts: torch.stack(parts).sum(dim=0),
    "concat": lambda _, __, *parts: torch.cat(parts, dim=1),
    **dict.fromkeys(ACTIVATIONS, _activation),
}
