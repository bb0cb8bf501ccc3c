"""A policy: weights and a contract, saved as a folder, which acts in batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.catalog import entries, find
from sim2real.files import check_folder
from sim2real.interface import Mask
from sim2real.policy import folder as folders
from sim2real.policy.contract import Contract, HasTask, check, lineage
from sim2real.policy.network import Weights, check_weights, mean_actions


@dataclass(frozen=True)
class Policy:
    """Weights and their contract; acts deterministically."""

    contract: Contract
    weights: Weights
    """``actor.<k>.weight`` (out, in), ``actor.<k>.bias``, ``log_std``, ``normalizer.mean``,
    ``normalizer.std``, and the critic's layers, which transfer starts from."""
    name: str = "policy"

    def __post_init__(self) -> None:
        """Refuse weights that can't act."""
        check_weights(self.contract, self.weights)

    def start(self, rows: int | Mask, state: None = None) -> None:
        """Begin episodes, of which this policy remembers nothing; see `sim2real.interface.Actor`."""

    def act(self, observation: NDArray[np.float32], state: None = None) -> tuple[NDArray[np.float32], None]:
        """Mean actions, clipped to [-1, 1], and the state for the next call.

        Args:
            observation: as the env gives it. Shape (n, num_observations) or (num_observations,).
            state: of `start`, or of the last call.
        """
        return mean_actions(self.contract, self.weights, observation), None

    @property
    def lineage(self) -> str:
        """Label and steps that it comes from: what two policies share if only their seeds differ."""
        return lineage(self.contract)

    def check(self, env: HasTask) -> None:
        """Refuse an env that is not what the policy expects.

        Raises:
            PolicyError: which lists everything that differs.
        """
        check(self.contract, env, self.name)

    @staticmethod
    def check_folder(folder: str | Path) -> None:
        """Refuse a folder that a policy can't be saved to, before it is learnt; see `sim2real.files`."""
        check_folder(folder, folders.FILES)

    def save(self, folder: str | Path) -> None:
        """Write the folder, whole or not at all; what else is in it is not deleted but refused."""
        folders.write(folder, self.contract, self.weights)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Policy:
        """Load a policy of the catalogue, or from a folder.

        Raises:
            UnknownName: if there is no such policy.
            PolicyError: if the folder is damaged, foreign or edited; the message says where.
        """
        folder = find("policies", name_or_path)
        return cls(*folders.read(folder), folder.name)

    @classmethod
    def shipped(cls, world: str, label: str) -> list[Policy]:
        """The policies of the catalogue that a method made in a world, by seed."""
        names = [name for name in entries("policies") if name.startswith(f"{world}-{label}-")]
        return sorted(map(cls.load, names), key=lambda policy: policy.contract.seed)
