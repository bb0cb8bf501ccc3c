"""What transfer changes about learning: what moves, how fast, what holds it back, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sim2real.errors import UnknownName
from sim2real.learn.regularizers import Anchor, Penalty
from sim2real.policy import Network

NORMALIZERS = ("frozen", "adapted", "fresh")
"""What may happen to the running statistics that a network normalizes observations with."""


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
    keep_best: bool = False
    """Whether to end with an earlier policy that is shown to be better; see `sim2real.learn.keep_best`."""

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
