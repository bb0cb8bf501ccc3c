"""What keeps a policy from forgetting its source while it is tuned to a target.

Rehearsal (Rolnick et al. 2019) adds rows of the source to every batch. A KL divergence to the policy as it
was, on states of the source, holds on to what it did there; L2-SP (Li et al. 2018) and elastic weight
consolidation (Kirkpatrick et al. 2017) hold its weights; an average of the weights (Polyak & Juditsky 1992)
ends up between them and the tuned ones. All of it comes from the source, which costs no budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim2real.env import DomainLike
from sim2real.errors import InvalidValue, UnknownName
from sim2real.learn.hooks import Average, Hooks
from sim2real.learn.regularizers import L2SP, Anchor, Penalty, anchor_to, fisher
from sim2real.learn.vec_env import SameStepEnv
from sim2real.policy import Policy
from sim2real.reach import check_reach
from sim2real.transfer.demonstrations import demonstrations
from sim2real.transfer.source import Source

OWN = "own"
REHEARSED = (OWN, "nominal", "training")
"""Domains of the source by name: what the policy was trained in, nominal physics, the training domain."""
_ROWS, _STEPS = 16, 200
"""Of the source, whose states stand for it."""


@dataclass(frozen=True)
class Retention:
    """How, and how much of, the source is kept; 0 is not at all.

    Raises:
        UnknownName: for a domain to rehearse that does not exist.
        InvalidValue: for a share outside [0, 1), or a negative strength.
    """

    rehearsal: float = 0.0
    """Share of every batch that comes from the source."""
    rehearse: str = OWN
    """What the source draws its physics from: the policy's ``own`` training, ``nominal``, or ``training``."""
    source_kl: float = 0.0
    """Weight of the divergence from the policy as it was, on states of the source."""
    l2sp: float = 0.0
    """Weight of half the squared distance from the weights as they were."""
    ewc: float = 0.0
    """The same, by each weight's importance for the policy in states of the source."""
    average: float = 0.0
    """Share of an average of the weights that each update replaces, from 30 % of the budget on."""

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        if self.rehearse not in REHEARSED:
            raise UnknownName("domain to rehearse", self.rehearse, REHEARSED)
        check_reach(self, "[0, 1)", "rehearsal", "average")
        check_reach(self, "[0, inf)", "source_kl", "l2sp", "ewc")

    def idle_retention(self) -> set[str]:
        """Settings of retention that change nothing beside the others."""
        return set() if self.rehearsal or self.source_kl or self.ewc else {"rehearse"}

    def envs(self, target_rows: int, policy: Policy, source: Source | None) -> list[SameStepEnv]:
        """The source's rows beside those of a target, as many as give them their share of a batch.

        Args:
            target_rows: of the target.
            policy: as it is before.
            source: where to rehearse.

        Raises:
            InvalidValue: for a rehearsal without a source.
        """
        if not self.rehearsal:
            return []
        rows = max(1, round(target_rows * self.rehearsal / (1 - self.rehearsal)))
        return [_given(source).env(rows, rehearsed(policy, self.rehearse))]

    def hooks(self, hooks: Hooks, policy: Policy, source: Source | None, seed: int) -> Hooks:
        """The hooks with what holds the policy back.

        Args:
            hooks: what else happens.
            policy: as it is before.
            source: whose states count.
            seed: of those states.

        Raises:
            InvalidValue: where states of the source are needed and there is none.
        """
        anchors: list[Anchor] = []
        penalties: list[Penalty] = []
        if self.source_kl or self.ewc:
            states = states_of(policy, _given(source), self.rehearse, seed)
            if self.source_kl:
                anchors.append(anchor_to(policy, states, self.source_kl))
            if self.ewc:
                importance = fisher(policy, states[:: max(1, len(states) // 1000)], seed)
                start = {name: policy.weights[name] for name in importance}
                penalties.append(L2SP(start, self.ewc, importance))
        if self.l2sp:
            acting = {layer.name for layer in policy.network.order("action")}
            start = {name: a for name, a in policy.weights.items() if name.rpartition(".")[0] in acting}
            penalties.append(L2SP(start, self.l2sp))
        average = Average(self.average) if self.average else None
        return replace(hooks, anchors=anchors, penalties=penalties, average=average)


def states_of(policy: Policy, source: Source, domain: str, seed: int) -> NDArray[np.float32]:
    """Observations of a policy in the source, from which it strays as it does when it learns.

    Shape (3200, num_observations).
    """
    std = np.exp(policy.weights["log_std"])
    return demonstrations(policy, source.env(_ROWS, rehearsed(policy, domain)), _STEPS, std, seed)[0]


def rehearsed(policy: Policy, domain: str) -> DomainLike:
    """What one of `REHEARSED` is for a policy."""
    return policy.contract.own_domain if domain == OWN else domain


def _given(source: Source | None) -> Source:
    if source is None:
        raise InvalidValue("what keeps the source needs the source; give one, or keep nothing of it")
    return source
