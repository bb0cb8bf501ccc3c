"""What happens beside learning: checkpoints that an interrupted run goes on from, and a progress bar."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.numpy import save
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.files import write_atomically
from sim2real.learn.checkpoint import read_checkpoint
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.progress import StepsShown


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
        model.restore({name: tensor.numpy() for name, tensor in tensors.items()})
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
        arrays = self.model.state()
        metadata = {
            "description": self._description,
            "num_timesteps": str(self.model.num_timesteps),
            "n_updates": json.dumps(self.model._n_updates),
        }
        write_atomically(self.path, lambda path: path.write_bytes(save(arrays, metadata)))


class ProgressBar(BaseCallback):
    """Shows steps, mean return and time left."""

    def __init__(self, total: int, title: str, share: float = 1.0) -> None:
        """Make it.

        Args:
            total: control steps that count.
            title: what the bar says.
            share: of the control steps of all envs that count.
        """
        super().__init__()
        self._share = share
        self.shown = StepsShown(title, total)

    def _on_training_start(self) -> None:
        self.shown.start()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.shown.at(
            round(self._share * self.num_timesteps),
            [episode["r"] for episode in self.model.ep_info_buffer or ()],
        )

    def _on_training_end(self) -> None:
        self.shown.stop()
