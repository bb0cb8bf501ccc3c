"""Methods that learn the target's physics first, and the policy in the source that has them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sim2real.errors import BudgetExhausted
from sim2real.identify.rollout_fit import FitSettings
from sim2real.identify.search import SearchSettings
from sim2real.policy import Policy, ProvenanceStep
from sim2real.transfer.identify_and_train import RoadSettings, identify_and_train
from sim2real.transfer.methods.method import Card, Case
from sim2real.transfer.remote import Target
from sim2real.transfer.source import Source
from sim2real.transfer.stages import Watch


@dataclass(frozen=True)
class Identify:
    """Records shaken episodes, fits the physics, and goes on training in them (Chebotar et al. 2019).

    The usual fit searches all parameters of the world's training domain; see
    `sim2real.transfer.identify_and_train`. Recordings, fits and trainings are kept in the case's folder.

    Raises:
        InvalidValue: for settings that record, search or train nothing.
    """

    card: ClassVar[Card] = Card(
        "finds the target's physics, and goes on training in a source that has them and in its own",
        "Chebotar et al. 2019",
        needs=("critic", "source", "ranges", "state"),
        costs="300,000 steps of the source, and a fit",
        risk="an effect that no parameter has stays a gap",
    )
    record_steps: int = 160
    """Control steps that are recorded in every row of the target, in each round."""
    noise: float = 0.2
    """Standard deviation of the shaking, in units of a full action."""
    rounds: int = 1
    """Alternations of recording, fitting and training."""
    train_steps: int = 300_000
    """Control steps of the source in each round."""
    rehearsal: float = 0.5
    """Share of that training that stays in nominal physics, so that they are not forgotten."""
    widen: float = 0.0
    """Share of each parameter's range that training draws from to both sides of what was found; 0 for what
    was found, as sure as it is."""
    generations: int = 60
    """Of the search for the physics."""
    population: int = 16
    """Candidates in each of them."""

    def __post_init__(self) -> None:
        """Refuse what leads nowhere."""
        self._road(False)

    def __call__(self, case: Case) -> Policy:
        """Spend part of the budget on recordings.

        Raises:
            BudgetExhausted: if it does not pay for them; nothing is spent then.
        """
        assert isinstance(case.source, Source)
        target, own = case.target, case.policy.contract
        self._check_budget(target)
        before = target.spent
        seeded = dataclasses.replace(case.policy, contract=dataclasses.replace(own, seed=case.seed))
        world, road = case.source.world, self._road(case.progress)
        policy = identify_and_train(seeded, target, world, case.folder, settings=road).policy
        spent = target.spent.since(before)
        told = {"target": target.name, **dataclasses.asdict(self), **spent}
        step = ProvenanceStep("identify", {}, int(spent["steps"]), case.seed, told)
        steps = policy.contract.provenance[len(own.provenance) :]
        contract = dataclasses.replace(policy.contract, provenance=(*own.provenance, step, *steps))
        return dataclasses.replace(policy, contract=contract)

    def _road(self, progress: bool) -> RoadSettings:
        watch = Watch()
        watch.progress = progress
        return RoadSettings(
            self.record_steps,
            self.noise,
            self.rounds,
            self.train_steps,
            self.widen,
            self.rehearsal,
            fit=FitSettings(search=SearchSettings(self.generations, self.population)),
            watch=watch,
        )

    def _check_budget(self, target: Target) -> None:
        wanted = self.record_steps * target.num_envs * self.rounds
        if target.budget.episodes is None and target.steps_left < wanted:
            raise BudgetExhausted(
                f"{target.steps_left} steps don't pay for {wanted}: {self.rounds} rounds of "
                f"{target.num_envs} rows with record_steps {self.record_steps}; raise the budget, or lower "
                "record_steps"
            )


@dataclass(frozen=True)
class RandomizeAgain(Identify):
    """As `Identify`, but trains in a domain around what was found, for what the fit does not know."""

    card: ClassVar[Card] = Card(
        "finds the target's physics, and trains in a domain around them and in the source",
        "Chebotar et al. 2019",
        needs=("critic", "source", "ranges", "state"),
        costs="300,000 steps of the source, and a fit",
        risk="too wide a domain makes it careful",
    )
    widen: float = 0.1
