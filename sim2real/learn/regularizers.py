"""What holds learning back: losses of the parameters, and of what a policy does in given states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue
from sim2real.learn.backprop import Backprop
from sim2real.learn.flat import FlatParameters
from sim2real.policy import Policy, Weights

Floats = NDArray[np.float32]


class Penalty(Protocol):
    """A loss of the parameters alone."""

    def add_gradient(self, values: Mapping[str, Floats], grads: Mapping[str, Floats]) -> None:
        """Add its gradient at ``values`` to ``grads``, both by name."""


@dataclass(frozen=True)
class L2SP:
    """Half the squared distance to where learning began, times a strength (Li et al. 2018)."""

    start: Weights
    strength: float
    importance: Weights = field(default_factory=dict)
    """Of each parameter, by the same names; 1 where it is left out. With `fisher` it is elastic weight
    consolidation (Kirkpatrick et al. 2017)."""

    def add_gradient(self, values: Mapping[str, Floats], grads: Mapping[str, Floats]) -> None:
        """Add strength · importance · (value − start)."""
        for name, start in self.start.items():
            if name in grads:
                pull = np.float32(self.strength) * (values[name] - start)
                grads[name] += pull * self.importance[name] if name in self.importance else pull


@dataclass(frozen=True)
class Anchor:
    """Pulls the policy to given actions in given states: a KL divergence between Gaussians of one spread.

    With states of the source and actions of the source policy (`anchor_to`) it holds on to what the policy
    knew; with those of a teacher it is distillation.

    Raises:
        InvalidValue: for other shapes.
    """

    observations: Floats
    """Shape (states, num_observations)."""
    actions: Floats
    """Means, shape (states, num_actions)."""
    strength: float
    rows: int = 64
    """States that each minibatch draws."""

    def __post_init__(self) -> None:
        """Refuse actions that are not of these states."""
        if len(self.observations) != len(self.actions) or not len(self.actions):
            raise InvalidValue(
                f"an anchor of {len(self.observations)} observations and {len(self.actions)} actions; give "
                "each observation one action"
            )


def anchor_to(policy: Policy, observations: Floats, strength: float) -> Anchor:
    """The anchor that keeps what a policy does in these states. Observations: shape (states, n).

    Raises:
        InvalidValue: for a policy that remembers, to which a state is more than an observation.
    """
    if policy.remembers or policy.contract.context:
        raise InvalidValue(f"policy {policy.name!r} reads more than the observation; it can't be an anchor")
    actions, _ = policy.act(observations)
    return Anchor(observations, actions, strength)


def fisher(policy: Policy, observations: Floats, seed: int = 0) -> Weights:
    """How much each parameter of the actor matters in these states: the diagonal of the Fisher information.

    The mean square of ∂ log π(a | o) / ∂ parameter over actions a that the policy draws, with its
    ``log_std``; divided by its largest value, so that strengths mean the same for every policy.

    Args:
        policy: one that reads observations.
        observations: shape (states, n).
        seed: of the draws.
    """
    parameters = FlatParameters(policy.weights)
    network = Backprop(policy.network, parameters.values, parameters.grads)
    std = np.exp(policy.weights["log_std"])
    draws = np.random.default_rng(seed).normal(size=(len(observations), len(std))).astype(np.float32)
    squares = np.zeros_like(parameters.value)
    for observation, draw in zip(observations, draws, strict=True):
        network.forward({"observation": observation[None]}, ("action",))
        network.backward({"action": (draw / std)[None]})
        squares += parameters.grad**2
    squares /= max(float(squares.max()), 1e-30)
    acting = [layer.name for layer in policy.network.order("action") if layer.kind != "normalize"]
    return {
        name: squares[part].reshape(parameters.values[name].shape)
        for name, part in parameters.slices.items()
        if name.rpartition(".")[0] in acting
    }
