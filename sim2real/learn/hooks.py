"""What transfer changes about learning: what moves, how fast, what holds it back, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, UnknownName
from sim2real.policy import Network, Policy, Weights

Floats = NDArray[np.float32]
NORMALIZERS = ("frozen", "adapted", "fresh")
"""What may happen to the running statistics that a network normalizes observations with."""


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
    """The anchor that keeps what a policy does in these states. Observations: shape (states, n)."""
    actions, _ = policy.act(observations, policy.start(len(observations)))
    return Anchor(observations, actions, strength)


@dataclass(frozen=True)
class Average:
    """An exponential average of the weights, which learning ends with."""

    rate: float = 0.1
    """Share of the average that each update replaces."""
    begin: float = 0.3
    """Share of the training after which it begins."""


@dataclass(frozen=True)
class Hooks:
    """What a learner does besides the usual.

    Names are those of arrays in `Policy.weights`, or a part of them before a dot: ``actor``, ``actor.2``,
    ``critic.0.bias``, ``log_std``.

    Raises:
        UnknownName: for a normalizer handling that does not exist.
    """

    free: Sequence[str] | Callable[[float], Sequence[str]] | None = None
    """What learns, also as a function of the share of training that is done; None for everything."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Learning rates of parts, as multiples of the usual; the longest name that fits counts."""
    penalties: Sequence[Penalty] = ()
    anchors: Sequence[Anchor] = ()
    average: Average | None = None
    normalizer: str = "frozen"
    """``frozen``, ``adapted`` (statistics go on from the policy's) or ``fresh`` (they begin anew)."""

    def __post_init__(self) -> None:
        """Refuse what is none."""
        if self.normalizer not in NORMALIZERS:
            raise UnknownName("normalizer handling", self.normalizer, NORMALIZERS)

    def rates_at(self, done: float, names: Sequence[str]) -> dict[str, float]:
        """Relative learning rate of each array that learns.

        Args:
            done: share of the training.
            names: of arrays that may learn.

        Raises:
            UnknownName: for a part that no array belongs to.
        """
        free = self.free(done) if callable(self.free) else self.free
        for part in (*(free or ()), *self.rates):
            if not any(_belongs(name, part) for name in names):
                raise UnknownName("part of the network", part, names)
        moving = [name for name in names if free is None or any(_belongs(name, part) for part in free)]
        return {name: self._rate(name) for name in moving}

    def _rate(self, name: str) -> float:
        fitting = [part for part in self.rates if _belongs(name, part)]
        return self.rates[max(fitting, key=len)] if fitting else 1.0


def critic_first(network: Network, share: float) -> Callable[[float], Sequence[str]]:
    """For `Hooks.free`: what leads to the value alone learns until a share of the training is done."""
    acting = {layer.name for layer in network.order("action")}
    alone = [layer.name for layer in network.order("value") if layer.name not in acting]
    critic = [name for name in alone if network.arrays_of(name)]
    return lambda done: critic if done <= share else learnable(network)


def learnable(network: Network) -> list[str]:
    """Names of the layers that can learn, and of the exploration; statistics of observations can't."""
    layers = [layer.name for layer in network.layers if layer.kind != "normalize"]
    return [*(name for name in layers if network.arrays_of(name)), "log_std"]


def _belongs(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
