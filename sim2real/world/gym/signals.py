"""The numbers of an observation as named signals, whatever space it comes from.

The entries of a ``Box`` are ``obs_0``, ``obs_1``, ...; those of a ``Dict`` of boxes ``<key>_0``, ... An env
that has an attribute ``observation_names`` (one name for each number) names them itself.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim2real.errors import InvalidValue

Numbers = NDArray[np.float64]
Observation = Any
"""Whatever an env observes."""


class Signals:
    """Takes observations apart into one row of numbers, and puts them together again."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Name what ``env`` observes; what is no box of fractions gets no name."""
        space = env.observation_space
        self._is_dict = isinstance(space, spaces.Dict)
        parts = space.spaces if isinstance(space, spaces.Dict) else {"obs": space}
        boxes = {
            key: box
            for key, box in parts.items()
            if isinstance(box, spaces.Box) and np.issubdtype(box.dtype, np.floating)
        }
        self._keys = list(boxes)
        self.names = [f"{key}_{k}" for key, box in boxes.items() for k in range(int(np.prod(box.shape)))]
        given = getattr(env.unwrapped, "observation_names", None)
        if given is not None:
            if len(given) != len(self.names):
                raise InvalidValue(
                    f"observation_names of {env} has {len(given)} names for {len(self.names)} numbers"
                )
            self.names = [str(name) for name in given]

    def apart(self, observation: Observation) -> Numbers:
        """All numbers in a row. Shape (1, len(names)).

        Raises:
            InvalidValue: for complex ones.
        """
        parts = observation if self._is_dict else {"obs": observation}
        rows = [np.ravel(parts[key]) for key in self._keys]
        numbers = np.concatenate(rows) if rows else np.zeros(0)
        if np.iscomplexobj(numbers):
            raise InvalidValue(
                "the env observes complex numbers, which would lose a part; give two real ones each"
            )
        return numbers.astype(float)[None]

    def together(self, numbers: Numbers, observation: Observation) -> Observation:
        """A copy of an observation with these numbers in it."""
        parts = dict(observation) if self._is_dict else {"obs": observation}
        start = 0
        for key in self._keys:
            old = np.asarray(parts[key])
            parts[key] = numbers[0, start : start + old.size].reshape(old.shape).astype(old.dtype)
            start += old.size
        return parts if self._is_dict else parts["obs"]
