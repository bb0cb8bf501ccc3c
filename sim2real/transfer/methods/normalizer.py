"""A method that changes how a policy sees, and nothing of what it does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import PolicyError
from sim2real.policy import Policy
from sim2real.transfer.demonstrations import demonstrations, demonstrations_in_target
from sim2real.transfer.methods.method import Card, Case
from sim2real.transfer.source import Source

_CONSTANT = 1e-4
"""Standard deviation, in scaled units, below which a signal says nothing of scales."""


@dataclass(frozen=True)
class AdaptNormalizer:
    """The policy sees the target's observations with the mean and deviation of the source's (AdaBN).

    Li et al. 2016 after Ioffe & Szegedy 2015: with means m and deviations d of source s and target t, an
    observation x is seen as mₛ + (x − mₜ) dₛ / dₜ; of that, as much as the rows of the target count for. It
    undoes other gains and offsets of sensors; where it fails in other physics, it sees other states and
    is misled.
    """

    card: ClassVar[Card] = Card(
        "lets the target's observations look as those of the source, and learns nothing",
        "Li et al. 2016",
        needs=("source",),
        costs="as many steps of the source",
        risk="harms where the physics differ and sensors do not",
    )
    steps: int = 200
    """Control steps in each row of the target."""
    trust: int = 10_000
    """Rows that the source's statistics count for, as in learning."""

    def __call__(self, case: Case) -> Policy:
        """Spend some steps on looking.

        Raises:
            PolicyError: for a policy that normalizes no observations; nothing is spent then.
            BudgetExhausted: if the budget does not allow a step.
        """
        assert isinstance(case.source, Source)
        policy, target = case.policy, case.target
        layers = [
            layer.name
            for layer in policy.network.layers
            if layer.kind == "normalize" and layer.inputs == ("observation",)
        ]
        if not layers:
            raise PolicyError(
                f"policy {policy.name!r} has no layer that normalizes observations; fine-tune it"
            )
        before, _ = demonstrations(policy, case.source.env(target.num_envs), self.steps, 0.0, case.seed)
        now, _ = demonstrations_in_target(policy, target, self.steps, 0.0, case.seed)
        share, weights = len(now) / (len(now) + self.trust), dict(policy.weights)
        for name in layers:
            mean, std = (weights[f"{name}.{array}"] for array in ("mean", "std"))
            found = aligned(mean, std, before, now)
            for array, old, new in zip(("mean", "std"), (mean, std), found, strict=True):
                weights[f"{name}.{array}"] = ((1 - share) * old + share * new).astype(np.float32)
        return dataclasses.replace(policy, weights=weights)


def aligned(
    mean: NDArray[np.float32], std: NDArray[np.float32], before: NDArray[np.float32], now: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation with which ``now`` looks, in its first two moments, as ``before`` did with the old.

    Signals that stand still in either keep theirs. Shapes (n,), (n,), (rows, n), (rows, n).
    """
    sources, targets = before.std(axis=0, dtype=np.float64), now.std(axis=0, dtype=np.float64)
    moves = (sources > _CONSTANT) & (targets > _CONSTANT)
    ratio: NDArray[np.float64] = np.where(moves, targets / np.where(moves, sources, 1.0), 1.0)
    centre = now.mean(axis=0, dtype=np.float64) - (before.mean(axis=0, dtype=np.float64) - mean) * ratio
    return np.where(moves, centre, mean), std.astype(np.float64) * ratio
