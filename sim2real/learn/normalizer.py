"""Statistics of what a network reads that go on while it learns, in the network's own arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.running_mean_std import RunningMeanStd

from sim2real.policy import Policy
from sim2real.policy.network import INPUTS

_TRUSTED = 1e4
"""Rows that statistics which go on count for."""


class Normalizer:
    """Mean and deviation of what was seen, for every layer that normalizes an input."""

    def __init__(self, policy: Policy, values: Mapping[str, NDArray[np.float32]], handling: str) -> None:
        """Begin with a policy.

        Args:
            policy: whose layers.
            values: the network's arrays by name, which `apply` writes.
            handling: ``frozen``, ``adapted`` or ``fresh``; see `sim2real.learn.hooks.Hooks`.
        """
        self._values = values
        self._of: dict[str, tuple[str, RunningMeanStd]] = {}
        for layer in policy.network.layers if handling != "frozen" else ():
            if layer.kind == "normalize" and layer.inputs[0] in INPUTS:
                seen = RunningMeanStd(shape=values[f"{layer.name}.mean"].shape)
                if handling == "adapted":
                    seen.mean = values[f"{layer.name}.mean"].astype(np.float64)
                    seen.var = values[f"{layer.name}.std"].astype(np.float64) ** 2
                    seen.count = _TRUSTED
                self._of[layer.name] = (layer.inputs[0], seen)

    def update(self, inputs: Mapping[str, NDArray[np.float32]]) -> None:
        """Count what was seen of each input, shape (rows, size)."""
        for name, seen in self._of.values():
            seen.update(inputs[name])

    def apply(self) -> None:
        """Let the network see by what was counted."""
        for layer, (_, seen) in self._of.items():
            self._values[f"{layer}.mean"][:] = seen.mean
            self._values[f"{layer}.std"][:] = np.sqrt(seen.var + 1e-8)

    @property
    def state(self) -> NDArray[np.float64]:
        """Means, variances and counts of all layers in a row; set it to restore them."""
        parts = [np.r_[seen.mean, seen.var, seen.count] for _, seen in self._of.values()]
        return np.concatenate(parts) if parts else np.zeros(0)

    @state.setter
    def state(self, state: NDArray[np.float64]) -> None:
        for _, seen in self._of.values():
            size = len(seen.mean)
            mean, var, count, state = np.split(state, [size, 2 * size, 2 * size + 1])
            seen.mean, seen.var, seen.count = mean.copy(), var.copy(), float(count[0])
