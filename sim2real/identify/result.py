"""The result of an identification: a domain to train in, and everything that was found out on the way."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.distributions import Distribution, Normal, Point
from sim2real.domain import Correlation, Domain
from sim2real.files import write_text
from sim2real.identify.diagnose import Hint
from sim2real.identify.free import Free
from sim2real.identify.ladder import Step
from sim2real.identify.missing import Suspect
from sim2real.identify.verdicts import Verdict, exit_code, ranked

FloatArray = NDArray[np.float64]

_LEAST_EIGENVALUE = 1e-3
_MOST_STD = 0.29
"""Standard deviation, as a share of the range, of a parameter that could be anywhere in it."""


@dataclass(frozen=True)
class Estimate:
    """One number that was fitted."""

    name: str
    unit: str
    value: float
    low: float
    """Lower end of the 95 % interval that counts correlated errors and what the model may lack
    (`sim2real.identify.uncertainty`)."""
    high: float
    blocks: tuple[float, float]
    """Ends from drawing blocks of time again alone, as if the model lacked nothing."""
    beside: float
    """Value when the usual missing effects are fitted beside it (`sim2real.identify.missing`)."""
    naive: float
    """Half width of the interval that errors taken for independent would give."""
    nominal: float
    range: tuple[float, float]
    """What the fit could choose from."""
    on_bound: bool
    profile: tuple[float, float] | None = None
    """Ends as `low` and `high`, from the profile likelihood in place of a parabola, if asked for."""


@dataclass(frozen=True)
class GapRow:
    """Mean RMSE of one predictor, rad or m."""

    predictor: str
    fitted: float
    held: float
    """NaN where nothing was held out."""
    joints: tuple[float, ...]
    """Of the held-out recordings, or of the fitted ones where none were held out."""
    fitted_joints: tuple[float, ...] = ()
    """Of the fitted recordings."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One recording and what was predicted of it, for the page; rad or m."""

    name: str
    held: bool
    time: FloatArray
    """Seconds. Shape (n,)."""
    lines: Mapping[str, FloatArray]
    """Measured and predicted positions by name. Shapes (n, k)."""


@dataclass(frozen=True, eq=False)
class Identification:
    """Everything that an identification found."""

    world: str
    joints: tuple[str, ...]
    domain: Domain
    point: Mapping[str, float]
    """The fitted physics, with what was fixed."""
    signals: Mapping[str, float]
    """Fitted numbers that belong to the recordings, not to the world: reading delays."""
    estimates: tuple[Estimate, ...]
    gap: tuple[GapRow, ...]
    ladder: tuple[Step, ...]
    hints: tuple[Hint, ...]
    verdicts: tuple[Verdict, ...]
    fitted: tuple[str, ...]
    """Names of the recordings that were fitted while models were compared."""
    held: tuple[str, ...]
    """Names of those that judged."""
    seconds: float
    simulations: int
    diverged: int
    traces: tuple[Trace, ...] = ()
    check: Mapping[str, object] | None = None
    """What was said before the fit, as plain values (`sim2real.identify.check.Check.to_json`)."""
    next_motion: Mapping[str, object] | None = None
    """What to record next, as plain values (`sim2real.identify.next_motion.NextMotion.to_json`)."""
    suspects: tuple[Suspect, ...] = ()
    """Effects that the model seems to lack."""

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst verdict."""
        return exit_code(self.verdicts)

    def to_json(self) -> dict[str, object]:
        """As plain values; NaN becomes null."""
        table = {
            "world": self.world,
            "joints": list(self.joints),
            "verdicts": [asdict(v) for v in ranked(self.verdicts)],
            "exit_code": self.exit_code,
            "point": dict(self.point),
            "signals": dict(self.signals),
            "domain": self.domain.to_toml(),
            "estimates": [asdict(e) for e in self.estimates],
            "gap": [asdict(row) for row in self.gap],
            "ladder": [asdict(step) for step in self.ladder],
            "hints": [asdict(hint) for hint in self.hints],
            "suspects": [asdict(suspect) for suspect in self.suspects],
            "fitted": list(self.fitted),
            "held": list(self.held),
            "seconds": self.seconds,
            "simulations": self.simulations,
            "diverged": self.diverged,
            "check": self.check,
            "next_motion": self.next_motion,
        }
        cleaned = _clean(table)
        assert isinstance(cleaned, dict)
        return cleaned

    def save(self, folder: Path) -> None:
        """Write ``identified.toml`` (for ``train --domain``), ``point.toml`` and ``identification.json``."""
        self.domain.save(folder / "identified.toml")
        shapes = {name: d.value for name, d in self.domain.parameters.items() if isinstance(d, Point)}
        Domain.point({**shapes, **self.point}).save(folder / "point.toml")
        write_text(folder / "identification.json", json.dumps(self.to_json(), indent=1, ensure_ascii=False))


def make_domain(
    free: Sequence[Free], point: FloatArray, draws: FloatArray, widening: float, fixed: Mapping[str, float]
) -> Domain:
    """A normal about the fitted point with the spread of the draws; what was fixed stays a point.

    Args:
        free: of the columns.
        point: fitted, in the unit cube. Shape (p,).
        draws: refitted points. Shape (n, p).
        widening: factor on the spread, at least 1; see `widening_of`.
        fixed: values that differ from the world's nominal ones.
    """
    centred = (draws - point) * widening
    std = np.sqrt((centred**2).mean(axis=0))
    parameters: dict[str, Distribution] = {name: Point(value) for name, value in fixed.items()}
    for k, f in enumerate(free):
        parameters[f.name] = _normal(f, float(point[k]), float(min(std[k], _MOST_STD)))
        element, _, quantity = f.name.rpartition(".")
        if quantity == "stribeck":  # the shape that replays have, whatever the world's own is
            parameters[f"{element}.stribeck_exponent"] = Point(1.0)
    names = tuple(f.name for k, f in enumerate(free) if isinstance(parameters[f.name], Normal))
    columns = [k for k, f in enumerate(free) if f.name in names]
    if len(columns) < 2:
        return Domain(parameters)
    return Domain(parameters, correlated(names, centred[:, columns].T @ centred[:, columns]))


def widening_of(held: float, scatter: float) -> float:
    """How much wider the spread must be so that its predictions miss by as much as the held-out error.

    Args:
        held: mean square error on held-out recordings.
        scatter: mean square change of the prediction under the spread.
    """
    return max(1.0, math.sqrt(held / max(scatter, 1e-30)))


def _normal(free: Free, at: float, std: float) -> Distribution:
    value = float(free.value(at))
    below, above = (float(free.value(np.clip(at + side * std, 0, 1))) for side in (-1, 1))
    width = max(0.5 * (above - below), 1e-9 * max(abs(value), 1.0))
    return Normal(value, width, free.low, free.high)


def correlated(names: Sequence[str], covariance: FloatArray) -> Correlation:
    """Correlation of a covariance: positive definite, each row to the last bit as its column.

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
    return Correlation(tuple(names), tuple(tuple(float(x) for x in row) for row in matrix))


def _clean(value: object) -> object:
    if isinstance(value, dict):
        return {str(k): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
