"""Stable-Baselines3's PPO with lean rollouts and updates: the same numbers to rounding, in less time.

On small networks nearly all of the time is overhead: of distribution objects, of autograd's graph, of an
optimizer that visits each tensor, of records for a log. Here the gradient of the clipped loss is written out
(`sim2real.learn.clipped_loss`), and `sim2real.learn.backprop` carries it through the layers;
`scripts/bench_training.py` measures what that saves.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from sim2real.errors import PolicyError
from sim2real.learn.backprop import Backprop
from sim2real.learn.clipped_loss import ClippedLoss, Losses, Samples, entropy_of, log_prob
from sim2real.learn.flat import Adam, FlatParameters
from sim2real.learn.hooks import Hooks, learnable
from sim2real.learn.inputs import Inputs, SeesInputs
from sim2real.learn.keep_best import KeepBest
from sim2real.learn.normalizer import Normalizer
from sim2real.learn.settings import PPOSettings
from sim2real.policy import Policy

Floats = NDArray[np.float32]
_EXPLODED = 5.0
"""Nats of one update; a Gaussian policy that moves by three of its deviations moves by less."""
Space = gym.Space[Any]


class LeanPPO(PPO):
    """PPO of a policy's own network, with a diagonal Gaussian around its action, on the CPU.

    Attributes:
        parameters: every array of the policy, in one.
        adam: the optimizer.
        start: the policy that learning begins with.
        diverged: why learning ended early, with the weights from before; empty if it did not.
        kept: control steps of all envs after which the weights of `policy_kept` were; 0 for the last ones.
    """

    def __init__(
        self,
        start: Policy,
        venv: VecEnv,
        settings: PPOSettings,
        seed: int = 0,
        hooks: Hooks | None = None,
        logs: Path | None = None,
    ) -> None:
        """Begin with a policy's network and weights.

        Args:
            start: which has a critic.
            venv: what it learns in.
            settings: how.
            seed: of exploration and episodes.
            hooks: what else happens.
            logs: folder for TensorBoard; None for none.

        Raises:
            PolicyError: for a policy that can't learn so.
        """
        torch.set_num_threads(1)  # two spinning threads are an order of magnitude slower on small networks
        self.start, self._hooks = start, hooks or Hooks()
        self.diverged = ""
        explore = np.full(len(start.contract.action), math.log(settings.initial_std), np.float32)
        self.parameters = FlatParameters({**start.weights, "log_std": explore})
        self.adam = Adam(self.parameters)
        self._network = Backprop(start.network, self.parameters.values, self.parameters.grads)
        if "value" not in start.network.outputs:
            raise PolicyError(f"policy {start.name!r} has no critic, which PPO needs; choose SAC, or add one")
        self._inputs = Inputs(start)
        if self._inputs.names != ("observation",):
            venv = SeesInputs(venv, start, self._inputs)
        self._log_std = self.parameters.values["log_std"]
        layers = learnable(start.network)
        self._learnable = [name for name in self.parameters.slices if name.rpartition(".")[0] in layers]
        self._learnable.append("log_std")
        self._average: Floats | None = None
        self.kept = 0
        self._keep_best = KeepBest(venv.num_envs, settings.rollout_steps)
        self._normalizer = Normalizer(start, self.parameters.values, self._hooks.normalizer)
        super().__init__(
            cast(Any, _NumpyPolicy),
            VecMonitor(venv),
            **settings.for_sb3,
            seed=seed,
            tensorboard_log=None if logs is None else str(logs),
            policy_kwargs={"network": self._network, "inputs": self._inputs},
        )
        if logs is None:
            self.set_logger(Logger(None, []))  # or it makes an empty folder for every model

    @property
    def done(self) -> float:
        """Share of the training that is done."""
        return self.num_timesteps / self._total_timesteps if self._total_timesteps else 0.0

    def policy_now(self) -> Policy:
        """What is learnt, or the average of it; its contract is that of the policy that it began with."""
        self._normalizer.apply()
        return self._policy_of(self.parameters.value if self._average is None else self._average)

    def policy_kept(self) -> Policy:
        """As `policy_now`, or an earlier one that is shown to be better, if hooks ask for that."""
        found = self._keep_best.best() if self._hooks.keep_best else None
        if found is None:
            return self.policy_now()
        self.kept, weights = found
        return self._policy_of(weights)

    def _policy_of(self, flat: Floats) -> Policy:
        shapes = {name: array.shape for name, array in self.parameters.values.items()}
        weights = {
            name: flat[part].reshape(shapes[name]).copy() for name, part in self.parameters.slices.items()
        }
        return Policy(self.start.contract, self.start.network, weights, self.start.name)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that learning goes on from, by name; `restore` takes it back."""
        state: dict[str, NDArray[Any]] = {"normalizer": self._normalizer.state}
        state["parameters"] = self.parameters.value
        state |= {f"adam.{name}": array for name, array in self.adam.state().items()}
        if self._average is not None:
            state["average"] = self._average
        return state

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Put everything where `state` was called."""
        self._average = state["average"].copy() if "average" in state else None
        self._normalizer.state = state["normalizer"]
        for name, array in self.state().items():
            array[:] = state[name]

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the buffer; False if a callback ends the training, or it diverged."""
        if self.diverged:
            return False
        self._normalizer.apply()
        rollout_buffer.reset()
        callback.on_rollout_start()
        std = np.exp(self._log_std)
        low, high = self.action_space.low, self.action_space.high  # type: ignore[attr-defined]
        paid = 0.0
        for step in range(n_rollout_steps):
            observations = np.asarray(self._last_obs, np.float32)
            mean, values = self._network.forward(self._inputs.split(observations))
            actions = mean + torch.randn(mean.shape).numpy() * std
            rollout_buffer.observations[step], rollout_buffer.actions[step] = observations, actions
            rollout_buffer.values[step] = values[:, 0]
            rollout_buffer.log_probs[step] = log_prob((actions - mean) / std, self._log_std)
            rollout_buffer.episode_starts[step] = self._last_episode_starts
            new_obs, rewards, dones, infos = env.step(np.clip(actions, low, high))
            new_obs = np.asarray(new_obs, np.float32)
            paid += float(rewards.mean())
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if dones.any():
                self._update_info_buffer(infos, dones)
                for row in np.flatnonzero(dones):
                    self._keep_best.ended(infos[row]["episode"]["r"], infos[row]["episode"]["l"])
                self._bootstrap(infos, dones, rewards)
            rollout_buffer.rewards[step] = rewards
            self._last_obs, self._last_episode_starts = new_obs, dones
        rollout_buffer.pos, rollout_buffer.full = n_rollout_steps, True
        rollout_buffer.compute_returns_and_advantage(
            torch.from_numpy(self._values(cast(Floats, new_obs))), dones
        )
        self._normalizer.update(
            self._inputs.split(rollout_buffer.observations.reshape(-1, self._inputs.size))
        )
        if self._hooks.keep_best:
            weights = self.parameters.value if self._average is None else self._average
            self._keep_best.collected(self.num_timesteps, weights, paid / n_rollout_steps)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Update the policy with the rollout that was collected."""
        rate, loss = self._left(self.lr_schedule), self._loss()
        far = math.inf if self.target_kl is None else 1.5 * self.target_kl
        rates = self._hooks.rates_at(self.done, self._learnable)
        self.adam.choose(rates)
        self._network.choose(rates)
        before = {name: array.copy() for name, array in self.state().items()}
        data, seen = Samples.of(self.rollout_buffer), [Losses()]
        for _ in range(self.n_epochs):
            for batch in data.shuffled(self.batch_size):
                seen.append(self._differentiate(loss, batch))
                if not seen[-1].approx_kl <= far:
                    break
                self.adam.step(rate, self.max_grad_norm)
            self._n_updates += 1
            if not seen[-1].approx_kl <= far:
                break
        if self._has_diverged(seen[-1]):
            self.restore(before)
            return
        self._update_average()
        self._record(seen[1:], loss, rate)

    def _has_diverged(self, last: Losses) -> bool:
        """Whether the update left no policy, or one that has nothing in common with that before it."""
        if not np.isfinite(self.parameters.value).all() or not np.isfinite(last).all():
            what = "numbers that are not finite"
        elif last.approx_kl > _EXPLODED:
            what = f"a policy {last.approx_kl:.3g} nats from that before"
        else:
            return False
        self.diverged = f"the update after {self.num_timesteps} control steps of all envs led to {what}"
        return True

    def _left(self, schedule: object) -> float:
        """What a schedule says now."""
        return float(cast(Schedule, schedule)(self._current_progress_remaining))

    def _loss(self) -> ClippedLoss:
        clip = None if self.clip_range_vf is None else self._left(self.clip_range_vf)
        return ClippedLoss(
            self._left(self.clip_range), clip, self.ent_coef, self.vf_coef, self.normalize_advantage
        )

    def _differentiate(self, loss: ClippedLoss, batch: Samples) -> Losses:
        """Write the gradient of the loss by all parameters; what is recorded of it."""
        pull = self._pull()
        mean, values = self._network.forward(self._inputs.split(batch.observations))
        gradients, losses = loss.differentiate(batch, mean, values, self._log_std)
        self._network.backward({"action": gradients.action, "value": gradients.value})
        self.parameters.grads["log_std"][:] = gradients.log_std
        if pull is not None:
            self.parameters.grad += pull
        for penalty in self._hooks.penalties:
            penalty.add_gradient(self.parameters.values, self.parameters.grads)
        return losses

    def _pull(self) -> Floats | None:
        """Gradient of the anchors, of all parameters; None without anchors."""
        total: Floats | None = None
        variance: Floats = np.exp(2 * self._log_std)
        for anchor in self._hooks.anchors:
            rows = np.random.randint(len(anchor.actions), size=anchor.rows)  # noqa: NPY002 - as for batches
            (mean,) = self._network.forward(self._inputs.split(anchor.observations[rows]), ("action",))
            by_mean: Floats = np.divide(mean - anchor.actions[rows], variance, dtype=np.float32)
            by_mean *= np.float32(anchor.strength / anchor.rows)
            self.parameters.grad[:] = 0
            self._network.backward({"action": by_mean})
            total = self.parameters.grad.copy() if total is None else total + self.parameters.grad
        return total

    def _values(self, observations: Floats) -> Floats:
        """What the critic expects, shape (rows,)."""
        (values,) = self._network.forward(self._inputs.split(observations), ("value",))
        return values[:, 0]

    def _update_average(self) -> None:
        """Begin the average of weights, or move it."""
        average = self._hooks.average
        if average is not None and self.done >= average.begin:
            if self._average is None:
                self._average = self.parameters.value.copy()
            self._average += np.float32(average.rate) * (self.parameters.value - self._average)

    def _bootstrap(self, infos: list[dict[str, Any]], dones: NDArray[np.bool_], rewards: Floats) -> None:
        """Add what the critic expects after episodes that only time ended."""
        cut = [row for row in np.flatnonzero(dones) if infos[row].get("TimeLimit.truncated")]
        if cut:
            last = np.stack([infos[row]["terminal_observation"] for row in cut]).astype(np.float32)
            rewards[cut] += self.gamma * self._values(last)

    def _record(self, seen: list[Losses], loss: ClippedLoss, rate: float) -> None:
        """Log an update under the names of Stable-Baselines3."""
        means, entropy = Losses(*np.mean(seen, axis=0).tolist()), entropy_of(self._log_std)
        values, returns = self.rollout_buffer.values.flatten(), self.rollout_buffer.returns.flatten()
        table = {
            **means._asdict(),
            "loss": loss.total(means, entropy),
            "entropy_loss": -entropy,
            "explained_variance": explained_variance(values, returns),
            "std": float(np.exp(self._log_std).mean()),
            "learning_rate": rate,
            "clip_range": loss.clip,
        }
        for name, value in table.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


class _NumpyPolicy(BasePolicy):
    """What Stable-Baselines3 asks for an action, as in ``predict``: the network of the learner."""

    def __init__(self, observation_space: Space, action_space: Space, *_: object, **given: object) -> None:
        super().__init__(observation_space, action_space)
        self._network, self._inputs = cast(Backprop, given["network"]), cast(Inputs, given["inputs"])

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        assert isinstance(observation, torch.Tensor)
        (mean,) = self._network.forward(self._inputs.split(observation.numpy()), ("action",))
        return torch.from_numpy(mean)
