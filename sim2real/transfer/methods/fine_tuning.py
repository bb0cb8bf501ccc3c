"""Methods that go on learning in the target: presets of one set of options, which combine.

Each class changes defaults of `sim2real.transfer.fine_tune.FineTuneSettings`; any option of another can be
given to it: ``LowRank(rehearsal=0.5)``, ``--method low-rank:rehearsal=0.5``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sim2real.errors import InvalidValue
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy, shaped_like
from sim2real.policy import Policy
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.methods.method import Card, Case, Method


@dataclass(frozen=True)
class FineTune(FineTuneSettings):
    """All of the policy goes on learning; see `sim2real.transfer.fine_tune`."""

    card: ClassVar[Card] = Card(
        "goes on learning with all of the policy",
        "Howard & Ruder 2018",
        needs=("critic",),
        risk="forgets the source",
    )

    def __call__(self, case: Case) -> Policy:
        """Spend the budget on learning in the target."""
        return fine_tune(case.policy, case.target, self, case.seed, case.progress, case.source)


@dataclass(frozen=True)
class FromScratch(FineTune):
    """A new network of the policy's sizes learns in the target alone: the control for negative transfer.

    Settings of learning are those that the policy was trained with.
    """

    card: ClassVar[Card] = Card(
        "learns in the target alone, with a new network",
        "Wang et al. 2019",
        needs=("critic",),
        risk="a small budget teaches little",
    )
    learning_rate: float = 1.0
    final_learning_rate: float = 0.1
    initial_std: float = 0.6
    critic_warmup: float = 0.0

    def __call__(self, case: Case) -> Policy:
        """Spend the budget on learning in the target."""
        shape = shaped_like(case.policy, PPOSettings(initial_std=self.initial_std))
        fresh = fresh_policy(case.target, shape, case.seed)
        # for its rate and discount alone: what is learnt knows nothing of the source
        past = case.policy.contract.provenance
        begun = dataclasses.replace(fresh.contract, provenance=past)
        fresh = dataclasses.replace(fresh, contract=begun)
        tuned = fine_tune(fresh, case.target, self, case.seed, case.progress, case.source)
        own = dataclasses.replace(tuned.contract, provenance=tuned.contract.provenance[len(past) :])
        return dataclasses.replace(tuned, contract=own)


@dataclass(frozen=True)
class FeatureExtraction(FineTune):
    """The trunk stays as it is, and the head learns."""

    card: ClassVar[Card] = Card(
        "learns the last layer alone, on frozen features",
        "Yosinski et al. 2014",
        needs=("critic",),
        risk="few weights forget as fast as many",
    )
    top: int = 1


@dataclass(frozen=True)
class Partial(FineTune):
    """The top two layers learn."""

    card: ClassVar[Card] = Card(
        "learns the top layers",
        "Yosinski et al. 2014",
        needs=("critic",),
        risk="forgets the source",
    )
    top: int = 2


@dataclass(frozen=True)
class Unfreezing(FineTune):
    """Layers begin to learn one by one, lower ones slower, under a slanted triangular rate (ULMFiT)."""

    card: ClassVar[Card] = Card(
        "unfreezes layer by layer, each slower than the one above it",
        "Howard & Ruder 2018",
        needs=("critic",),
        risk="forgets the source; late to move what physics changes first",
    )
    learning_rate: float = 1.0
    final_learning_rate: float = 0.03
    schedule: str = "slanted"
    unfreeze: float = 0.5
    layer_decay: float = 1 / 2.6


@dataclass(frozen=True)
class Biases(FineTune):
    """Biases alone learn."""

    card: ClassVar[Card] = Card(
        "learns biases alone",
        "Ben Zaken et al. 2022",
        needs=("critic",),
        risk="too few weights for a large gap",
    )
    learning_rate: float = 2.0
    learns: str = "biases"


@dataclass(frozen=True)
class LowRank(FineTune):
    """Low-rank additions to the hidden layers learn, and are merged exactly at the end (LoRA)."""

    card: ClassVar[Card] = Card(
        "learns low-rank additions to the hidden layers (LoRA)",
        "Hu et al. 2022",
        needs=("critic",),
        risk="forgets the source all the same",
    )
    learning_rate: float = 1.0
    learns: str = "low_rank"


@dataclass(frozen=True)
class Adapters(FineTune):
    """Bottlenecks behind the hidden layers learn; they begin as nothing."""

    card: ClassVar[Card] = Card(
        "learns bottleneck adapters behind the hidden layers",
        "Houlsby et al. 2019",
        needs=("critic",),
        risk="forgets the source all the same",
    )
    learning_rate: float = 1.0
    final_learning_rate: float = 0.1
    learns: str = "adapters"


@dataclass(frozen=True)
class Rehearsal(FineTune):
    """More than half of every batch comes from the source, and the rate falls from that of pre-training."""

    card: ClassVar[Card] = Card(
        "learns in target and source at once",
        "Rolnick et al. 2019",
        needs=("critic", "source"),
        costs="as many steps of the source",
        risk="forgets some of what it does not rehearse",
    )
    learning_rate: float = 1.0
    final_learning_rate: float = 0.1
    rehearsal: float = 0.6


@dataclass(frozen=True)
class Anchored(FineTune):
    """A KL divergence holds on to what the policy did in states of the source."""

    card: ClassVar[Card] = Card(
        "holds on to the policy's actions in states of the source",
        "Li & Hoiem 2018",
        needs=("critic", "source"),
        costs="4,000 steps of the source",
        risk="too strong an anchor keeps the gap",
    )
    source_kl: float = 0.5


@dataclass(frozen=True)
class WeightAnchored(FineTune):
    """Weights are pulled to where they began (L2-SP)."""

    card: ClassVar[Card] = Card(
        "pulls weights to where they began (L2-SP)",
        "Li et al. 2018",
        needs=("critic",),
        risk="protects the source little",
    )
    l2sp: float = 0.01


@dataclass(frozen=True)
class Elastic(FineTune):
    """The same by how much each weight matters in the source (elastic weight consolidation)."""

    card: ClassVar[Card] = Card(
        "pulls weights that matter in the source to where they began (EWC)",
        "Kirkpatrick et al. 2017",
        needs=("critic", "source"),
        costs="4,000 steps of the source",
        risk="one strength does not suit all",
    )
    ewc: float = 1.0


@dataclass(frozen=True)
class Averaged(FineTune):
    """The result is an exponential average of the weights along the way."""

    card: ClassVar[Card] = Card(
        "averages the weights along the way",
        "Izmailov et al. 2018",
        needs=("critic",),
        risk="lags behind what is learnt last",
    )
    average: float = 0.1


def as_adapter(method: Method) -> Method:
    """A method that learns the same, and whose result can be saved as an adapter; see `Policy.save_adapter`.

    Raises:
        InvalidValue: for one that trains more than it adds.
    """
    if not isinstance(method, FineTune) or not method.adds_alone() or method.normalizer != "frozen":
        raise InvalidValue(
            "this method trains more than an adapter holds; take low-rank or adapters with a frozen "
            "normalizer, or save the policy whole"
        )
    return dataclasses.replace(method, merge=False) if method.learns == "low_rank" else method
