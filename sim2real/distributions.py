"""One parameter's distribution: given by its quantile function, its ends, and its form in a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

FloatArray = NDArray[np.float64]
TomlValue = float | str | list[float]


@dataclass(frozen=True)
class Point:
    """Always the same value."""

    value: float

    def quantile(self, u: FloatArray) -> FloatArray:
        """Value at the cumulative probabilities ``u``."""
        return np.full_like(u, self.value)

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return self.value, self.value

    def toml(self) -> dict[str, TomlValue]:
        """As in a file."""
        return {"value": float(self.value)}


@dataclass(frozen=True)
class Uniform:
    """Every value between ``low`` and ``high`` alike; whole numbers for integer quantities."""

    low: float
    high: float

    def quantile(self, u: FloatArray) -> FloatArray:
        """Value at the cumulative probabilities ``u``."""
        return self.low + u * (self.high - self.low)

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return self.low, self.high

    def toml(self) -> dict[str, TomlValue]:
        """As in a file."""
        return {"uniform": [float(self.low), float(self.high)]}


@dataclass(frozen=True)
class LogUniform:
    """Uniform in the logarithm, for ranges over orders of magnitude."""

    low: float
    high: float

    def quantile(self, u: FloatArray) -> FloatArray:
        """Value at the cumulative probabilities ``u``."""
        return np.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return self.low, self.high

    def toml(self) -> dict[str, TomlValue]:
        """As in a file."""
        return {"loguniform": [float(self.low), float(self.high)]}


@dataclass(frozen=True)
class Normal:
    """Normal with ``mean`` and ``std`` before truncation to ``[low, high]``."""

    mean: float
    std: float
    low: float
    high: float

    def quantile(self, u: FloatArray) -> FloatArray:
        """Value at the cumulative probabilities ``u``."""
        # far above the mean ndtr rounds to 1, so that tail is drawn as its mirror image
        std = -self.std if self.low > self.mean else self.std
        start, stop = (ndtr((end - self.mean) / std) for end in (self.low, self.high))
        value = self.mean + std * ndtri(start + u * (stop - start))
        return np.asarray(np.clip(value, self.low, self.high))

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return self.low, self.high

    def toml(self) -> dict[str, TomlValue]:
        """As in a file."""
        return {
            "normal": [float(self.mean), float(self.std)],
            "within": [float(self.low), float(self.high)],
        }


@dataclass(frozen=True)
class Samples:
    """One of these values; all `Samples` of a domain are drawn from the same row."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Take an array's or a list's values as well."""
        object.__setattr__(self, "values", tuple(self.values))

    def quantile(self, u: FloatArray) -> FloatArray:
        """Value of the row that ``u`` picks; not sorted, since rows belong together."""
        row = np.minimum((u * len(self.values)).astype(int), len(self.values) - 1)
        return np.asarray(np.asarray(self.values)[row])

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return min(self.values), max(self.values)

    def toml(self) -> dict[str, TomlValue]:
        """As in a file."""
        return {"samples": list(map(float, self.values))}


Distribution = Point | Uniform | LogUniform | Normal | Samples


@dataclass(frozen=True)
class Ranges:
    """Points and ranges of several parameters as arrays, so that a few operations draw all of them."""

    low: FloatArray
    width: FloatArray
    logs: NDArray[np.intp]
    """Columns that are uniform in the logarithm, whose ``low`` and ``width`` are logarithms."""
    whole: NDArray[np.intp]
    """Columns of whole numbers, each alike and both ends included."""
    top: FloatArray
    """Upper ends of the columns of whole numbers."""
    others: tuple[int, ...]
    """Columns of other distributions, which are left to the caller."""

    @classmethod
    def of(cls, distributions: Sequence[Distribution], integer: Sequence[bool]) -> Ranges:
        """Sort out columns; ``integer`` says which are whole numbers."""
        low, width = np.zeros((2, len(distributions)))
        columns: dict[str, list[int]] = {"logs": [], "whole": [], "others": []}
        for k, (distribution, counts) in enumerate(zip(distributions, integer, strict=True)):
            ends = distribution.support()
            if isinstance(distribution, LogUniform) and not counts:
                columns["logs"].append(k)
                ends = math.log(ends[0]), math.log(ends[1])
            elif not isinstance(distribution, Point | Uniform):
                columns["others"].append(k)
            elif counts:
                columns["whole"].append(k)
            low[k], width[k] = ends[0], ends[1] - ends[0]
        logs, whole = (np.array(columns[kind], dtype=np.intp) for kind in ("logs", "whole"))
        top = low[whole] + width[whole]
        width[whole] += 1.0
        return cls(low, width, logs, whole, top, tuple(columns["others"]))

    def quantile(self, u: FloatArray) -> FloatArray:
        """Values at the cumulative probabilities ``u``. Shape (n, parameters)."""
        values = self.low + u * self.width
        if self.logs.size:
            values[:, self.logs] = np.exp(values[:, self.logs])
        if self.whole.size:
            values[:, self.whole] = np.minimum(np.floor(values[:, self.whole]), self.top)
        return values
