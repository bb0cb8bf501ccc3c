"""Disturbances from outside: pushes. Slope, wind and payload are parameters of the engine's model."""

from __future__ import annotations

import numpy as np

from sim2real.channels.filters import STREAMS, FilterInputs
from sim2real.interface import Ids, Simulator
from sim2real.world import element_names


class Pushes:
    """Level forces on bodies, in random directions, at random times, for a while each.

    In every control step without a push one begins with the chance control_dt / push_interval.
    """

    def __init__(self, inputs: FilterInputs, simulator: Simulator) -> None:
        """Bind the magnitudes of every body that has a ``push``.

        Raises:
            UnknownName: for a body that does not exist.
        """
        bodies = element_names(inputs.magnitudes.world.model, "body")
        bodies = bodies[inputs.magnitudes.columns("push", bodies)]
        self._inputs = inputs
        self._force = inputs.magnitudes.bind("push", bodies)
        self._interval = inputs.magnitudes.bind("push_interval", bodies, default=1.0)
        self._duration = inputs.magnitudes.bind("push_duration", bodies, default=0.1)
        self._wrenches = [simulator.force(body) for body in bodies]
        shape = simulator.num_envs, len(bodies)
        self._left = np.zeros(shape, dtype=np.int64)
        self._angle = np.zeros(shape)

    def begin(self, env_ids: Ids) -> None:
        """Rows that begin are not being pushed; their engine has forgotten all forces."""
        self._left[env_ids] = 0

    def run(self) -> None:
        """Push for this control step."""
        if not self._force.on and not self._left.any():
            return
        inputs, (_, width) = self._inputs, self._left.shape
        self._left = np.maximum(self._left - 1, 0)
        u = inputs.draws.uniform(STREAMS.index("push"), 2 * width)
        begins = (self._left == 0) & (u[:, :width] * self._interval.host < inputs.control_dt)
        steps = np.maximum(np.round(self._duration.host / inputs.control_dt), 1).astype(np.int64)
        self._left = np.where(begins, steps, self._left)
        self._angle = np.where(begins, 2 * np.pi * u[:, width:], self._angle)
        size = self._force.host * (self._left > 0)
        level = inputs.arrays.put(np.stack((size * np.cos(self._angle), size * np.sin(self._angle)), axis=2))
        for k, wrench in enumerate(self._wrenches):
            wrench[:, :2] = level[:, k]
