"""PPO's clipped loss (Schulman et al. 2017, equation 9) for a diagonal Gaussian, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer

Floats = NDArray[np.float32]
_LOG_2PI = math.log(2 * math.pi)


class Samples(NamedTuple):
    """Control steps of a rollout; each array has one row a step."""

    observations: Floats
    actions: Floats
    values: Floats
    log_probs: Floats
    advantages: Floats
    returns: Floats

    @classmethod
    def of(cls, buffer: RolloutBuffer) -> Samples:
        """All of a rollout, the steps of each env side by side."""
        arrays = [getattr(buffer, name).swapaxes(0, 1) for name in cls._fields]
        return cls(*(array.reshape(-1, *array.shape[2:]).astype(np.float32) for array in arrays))

    def shuffled(self, size: int) -> Iterator[Samples]:
        """Minibatches of one pass in a random order; the last may be smaller."""
        order = np.random.permutation(len(self.returns))  # noqa: NPY002 - as Stable-Baselines3 draws it
        mixed = [array[order] for array in self]
        for start in range(0, len(order), size):
            yield Samples(*(array[start : start + size] for array in mixed))


class Losses(NamedTuple):
    """What is recorded of a minibatch, by the names that Stable-Baselines3 logs."""

    approx_kl: float = 0.0
    policy_gradient_loss: float = 0.0
    value_loss: float = 0.0
    clip_fraction: float = 0.0


class Gradients(NamedTuple):
    """Of the loss, by what a network gives."""

    action: Floats
    """By the means, shape (rows, actions)."""
    value: Floats
    """Shape (rows, 1)."""
    log_std: Floats
    """Shape (actions,)."""


@dataclass(frozen=True)
class ClippedLoss:
    """The loss of a policy and its critic."""

    clip: float
    value_clip: float | None
    entropy: float
    """Weight of the entropy."""
    value: float
    """Weight of the critic's squared error."""
    normalize: bool
    """Whether advantages of a minibatch are scaled to mean 0 and deviation 1."""

    def differentiate(
        self, batch: Samples, mean: Floats, values: Floats, log_std: Floats
    ) -> tuple[Gradients, Losses]:
        """Gradient at what the network gives, and what is recorded of it.

        Args:
            batch: minibatch.
            mean: of the actions, shape (rows, actions).
            values: shape (rows, 1).
            log_std: shape (actions,).
        """
        rows, advantages, clip = np.float32(len(batch.returns)), batch.advantages, self.clip
        std: Floats = np.exp(log_std)
        if self.normalize and rows > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + 1e-8)
        z: Floats = (batch.actions - mean) / std
        log_ratio = log_prob(z, log_std) - batch.log_probs
        ratio = np.exp(log_ratio)
        gain = advantages * ratio
        clipped = advantages * np.clip(ratio, 1 - clip, 1 + clip)
        by_log_prob: Floats = (gain * (gain <= clipped) / -rows)[:, None]
        by_log_std: Floats = np.sum(by_log_prob * (z * z - 1), axis=0)
        by_log_std -= self.entropy  # the entropy is the sum of log_std and a constant
        errors, moves = self._value_errors(values[:, 0], batch)
        by_value = (errors * moves)[:, None] * np.float32(2 * self.value / rows)
        losses = Losses(
            float((ratio - 1 - log_ratio).mean()),
            -float(np.minimum(gain, clipped).mean()),
            float(errors @ errors / rows),
            float((np.abs(ratio - 1) > clip).mean()),
        )
        return Gradients(by_log_prob * z / std, by_value, by_log_std), losses

    def total(self, means: Losses, entropy: float) -> float:
        """The loss itself, from the means of its parts."""
        return means.policy_gradient_loss - self.entropy * entropy + self.value * means.value_loss

    def _value_errors(self, values: Floats, batch: Samples) -> tuple[Floats, Floats | float]:
        """Predicted less true returns, and 1 where they follow the critic, as all do without a clip."""
        if self.value_clip is None:
            return values - batch.returns, 1.0
        change = values - batch.values
        kept = batch.values + np.clip(change, -self.value_clip, self.value_clip)
        return kept - batch.returns, (np.abs(change) <= self.value_clip).astype(np.float32)


def log_prob(z: Floats, log_std: Floats) -> Floats:
    """Log-density of a diagonal Gaussian at ``z`` standard deviations from its mean, shape (rows,)."""
    squares: Floats = (z * z).sum(axis=1)
    return -0.5 * squares - np.float32(np.sum(log_std) + 0.5 * _LOG_2PI * len(log_std))


def entropy_of(log_std: Floats) -> float:
    """Entropy of a diagonal Gaussian."""
    return float(np.sum(log_std + 0.5 * (1 + _LOG_2PI)))
