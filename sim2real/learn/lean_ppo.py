"""Stable-Baselines3's PPO with lean rollouts and updates: the same numbers to rounding, in less time.

On small networks nearly all of the time is overhead: of distribution objects, of autograd's graph, of an
optimizer that visits each tensor, of records for a log. Here the gradient of the clipped loss (Schulman et
al. 2017, equation 9) by mean, standard deviation and value is written out, and numpy carries it through the
layers (`scripts/bench_training.py` measures what that saves).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from sim2real.learn.flat import Adam, FlatParameters
from sim2real.learn.mlp import MLP
from sim2real.learn.weights import activation_name, named_tensors

Floats = NDArray[np.float32]
_LOG_2PI = math.log(2 * math.pi)


class LeanPPO(PPO):
    """PPO of a diagonal Gaussian with separate actor and critic, on the CPU.

    A tensor that does not require a gradient rests, as everywhere in torch.

    Attributes:
        parameters: of the policy, side by side in one array.
        adam: the optimizer; that of ``policy`` is not used.
    """

    def _setup_model(self) -> None:
        super()._setup_model()
        self.parameters = FlatParameters(named_tensors(self))
        self.adam = Adam(self.parameters)
        tables = (self.parameters.values, self.parameters.grads)
        activation = activation_name(self)
        self._actor, self._critic = (MLP(*tables, head, activation) for head in ("actor", "critic"))
        self._log_std = self.parameters.values["log_std"]

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the buffer; False if a callback ends the training."""
        rollout_buffer.reset()
        callback.on_rollout_start()
        std = np.exp(self._log_std)
        low, high = self.action_space.low, self.action_space.high  # type: ignore[attr-defined]
        for step in range(n_rollout_steps):
            observations = np.asarray(self._last_obs, np.float32)
            mean, values = self._actor.forward(observations), self._critic.forward(observations)[:, 0]
            actions = mean + torch.randn(mean.shape).numpy() * std
            rollout_buffer.observations[step], rollout_buffer.actions[step] = observations, actions
            rollout_buffer.values[step] = values
            rollout_buffer.log_probs[step] = _log_prob((actions - mean) / std, self._log_std)
            rollout_buffer.episode_starts[step] = self._last_episode_starts
            new_obs, rewards, dones, infos = env.step(np.clip(actions, low, high))
            assert isinstance(new_obs, np.ndarray)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if dones.any():
                self._update_info_buffer(infos, dones)
                self._bootstrap(infos, dones, rewards)
            rollout_buffer.rewards[step] = rewards
            self._last_obs, self._last_episode_starts = new_obs, dones
        rollout_buffer.pos, rollout_buffer.full = n_rollout_steps, True
        last = torch.from_numpy(self._critic.forward(np.asarray(new_obs, np.float32)))
        rollout_buffer.compute_returns_and_advantage(last, dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Update the policy with the rollout that was collected."""
        progress = self._current_progress_remaining
        rate, clip = float(self.lr_schedule(progress)), float(self.clip_range(progress))  # type: ignore[operator]
        far = math.inf if self.target_kl is None else 1.5 * self.target_kl
        self.adam.choose(self.parameters.free)
        data, seen = _Samples.of(self.rollout_buffer), [_Losses()]
        for _ in range(self.n_epochs):
            for batch in data.shuffled(self.batch_size):
                seen.append(self._differentiate(batch, clip))
                if seen[-1].approx_kl > far:
                    break
                self.adam.step(rate, self.max_grad_norm)
            self._n_updates += 1
            if seen[-1].approx_kl > far:
                break
        self._record(seen[1:], {"learning_rate": rate, "clip_range": clip})

    def _differentiate(self, batch: _Samples, clip: float) -> _Losses:
        """Write the gradient of the loss by all parameters; what is recorded of it."""
        rows, advantages = np.float32(len(batch.returns)), batch.advantages
        std: Floats = np.exp(self._log_std)
        if self.normalize_advantage and rows > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + 1e-8)
        z: Floats = (batch.actions - self._actor.forward(batch.observations)) / std
        log_ratio = _log_prob(z, self._log_std) - batch.log_probs
        ratio = np.exp(log_ratio)
        gain = advantages * ratio
        clipped = advantages * np.clip(ratio, 1 - clip, 1 + clip)
        by_log_prob: Floats = (gain * (gain <= clipped) / -rows)[:, None]
        self._actor.backward(by_log_prob * z / std)
        by_log_std = self.parameters.grads["log_std"]
        np.sum(by_log_prob * (z * z - 1), axis=0, out=by_log_std)
        by_log_std -= self.ent_coef  # the entropy is the sum of log_std and a constant

        values: Floats = self._critic.forward(batch.observations)[:, 0]
        errors, moves = self._value_errors(values, batch)
        self._critic.backward((errors * moves)[:, None] * np.float32(2 * self.vf_coef / rows))
        return _Losses(
            float((ratio - 1 - log_ratio).mean()),
            -float(np.minimum(gain, clipped).mean()),
            float(errors @ errors / rows),
            float((np.abs(ratio - 1) > clip).mean()),
        )

    def _bootstrap(self, infos: list[dict[str, Any]], dones: NDArray[np.bool_], rewards: Floats) -> None:
        """Add what the critic expects after episodes that only time ended."""
        cut = [row for row in np.flatnonzero(dones) if infos[row].get("TimeLimit.truncated")]
        if cut:
            last = np.stack([infos[row]["terminal_observation"] for row in cut]).astype(np.float32)
            rewards[cut] += self.gamma * self._critic.forward(last)[:, 0]

    def _value_errors(self, values: Floats, batch: _Samples) -> tuple[Floats, Floats | float]:
        """Predicted less true returns, and 1 where they follow the critic, as all do without a clip."""
        if self.clip_range_vf is None:
            return values - batch.returns, 1.0
        clip = float(self.clip_range_vf(self._current_progress_remaining))  # type: ignore[operator]
        change = values - batch.values
        kept = batch.values + np.clip(change, -clip, clip)
        return kept - batch.returns, (np.abs(change) <= clip).astype(np.float32)

    def _record(self, seen: list[_Losses], used: dict[str, float]) -> None:
        """Log an update under the names of Stable-Baselines3."""
        means = _Losses(*np.mean(seen, axis=0).tolist())._asdict()
        entropy = float(np.sum(self._log_std + 0.5 * (1 + _LOG_2PI)))
        means["loss"] = (
            means["policy_gradient_loss"] - self.ent_coef * entropy + self.vf_coef * means["value_loss"]
        )
        buffer = self.rollout_buffer
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        std = float(np.exp(self._log_std).mean())
        table = {**means, **used, "entropy_loss": -entropy, "explained_variance": explained, "std": std}
        for name, value in table.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


class _Losses(NamedTuple):
    """What is recorded of a minibatch, by the names that Stable-Baselines3 logs."""

    approx_kl: float = 0.0
    policy_gradient_loss: float = 0.0
    value_loss: float = 0.0
    clip_fraction: float = 0.0


class _Samples(NamedTuple):
    """Control steps of a rollout; each array has one row a step."""

    observations: Floats
    actions: Floats
    values: Floats
    log_probs: Floats
    advantages: Floats
    returns: Floats

    @classmethod
    def of(cls, buffer: RolloutBuffer) -> _Samples:
        """All of a rollout, the steps of each env side by side."""
        arrays = [getattr(buffer, name).swapaxes(0, 1) for name in cls._fields]
        return cls(*(array.reshape(-1, *array.shape[2:]).astype(np.float32) for array in arrays))

    def shuffled(self, size: int) -> Iterator[_Samples]:
        """Minibatches of one pass in a random order; the last may be smaller."""
        order = np.random.permutation(len(self.returns))  # noqa: NPY002 - as Stable-Baselines3 draws it
        mixed = [array[order] for array in self]
        for start in range(0, len(order), size):
            yield _Samples(*(array[start : start + size] for array in mixed))


def _log_prob(z: Floats, log_std: Floats) -> Floats:
    """Log-density of a diagonal Gaussian at ``z`` standard deviations from its mean, shape (rows,)."""
    squares: Floats = (z * z).sum(axis=1)
    return -0.5 * squares - np.float32(np.sum(log_std) + 0.5 * _LOG_2PI * len(log_std))
