"""Fine-tuning: go on training all of the policy in the target, carefully.

    adapted = fine_tune(Policy.load("furuta-nominal-0"), target)
    adapted = fine_tune(policy, target, FineTuneSettings(rehearsal=0.5), source=Source(world))

What makes it careful (Howard & Ruder 2018 for the reduced rate, Nair et al. 2020 for the unlearning in the
first steps): a smaller learning rate, little exploration, the critic alone at first, and a normalizer that is
frozen unless asked otherwise. `sim2real.transfer.retention` tells what keeps it from forgetting the source.
The target's budget can't be spent twice, so an interrupted fine-tuning starts
again with a new target.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from sim2real.draws import LARGEST_SEED, checked_seed
from sim2real.errors import BudgetExhausted, UnknownName
from sim2real.learn.hooks import Hooks
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.settings import SCHEDULES, PPOSettings
from sim2real.learn.start import contract_of
from sim2real.learn.vec_env import SameStepEnv
from sim2real.policy import Policy, ProvenanceStep
from sim2real.reach import check_reach
from sim2real.transfer.parts import Parts
from sim2real.transfer.remote import Target
from sim2real.transfer.retention import Retention
from sim2real.transfer.source import Source
from sim2real.world import closed

_FEW_UPDATES = 5


@dataclass(frozen=True)
class FineTuneSettings(Parts, Retention):
    """Settings of fine-tuning: how it learns, which parts do, and what is kept of the source.

    Raises:
        UnknownName: for a normalizer handling, schedule, part, or domain to rehearse that does not exist.
        InvalidValue: for a share outside its range, or a negative strength.
    """

    budget_share: float = 1.0
    """Share of the budget that is left which it spends; the rest is for what comes after."""
    learning_rate: float = 0.5
    """At the start, as a share of what the last training in a source began with."""
    final_learning_rate: float = 0.5
    """Share of the learning rate that is left at the end."""
    schedule: str = "linear"
    """How the learning rate falls: ``linear``, or ``slanted`` (up for a tenth first; Howard & Ruder 2018)."""
    target_kl: float = 0.06
    """An update stops when the policy has moved this far; a small budget can't afford the usual 0.03."""
    initial_std: float = 0.35
    """Exploration at the start, in units of a full action."""
    normalizer: str = "frozen"
    """``frozen``, ``adapted`` (goes on from the source's statistics) or ``fresh``."""
    rollout_steps: int = 64
    batch_size: int = 128
    """Control steps of the target in a minibatch."""
    epochs: int = 10

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        Parts.__post_init__(self)
        Retention.__post_init__(self)
        Hooks(normalizer=self.normalizer)
        check_reach(self, "(0, 1]", "budget_share")
        check_reach(self, "whole [1, inf)", "rollout_steps", "epochs")
        check_reach(self, "whole [2, inf)", "batch_size")  # advantages are scaled over it
        check_reach(self, "[0, inf)", "learning_rate", "final_learning_rate")
        check_reach(self, "(0, inf)", "target_kl", "initial_std")
        if self.schedule not in SCHEDULES:
            raise UnknownName("schedule", self.schedule, SCHEDULES)

    @property
    def idle(self) -> set[str]:
        """Settings that change nothing beside the others."""
        return self.idle_parts() | self.idle_retention()


@closed()
def fine_tune(
    policy: Policy,
    target: Target,
    settings: FineTuneSettings | None = None,
    seed: int | None = None,
    progress: bool = False,
    source: Source | None = None,
) -> Policy:
    """Continue training in the target until its budget is spent.

    Args:
        policy: where to start; its critic is used too.
        target: where; what is spent there is in the result's provenance.
        settings: by default those that suit a budget of some 50,000 steps.
        seed: of exploration and episodes; by default the policy's, which the result has in any case.
        progress: whether to show a progress bar.
        source: what is kept of the source comes from there.

    Returns:
        The adapted policy, labelled ``fine-tuned``; the last good one of a learning that diverged, or an
        earlier one whose episodes returned more (`sim2real.learn.keep_best`); its provenance tells that.

    Raises:
        PolicyError: if the policy does not fit the target, or can't learn.
        BudgetExhausted: if the budget does not allow a single update.
        InvalidValue: for a seed that is none, or where the source is to be kept and there is none.
    """
    settings = settings or FineTuneSettings()
    seed = policy.contract.seed if seed is None else checked_seed(seed, LARGEST_SEED)
    policy.check(target)
    rollout = settings.rollout_steps * target.num_envs
    total = int(target.steps_left * settings.budget_share) // rollout * rollout
    if not total:
        raise BudgetExhausted(
            f"{_few(target, settings)} don't pay for one update of {rollout}; raise the budget or lower "
            "rollout_steps"
        )
    envs: list[SameStepEnv] = [target, *settings.envs(target.num_envs, policy, source)]
    rows = sum(env.num_envs for env in envs)
    ppo = dataclasses.replace(
        _ppo_settings(policy, settings),
        total_steps=total,
        batch_size=settings.batch_size * rows // target.num_envs,
    )
    if settings.critic_warmup and total >= _FEW_UPDATES * rollout:
        # of a small budget the first update at least
        least = (rollout + 1) / total
        settings = dataclasses.replace(settings, critic_warmup=max(settings.critic_warmup, least))
    start = settings.added_to(policy, seed)
    free, rates = settings.free(start.network), settings.rates(start.network)
    hooks = settings.hooks(
        Hooks(free, rates, normalizer=settings.normalizer, keep_best=True), start, source, seed
    )
    monitor = Monitor(title=f"fine-tune {policy.name}" if progress else None)
    result = learn(envs, start, ppo, seed, hooks, monitor)
    told = {
        "target": target.name,
        **dataclasses.asdict(settings),
        **dataclasses.asdict(target.spent),
        "source_steps": sum(result.steps[1:]),
        "trained_weights": settings.count(start),
        **({"diverged": result.diverged} if result.diverged else {}),
        **({"kept_at": result.kept} if result.kept else {}),
    }
    step = ProvenanceStep("fine-tune", {}, target.spent.steps, seed, told)
    before = policy.contract
    contract = contract_of(target, "fine-tuned", before.seed, (*before.provenance, step), before)
    # it keeps the source's contents, as a sealed target tells nothing of its own
    contract = dataclasses.replace(contract, contents=before.contents)
    return dataclasses.replace(settings.merged(result.policy), contract=contract, name="policy")


def _few(target: Target, settings: FineTuneSettings) -> str:
    part = "" if settings.budget_share == 1 else f"{settings.budget_share:.0%} of "
    return f"{part}{target.steps_left} steps"


def _ppo_settings(policy: Policy, settings: FineTuneSettings) -> PPOSettings:
    trainings, defaults = policy.contract.trainings, PPOSettings()
    source = trainings[-1].settings if trainings else {}
    return dataclasses.replace(
        defaults,
        rollout_steps=settings.rollout_steps,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate * _number(source, "learning_rate", defaults.learning_rate),
        final_learning_rate=settings.final_learning_rate,
        target_kl=settings.target_kl,
        initial_std=settings.initial_std,
        schedule=settings.schedule,
        gamma=_number(source, "gamma", defaults.gamma),
    )


def _number(settings: Mapping[str, object], name: str, default: float) -> float:
    value = settings.get(name, default)
    return float(value) if isinstance(value, int | float) else default
