"""What happens beside learning with rsl_rl: progress, TensorBoard, and checkpoints to go on from."""

from __future__ import annotations

import logging
import math
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch.utils.tensorboard import SummaryWriter

from sim2real.files import write_atomically
from sim2real.learn.checkpoint import read_checkpoint
from sim2real.learn.progress import StepsShown
from sim2real.learn.rsl_weights import dump, restore
from sim2real.learn.settings import PPOSettings

if TYPE_CHECKING:
    from rsl_rl.algorithms import PPO
    from rsl_rl.runners import OnPolicyRunner

_log = logging.getLogger(__name__)


class RunLog:
    """Takes the place of rsl_rl's own logger in a runner: no console, no pickles.

    Args:
        folder: of logs and checkpoint.
        description: of the run (`sim2real.learn.checkpoint`); a checkpoint of another run is not used.
        settings: how long to train.
        title: of the progress bar; None for none.
        every: updates between checkpoints.
    """

    writer = None
    """That there is none tells rsl_rl to write no pickled models."""

    def __init__(
        self, folder: Path, description: str, settings: PPOSettings, title: str | None, every: int = 10
    ) -> None:
        self.path = folder / "checkpoint.safetensors"
        self._folder, self._description, self._every = folder, description, every
        self._total, self._per_update = settings.total_steps, settings.num_envs * settings.rollout_steps
        self.steps = 0
        """Control steps spent."""
        self._updates = 0
        self._shown = None if title is None else StepsShown(title, self._total)
        self._returns: deque[float] = deque(maxlen=100)
        self._successes: deque[float] = deque(maxlen=100)
        self._running: torch.Tensor | None = None

    def learn(self, runner: OnPolicyRunner) -> int:
        """Train from the last checkpoint, or from the start, to the end; returns the control steps spent."""
        self._algorithm: PPO = runner.alg
        self._restore(runner.alg)
        left = max(0, -(-(self._total - self.steps) // self._per_update))
        runner.logger = self
        self._board = SummaryWriter(str(self._folder))
        try:
            if self._shown is not None:
                self._shown.start()
            runner.learn(left)
        finally:
            self._board.close()
            if self._shown is not None:
                self._shown.stop()
        return self.steps

    @property
    def success(self) -> float:
        """Share of successes in the last 100 episodes that ended; NaN before there are so many."""
        full = len(self._successes) == self._successes.maxlen
        return float(np.mean(self._successes)) if full else math.nan

    def forget(self) -> None:
        """Delete the checkpoint; the policy is saved."""
        self.path.unlink(missing_ok=True)

    def init_logging_writer(self) -> None:
        """Nothing to begin."""

    def process_env_step(
        self, rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any], _: object = None
    ) -> None:
        """Sum rewards up to returns of episodes."""
        self._running = rewards.clone() if self._running is None else self._running + rewards
        if bool(dones.any()):
            self._returns += self._running[dones].tolist()
            self._running = self._running * ~dones
            if "success" in extras:
                self._successes += extras["success"][dones].tolist()

    def log(
        self, *, loss_dict: dict[str, float], learning_rate: float, action_std: torch.Tensor, **_: object
    ) -> None:
        """Write one update's numbers, and a checkpoint every few updates."""
        self._updates += 1
        self.steps += self._per_update
        scalars = {f"train/{name}": value for name, value in loss_dict.items()}
        scalars |= {"train/learning_rate": learning_rate, "train/std": float(action_std.detach().mean())}
        if self._returns:
            scalars |= {"rollout/ep_rew_mean": float(np.mean(self._returns))}
            scalars |= {"rollout/success": float(np.mean(self._successes))} if self._successes else {}
        for name, value in scalars.items():
            self._board.add_scalar(name, value, self.steps)
        if self._shown is not None:
            self._shown.at(self.steps, self._returns)
        if self._updates % self._every == 0:
            self._save()

    def _save(self) -> None:
        metadata = {"description": self._description, "steps": str(self.steps)}
        tensors = dump(self._algorithm)
        write_atomically(self.path, lambda path: path.write_bytes(save(tensors, metadata)))

    def _restore(self, algorithm: PPO) -> None:
        if found := read_checkpoint(self.path, self._description):
            metadata, tensors = found
            restore(algorithm, tensors)
            self.steps = int(metadata["steps"])
