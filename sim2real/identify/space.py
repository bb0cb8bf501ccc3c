"""A box of physics to search in, and a global search over it: CMA-ES, with a margin for whole numbers.

Coordinates run from 0 to 1 over each parameter's range, in the logarithm where the range is log-uniform.
Latencies are searched together with masses: CMA-ES with margin (Hamano et al. 2022) keeps every whole number
in reach until the evidence is clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.distributions import LogUniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, MissingExtra
from sim2real.identify.transitions import FloatArray
from sim2real.parameters import quantity_of
from sim2real.world import World

Loss = Callable[[FloatArray], FloatArray]
"""From points of the unit cube, shape (n, dimensions), to what is to be small; infinite where impossible."""


@dataclass(frozen=True)
class Space:
    """The box, as arrays with one entry a parameter."""

    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    logs: NDArray[np.bool_]
    """Where coordinates are logarithms."""
    whole: NDArray[np.bool_]
    """Where values are whole numbers."""

    @classmethod
    def of(cls, world: World, bounds: Domain) -> Space:
        """The box that a domain's ends make.

        Raises:
            InvalidValue: for a parameter that has only one value, or no ends.
        """
        bounds = world.check(bounds)
        ends = np.array([distribution.support() for distribution in bounds.parameters.values()])
        if not len(ends):
            raise InvalidValue("no parameters to identify; give a domain with their ranges")
        for name, (low, high) in zip(bounds.names, ends, strict=True):
            if not high > low or max(abs(low), abs(high)) > 1e12:
                raise InvalidValue(
                    f"{name} has the range [{low:g}, {high:g}] to search in; give two ends, or leave it out"
                )
        logs = [isinstance(distribution, LogUniform) for distribution in bounds.parameters.values()]
        whole = np.array([quantity_of(name).integer for name in bounds.names])
        return cls(bounds.names, ends[:, 0], ends[:, 1], np.array(logs) & ~whole, whole)

    def physics(self, points: FloatArray) -> FloatArray:
        """Values in the parameters' units at points of the unit cube. Shape (n, k)."""
        low, high = self._ends()
        values = low + np.clip(points, 0.0, 1.0) * (high - low)
        values[:, self.logs] = np.exp(values[:, self.logs])
        values[:, self.whole] = np.round(values[:, self.whole])
        return np.clip(values, self.low, self.high)

    def points(self, physics: FloatArray) -> FloatArray:
        """Points of the unit cube where these values are. Shape (n, k)."""
        low, high = self._ends()
        return (self._scaled(np.array(physics, dtype=np.float64)) - low) / (high - low)

    def widths(self, point: FloatArray, spans: FloatArray) -> FloatArray:
        """Small spans of the cube around a point, in the parameters' units. Shape (k,)."""
        low, high = self._ends()
        per_unit = np.where(self.logs, self.physics(point[None])[0], 1.0)
        return np.asarray(spans * (high - low) * per_unit)

    @property
    def steps(self) -> FloatArray:
        """Distance of neighbouring whole numbers in the cube, 0 for fractions. Shape (k,)."""
        return np.where(self.whole, 1.0 / (self.high - self.low), 0.0)

    def _ends(self) -> tuple[FloatArray, FloatArray]:
        low, high = self._scaled(np.stack((self.low, self.high)))
        return low, high

    def _scaled(self, values: FloatArray) -> FloatArray:
        values[:, self.logs] = np.log(values[:, self.logs])
        return values


@dataclass(frozen=True)
class Search:
    """How a space is searched.

    Raises:
        InvalidValue: for less than one generation, or a population below 4.
    """

    generations: int = 60
    population: int = 16
    tolerance: float = 1e-3
    """The search ends early when no coordinate's spread is above this."""
    spread: float = 0.25
    """Standard deviation of the first generation."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a search that finds nothing."""
        if self.generations < 1 or self.population < 4:
            raise InvalidValue(
                f"{self.generations} generations of {self.population} find nothing; give at least 1 and 4"
            )


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a search."""

    point: FloatArray
    """Best point of the unit cube. Shape (dimensions,)."""
    loss: float
    evaluations: int
    failed: int
    """Candidates whose loss was not finite."""


def minimize(loss: Loss, start: FloatArray, steps: FloatArray, search: Search) -> Found:
    """Search the unit cube for the smallest loss.

    Args:
        loss: of a population at once; a candidate that is not finite counts as the worst of its generation.
        start: where the search begins. Shape (dimensions,).
        steps: distance of neighbouring whole numbers, 0 for fractions. Shape (dimensions,).
        search: how.

    Raises:
        MissingExtra: if cmaes is not installed.
        InvalidValue: if no candidate had a finite loss.
    """
    try:
        from cmaes import CMAwM
    except ImportError as error:
        raise MissingExtra("cmaes", "identify") from error
    box = np.repeat([[0.0, 1.0]], len(start), axis=0)
    optimizer = CMAwM(start, search.spread, box, steps, population_size=search.population, seed=search.seed)
    best, best_loss, evaluations, failed = np.array(start, dtype=np.float64), np.inf, 0, 0
    for _ in range(search.generations):
        asked = [optimizer.ask() for _ in range(search.population)]
        points = np.clip(np.array([evaluated for evaluated, _ in asked]), 0.0, 1.0)
        losses = loss(points)
        evaluations += len(points)
        failed += int((~np.isfinite(losses)).sum())
        if np.isfinite(losses).any() and np.nanmin(losses) < best_loss:
            k = int(np.nanargmin(losses))
            best, best_loss = points[k], float(losses[k])
        optimizer.tell(list(zip((told for _, told in asked), _finite(losses), strict=True)))
        if _spread(points) < search.tolerance:
            break
    if not np.isfinite(best_loss):
        raise InvalidValue(
            f"all {evaluations} candidates diverged or predicted nothing; narrow the ranges or check the data"
        )
    return Found(best, best_loss, evaluations, failed)


def _finite(losses: FloatArray) -> Iterable[float]:
    fine = np.isfinite(losses)
    worst = float(losses[fine].max()) if fine.any() else 0.0
    return map(float, np.where(fine, losses, worst + 1.0 + abs(worst)))


def _spread(points: FloatArray) -> float:
    return float(points.std(axis=0).max())
