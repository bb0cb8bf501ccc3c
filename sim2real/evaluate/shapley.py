"""Shapley values of a game of some parameters: which sets are played, and how their values are weighed.

Everything is linear in the values of the sets, so that one matrix gives the values of all parameters, for
every seed and start alike (Shapley 1953; Castro et al. 2009 for permutations in place of all sets).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim2real.evaluate.statistics import Array

EXACT = 8
"""Most parameters of which all sets are played."""
_PAIRS = 16


@dataclass(frozen=True)
class Game:
    """Sets of parameters, and the weights that turn their values into those of the parameters."""

    sets: NDArray[np.bool_]
    """Which parameters are in each set; none, all, each alone, all but each, and each two are there. Shape
    (sets, parameters)."""
    weights: Array
    """Of each pair of permutations, or a single one of all sets. Shape (draws, parameters, sets)."""

    @classmethod
    def of(cls, count: int, seed: int = 0, also: Sequence[Sequence[int]] = ()) -> Game:
        """All sets up to `EXACT` parameters, beyond that those of 16 permutations and their reverses.

        Args:
            count: of the parameters.
            seed: of the permutations.
            also: further sets to be among those.
        """
        if count <= EXACT:
            sets = (np.arange(2**count)[:, None] >> np.arange(count)) % 2 == 1
            return cls(sets, _exact(sets)[None])
        more = np.zeros((len(also), count), dtype=bool)
        for row, members in zip(more, also, strict=True):
            row[list(members)] = True
        return cls(*_sampled(count, np.random.default_rng(seed), more))

    @property
    def exact(self) -> bool:
        """Whether nothing is sampled."""
        return len(self.weights) == 1

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {row.tobytes(): k for k, row in enumerate(self.sets)}

    def place(self, *parameters: int, but: bool = False) -> int:
        """Index of the set of these parameters, or of all but these."""
        row = np.full(self.sets.shape[1], but)
        row[list(parameters)] = not but
        return self._places[row.tobytes()]

    def shapley(self, values: Array) -> Array:
        """Values of the parameters; they add up to that of all less that of none.

        Args:
            values: of the sets, in the last axis. Shape (..., sets).

        Returns:
            Shape (..., parameters).
        """
        return np.asarray(values @ self.weights.mean(axis=0).T)

    def sampling_error(self, values: Array, parameters: Sequence[int]) -> float:
        """Standard error by the permutations of what `shapley` gives some parameters together; 0 if exact.

        Args:
            values: of the sets. Shape (sets,).
            parameters: which.
        """
        if self.exact:
            return 0.0
        shares = (self.weights @ values)[:, list(parameters)].sum(axis=1)
        return float(np.std(shares, ddof=1) / math.sqrt(len(self.weights)))


def _exact(sets: NDArray[np.bool_]) -> Array:
    """A set S gives each parameter in it (|S| - 1)! (n - |S|)! / n!, and takes |S|! (n - |S| - 1)! / n!."""
    count = sets.shape[1]
    size = sets.sum(axis=1)
    share = np.array([1 / (count * math.comb(count - 1, k)) for k in range(count)])
    gives, takes = share[np.maximum(size - 1, 0)], share[np.minimum(size, count - 1)]
    return np.asarray(np.where(sets.T, gives, -takes))


def _sampled(
    count: int, rng: np.random.Generator, more: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Array]:
    """Sets and weights of permutations, each with its reverse, whose errors are of opposite sign."""
    ranks = rng.permuted(np.tile(np.arange(count), (_PAIRS, 1)), axis=1)
    ranks = np.stack([ranks, count - 1 - ranks], axis=1).reshape(-1, count)
    begun = ranks[:, None, :] < np.arange(count + 1)[:, None]
    one = np.eye(count, dtype=bool)
    two = (one[:, None] | one).reshape(-1, count)
    sets, places = np.unique(
        np.concatenate([begun.reshape(-1, count), one, ~one, two, more]), axis=0, return_inverse=True
    )
    steps = places.reshape(-1)[: len(ranks) * (count + 1)].reshape(len(ranks), count + 1)
    weights = np.zeros((_PAIRS, count, len(sets)))
    draw, parameter = np.indices(ranks.shape)
    for sign, k in ((0.5, ranks + 1), (-0.5, ranks)):
        np.add.at(weights, (draw // 2, parameter, np.take_along_axis(steps, k, axis=1)), sign)
    return sets, weights
