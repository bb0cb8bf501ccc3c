"""A Gaussian process over few noisy values: where to look next, and which place is good for sure.

    process = Process.fit(points, values)
    process.draws(rng, 10, bound=1.5)   # to try next: each is the best place of a function that may be true
    process.best(rng, bound=1.5)        # no luckiest sample: where the least that is expected is highest

A squared-exponential kernel of one length (Rasmussen & Williams 2006), whose length and share of noise are
the likeliest of a grid, and a batch by Thompson sampling (Kandasamy et al. 2018).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
_LENGTHS, _NOISES = (1.0, 1.6, 2.5, 4.0, 6.0), (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
"""What is tried: lengths in the points' own unit, and shares of noise in the variance of the values."""
_TOP, _CANDIDATES, _CLIMBS = 5, 600, 6
"""Of the points so far, those looked around; places compared at once; looks around the best of them."""
_DOUBT = 2.0
"""Standard deviations taken off the mean of what is chosen: far from all points it may be anything."""


@dataclass(frozen=True, eq=False)
class Process:
    """A Gaussian process that has seen some values; in units of their standard deviation."""

    points: Floats
    """Shape (n, d)."""
    length: float
    noise: float
    """Share of the variance."""
    factor: Floats
    """Lower Cholesky factor of the values' covariance. Shape (n, n)."""
    whitened: Floats
    """The factor's inverse times the values. Shape (n,)."""

    @classmethod
    def fit(cls, points: Floats, values: Floats) -> Process:
        """The likeliest process of the grid.

        Args:
            points: shape (n, d), n at least 1.
            values: shape (n,), finite.
        """
        scaled = (values - values.mean()) / (values.std() or 1.0)
        found: list[tuple[float, Process]] = []
        for length, noise in itertools.product(_LENGTHS, _NOISES):
            covariance = (1 - noise) * _kernel(points, points, length) + noise * np.eye(len(points))
            factor = np.linalg.cholesky(covariance)
            whitened = np.linalg.solve(factor, scaled)
            likelihood = -0.5 * float(whitened @ whitened) - float(np.log(np.diag(factor)).sum())
            found.append((likelihood, cls(points, length, noise, factor, whitened)))
        return max(found, key=lambda one: one[0])[1]

    def mean(self, at: Floats) -> Floats:
        """Of the function, at places. Shapes (m, d), (m,)."""
        mean: Floats = self._seen(at).T @ self.whitened
        return mean

    def covariance(self, at: Floats) -> Floats:
        """Of the function, without noise. Shapes (m, d), (m, m)."""
        seen = self._seen(at)
        covariance: Floats = (1 - self.noise) * _kernel(at, at, self.length) - seen.T @ seen
        return covariance

    def draws(self, rng: np.random.Generator, count: int, bound: float) -> Floats:
        """Where each of some functions that may be true is highest, within ±bound. Shape (count, d)."""
        at = self._candidates(rng, bound)
        factor = np.linalg.cholesky(self.covariance(at) + 1e-6 * np.eye(len(at)))
        functions = self.mean(at)[:, None] + factor @ rng.standard_normal((len(at), count))
        asked: Floats = at[functions.argmax(axis=0)]
        return asked

    def best(self, rng: np.random.Generator, bound: float) -> Floats:
        """Where the mean less twice its uncertainty is highest within ±bound. Shape (d,)."""
        at = self._candidates(rng, bound)
        for _ in range(_CLIMBS):
            top = at[np.argsort(-self._least(at))[: 4 * _TOP]]
            near = top[rng.integers(len(top), size=_CANDIDATES)]
            around = near + 0.1 * bound * rng.standard_normal(near.shape)
            at = np.concatenate([top, np.clip(around, -bound, bound)])
        best: Floats = at[self._least(at).argmax()]
        return best

    def _least(self, at: Floats) -> Floats:
        """What the function hardly falls below. Shapes (m, d), (m,)."""
        seen = self._seen(at)
        variance = np.maximum(1 - self.noise - (seen**2).sum(axis=0), 0.0)
        least: Floats = seen.T @ self.whitened - _DOUBT * np.sqrt(variance)
        return least

    def _candidates(self, rng: np.random.Generator, bound: float) -> Floats:
        """Places anywhere, and around the points of the highest mean."""
        top = self.points[np.argsort(-self.mean(self.points))[:_TOP]]
        anywhere = rng.uniform(-bound, bound, (_CANDIDATES // 3, top.shape[1]))
        near = top[rng.integers(len(top), size=2 * len(anywhere))]
        width = bound * np.repeat([0.33, 0.13], len(anywhere))[:, None]
        around = near + width * rng.standard_normal(near.shape)
        return np.concatenate([anywhere, np.clip(around, -bound, bound)])

    def _seen(self, at: Floats) -> Floats:
        """Whitened covariance of the points with places. Shape (n, m)."""
        shared = (1 - self.noise) * _kernel(self.points, at, self.length)
        seen: Floats = np.linalg.solve(self.factor, shared)
        return seen


def _kernel(a: Floats, b: Floats, length: float) -> Floats:
    """Correlation of the function at two sets of places. Shape (len(a), len(b))."""
    apart = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    kernel: Floats = np.exp(-0.5 * apart / length**2)
    return kernel
