"""A policy as a model of Stable-Baselines3, all of whose code is theirs: to go on there, or to compare.

model = as_sb3(Policy.load("furuta-nominal-0"), SB3VecEnv(env), settings)
model.learn(100_000)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from torch import nn

from sim2real.errors import UnknownName
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import hidden_of
from sim2real.policy import Policy, as_feedforward

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
_HEADS = {"actor": ("policy_net", "action_net"), "critic": ("value_net", "value_net")}


def as_sb3(policy: Policy, venv: VecEnv, settings: PPOSettings, seed: int = 0) -> PPO:
    """Stable-Baselines3's PPO with the weights of a policy.

    Its normalizer is left out, as there it belongs to the env: see ``VecNormalize``.

    Args:
        policy: a feedforward one.
        venv: what it learns in.
        settings: how it learns.
        seed: of exploration and episodes.

    Raises:
        PolicyError: for a network of another form.
        UnknownName: for an activation that is not tanh, relu or elu.
    """
    activation, _ = as_feedforward(policy.network, policy.weights)
    if activation not in ACTIVATIONS:
        raise UnknownName("activation", activation, ACTIVATIONS)
    torch.set_num_threads(1)  # two spinning threads are an order of magnitude slower on small networks
    model = PPO(
        "MlpPolicy",
        VecMonitor(venv),
        **settings.for_sb3,
        seed=seed,
        policy_kwargs={"net_arch": list(hidden_of(policy)), "activation_fn": ACTIVATIONS[activation]},
    )
    with torch.no_grad():
        for name, tensor in named_tensors(model).items():
            tensor.copy_(torch.from_numpy(np.array(policy.weights[name])))
    return model


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
