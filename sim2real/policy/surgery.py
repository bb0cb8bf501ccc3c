"""What transfer does to networks: parts by depth, low-rank additions and adapters, merging and averaging.

trunk, (head,) = layers_by_depth(policy.network)[:-1], layers_by_depth(policy.network)[-1]
lora = add_low_rank(policy, ("actor.0", "actor.1"), rank=4, factor=2.0)
count_weights(lora, ("actor.0.lora", "actor.1.lora"))
merge_low_rank(lora)                         # acts as lora, on the network of policy
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from sim2real.errors import InvalidValue, PolicyError
from sim2real.policy.adapter import merged
from sim2real.policy.kinds import KINDS
from sim2real.policy.network import Layer, Network
from sim2real.policy.policy import Policy

_STATISTICS = ("normalize",)
"""Kinds whose arrays are measured, not learnt."""


def layers_by_depth(network: Network, output: str = "action") -> tuple[tuple[str, ...], ...]:
    """Names of the layers with weights that an output comes from, from the input on.

    Those of one depth, the most layers with weights before them on any way from the input, stand together:
    the last entry is the head, all others are the trunk.
    """
    depth: dict[str, int] = {}
    parts: list[list[str]] = []
    for layer in network.order(output):
        before = max(depth.get(name, 0) for name in layer.inputs)
        has_weights = bool(KINDS[layer.kind].shapes) and layer.kind not in _STATISTICS
        depth[layer.name] = before + has_weights
        if has_weights:
            parts += [[] for _ in range(depth[layer.name] - len(parts))]
            parts[before].append(layer.name)
    place = {layer.name: number for number, layer in enumerate(network.layers)}
    return tuple(tuple(sorted(part, key=place.__getitem__)) for part in parts)


def count_weights(policy: Policy, layers: Iterable[str]) -> int:
    """How many numbers the arrays of some layers hold.

    Raises:
        UnknownName: for a layer that the network lacks.
    """
    return sum(policy.weights[key].size for key in policy.network.arrays_of(*layers))


def add_low_rank(
    policy: Policy, layers: Sequence[str], rank: int, factor: float = 1.0, seed: int = 0
) -> Policy:
    """The policy with a low-rank layer ``<layer>.lora`` beside dense ones, which changes nothing at first.

    LoRA (Hu et al. 2022): y = W x + b + factor · B A x, with B = 0 and A of variance 1 / in.

    Raises:
        UnknownName: for a layer that the network lacks.
        PolicyError: for a layer that is not dense, or has one already.
        InvalidValue: for a rank that is below 1, or above a layer's width.
    """
    rng, network, weights = np.random.default_rng(seed), policy.network, dict(policy.weights)
    for name in layers:
        weight = weights[_dense(policy, name)]
        if not 1 <= rank <= min(weight.shape):
            raise InvalidValue(
                f"a rank of {rank} for layer {name!r}, whose weight has shape {weight.shape}; "
                f"give 1 to {min(weight.shape)}"
            )
        lora = Layer(f"{name}.lora", "low_rank", network.by_name[name].inputs, factor)
        added = Layer(f"{name}.lora.sum", "sum", (name, lora.name))
        network = network.inserted(name, lora, added)
        drawn = rng.normal(size=(rank, weight.shape[1])) / np.sqrt(weight.shape[1])
        weights[f"{lora.name}.A"] = drawn.astype(np.float32)
        weights[f"{lora.name}.B"] = np.zeros((weight.shape[0], rank), dtype=np.float32)
    return replace(policy, network=network, weights=weights)


def merge_low_rank(policy: Policy) -> Policy:
    """The policy with every low-rank layer made part of the dense one beside it; see `adapter.merged`.

    Raises:
        PolicyError: for a low-rank layer that is not added to a dense one of the same input, or a dense one
            that others read too.
    """
    network, weights = merged(policy.network, policy.weights)
    return replace(policy, network=network, weights=weights)


def add_adapter(policy: Policy, layer: str, width: int, activation: str = "relu", seed: int = 0) -> Policy:
    """The policy with a bottleneck ``<layer>.adapter`` behind a layer, which changes nothing at first.

    Houlsby et al. 2019: y = x + U σ(D x + d) + u, with U = 0 and D of variance 1 / in.

    Raises:
        UnknownName: for a layer that the network lacks, or an unknown activation.
        PolicyError: for a layer that has an adapter already.
        InvalidValue: for a width below 1.
    """
    if width < 1:
        raise InvalidValue(f"an adapter of width {width} for layer {layer!r}; give at least 1")
    policy.network.arrays_of(layer)
    size = policy.network.sizes(policy.weights, policy.contract.inputs)[layer]
    down, up = f"{layer}.adapter.down", f"{layer}.adapter.up"
    network = policy.network.inserted(
        layer,
        Layer(down, "dense", (layer,)),
        Layer(f"{layer}.adapter.{activation}", activation, (down,)),
        Layer(up, "dense", (f"{layer}.adapter.{activation}",)),
        Layer(f"{layer}.adapter", "sum", (layer, up)),
    )
    drawn = np.random.default_rng(seed).normal(size=(width, size)) / np.sqrt(size)
    arrays = {
        f"{down}.weight": drawn,
        f"{down}.bias": np.zeros(width),
        f"{up}.weight": np.zeros((size, width)),
        f"{up}.bias": np.zeros(size),
    }
    added = {key: array.astype(np.float32) for key, array in arrays.items()}
    return replace(policy, network=network, weights={**policy.weights, **added})


def averaged(one: Policy, other: Policy, share: float = 0.5) -> Policy:
    """``one`` with each array (1 − share) · its own + share · the other's.

    Raises:
        PolicyError: for policies of different networks.
        InvalidValue: for a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise InvalidValue(f"a share of {share:g} of {other.name!r}; give 0 to 1")
    shapes = [{key: array.shape for key, array in policy.weights.items()} for policy in (one, other)]
    if one.network != other.network or shapes[0] != shapes[1]:
        raise PolicyError(
            f"policies {one.name!r} and {other.name!r} have different networks; none is their mean"
        )
    weights = {
        key: ((1 - share) * array.astype(np.float64) + share * other.weights[key]).astype(np.float32)
        for key, array in one.weights.items()
    }
    return replace(one, weights=weights)


def _dense(policy: Policy, name: str) -> str:
    """Weight of a layer that must be dense."""
    (weight, *_) = policy.network.arrays_of(name) or ("",)
    kind = policy.network.by_name[name].kind
    if kind != "dense":
        raise PolicyError(
            f"layer {name!r} is of kind {kind}; only a dense layer takes a low-rank one beside it"
        )
    return weight
