"""The torch twin of a network gives what numpy gives, also with memory, and gives its arrays back."""

import numpy as np
import pytest
import torch

from sim2real.learn.twin import Twin
from sim2real.policy import Layer, Network
from sim2real.policy.kinds import ACTIVATIONS
from sim2real.policy.network import NetworkFunction

SIZE = 4
SHAPES = {
    "dense": {"weight": (SIZE, SIZE), "bias": (SIZE,)},
    "low_rank": {"A": (2, SIZE), "B": (SIZE, 2)},
    "normalize": {"mean": (SIZE,), "std": (SIZE,)},
    "affine": {"scale": (SIZE,), "shift": (SIZE,)},
    "gru": {
        "weight_ih": (3 * SIZE, SIZE),
        "weight_hh": (3 * SIZE, SIZE),
        "bias_ih": (3 * SIZE,),
        "bias_hh": (3 * SIZE,),
    },
}
SHAPES["lstm"] = {name: (4 * shape[0] // 3, *shape[1:]) for name, shape in SHAPES["gru"].items()}
NUMBERS = {"low_rank": 0.5, "clip": 0.5}
KINDS = [*SHAPES, "clip", "sum", "concat", *ACTIVATIONS]


@pytest.mark.parametrize("kind", KINDS)
def test_twin_acts_as_numpy_does_step_after_step(kind):
    rng = np.random.default_rng(0)
    inputs = ("first", "observation") if kind in ("sum", "concat") else ("first",)
    layers = (
        Layer("first", "dense", ("observation",)),
        Layer("middle.0", kind, inputs, NUMBERS.get(kind)),
    )
    network = Network(layers, {"action": "middle.0"})
    weights = {
        f"{layer}.{name}": np.abs(rng.normal(size=shape)).astype(np.float32) + 0.1
        for layer, arrays in {"first": SHAPES["dense"], "middle.0": SHAPES.get(kind, {})}.items()
        for name, shape in arrays.items()
    }
    run, twin = NetworkFunction(network, weights), Twin(network, weights)
    memory = {name: np.zeros((5, size), np.float32) for name, size in run.memory.items()}
    remembered = None
    for _ in range(3):
        x = rng.normal(size=(5, SIZE)).astype(np.float32)
        wanted, memory = run({"observation": x}, memory)
        found, remembered = twin({"observation": torch.from_numpy(x)}, remembered)
        np.testing.assert_allclose(found.detach(), wanted, atol=2e-5)
    back = twin.weights()
    assert back.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(back[name], array)
    learn = {name.replace("/", ".") for name, _ in twin.named_parameters()}
    assert learn == {name for name in weights if kind != "normalize" or not name.startswith("middle")}
