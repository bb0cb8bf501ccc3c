"""Gradients of every kind of layer against torch's autograd, which knows each by its own functions."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from sim2real.errors import PolicyError
from sim2real.learn.backprop import Backprop
from sim2real.learn.flat import FlatParameters
from sim2real.policy import Layer, Network
from sim2real.policy.kinds import ACTIVATIONS

ROWS, SIZE = 7, 4


def activation(name, x, _):
    return getattr(torch if hasattr(torch, name) else functional, name)(x)


IN_TORCH = {
    "dense": lambda x, w: functional.linear(x, w["weight"], w["bias"]),
    "low_rank": lambda x, w: 0.5 * functional.linear(functional.linear(x, w["A"]), w["B"]),
    "normalize": lambda x, w: (x - w["mean"]) / w["std"],
    "affine": lambda x, w: x * w["scale"] + w["shift"],
    "clip": lambda x, w: torch.clamp(x, -0.5, 0.5),
}
IN_TORCH |= {name: partial(activation, name) for name in ACTIVATIONS}
SHAPES = {
    "dense": {"weight": (SIZE, SIZE), "bias": (SIZE,)},
    "low_rank": {"A": (2, SIZE), "B": (SIZE, 2)},
    "normalize": {"mean": (SIZE,), "std": (SIZE,)},
    "affine": {"scale": (SIZE,), "shift": (SIZE,)},
}
NUMBERS = {"low_rank": 0.5, "clip": 0.5}


def through(kind):
    """A layer of the kind with dense ones around it, and beside it a way that joins it twice."""
    layers = (
        Layer("first", "dense", ("observation",)),
        Layer("middle", kind, ("first",), NUMBERS.get(kind)),
        Layer("both", "concat", ("middle", "first")),
        Layer("act", "dense", ("both",)),
        Layer("mixed", "sum", ("middle", "first", "observation")),
        Layer("judge", "dense", ("mixed",)),
    )
    shapes = {"first": SHAPES["dense"], "middle": SHAPES.get(kind, {})}
    shapes["act"] = {"weight": (2, 2 * SIZE), "bias": (2,)}
    shapes["judge"] = {"weight": (1, SIZE), "bias": (1,)}
    return Network(layers, {"action": "act", "value": "judge"}), shapes


def weights_of(shapes):
    rng = np.random.default_rng(0)
    drawn = {
        f"{layer}.{name}": rng.normal(size=shape).astype(np.float32)
        for layer, arrays in shapes.items()
        for name, shape in arrays.items()
    }
    return {name: np.abs(a) + 0.5 if name.endswith("std") else a for name, a in drawn.items()}


def in_torch(kind, tensors, x):
    def own(layer):
        return {name.rpartition(".")[2]: t for name, t in tensors.items() if name.startswith(f"{layer}.")}

    first = IN_TORCH["dense"](x, own("first"))
    middle = IN_TORCH[kind](first, own("middle"))
    action = IN_TORCH["dense"](torch.cat([middle, first], dim=1), own("act"))
    return action, IN_TORCH["dense"](middle + first + x, own("judge"))


@pytest.mark.parametrize("kind", IN_TORCH)
def test_gradients_are_those_of_autograd(kind):
    network, shapes = through(kind)
    weights = weights_of(shapes)
    parameters = FlatParameters(weights)
    x, by_action, by_value = (
        np.random.default_rng(k).normal(size=(ROWS, n)).astype(np.float32) for k, n in enumerate((SIZE, 2, 1))
    )
    mine = Backprop(network, parameters.values, parameters.grads)
    outputs = mine.forward({"observation": x})
    mine.backward({"action": by_action, "value": by_value})
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    theirs = in_torch(kind, tensors, torch.from_numpy(x))
    torch.autograd.backward(theirs, [torch.from_numpy(by_action), torch.from_numpy(by_value)])
    for ours, wanted in zip(outputs, theirs, strict=True):
        np.testing.assert_allclose(ours, wanted.detach(), atol=2e-5)
    constants = ("middle.mean", "middle.std")
    for name, tensor in tensors.items():
        if name not in constants:
            np.testing.assert_allclose(parameters.grads[name], tensor.grad, atol=2e-4, err_msg=name)


def test_what_rests_is_not_differentiated_and_what_is_below_it_still_is():
    network, shapes = through("dense")
    parameters = FlatParameters(weights_of(shapes))
    mine = Backprop(network, parameters.values, parameters.grads)
    x = np.ones((ROWS, SIZE), np.float32)
    gradients = {"action": np.ones((ROWS, 2), np.float32), "value": np.ones((ROWS, 1), np.float32)}
    mine.forward({"observation": x})
    mine.backward(gradients)
    everything = {name: array.copy() for name, array in parameters.grads.items()}
    parameters.grad[:] = 0
    mine.choose(["first.weight", "first.bias", "judge.weight", "judge.bias"])
    mine.forward({"observation": x})
    mine.backward(gradients)
    for name, array in parameters.grads.items():
        rests = name.startswith(("middle", "act"))
        np.testing.assert_array_equal(array, 0 * array if rests else everything[name], err_msg=name)


def test_a_layer_that_remembers_is_refused_by_name():
    network = Network((Layer("memory", "gru", ("observation",)),), {"action": "memory"})
    with pytest.raises(PolicyError, match="layer 'memory' of kind gru can't learn here"):
        Backprop(network, {}, {})
