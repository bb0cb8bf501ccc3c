"""What can be evaluated: policies of ours and of others, by what an episode table says of each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

from sim2real.interface import Actor
from sim2real.policy import HasTask


class Candidate(Protocol):
    """What can be evaluated: a policy of ours, or of others (`sim2real.foreign`)."""

    @property
    def name(self) -> str:
        """Its own."""

    @property
    def label(self) -> str:
        """The method that made it; policies of one label are its seeds."""

    @property
    def seed(self) -> int | None:
        """Of its training; None where nothing says it, which takes the next one that its label has free."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Control steps of its training, one for each link of its chain."""

    @property
    def lineage(self) -> str:
        """Where it comes from: what two policies share if only their seeds differ."""

    def fitted(self, env: HasTask) -> Actor:
        """What acts in an env; raises `PolicyError` if the policy does not fit it."""


def seeds_of(policies: Sequence[Candidate]) -> list[int]:
    """Seeds, where a policy knows none the next one that its label has free."""
    taken = [(policy.label, policy.seed) for policy in policies if policy.seed is not None]
    seeds = []
    for policy in policies:
        seed = policy.seed
        if seed is None:
            seed = next(k for k in itertools.count() if (policy.label, k) not in taken)
            taken.append((policy.label, seed))
        seeds.append(seed)
    return seeds
