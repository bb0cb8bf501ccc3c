"""A simulator on the CPU with the arrays of one on a GPU: torch tensors that can't become numpy's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sim2real.interface import Simulator

_LIVE = ("site", "force", "actuator_force", "speed", "load_force", "dry_friction", "force_limit")


class _Tensor(torch.Tensor):
    """Refuses numpy, as a tensor on a GPU does."""

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        raise TypeError("a tensor is no numpy array; use array_api_compat.array_namespace(simulator.qpos)")

    numpy = __array__


class Tensors:
    """What a task reads of a simulator, as tensors that share its memory."""

    def __init__(self, simulator: Simulator) -> None:
        """Wrap a simulator whose arrays are numpy's."""
        self._simulator = simulator
        self.num_envs = simulator.num_envs
        self.qpos, self.qvel = self.put(simulator.qpos), self.put(simulator.qvel)

    def __getattr__(self, name: str) -> object:
        """Everything else as the simulator has it, its live arrays as tensors."""
        given = getattr(self._simulator, name)
        return (lambda *what: self.put(given(*what))) if name in _LIVE else given

    @staticmethod
    def put(array: NDArray[Any]) -> torch.Tensor:
        """A tensor on an array's memory."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some of the engine's arrays are only to read
            return torch.from_numpy(array).as_subclass(_Tensor)

    @staticmethod
    def host(tensor: object) -> NDArray[Any]:
        """An answer of a task as numpy has it.

        Raises:
            TypeError: if it is no tensor.
        """
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"a {type(tensor).__name__} is returned where a torch tensor is meant")
        return np.asarray(tensor.as_subclass(torch.Tensor))
