"""Weights between rsl_rl's PPO and a policy folder, and whole checkpoints, as arrays in both directions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sim2real.policy import Policy, Weights

if TYPE_CHECKING:
    from rsl_rl.algorithms import PPO

_STATES = ("actor_state_dict", "critic_state_dict")
_PRIOR = 1_000_000  # observations that an imported normalizer counts for


def export_weights(algorithm: PPO) -> Weights:
    """Actor, critic, exploration and normalizer under the names of `Policy.weights`."""
    arrays: dict[str, NDArray[np.float32]] = {
        name: tensor.detach().cpu().numpy().astype(np.float32) for name, tensor in _named(algorithm).items()
    }
    normalizer, size = algorithm.actor.obs_normalizer, algorithm.actor.obs_dim
    mean, std = np.zeros(size, np.float32), np.ones(size, np.float32)
    if isinstance(normalizer, torch.nn.Identity):
        return {**arrays, "normalizer.mean": mean, "normalizer.std": std}
    std = (normalizer.std + normalizer.eps).cpu().numpy()  # what rsl_rl divides by
    return {**arrays, "normalizer.mean": normalizer.mean.cpu().numpy(), "normalizer.std": std}


def import_weights(algorithm: PPO, policy: Policy, std: float) -> None:
    """Copy actor, critic and normalizer into networks of the same shape, to explore with ``std``."""
    with torch.no_grad():
        for name, tensor in _named(algorithm).items():
            tensor.copy_(torch.from_numpy(np.array(policy.weights[name])))
        algorithm.actor.distribution.log_std_param.fill_(math.log(std))
        for normalizer in (algorithm.actor.obs_normalizer, algorithm.critic.obs_normalizer):
            if isinstance(normalizer, torch.nn.Identity):
                continue
            spread = torch.from_numpy(np.array(policy.weights["normalizer.std"])) - normalizer.eps
            normalizer._mean.copy_(torch.from_numpy(np.array(policy.weights["normalizer.mean"])))
            normalizer._std.copy_(spread)
            normalizer._var.copy_(spread**2)
            normalizer.count.fill_(_PRIOR if policy.contract.provenance else 0)


def dump(algorithm: PPO) -> dict[str, torch.Tensor]:
    """Everything that learning goes on from, as named tensors."""
    state = algorithm.save()
    tensors = {f"{part}/{key}": value.clone() for part in _STATES for key, value in state[part].items()}
    for index, moments in state["optimizer_state_dict"]["state"].items():
        tensors |= {f"adam/{index}/{key}": value.clone() for key, value in moments.items()}
    return {**tensors, "learning_rate": torch.tensor(algorithm.learning_rate, dtype=torch.float64)}


def restore(algorithm: PPO, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put ``algorithm`` where `dump` was called."""
    optimizer = algorithm.optimizer.state_dict()
    for group in optimizer["param_groups"]:
        group["lr"] = float(tensors["learning_rate"])
    parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in _STATES}
    for name, tensor in tensors.items():
        part, _, key = name.partition("/")
        if part in parts:
            parts[part][key] = tensor
        elif part == "adam":
            index, _, moment = key.partition("/")
            optimizer["state"].setdefault(int(index), {})[moment] = tensor
    algorithm.load({**parts, "optimizer_state_dict": optimizer}, load_cfg=None, strict=True)


def _named(algorithm: PPO) -> dict[str, torch.Tensor]:
    """The networks' own tensors by our names; writing into them changes the networks."""
    named: dict[str, torch.Tensor] = {"log_std": algorithm.actor.distribution.log_std_param}
    for head, network in (("actor", algorithm.actor.mlp), ("critic", algorithm.critic.mlp)):
        linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
        for k, layer in enumerate(linear):
            named |= {f"{head}.{k}.weight": layer.weight, f"{head}.{k}.bias": layer.bias}
    return named
