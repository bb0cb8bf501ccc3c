"""A critic that knows the physics of each episode while it learns, beside an actor that does not.

Asymmetric actor-critic (Pinto et al. 2018): what a return depends on, and no sensor tells, is no noise to the
critic. The actor reads what it read before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, PolicyError
from sim2real.interface import Signal
from sim2real.policy import Layer, Policy
from sim2real.policy.kinds import Rows

_READ, _KNOWS, _SUM = "privileged.normalizer", "critic.0.privileged", "critic.0.sum"
_ENDS = np.array([0.025, 0.975])
"""Quantiles of a parameter that become -1 and 1."""


def show_physics(policy: Policy, env: Sim2RealVectorEnv) -> Policy:
    """The policy with a critic that reads every parameter of an env's domain, and values as before at first.

    Args:
        policy: a feedforward one with a critic.
        env: whose domain.

    Raises:
        InvalidValue: for a domain that draws nothing.
        PolicyError: for a policy of another form.
    """
    names = env.domain.names
    if env.domain.is_point:
        raise InvalidValue("privileged = true shows a critic what a domain draws; train in one that draws")
    if "critic.0" not in policy.network.by_name or policy.contract.privileged:
        raise PolicyError(f"policy {policy.name!r} has no plain critic, which physics could be shown to")
    ends = np.array([env.domain.parameters[name].quantile(_ENDS) for name in names])
    width = len(policy.weights["critic.0.bias"])
    arrays = {
        f"{_READ}.mean": ends.mean(axis=1),
        f"{_READ}.std": np.maximum(np.ptp(ends, axis=1) / 2, 1e-6),
        f"{_KNOWS}.weight": np.zeros((width, len(names))),
        f"{_KNOWS}.bias": np.zeros(width),
    }
    network = policy.network.inserted(
        "critic.0",
        Layer(_READ, "normalize", ("privileged",)),
        Layer(_KNOWS, "dense", (_READ,)),
        Layer(_SUM, "sum", ("critic.0", _KNOWS)),
    )
    signals = tuple(Signal(name, env.world.parameters[name].unit) for name in names)
    added: dict[str, Rows] = {name: array.astype(np.float32) for name, array in arrays.items()}
    contract = replace(policy.contract, privileged=signals)
    return Policy(contract, network, {**policy.weights, **added}, policy.name)


def hide_physics(policy: Policy) -> Policy:
    """The policy without what its critic reads of physics: it values as in the middle of every range."""
    network = policy.network.without(_SUM, _KNOWS, _READ, instead="critic.0")
    gone = policy.network.arrays_of(_KNOWS, _READ)
    weights = {name: array for name, array in policy.weights.items() if name not in gone}
    weights["critic.0.bias"] = weights["critic.0.bias"] + policy.weights[f"{_KNOWS}.bias"]
    return Policy(replace(policy.contract, privileged=()), network, weights, policy.name)
