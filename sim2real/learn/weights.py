"""Weights between a Stable-Baselines3 PPO model and a policy folder, as arrays in both directions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from torch import nn

from sim2real.policy import Policy, Weights, num_layers

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}

_EPSILON = 1e-8  # VecNormalize adds it to the variance
_HEADS = {"actor": ("policy_net", "action_net"), "critic": ("value_net", "value_net")}


def activation_name(model: PPO) -> str:
    """Name of the activation between a model's layers."""
    return next(name for name, kind in ACTIVATIONS.items() if kind is model.policy.activation_fn)


def export_weights(model: PPO) -> Weights:
    """The model's actor, critic, exploration and normalizer under the names of `Policy.weights`."""
    arrays: dict[str, NDArray[np.float32]] = {
        ours: tensor.detach().numpy().astype(np.float32) for ours, tensor in named_tensors(model).items()
    }
    return {**arrays, **_normalizer(model)}


def import_weights(model: PPO, policy: Policy, std: float) -> None:
    """Copy actor, critic and normalizer into a model of the same shape, to explore with ``std``."""
    with torch.no_grad():
        for ours, tensor in named_tensors(model).items():
            tensor.copy_(torch.from_numpy(np.array(policy.weights[ours])))
        model.policy.log_std.fill_(math.log(std))
    statistics = running_statistics(model)
    if statistics is not None:
        statistics.mean = policy.weights["normalizer.mean"].astype(np.float64)
        statistics.var = policy.weights["normalizer.std"].astype(np.float64) ** 2 - _EPSILON


def named_tensors(model: PPO) -> dict[str, torch.Tensor]:
    """The model's own tensors by the names of `Policy.weights`; writing into them changes the model."""
    tensors: dict[str, torch.Tensor] = dict(model.policy.named_parameters())
    named = {"log_std": tensors["log_std"]}
    for head, (body, last) in _HEADS.items():
        layers = sorted(
            {int(key.split(".")[2]) for key in tensors if key.startswith(f"mlp_extractor.{body}.")}
        )
        sources = [f"mlp_extractor.{body}.{layer}" for layer in layers] + [last]
        for k, source in enumerate(sources):
            for kind in ("weight", "bias"):
                named[f"{head}.{k}.{kind}"] = tensors[f"{source}.{kind}"]
    return named


def running_statistics(model: PPO) -> RunningMeanStd | None:
    """Mean and variance that the model's observations are normalized with, if they are."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None:
        return None
    assert isinstance(normalizer.obs_rms, RunningMeanStd)
    return normalizer.obs_rms


def hidden_of(policy: Policy) -> tuple[int, ...]:
    """Sizes of the hidden layers of the actor."""
    layers = num_layers(policy.weights, "actor")
    return tuple(policy.weights[f"actor.{k}.weight"].shape[0] for k in range(layers - 1))


def _normalizer(model: PPO) -> dict[str, NDArray[np.float32]]:
    size = model.observation_space.shape or (0,)
    mean, std = np.zeros(size, np.float32), np.ones(size, np.float32)
    statistics = running_statistics(model)
    if statistics is not None:
        mean = statistics.mean.astype(np.float32)
        std = np.sqrt(statistics.var + _EPSILON).astype(np.float32)
    return {"normalizer.mean": mean, "normalizer.std": std}
