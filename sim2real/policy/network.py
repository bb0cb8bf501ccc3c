"""The network of a policy, run by numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import PolicyError, UnknownName
from sim2real.policy.contract import Contract

Weights = Mapping[str, NDArray[np.float32]]

_BLOCK = 8
"""Rows that a policy acts on at a time; in larger ones kernels may round by a row's place."""

_ACTIVATIONS: Mapping[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
}


def mean_actions(
    contract: Contract, weights: Weights, observation: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What the actor gives, clipped to [-1, 1]; each row the same bits in any company."""
    squash = _ACTIVATIONS[contract.activation]
    normal = (observation - weights["normalizer.mean"]) / weights["normalizer.std"]
    x = _in_blocks(np.clip(normal, -contract.clip, contract.clip))
    last = num_layers(weights, "actor") - 1
    for k in range(last + 1):
        x = x @ weights[f"actor.{k}.weight"].T + weights[f"actor.{k}.bias"]
        x = squash(x) if k < last else x
    shape = (*normal.shape[:-1], x.shape[-1])
    actions = x.reshape(x.shape[0] * _BLOCK, x.shape[-1])[: math.prod(shape[:-1])]
    return np.asarray(np.clip(actions, -1.0, 1.0), dtype=np.float32).reshape(shape)


def num_layers(weights: Weights, head: str) -> int:
    """Layers of a head, ``"actor"`` or ``"critic"``."""
    return sum(1 for key in weights if key.startswith(f"{head}.") and key.endswith(".weight"))


def _in_blocks(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows in blocks of one size, the last one filled up: BLAS rounds a product by how many rows it has.

    Shape (blocks, _BLOCK, n).
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    filled = np.zeros((-(-len(flat) // _BLOCK) * _BLOCK, flat.shape[1]), dtype=flat.dtype)
    filled[: len(flat)] = flat
    return filled.reshape(len(filled) // _BLOCK, _BLOCK, flat.shape[1])


def check_weights(contract: Contract, weights: Weights) -> None:
    """Refuse weights that can't act."""
    if contract.activation not in _ACTIVATIONS:
        raise UnknownName("activation", contract.activation, _ACTIVATIONS)
    for key, array in weights.items():
        if not np.isfinite(array).all():
            raise PolicyError(f"weights {key!r} are not finite; the training diverged or the file is damaged")
    size, layers = len(contract.observation), num_layers(weights, "actor")
    needed = {"normalizer.mean", "normalizer.std", "log_std"} | {f"actor.{k}.bias" for k in range(layers)}
    missing = needed - set(weights)
    if missing or not layers:
        raise PolicyError(f"weights lack {sorted(missing) or 'an actor'}")
    for k in range(layers):
        if weights[f"actor.{k}.weight"].shape[1] != size:
            raise PolicyError(
                f"layer {k} of the actor takes {weights[f'actor.{k}.weight'].shape[1]} numbers, not {size}"
            )
        size = weights[f"actor.{k}.weight"].shape[0]
    if size != len(contract.action):
        raise PolicyError(f"the actor gives {size} actions where the contract names {len(contract.action)}")
    _check_vectors(contract, weights)


def _check_vectors(contract: Contract, weights: Weights) -> None:
    lengths = dict.fromkeys(("normalizer.mean", "normalizer.std"), len(contract.observation))
    for k in range(num_layers(weights, "actor")):
        lengths[f"actor.{k}.bias"] = weights[f"actor.{k}.weight"].shape[0]
    for key, length in lengths.items():
        if weights[key].shape != (length,):
            raise PolicyError(f"weights {key!r} have shape {weights[key].shape} where {(length,)} is meant")
    if (weights["normalizer.std"] <= 0).any():
        raise PolicyError("weights 'normalizer.std' must be above 0")
