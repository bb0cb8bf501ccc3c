"""A method that learns from a replay, where steps of the target are dear."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sim2real.errors import BudgetExhausted
from sim2real.learn.hooks import Hooks, learnable
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.regularizers import anchor_to
from sim2real.learn.sac import SACSettings
from sim2real.learn.vec_env import SameStepEnv
from sim2real.policy import Policy
from sim2real.reach import check_reach
from sim2real.transfer.methods.method import Card, Case
from sim2real.transfer.retention import OWN, rehearsed, states_of
from sim2real.transfer.source import Source


@dataclass(frozen=True)
class OffPolicy:
    """SAC on a replay of which one half is the target and the other the source (Ball et al. 2023).

    A KL divergence to the policy's own actions in states of the source keeps the actor from following critics
    that know little yet (a cloning anchor, as TD3+BC has; Fujimoto & Gu 2021); they learn alone at first.

    Raises:
        InvalidValue: for a share or a strength that is none, or no updates.
    """

    card: ClassVar[Card] = Card(
        "learns from a replay of target and source in equal parts (SAC), held to its own actions",
        "Ball et al. 2023",
        needs=("source",),
        costs="as many steps of the source; minutes, as every step is learnt from many times",
        risk="fast with some policies, and never gets there with others; loses some where there is no gap",
    )
    updates: float = 0.125
    """Gradient steps for each control step of target and source together; each takes some 8 ms."""
    anchor: float = 1.0
    """Weight of the divergence; 0 for none."""
    critic_warmup: float = 0.1
    """Share of the budget in which critics alone learn."""
    learning_rate: float = 3e-4
    initial_std: float = 0.2
    """Exploration at the start, in units of a full action."""

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        check_reach(self, "(0, inf)", "updates", "learning_rate", "initial_std")
        check_reach(self, "[0, inf)", "anchor")
        check_reach(self, "[0, 1)", "critic_warmup")

    def __call__(self, case: Case) -> Policy:
        """Spend the budget on learning in target and source side by side.

        Raises:
            BudgetExhausted: if it does not allow a single update.
            InvalidValue: for a policy that remembers, or reads more than the observation.
        """
        assert isinstance(case.source, Source)
        policy, target = case.policy, case.target
        if target.steps_left < target.num_envs:
            raise BudgetExhausted(
                f"{target.steps_left} steps don't pay for one in each of {target.num_envs} rows; raise the "
                "budget"
            )
        trainings = policy.contract.trainings
        gamma = trainings[-1].settings.get("gamma") if trainings else None
        settings = SACSettings(
            total_steps=target.steps_left,
            updates=self.updates,
            warmup=min(SACSettings.warmup, target.steps_left),
            learning_rate=self.learning_rate,
            gamma=gamma if isinstance(gamma, float) else SACSettings.gamma,
            initial_std=self.initial_std,
        )
        anchors = []
        if self.anchor:
            states = states_of(policy, case.source, OWN, case.seed)
            anchors.append(anchor_to(policy, states, self.anchor))
        layers = learnable(policy.network)

        def free(done: float) -> list[str]:
            return layers if done >= self.critic_warmup else []

        envs: list[SameStepEnv] = [target, case.source.env(target.num_envs, rehearsed(policy, OWN))]
        monitor = Monitor(title=f"off-policy {policy.name}" if case.progress else None)
        result = learn(envs, policy, settings, case.seed, Hooks(free, anchors=anchors), monitor)
        return dataclasses.replace(policy, weights=result.policy.weights)
