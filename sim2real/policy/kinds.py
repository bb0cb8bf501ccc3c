"""The kinds of layers that a network is made of.

A layer maps rows of numbers x, shape (rows, in), to rows of numbers, shape (rows, out). W, b, … are arrays,
saved as ``<layer>.<array>``; *limit* and *factor* are the one number that such a layer has.

=========  ====================================================  ==========================================
kind       gives                                                 arrays
=========  ====================================================  ==========================================
dense      x Wᵀ + b                                              ``weight`` (out, in), ``bias`` (out)
low_rank   factor · (x Aᵀ) Bᵀ, what LoRA adds to a dense         ``A`` (rank, in), ``B`` (out, rank)
normalize  (x − mean) / std                                      ``mean`` (in), ``std`` (in), above 0
affine     x · scale + shift                                     ``scale`` (in), ``shift`` (in)
gru        h' = (1 − z) · n + z · h, from 0 on, where            ``weight_ih`` (3·out, in), ``bias_ih``
           r = σ(Wᵣx + bᵣ + Uᵣh + cᵣ), z alike, and              (3·out): W and b of r, z and n stacked;
           n = tanh(Wₙx + bₙ + r · (Uₙh + cₙ)); as               ``weight_hh`` (3·out, out), ``bias_hh``
           ``torch.nn.GRU``                                      (3·out): U and c
lstm       h' = o · tanh(c'), c' = f · c + i · g, from 0 on,     of i, f, g and o: ``weight_ih`` (4·out,
           where i = σ(Wᵢx + bᵢ + Uᵢh + cᵢ), f and o alike, g    in), ``weight_hh`` (4·out, out),
           with a tanh for σ; as ``torch.nn.LSTM``               ``bias_ih`` (4·out), ``bias_hh`` (4·out)
clip       min(max(x, −limit), limit)                            none
sum        x₁ + x₂ + …, of one size                              none
concat     x₁, x₂, … side by side                                none
tanh, …    the activation of that name, see `ACTIVATIONS`        none
=========  ====================================================  ==========================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
"""Numbers of rows. Shape (…, rows, n)."""
Weights = Mapping[str, NDArray[np.float32]]
"""Arrays by name."""
Function = Callable[..., Rows]
"""From what comes in to what comes out; for one with memory, then from what it remembers to what it will."""


@dataclass(frozen=True)
class Kind:
    """What all layers of one kind have in common."""

    bind: Callable[[Weights, float], Function]
    """The layer's function, for its arrays and its number."""
    shapes: Mapping[str, str] = field(default_factory=dict)
    """Of each array: ``"out in"``, ``"3out"``; a word is any size, but the same wherever it stands, a digit
    how many times that."""
    out: str = "in"
    """The word that is the size of what comes out."""
    number: str = ""
    """Name of the layer's number, if it has one."""
    several: bool = False
    """Whether it takes several inputs."""
    memory: int = 0
    """How many numbers it remembers for each that it gives; the first of them are what it gave last."""
    positive: tuple[str, ...] = ()
    """Arrays that must be above 0."""


def _dense(arrays: Weights, _: float) -> Function:
    weight, bias = arrays["weight"].T, arrays["bias"]

    def function(x: Rows) -> Rows:
        x = x @ weight
        x += bias
        return x

    return function


def _low_rank(arrays: Weights, factor: float) -> Function:
    down, up = arrays["A"].T, factor * arrays["B"].T
    return lambda x: x @ down @ up


def _normalize(arrays: Weights, _: float) -> Function:
    mean, std = arrays["mean"], arrays["std"]

    def function(x: Rows) -> Rows:
        x = x - mean
        x /= std
        return x

    return function


def _affine(arrays: Weights, _: float) -> Function:
    scale, shift = arrays["scale"], arrays["shift"]
    return lambda x: x * scale + shift


def _gru(arrays: Weights, _: float) -> Function:
    weight, bias = arrays["weight_ih"].T, arrays["bias_ih"]
    recurrent, offset = arrays["weight_hh"].T, arrays["bias_hh"]
    size = recurrent.shape[0]

    def function(x: Rows, h: Rows) -> Rows:
        new, old = x @ weight + bias, h @ recurrent + offset
        gates = _sigmoid(new[..., : 2 * size] + old[..., : 2 * size])
        r, z = gates[..., :size], gates[..., size:]
        n = np.tanh(new[..., 2 * size :] + r * old[..., 2 * size :])
        following: Rows = (1 - z) * n + z * h
        return following

    return function


def _lstm(arrays: Weights, _: float) -> Function:
    weight, bias = arrays["weight_ih"].T, arrays["bias_ih"] + arrays["bias_hh"]
    recurrent = arrays["weight_hh"].T
    size = recurrent.shape[0]

    def function(x: Rows, before: Rows) -> Rows:
        h, c = before[..., :size], before[..., size:]
        gates = x @ weight + h @ recurrent + bias
        i, f, o = (_sigmoid(gates[..., k * size : (k + 1) * size]) for k in (0, 1, 3))
        c = f * c + i * np.tanh(gates[..., 2 * size : 3 * size])
        return np.concatenate((o * np.tanh(c), c), axis=-1)

    return function


def _sum(_: Weights, __: float) -> Function:
    def function(first: Rows, *others: Rows) -> Rows:
        for other in others:
            first = first + other
        return first

    return function


def clipped(x: Rows, limit: float) -> Rows:
    """X within ± limit; several times faster for few numbers than `numpy.clip`."""
    return np.asarray(np.minimum(np.maximum(x, -limit), limit))


def _sigmoid(x: Rows) -> Rows:
    return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5)


def _gelu(x: Rows) -> Rows:
    """X Φ(x), with the error function to 2e-7 (Abramowitz and Stegun 1964, 7.1.26)."""
    y = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + 0.3275911 * y)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(np.maximum(x, 0.0) - 0.5 * np.abs(x) * series * np.exp(-y * y))


ACTIVATIONS: Mapping[str, Callable[[Rows], Rows]] = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "gelu": _gelu,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: np.logaddexp(x, np.float32(0.0)),
    "tanh": np.tanh,
}
"""Functions of single numbers, each as torch has it with its defaults."""


def _gates(count: int) -> dict[str, str]:
    """Arrays of a layer with so many gates."""
    words = {"weight_ih": "out in", "weight_hh": "out out", "bias_ih": "out", "bias_hh": "out"}
    return {name: f"{count}{shape}" for name, shape in words.items()}


KINDS: Mapping[str, Kind] = {
    "dense": Kind(_dense, {"weight": "out in", "bias": "out"}, "out"),
    "low_rank": Kind(_low_rank, {"A": "rank in", "B": "out rank"}, "out", "factor"),
    "normalize": Kind(_normalize, {"mean": "in", "std": "in"}, positive=("std",)),
    "affine": Kind(_affine, {"scale": "in", "shift": "in"}),
    "gru": Kind(_gru, _gates(3), "out", memory=1),
    "lstm": Kind(_lstm, _gates(4), "out", memory=2),
    "clip": Kind(lambda _, limit: lambda x: clipped(x, limit), number="limit"),
    "sum": Kind(_sum, several=True),
    "concat": Kind(lambda _, __: lambda *parts: np.concatenate(parts, axis=-1), several=True),
    **{name: Kind(lambda _, __, function=f: function) for name, f in ACTIVATIONS.items()},  # type: ignore[misc]
}
"""All kinds, by name."""
