"""Settings of learning, and where they come from: defaults, the world's file, the caller."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from sim2real.documents import Section
from sim2real.errors import UnknownName
from sim2real.policy.kinds import ACTIVATIONS
from sim2real.reach import check_reach
from sim2real.world import World

SCHEDULES, LEARNERS = ("linear", "slanted"), ("stable_baselines3", "rsl_rl")
_RISE = 0.1


@dataclass(frozen=True)
class PPOSettings:
    """Settings of PPO; the defaults suit cheap models on one core."""

    total_steps: int = 500_000
    """Control steps of all envs together."""
    num_envs: int = 64
    rollout_steps: int = 64
    """Control steps of each env between updates."""
    batch_size: int = 512
    epochs: int = 8
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.1
    """Share of the learning rate that is left at the end."""
    schedule: str = "linear"
    """How the learning rate goes there: ``linear``, or ``slanted`` (up for a tenth, then down; Howard & Ruder
    2018)."""
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    entropy: float = 0.0
    target_kl: float = 0.03
    initial_std: float = 0.6
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    history: int = 1
    """Observations that a new policy sees at once, with the actions between them."""
    privileged: bool = False
    """Whether the critic sees each episode's physics while it learns; see `sim2real.learn.privileged`."""
    start: str = ""
    """Name or folder of a policy to go on from, with ``{seed}`` for the seed; empty to begin anew."""
    learner: str = "stable_baselines3"
    """``stable_baselines3`` on the CPU, ``rsl_rl`` on the env's device."""
    simulator: str = "mujoco"
    """Engine to train in."""
    normalize_observations: bool = False
    """Whether running means and variances scale what the policy sees; the tasks scale by hand already."""
    rehearsal: float = 0.0
    """Share of the envs that keep nominal physics, whatever the domain, so that they are not forgotten."""
    allow_dead: bool = False
    """Whether to train with parameters of the domain that change nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be learnt with."""
        counts = ("total_steps", "num_envs", "rollout_steps", "epochs", "history")
        check_reach(self, "whole [1, inf)", *counts)
        check_reach(self, "whole [2, inf)", "batch_size")  # advantages are scaled over it
        check_reach(self, "[0, inf)", "learning_rate", "final_learning_rate", "entropy")
        check_reach(self, "(0, inf)", "clip_range", "target_kl", "initial_std")
        check_reach(self, "[0, 1]", "gamma", "gae_lambda")
        check_reach(self, "[0, 1)", "rehearsal")

    @property
    def rehearsing(self) -> int:
        """Envs that keep nominal physics; at least one learns in the domain."""
        return min(round(self.num_envs * self.rehearsal), self.num_envs - 1)

    @property
    def for_sb3(self) -> dict[str, Any]:
        """What Stable-Baselines3's PPO takes by name, but its network, seed and logs."""
        return {
            "learning_rate": self.rate_left,
            "n_steps": self.rollout_steps,
            "batch_size": self.batch_size,
            "n_epochs": self.epochs,
            "gamma": self.gamma,
            "gae_lambda": self.gae_lambda,
            "clip_range": self.clip_range,
            "ent_coef": self.entropy,
            "target_kl": self.target_kl,
            "device": "cpu",
        }

    def rate_left(self, remaining: float) -> float:
        """Learning rate when this share of the training remains."""
        end, share = self.final_learning_rate, remaining
        if self.schedule == "slanted":
            share = (1 - remaining) / _RISE if remaining > 1 - _RISE else remaining / (1 - _RISE)
        return self.learning_rate * (end + (1 - end) * share)


def settings_for(world: World, randomized: bool = False, **changes: object) -> PPOSettings:
    """The defaults with what ``physics.toml`` says under ``[training]``, then ``changes`` that aren't None.

    Args:
        world: whose table counts.
        randomized: whether ``[training.randomized]`` counts too.
        **changes: settings by name.

    Raises:
        UnknownName: for a setting that does not exist.
        InvalidValue: for a value of another type, or below what makes sense.
    """
    known = {field.name: field.default for field in dataclasses.fields(PPOSettings)}
    base = dict(world.training)
    special = base.pop("randomized", {})
    given = {**base, **(special if randomized and isinstance(special, dict) else {})}
    given |= {name: value for name, value in changes.items() if value is not None}
    for name in given:
        if name not in known:
            raise UnknownName("training setting", name, known)
    file = Section(str(world.path / "physics.toml"), given, place="training.")
    values: dict[str, Any] = {name: file.value_like(name, known[name]) for name in given}
    settings = dataclasses.replace(PPOSettings(), **values)
    if settings.activation not in ACTIVATIONS:
        raise UnknownName("activation", settings.activation, ACTIVATIONS)
    if settings.schedule not in SCHEDULES:
        raise UnknownName("schedule", settings.schedule, SCHEDULES)
    if settings.learner not in LEARNERS:
        raise UnknownName("learner", settings.learner, LEARNERS)
    return settings
