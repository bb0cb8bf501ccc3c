"""Methods that go on learning in the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim2real.policy import Policy
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.methods.method import Card, Case


@dataclass(frozen=True)
class FineTune(FineTuneSettings):
    """All of the policy goes on learning; see `sim2real.transfer.fine_tune`."""

    card: ClassVar[Card] = Card(
        "goes on learning with everything that it has",
        "Howard & Ruder 2018",
        risk="forgets the source; swings from one look to the next",
    )

    def __call__(self, case: Case) -> Policy:
        """Spend the budget on learning in the target."""
        return fine_tune(case.policy, case.target, self, case.seed, case.progress, case.source)


@dataclass(frozen=True)
class Rehearsal(FineTune):
    """Fine-tuning with half of every batch from the source, and a rate that falls to zero."""

    card: ClassVar[Card] = Card(
        "goes on learning in target and source at once",
        "Rolnick et al. 2019",
        needs=("source",),
        costs="as many steps of the source",
        risk="slower in the first steps",
    )
    final_learning_rate: float = 0.0
    rehearsal: float = 0.5
