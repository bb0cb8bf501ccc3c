"""A domain: a distribution over physics. Randomization draws from one, identification returns one.

    >>> domain = Domain({"pole.mass": Uniform(0.02, 0.03), "motor.latency": Uniform(0, 4)})
    >>> domain.sample(np.random.default_rng(0), 2).shape
    (2, 2)

Columns follow ``domain.names``. Parameters that are not named keep the world's nominal value. A domain whose
every parameter is a `Point` is one physics; the held-out variants are such points. Parameters given as
`Samples` are drawn together, a row at a time, so that a posterior keeps its shape; the others may be
correlated through a Gaussian copula. In a file (TOML) each value may state its unit, which is then checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import tomli_w
from scipy.linalg import block_diag
from scipy.special import ndtr, ndtri

from sim2real.distributions import (
    Distribution,
    FloatArray,
    LogUniform,
    Normal,
    Point,
    Ranges,
    Samples,
    Uniform,
)
from sim2real.documents import Section, is_number
from sim2real.errors import InvalidValue, UnknownName
from sim2real.files import write_atomically
from sim2real.parameters import Parameter, check_unit, check_value, quantity_of

_LEAST_EIGENVALUE = 1e-3


@dataclass(frozen=True)
class Correlation:
    """Correlation of the underlying normals of a Gaussian copula (Nelsen 2006, section 2.3)."""

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    """Symmetric, positive definite, ones on the diagonal. Shape (len(names), len(names))."""

    @classmethod
    def of(cls, names: Sequence[str], covariance: FloatArray) -> Correlation:
        """The nearest that can be drawn from, each row to the last bit as its column.

        Args:
            names: of the rows.
            covariance: up to a factor. Shape (k, k).
        """
        std = np.maximum(np.sqrt(np.diag(covariance)), 1e-15)
        matrix = covariance / np.outer(std, std)
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        matrix = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
        return cls(tuple(names), tuple(tuple(float(x) for x in row) for row in matrix))


@dataclass(frozen=True)
class Domain:
    """A distribution over physics.

    Raises:
        UnknownName: for a quantity that does not exist.
        InvalidValue: for a reversed range, a NaN, an impossible value or correlation.
    """

    parameters: Mapping[str, Distribution] = field(default_factory=dict)
    correlation: Correlation | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be drawn from."""
        if not isinstance(self.parameters, Mapping):
            raise InvalidValue(f"{self.parameters!r} is no mapping of parameters to distributions")
        for name, distribution in self.parameters.items():
            _check_distribution(name, distribution)
        lengths = {len(d.values) for d in self.parameters.values() if isinstance(d, Samples)}
        if len(lengths) > 1:
            raise InvalidValue(
                f"sample sets of {sorted(lengths)} values can't be drawn as rows; give every "
                "parameter the same number of samples"
            )
        if self.correlation is not None:
            _check_correlation(self.correlation, self.parameters)

    @classmethod
    def point(cls, physics: Mapping[str, float]) -> Domain:
        """The domain of one physics, given as name and value."""
        return cls({name: Point(check_value(name, value)) for name, value in physics.items()})

    @classmethod
    def box(cls, parameters: Sequence[Parameter]) -> Domain:
        """Independent draws from each parameter's training range."""
        return cls({p.name: (LogUniform if p.scale == "log" else Uniform)(p.low, p.high) for p in parameters})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameters that the domain sets, in the order of the columns."""
        return tuple(self.parameters)

    @cached_property
    def is_point(self) -> bool:
        """Whether there is nothing to draw."""
        return all(low == high for low, high in (d.support() for d in self.parameters.values()))

    def joined(self, other: Domain) -> Domain:
        """Both as one, independent of each other; where both name a parameter, the other's counts."""
        parameters = {**self.parameters, **other.parameters}
        blocks = [domain.correlation for domain in (self, other) if domain.correlation is not None]
        names = tuple(name for block in blocks for name in block.names)
        matrix = block_diag(*(block.matrix for block in blocks)).tolist()
        return Domain(parameters, Correlation(names, tuple(map(tuple, matrix))) if blocks else None)

    def quantile(self, u: FloatArray) -> FloatArray:
        """Physics at independent cumulative probabilities.

        Args:
            u: in [0, 1). Shape (n, len(names)).

        Returns:
            One physics a row, in the parameters' units. Shape (n, len(names)).
        """
        u = _correlate(u, self.names, self.correlation)
        columns = self._ranges.quantile(u)
        row_pick: FloatArray | None = None
        for k in self._ranges.others:
            name = self.names[k]
            distribution, column = self.parameters[name], u[:, k]
            if isinstance(distribution, Samples):
                row_pick = column if row_pick is None else row_pick
                column = row_pick
            columns[:, k] = _quantile(name, distribution, column)
        return columns

    def median(self) -> dict[str, float]:
        """The physics in the middle of it, by parameter; that of a point is the point.

        Of sample sets it is the row that lies nearest their medians, in their standard deviations.
        """
        u = np.full((1, len(self.names)), 0.5)
        drawn = [k for k, d in enumerate(self.parameters.values()) if isinstance(d, Samples)]
        if drawn:
            rows = np.array([d.values for d in self.parameters.values() if isinstance(d, Samples)])
            apart = rows - np.median(rows, axis=1, keepdims=True)
            far = (apart / np.maximum(rows.std(axis=1, keepdims=True), np.finfo(float).tiny)) ** 2
            u[:, drawn] = (far.sum(axis=0).argmin() + 0.5) / rows.shape[1]
        row = self.quantile(u)[0]
        return dict(zip(self.names, map(float, row), strict=True))

    @cached_property
    def _ranges(self) -> Ranges:
        integer = [quantity_of(name).integer for name in self.names]
        return Ranges.of(list(self.parameters.values()), integer)

    def sample(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Draw ``n`` physics. Shape (n, len(names))."""
        return self.quantile(rng.random((n, len(self.names))))

    def to_toml(self) -> dict[str, object]:
        """As a table that `from_toml` turns back into an equal domain."""
        table: dict[str, object] = {
            "parameters": {name: {**distribution.toml()} for name, distribution in self.parameters.items()}
        }
        if self.correlation is not None:
            table["correlation"] = {
                "names": list(self.correlation.names),
                "matrix": [list(row) for row in self.correlation.matrix],
            }
        return table

    @classmethod
    def from_toml(cls, table: Mapping[str, object]) -> Domain:
        """The domain that a table describes; see `to_toml` and ``README.md``."""
        if not isinstance(table, Mapping):
            raise InvalidValue(f"{table!r} is no table of 'parameters' and 'correlation', as a domain is")
        unknown = set(table) - {"parameters", "correlation"}
        if unknown:
            raise UnknownName("key of a domain", min(map(str, unknown)), ["parameters", "correlation"])
        parameters = table.get("parameters", {})
        if not isinstance(parameters, dict):
            raise InvalidValue("'parameters' of a domain is not a table of names and distributions")
        return cls(
            {name: _parse(name, value) for name, value in parameters.items()},
            _parse_correlation(table.get("correlation")),
        )

    def save(self, path: str | Path) -> None:
        """Write TOML; floats keep every bit."""
        write_atomically(path, tomli_w.dumps(self.to_toml()))

    @classmethod
    def load(cls, path: str | Path) -> Domain:
        """Read what `save` wrote, or a file written by hand.

        Raises:
            InvalidValue: if the file is no TOML, or as the constructor.
            FileNotFoundError: if there is no such file.
        """
        return cls.from_toml(Section.read_toml(Path(path)).values)


def _quantile(name: str, distribution: Distribution, u: FloatArray) -> FloatArray:
    if not quantity_of(name).integer or isinstance(distribution, Samples):
        return distribution.quantile(u)
    return np.round(distribution.quantile(u))


def _correlate(u: FloatArray, names: tuple[str, ...], correlation: Correlation | None) -> FloatArray:
    if correlation is None:
        return u
    columns = [names.index(name) for name in correlation.names]
    factor = np.linalg.cholesky(np.asarray(correlation.matrix))
    tiny = np.finfo(float).tiny  # u may be exactly 0, whose normal is -infinity
    # not a product of matrices, whose rows BLAS rounds by how many there are
    joint = (ndtri(np.maximum(u[:, columns], tiny))[:, None, :] * factor).sum(axis=2)
    u = u.copy()
    u[:, columns] = np.minimum(ndtr(joint), np.nextafter(1.0, 0.0))
    return u


def _check_distribution(name: str, distribution: Distribution) -> None:
    if not isinstance(distribution, Distribution):
        raise InvalidValue(
            f"{name} is given as {distribution!r}; give a distribution of sim2real.domain, as Point(1.0) or "
            "Uniform(0.5, 2.0)"
        )
    if isinstance(distribution, Samples):
        if not distribution.values:
            raise InvalidValue(f"{name} has an empty sample set; give at least one value")
        for value in distribution.values:
            check_value(name, value)
        return
    if isinstance(distribution, Normal):
        if not math.isfinite(distribution.mean):
            raise InvalidValue(f"{name} has the mean {distribution.mean}; give a finite number")
        if not (math.isfinite(distribution.std) and distribution.std > 0):
            raise InvalidValue(f"{name} has the standard deviation {distribution.std}; it must be > 0")
    low, high = (check_value(name, end) for end in distribution.support())
    if not 0 <= high - low < math.inf:
        wrong = (
            "reversed; give the lower end first" if low > high else "wider than a float; give a narrower one"
        )
        raise InvalidValue(f"{name} has the range [{low:g}, {high:g}] {wrong}")
    if isinstance(distribution, LogUniform) and low <= 0:
        raise InvalidValue(f"{name} is log-uniform from {low:g}; the lower end must be > 0")


def _check_correlation(correlation: Correlation, parameters: Mapping[str, Distribution]) -> None:
    for name in correlation.names:
        if correlation.names.count(name) > 1:
            raise InvalidValue(f"the correlation names {name} twice; give each parameter one row")
        if name not in parameters:
            raise UnknownName("parameter in the correlation", name, parameters)
        if isinstance(parameters[name], Samples):
            raise InvalidValue(f"{name} is a sample set, whose rows carry its correlation already")
    size = len(correlation.names)
    if not size:
        raise InvalidValue("the correlation names no parameter; leave it out")
    if [len(row) for row in correlation.matrix] != [size] * size or not np.isfinite(correlation.matrix).all():
        raise InvalidValue(f"the correlation of {size} parameters must be {size} × {size} finite numbers")
    matrix = np.asarray(correlation.matrix, dtype=float)
    if not (np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1.0)):
        raise InvalidValue("a correlation matrix is symmetric with ones on its diagonal")
    if np.linalg.eigvalsh(matrix).min() <= 0:
        raise InvalidValue("the correlation matrix is not positive definite; no such normals exist")


_FORMS = ("value", "uniform", "loguniform", "normal", "samples")


def _parse(name: str, value: object) -> Distribution:
    quantity = quantity_of(name)
    if is_number(value) or isinstance(value, bool):
        return Point(check_value(name, value))
    if not isinstance(value, dict):
        raise InvalidValue(f"{name} = {value!r} is neither a number nor a table with one of {_FORMS}")
    table = dict(value)
    if "unit" in table:
        check_unit(name, str(table.pop("unit")))
    if "within" in table and "normal" not in table:
        raise InvalidValue(f"{name}: 'within' belongs to a normal; the other distributions have ends already")
    within = table.pop("within", [quantity.low, quantity.high])
    if len(table) != 1 or next(iter(table)) not in _FORMS:
        raise UnknownName(f"distribution of {name}", ", ".join(table) or "none", _FORMS)
    form, numbers = next(iter(table.items()))
    if form == "value":
        return Point(check_value(name, numbers))
    if form == "samples":
        return Samples(tuple(_floats(name, numbers)))
    first, second = _pair(name, numbers)
    if form == "normal":
        low, high = _pair(name, within)
        return Normal(first, second, max(low, -1e300), min(high, 1e300))
    return (Uniform if form == "uniform" else LogUniform)(first, second)


def _floats(name: str, numbers: object) -> list[float]:
    if not isinstance(numbers, list | tuple | np.ndarray) or not all(map(is_number, numbers)):
        raise InvalidValue(f"{name}: {numbers!r} is not a list of numbers")
    return [float(n) for n in numbers]


def _pair(name: str, numbers: object) -> tuple[float, float]:
    values = _floats(name, numbers)
    if len(values) != 2:
        raise InvalidValue(f"{name}: {numbers!r} has {len(values)} numbers where two are meant")
    return values[0], values[1]


def _parse_correlation(table: object) -> Correlation | None:
    if table is None:
        return None
    if not isinstance(table, dict) or set(table) != {"names", "matrix"}:
        raise InvalidValue("'correlation' of a domain needs exactly 'names' and 'matrix'")
    for key, value in table.items():
        if not isinstance(value, list):
            raise InvalidValue(f"{key!r} of a correlation is {value!r} where a list is meant")
    return Correlation(
        tuple(map(str, table["names"])),
        tuple(tuple(_floats("correlation", row)) for row in table["matrix"]),
    )
