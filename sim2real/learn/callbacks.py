"""What happens beside learning: checkpoints that an interrupted run goes on from, and a progress bar."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.files import write_atomically
from sim2real.learn.checkpoint import read_checkpoint
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.progress import StepsShown
from sim2real.learn.weights import running_statistics


class Checkpoints(BaseCallback):
    """Saves weights, optimizer and normalizer every few updates.

    Args:
        path: of the checkpoint file.
        description: of the run (`sim2real.learn.checkpoint`); a checkpoint of another run is not used.
        every: updates between checkpoints.
    """

    def __init__(self, path: Path, description: str, every: int = 10) -> None:
        super().__init__()
        self.path = path
        self._description = description
        self._every = every
        self._updates = 0

    def restore(self, model: LeanPPO) -> bool:
        """Put ``model`` where the last checkpoint of this run was, if there is one that can be read.

        Raises:
            InvalidValue: for a checkpoint of another world.
        """
        found = read_checkpoint(self.path, self._description)
        if found is None:
            return False
        metadata, tensors = found
        _load(model, tensors)
        model.num_timesteps = int(metadata["num_timesteps"])
        model._n_updates = int(metadata["n_updates"])
        return True

    def _on_rollout_start(self) -> None:
        self._updates += 1
        if self._updates % self._every == 0:
            self._save()

    def _on_step(self) -> bool:
        return True

    def _save(self) -> None:
        assert isinstance(self.model, LeanPPO)
        tensors = _dump(self.model)
        metadata = {
            "description": self._description,
            "num_timesteps": str(self.model.num_timesteps),
            "n_updates": json.dumps(self.model._n_updates),
        }
        write_atomically(self.path, lambda path: save_file(tensors, path, metadata))


class ProgressBar(BaseCallback):
    """Shows steps, mean return and time left."""

    def __init__(self, total: int, title: str) -> None:
        super().__init__()
        self.shown = StepsShown(title, total)

    def _on_training_start(self) -> None:
        self.shown.start()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.shown.at(self.num_timesteps, [episode["r"] for episode in self.model.ep_info_buffer or ()])

    def _on_training_end(self) -> None:
        self.shown.stop()


def learn(model: LeanPPO, steps: int, callbacks: list[BaseCallback]) -> None:
    """Train for ``steps`` more control steps; an error, or Ctrl-C, leaves no progress bar running."""
    try:
        model.learn(steps, callbacks, reset_num_timesteps=False)
    finally:
        for callback in callbacks:
            callback.on_training_end()


def _dump(model: LeanPPO) -> dict[str, torch.Tensor]:
    tensors = {f"policy.{key}": value.clone() for key, value in model.policy.state_dict().items()}
    tensors |= {f"adam.{name}": torch.from_numpy(array.copy()) for name, array in model.adam.state().items()}
    statistics = running_statistics(model)
    if statistics is not None:
        tensors |= {
            "normalizer.mean": torch.from_numpy(np.array(statistics.mean)),
            "normalizer.var": torch.from_numpy(np.array(statistics.var)),
            "normalizer.count": torch.tensor(statistics.count, dtype=torch.float64),
        }
    return tensors


def _load(model: LeanPPO, tensors: dict[str, torch.Tensor]) -> None:
    model.policy.load_state_dict(
        {key.removeprefix("policy."): v for key, v in tensors.items() if key.startswith("policy.")}
    )
    for name, array in model.adam.state().items():
        array[:] = tensors[f"adam.{name}"].numpy()
    statistics = running_statistics(model)
    if statistics is not None:
        statistics.mean = tensors["normalizer.mean"].numpy()
        statistics.var = tensors["normalizer.var"].numpy()
        statistics.count = float(tensors["normalizer.count"])
