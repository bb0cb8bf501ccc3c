"""A method that searches, in the target, what a policy should take the physics for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import BudgetExhausted, PolicyError
from sim2real.fingerprint import fingerprint
from sim2real.policy import Policy, ProvenanceStep
from sim2real.policy.kinds import clipped
from sim2real.policy.network import NetworkFunction
from sim2real.reach import check_reach
from sim2real.transfer.conditioned import conditioned
from sim2real.transfer.demonstrations import returns_in_target
from sim2real.transfer.methods.method import Card, Case
from sim2real.transfer.remote import Target
from sim2real.transfer.source import Source
from sim2real.transfer.stages import Stages
from sim2real.transfer.surrogate import Process

Contexts = NDArray[np.floating]
_SPREAD = 0.8
"""Standard deviation of the first generation; ±1 are the ends of training."""


@dataclass(frozen=True)
class ContextSearch:
    """A policy conditioned on physics keeps its weights, and its context is searched (Yu et al. 2019).

    A policy without a context is trained with one first (`sim2real.transfer.conditioned`), and kept in the
    case's folder. Every row of the target has one episode a generation. A Gaussian process says where to
    look next (Exarchos et al. 2021), and the search ends where the least that it expects is highest, which a
    single lucky episode does not move as it does the best sample. With 50 episodes that reaches more than
    CMA-ES, whose distribution has hardly moved by then.

    Raises:
        InvalidValue: for a search or a training of nothing.
    """

    card: ClassVar[Card] = Card(
        "searches what a policy that is conditioned on physics should take them for",
        "Exarchos et al. 2021",
        needs=("source",),
        costs="1,200,000 steps of the source, unless the policy has a context",
        risk="returns of single episodes are noisy",
    )
    train_steps: int = 1_200_000
    """Control steps of the source, for a policy without a context."""
    generations: int = 5
    """At most; fewer where the budget ends before."""
    population: int = 10
    """Candidates in each; where the target has more rows, some have several episodes."""
    bound: float = 1.5
    """Of the search, in units of half a parameter's training range."""

    def __post_init__(self) -> None:
        """Refuse what finds nothing."""
        check_reach(self, "whole [1, inf)", "train_steps", "generations")
        check_reach(self, "whole [4, inf)", "population")
        check_reach(self, "(0, inf)", "bound")

    def __call__(self, case: Case) -> Policy:
        """Spend the budget on episodes, whole generations of them.

        Raises:
            BudgetExhausted: if it does not pay for one generation; nothing is spent then.
            PolicyError: for a policy that remembers, or has no context and can't be given one.
        """
        target = case.target
        if case.policy.remembers:
            raise PolicyError(
                f"policy {case.policy.name!r} remembers; contexts are searched for one that does not"
            )
        if not self._affordable(target):
            raise BudgetExhausted(
                f"{target.steps_left} steps don't pay for a generation of {self.population} episodes in "
                f"{target.num_envs} rows; raise the budget or lower the population"
            )
        policy = case.policy if case.policy.contract.context else self._conditioned(case)
        size = len(policy.contract.context)
        rng, begin = np.random.default_rng(case.seed), policy.weights["context"].astype(np.float64)
        spread = _SPREAD * rng.standard_normal((self.population, size))
        spread[0] = 0.0
        asked: Contexts = np.clip(begin + spread, -self.bound, self.bound)
        tried, seen = asked[:0], np.empty(0)
        trail: list[float] = []
        while len(trail) < self.generations and self._affordable(target):
            returns = self._returns(policy, target, asked, case.seed + len(trail))
            trail.append(float(returns.mean()))
            tried, seen = np.concatenate([tried, asked]), np.concatenate([seen, returns])
            process = Process.fit(tried, seen)
            asked = process.draws(rng, self.population, self.bound)
        found = process.best(rng, self.bound).astype(np.float32)
        told = {
            "target": target.name,
            **dataclasses.asdict(self),
            **dataclasses.asdict(target.spent),
            "returns": trail,
            "found": dict(zip((s.name for s in policy.contract.context), found.tolist(), strict=True)),
        }
        step = ProvenanceStep("context", {}, target.spent.steps, case.seed, told)
        contract = dataclasses.replace(policy.contract, provenance=(*policy.contract.provenance, step))
        return dataclasses.replace(policy, contract=contract, weights={**policy.weights, "context": found})

    def _conditioned(self, case: Case) -> Policy:
        """The policy with a context, trained now or in an earlier call."""
        source, folder = case.source, case.folder / "conditioned"
        assert isinstance(source, Source)

        def train() -> None:
            title = f"condition {case.policy.name}" if case.progress else None
            conditioned(case.policy, source, self.train_steps, case.seed, title).save(folder)

        key = fingerprint(source.world, case.policy, self.train_steps, case.seed)
        Stages(case.folder).once("condition", key, train)
        return Policy.load(folder)

    def _affordable(self, target: Target) -> bool:
        """Whether the budget pays for a generation, however long its episodes last."""
        episodes = -(-self.population // target.num_envs) * target.num_envs
        limit, spent = target.budget.episodes, target.spent.episodes
        enough = limit is None or limit - spent >= episodes
        return enough and target.steps_left >= episodes * target.task.max_steps

    def _returns(self, policy: Policy, target: Target, contexts: Contexts, seed: int) -> Contexts:
        """Mean return of each candidate, of one episode a row. Shape (population,)."""
        batches = -(-len(contexts) // target.num_envs)
        order = np.resize(np.arange(len(contexts)), batches * target.num_envs)
        run = NetworkFunction(policy.network, policy.weights)
        totals = np.zeros(len(contexts))
        for number, rows in enumerate(np.split(order, batches)):
            shown = contexts[rows].astype(np.float32)

            def act(
                observation: NDArray[np.float32], shown: NDArray[np.float32] = shown
            ) -> NDArray[np.float32]:
                given, _ = run({"observation": observation, "context": shown})
                return clipped(given, policy.contract.action_limit)

            np.add.at(totals, rows, returns_in_target(target, act, seed + 1000 * number))
        mean: Contexts = totals / np.bincount(order, minlength=len(contexts))
        return mean
