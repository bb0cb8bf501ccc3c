"""A learned correction of commands, as residual action models have it.

A small network sees the commands and the angles and velocities of the driven joints and says what to add to
the commands (ASAP's delta actions, He et al. 2025; an actuator network after Hwangbo et al. 2019). It is
data: a safetensors file beside ``physics.toml`` with ``0.weight``, ``0.bias``, ``1.weight``, … of layers
with tanh between them, weights of shape (outputs, inputs).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sim2real.channels.filters import FilterInputs, rows
from sim2real.channels.magnitudes import Magnitude
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Simulator
from sim2real.world import World, drives


class Correction:
    """Adds a share of what a network says to the commands."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, simulator: Simulator) -> None:
        """Load the world's network.

        Raises:
            InvalidValue: if there is none, it can't be read, or its shapes do not fit the world.
        """
        world = inputs.magnitudes.world
        self.magnitude, self.columns = magnitude, slice(0, world.model.nu)
        self._xp, self._simulator = inputs.arrays.xp, simulator
        driven = drives(world.model)[0]
        self._qpos, self._qvel = simulator.joints(driven)
        self._layers = [
            (inputs.arrays.put(weight.T.astype(float)), inputs.arrays.put(bias.astype(float)))
            for weight, bias in _layers(world, 3 * world.model.nu)
        ]

    def begin(self, part: Array, ids: Ids) -> None:
        """Nothing is remembered."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """The corrected commands. Shape as ``part``."""
        if ids is not None:
            return part
        seen = (part, self._simulator.qpos[:, self._qpos], self._simulator.qvel[:, self._qvel])
        x = self._xp.concat(seen, axis=1)
        for k, (weight, bias) in enumerate(self._layers):
            x = (self._xp.tanh(x) if k else x) @ weight + bias
        corrected: Array = part + rows(self.magnitude, ids) * x
        return corrected


def _layers(world: World, inputs: int) -> list[tuple[Array, Array]]:
    if "correction" not in world.channels:
        raise InvalidValue(
            f"{world.name} has a parameter 'correction' but no network; name its file in physics.toml: "
            '[channels] correction = "correction.safetensors"'
        )
    path = world.path / world.channels["correction"][0]
    weights = _read(path)
    layers: list[tuple[Array, Array]] = []
    while f"{len(layers)}.weight" in weights and f"{len(layers)}.bias" in weights:
        layers.append((weights[f"{len(layers)}.weight"], weights[f"{len(layers)}.bias"]))
    sizes = [inputs, *(bias.size for _, bias in layers)]
    fits = [weight.shape for weight, _ in layers] == list(zip(sizes[1:], sizes[:-1], strict=True))
    fits = fits and all(bias.ndim == 1 for _, bias in layers)
    if not layers or not fits or sizes[-1] * 3 != inputs:
        raise InvalidValue(
            f"the network in {path} has shapes {[w.shape for w, _ in layers]}; {world.name} needs "
            f"0.weight, 0.bias, ... from {inputs} inputs (commands, angles, speeds) to {inputs // 3} outputs"
        )
    if not all(np.isfinite(part).all() for layer in layers for part in layer):
        raise InvalidValue(f"the network in {path} has weights that are not finite")
    return layers


def _read(path: Path) -> dict[str, Array]:
    try:
        weights: dict[str, Array] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidValue(f"{path} is no network in safetensors format: {error}") from error
    return weights
