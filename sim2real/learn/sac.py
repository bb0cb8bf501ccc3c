"""Stable-Baselines3's soft actor-critic (Haarnoja et al. 2018) on a policy's own network.

The network gives the mean action, as it does for every learner, so that any policy can begin: exploration is
Gaussian around the point that tanh squashes to that action. In several envs side by side the replay holds
their rows in equal parts, as Ball et al. (2023) keep prior data beside new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.sac.policies import Actor, SACPolicy

from sim2real.errors import InvalidValue
from sim2real.learn.hooks import Hooks, learnable
from sim2real.learn.twin import Twin
from sim2real.policy import Policy
from sim2real.reach import check_reach

Space = gym.Space[Any]
_INSIDE = 0.99
"""Share of an action's limit that the squashed mean stays within; tanh reaches 1 nowhere."""


@dataclass(frozen=True)
class SACSettings:
    """Settings of SAC.

    Raises:
        InvalidValue: for counts below 1.
    """

    total_steps: int = 20_000
    """Control steps of the first env."""
    updates: float = 1.0
    """Gradient steps for each control step of all envs."""
    batch_size: int = 256
    buffer: int = 200_000
    """Control steps that the replay holds."""
    warmup: int = 1_000
    """Control steps of all envs before the first update."""
    learning_rate: float = 3e-4
    gamma: float = 0.99
    tau: float = 0.005
    """Share of the target critics that each update replaces."""
    entropy: float | None = None
    """Weight of the entropy; None to learn it."""
    initial_std: float = 0.2
    """Exploration at the start, in units of a full action."""
    hidden: tuple[int, ...] = (64, 64)
    """Layers of the two critics."""

    def __post_init__(self) -> None:
        """Refuse to learn from nothing."""
        check_reach(self, "whole [1, inf)", "total_steps", "batch_size", "buffer")
        check_reach(self, "whole [0, inf)", "warmup")
        check_reach(self, "(0, inf)", "updates", "initial_std")
        check_reach(self, "[0, inf)", "learning_rate", "entropy")
        check_reach(self, "[0, 1]", "gamma")
        check_reach(self, "(0, 1]", "tau")


class PolicySAC(SAC):
    """SAC whose actor is a policy's network."""

    def __init__(
        self, start: Policy, venv: VecEnv, settings: SACSettings, seed: int = 0, hooks: Hooks | None = None
    ) -> None:
        """Begin with a policy's network and weights.

        Args:
            start: which reads observations and remembers nothing.
            venv: what it learns in.
            settings: how.
            seed: of critics, exploration and episodes.
            hooks: of which SAC knows ``free``, with the names of the actor, and ``anchors``.

        Raises:
            InvalidValue: for other hooks, or a policy that reads more than observations.
        """
        self._hooks = hooks or Hooks()
        if self._hooks != Hooks(free=self._hooks.free, anchors=self._hooks.anchors):
            raise InvalidValue("SAC knows the hooks free and anchors; choose PPO for the others")
        if start.remembers or start.network.reads() != {"observation"}:
            raise InvalidValue(f"policy {start.name!r} reads more than the observation, which SAC here can't")
        torch.set_num_threads(1)
        self.start = start
        super().__init__(
            cast(Any, _Policy),
            VecMonitor(venv),
            learning_rate=settings.learning_rate,
            buffer_size=settings.buffer,
            learning_starts=settings.warmup,
            batch_size=settings.batch_size,
            tau=settings.tau,
            gamma=settings.gamma,
            gradient_steps=max(1, round(settings.updates * venv.num_envs)),
            ent_coef="auto_0.1" if settings.entropy is None else settings.entropy,
            seed=seed,
            device="cpu",
            policy_kwargs={
                "net_arch": list(settings.hidden),
                "start": start,
                "log_std_init": math.log(settings.initial_std),
            },
        )
        self.set_logger(Logger(None, []))
        self._anchors = [
            (torch.from_numpy(anchor.observations), torch.from_numpy(anchor.actions), anchor)
            for anchor in self._hooks.anchors
        ]
        self.actor.optimizer.register_step_pre_hook(lambda *_: self._pull())

    def policy_now(self) -> Policy:
        """What is learnt, with the critic of the policy that it began with, whose weights did not move."""
        actor = cast(_Actor, self.actor)
        weights = {**self.start.weights, **actor.twin.weights()}
        if "log_std" in self.start.weights:
            weights["log_std"] = actor.explore.detach().numpy().copy()
        return Policy(self.start.contract, self.start.network, weights, self.start.name)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the actor's free arrays and the critics."""
        actor, layers = cast(_Actor, self.actor), learnable(self.start.network)
        known = [name for name in self.start.weights if name.rpartition(".")[0] in layers]
        done = self.num_timesteps / max(self._total_timesteps, 1)
        rates = self._hooks.rates_at(done, [*known, "log_std"])
        actor.explore.requires_grad_("log_std" in rates)
        for key, tensor in actor.twin.named_parameters():
            tensor.requires_grad_(key.replace("/", ".") in rates)
        super().train(gradient_steps, batch_size)

    def _pull(self) -> None:
        """Add the gradient of the anchors to that of the actor, which is about to step."""
        actor = cast(_Actor, self.actor)
        if not any(tensor.requires_grad for tensor in actor.twin.parameters()):
            return
        variance = torch.exp(2 * actor.explore.detach())
        for observations, actions, anchor in self._anchors:
            rows = torch.randint(len(actions), (anchor.rows,))
            mean = actor.twin({"observation": observations[rows]})[0]
            loss = ((mean - actions[rows]) ** 2 / variance).sum(dim=1).mean() * (anchor.strength / 2)
            loss.backward()

    def _sample_action(
        self, learning_starts: int, action_noise: object = None, n_envs: int = 1
    ) -> tuple[np.typing.NDArray[Any], np.typing.NDArray[Any]]:
        """Explore around the policy from the first step on, and not with random actions."""
        return super()._sample_action(0, cast(Any, action_noise), n_envs)


class _Actor(Actor):
    """The policy's network as the mean, a deviation that depends on nothing."""

    def __init__(self, start: Policy, given: dict[str, Any]) -> None:
        super().__init__(**{**given, "net_arch": []})
        del self.mu, self.latent_pi, self.log_std
        self.twin = Twin(start.network, start.weights)
        spread = torch.full((len(start.contract.action),), float(given["log_std_init"]))
        self.explore = torch.nn.Parameter(spread)
        self._limit = torch.as_tensor(self.action_space.high)

    def get_action_dist_params(
        self, obs: PyTorchObs
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        assert isinstance(obs, torch.Tensor)
        action = self.twin({"observation": obs.float()})[0] / self._limit
        inside = torch.clamp(action, -_INSIDE, _INSIDE)
        inside = action + (inside - action).detach()  # a saturated action can come back
        return torch.atanh(inside), self.explore.clamp(-20, 2).expand_as(action), {}


class _Policy(SACPolicy):
    """SAC's policy with that actor."""

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        **given: object,
    ) -> None:
        self._start = cast(Policy, given.pop("start"))
        super().__init__(observation_space, action_space, lr_schedule, **cast(Any, given))

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> Actor:
        given = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return _Actor(self._start, given)
