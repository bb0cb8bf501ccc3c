"""The last observations and actions of each row, which a policy keeps so that envs need not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real.interface import Mask
from sim2real.policy.kinds import Rows


@dataclass(frozen=True)
class Past:
    """What happened before this control step, oldest first."""

    observations: Rows
    """Shape (rows, length − 1, num_observations)."""
    actions: Rows
    """Shape (rows, length − 1, num_actions)."""
    begins: Mask
    """Rows in whose episode nothing has happened yet. Shape (rows,)."""


@dataclass(frozen=True)
class History:
    """Observations o and actions a side by side: oₜ₋ₖ₊₁ … oₜ, then aₜ₋ₖ₊₁ … aₜ₋₁.

    Before the start of an episode all was as at its first observation, and the actions were 0.
    """

    length: int
    """k, observations that are seen at once."""
    num_observations: int
    num_actions: int

    @property
    def size(self) -> int:
        """Numbers of a row."""
        return self.length * self.num_observations + (self.length - 1) * self.num_actions

    def start(self, rows: int | Mask, past: Past | None = None) -> Past:
        """The past of rows whose episodes begin, as `sim2real.interface.Actor.start`."""
        if past is not None:
            return Past(past.observations, past.actions, past.begins | np.asarray(rows, dtype=bool))
        count, steps = int(rows), self.length - 1
        return Past(
            np.zeros((count, steps, self.num_observations), dtype=np.float32),
            np.zeros((count, steps, self.num_actions), dtype=np.float32),
            np.ones(count, dtype=bool),
        )

    def seen(self, observation: Rows, past: Past) -> tuple[Rows, Past]:
        """What a policy sees, shape (rows, size), and the past without rows that begin."""
        if past.begins.any():
            begins = past.begins[:, None, None]
            observations = np.where(begins, observation[:, None], past.observations)
            actions = np.where(begins, np.float32(0.0), past.actions)
            past = Past(observations, actions, np.zeros_like(past.begins))
        rows = len(observation)
        parts = (past.observations.reshape(rows, -1), observation, past.actions.reshape(rows, -1))
        return np.concatenate(parts, axis=1, dtype=np.float32), past

    def after(self, observation: Rows, action: Rows, past: Past) -> Past:
        """The past of the next control step, when an action has been taken."""
        return Past(
            np.concatenate((past.observations, observation[:, None]), axis=1)[:, 1:],
            np.concatenate((past.actions, action[:, None]), axis=1)[:, 1:],
            past.begins,
        )
