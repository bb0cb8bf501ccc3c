"""Full fine-tuning: go on training all of the policy in the target, carefully.

    adapted = fine_tune(Policy.load("furuta-nominal-0"), target)

What makes it careful (Howard & Ruder 2018 for the reduced rate, Nair et al. 2020 for the unlearning in the
first steps): a smaller learning rate, little exploration, the critic alone at first, and a normalizer that is
frozen unless asked otherwise. The target's budget can't be spent twice, so an interrupted fine-tuning starts
again with a new target.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.draws import LARGEST_SEED, checked_seed
from sim2real.errors import BudgetExhausted, InvalidValue, UnknownName
from sim2real.learn.callbacks import ProgressBar, learn
from sim2real.learn.ppo import PPOSettings, build_ppo, make_policy
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.learn.weights import hidden_of, import_weights, running_statistics
from sim2real.policy import Policy, Step, as_feedforward
from sim2real.process import undisturbed
from sim2real.transfer.target import TargetEnv

NORMALIZERS = ("frozen", "adapted", "fresh")
"""What may happen to the running statistics of observations in the target."""


@dataclass(frozen=True)
class FineTuneSettings:
    """Settings of fine-tuning.

    Raises:
        UnknownName: for a normalizer handling that does not exist.
        InvalidValue: for a warm-up share outside [0, 1).
    """

    learning_rate: float = 0.5
    """At the start, as a share of what pre-training began with."""
    final_learning_rate: float = 0.5
    """Share of the learning rate that is left at the end; it falls linearly."""
    target_kl: float = 0.06
    """An update stops when the policy has moved this far; a small budget can't afford the usual 0.03."""
    initial_std: float = 0.35
    """Exploration at the start, in units of a full action."""
    critic_warmup: float = 0.04
    """Share of the budget in which the critic alone learns."""
    normalizer: str = "frozen"
    """``frozen``, ``adapted`` (goes on from the source's statistics) or ``fresh``."""
    rollout_steps: int = 64
    batch_size: int = 128
    epochs: int = 10

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        if self.normalizer not in NORMALIZERS:
            raise UnknownName("normalizer handling", self.normalizer, NORMALIZERS)
        if not 0 <= self.critic_warmup < 1:
            raise InvalidValue(f"critic_warmup of {self.critic_warmup:g} is outside [0, 1)")


@undisturbed()
def fine_tune(
    policy: Policy,
    target: TargetEnv,
    settings: FineTuneSettings | None = None,
    seed: int | None = None,
    progress: bool = False,
) -> Policy:
    """Continue training in the target until its budget is spent.

    Args:
        policy: where to start; its critic is used too.
        target: where; what is spent there is in the result's provenance.
        settings: by default those that suit a budget of some 50,000 steps.
        seed: of exploration and episodes; by default the policy's, which the result has in any case.
        progress: whether to show a progress bar.

    Returns:
        The adapted policy, labelled ``fine-tuned``.

    Raises:
        PolicyError: if the policy does not fit the target.
        BudgetExhausted: if the budget does not allow a single update.
        InvalidValue: for a seed that is none.
    """
    settings = settings or FineTuneSettings()
    seed = policy.contract.seed if seed is None else checked_seed(seed, LARGEST_SEED)
    policy.check(target)
    rollout = settings.rollout_steps * target.num_envs
    total = target.steps_left // rollout * rollout
    if not total:
        raise BudgetExhausted(
            f"{target.steps_left} steps don't pay for one update of {rollout}; raise the budget or lower "
            "rollout_steps"
        )
    model = build_ppo(SB3VecEnv(target), _ppo_settings(policy, settings), seed, logs=None)
    import_weights(model, policy, settings.initial_std)
    _prepare_normalizer(model, settings.normalizer, as_feedforward(policy.network, policy.weights)[1])
    callbacks: list[BaseCallback] = [CriticFirst(settings.critic_warmup * total)]
    if progress:
        callbacks.append(ProgressBar(total, f"fine-tune {policy.name}"))
    try:
        learn(model, total, callbacks)
    except BudgetExhausted:  # a limit on episodes ends the last rollout midway; what was learnt before stays
        if not model._n_updates:
            raise
    step = Step(
        "fine-tune",
        {},
        target.spent.steps,
        seed,
        {"target": target.name, **dataclasses.asdict(settings), **dataclasses.asdict(target.spent)},
    )
    tuned = make_policy(model, target, "fine-tuned", (*policy.contract.provenance, step))
    source = policy.contract  # whose contents it keeps, as a sealed target tells nothing of its own
    contract = dataclasses.replace(tuned.contract, contents=source.contents, seed=source.seed)
    return dataclasses.replace(tuned, contract=contract)


class CriticFirst(BaseCallback):
    """Freezes the actor until ``steps`` control steps are done, so that the critic can settle in first."""

    def __init__(self, steps: float) -> None:
        super().__init__()
        self._steps = steps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        learn = self.num_timesteps > self._steps
        for name, tensor in self.model.policy.named_parameters():
            if "value_net" not in name:
                tensor.requires_grad_(learn)


def _ppo_settings(policy: Policy, settings: FineTuneSettings) -> PPOSettings:
    source = policy.contract.provenance[0].settings
    defaults = PPOSettings()
    return dataclasses.replace(
        defaults,
        rollout_steps=settings.rollout_steps,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate * _number(source, "learning_rate", defaults.learning_rate),
        final_learning_rate=settings.final_learning_rate,
        target_kl=settings.target_kl,
        gamma=_number(source, "gamma", defaults.gamma),
        hidden=hidden_of(policy),
        activation=as_feedforward(policy.network, policy.weights)[0],
        normalize_observations=True,
    )


def _number(settings: Mapping[str, object], name: str, default: float) -> float:
    value = settings.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def _prepare_normalizer(model: PPO, handling: str, clip: float) -> None:
    normalizer, statistics = model.get_vec_normalize_env(), running_statistics(model)
    assert normalizer is not None
    assert statistics is not None
    normalizer.training, normalizer.clip_obs = handling != "frozen", clip
    if handling == "adapted":
        statistics.count = 1e4  # as if this many had been seen
    if handling == "fresh":
        statistics.mean, statistics.var = statistics.mean * 0.0, statistics.var * 0.0 + 1.0
        statistics.count = 1e-4
