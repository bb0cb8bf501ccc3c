"""Methods that leave the policy as it is, and learn something beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim2real.transfer.methods.fine_tuning import FineTune
from sim2real.transfer.methods.method import Card


@dataclass(frozen=True)
class Residual(FineTune):
    """A bounded correction is added to the policy's action and learns; see `sim2real.policy.columns`."""

    card: ClassVar[Card] = Card(
        "learns a bounded correction of the policy's action",
        "Johannink et al. 2019",
        needs=("critic",),
        risk="a gap that is wider than the bound stays",
    )
    learning_rate: float = 1.0
    learns: str = "residual"
    width: int = 64


@dataclass(frozen=True)
class Progressive(FineTune):
    """A second network that reads the first one's features learns (Rusu et al. 2016)."""

    card: ClassVar[Card] = Card(
        "learns a second network that reads the features of the first (progressive nets)",
        "Rusu et al. 2016",
        needs=("critic",),
        costs="a larger network",
        risk="forgets the source all the same, as it acts in its place",
    )
    learning_rate: float = 1.0
    learns: str = "column"
    width: int = 64
