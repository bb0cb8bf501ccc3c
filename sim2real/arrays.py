"""Arrays of the host (numpy) and of a simulator's namespace: numpy itself, or torch on the GPU.

What belongs to episodes (numbers, masks, draws) stays on the host; what is stepped stays where the simulator
has it. On numpy both are the same and nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from numpy.typing import NDArray

from sim2real.interface import Array


def host(array: NDArray[Any]) -> NDArray[Any]:
    """Any array as numpy has it; not a copy where it is numpy's already."""
    return array if is_numpy_array(array) else np.asarray(array.cpu())


class Arrays:
    """Moves arrays between the host and a simulator's namespace."""

    def __init__(self, like: Array) -> None:
        """Take namespace, device and floating-point type from an array of the simulator."""
        self.xp = array_namespace(like)
        self.on_host = is_numpy_array(like)
        self._device, self._float = device(like), like.dtype

    def host(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array as numpy has it; not a copy where it is numpy's already."""
        return array if self.on_host else host(array)

    def put(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array in the simulator's namespace and, if it holds fractions, in its type."""
        if self.on_host:
            return array
        kind = {"dtype": self._float} if array.dtype.kind == "f" else {}
        moved: NDArray[Any] = self.xp.asarray(array, device=self._device, **kind)
        return moved

    def floats(self, array: object) -> Array:
        """Anything that holds numbers, in the simulator's namespace and type."""
        if self.on_host:
            return np.asarray(array, dtype=self._float)
        moved: Array = self.xp.asarray(array, device=self._device, dtype=self._float)
        return moved

    def copy(self, array: NDArray[Any]) -> NDArray[Any]:
        """A copy that aliases nothing."""
        copied: NDArray[Any] = array.copy() if self.on_host else self.xp.asarray(array, copy=True)
        return copied

    def single(self, array: Array) -> NDArray[np.float32]:
        """The array in single precision."""
        single: NDArray[np.float32] = self.xp.astype(array, self.xp.float32, copy=False)
        return single

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Zeros of single precision in the simulator's namespace."""
        zeros: NDArray[np.float32] = self.xp.zeros(shape, dtype=self.xp.float32, device=self._device)
        return zeros
