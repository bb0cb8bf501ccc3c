"""Statistics of observations that go on while a policy learns, in the network's own arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.running_mean_std import RunningMeanStd

from sim2real.policy import Policy

_TRUSTED = 1e4
"""Observations that statistics which go on count for."""


class Normalizer:
    """Mean and deviation of what was seen, for every layer that normalizes observations."""

    def __init__(self, policy: Policy, values: Mapping[str, NDArray[np.float32]], handling: str) -> None:
        """Begin with a policy.

        Args:
            policy: whose layers.
            values: the network's arrays by name, which `apply` writes.
            handling: ``frozen``, ``adapted`` or ``fresh``; see `sim2real.learn.hooks.Hooks`.
        """
        layers = [layer for layer in policy.network.layers if layer.kind == "normalize"]
        names = [layer.name for layer in layers if layer.inputs == ("observation",)]
        self._values, self._names = values, [] if handling == "frozen" else names
        self._seen = RunningMeanStd(shape=(len(policy.contract.observation),))
        if self._names and handling == "adapted":
            self._seen.mean = values[f"{names[0]}.mean"].astype(np.float64)
            self._seen.var = values[f"{names[0]}.std"].astype(np.float64) ** 2
            self._seen.count = _TRUSTED

    def update(self, observations: NDArray[Any]) -> None:
        """Count observations, shape (..., num_observations)."""
        if self._names:
            self._seen.update(observations.reshape(-1, *self._seen.mean.shape))

    def apply(self) -> None:
        """Let the network see by what was counted."""
        for name in self._names:
            self._values[f"{name}.mean"][:] = self._seen.mean
            self._values[f"{name}.std"][:] = np.sqrt(self._seen.var + 1e-8)

    @property
    def state(self) -> NDArray[np.float64]:
        """Mean, variance and count, shape (3, num_observations); set it to restore them."""
        return np.stack([self._seen.mean, self._seen.var, np.full_like(self._seen.mean, self._seen.count)])

    @state.setter
    def state(self, state: NDArray[np.float64]) -> None:
        self._seen.mean, self._seen.var = state[0].copy(), state[1].copy()
        self._seen.count = float(state[2, 0])
