"""The result of an identification: a domain to train in, and everything that was found out on the way.

Saved, it is two domains and a table in JSON; `sim2real.report.identification` makes a page of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.files import write_atomically
from sim2real.identify.estimates import GapRow, ParameterEstimate
from sim2real.identify.model_selection import Comparison
from sim2real.identify.space import FloatArray
from sim2real.identify.verdicts import Verdict, exit_code, ranked
from sim2real.plain import as_json, plain
from sim2real.replay.residuals import Hint


@dataclass(frozen=True, eq=False)
class Trace:
    """One recording and what was predicted of it, for the page; rad or m."""

    name: str
    held_out: bool
    time: FloatArray
    """Seconds. Shape (n,)."""
    lines: Mapping[str, FloatArray]
    """Measured and predicted positions by name. Shapes (n, k)."""


@dataclass(frozen=True, eq=False)
class Identification:
    """Everything that an identification found."""

    world: str
    domain: Domain
    point: Mapping[str, float]
    """The fitted physics, with what was fixed."""
    estimates: tuple[ParameterEstimate, ...]
    gap: tuple[GapRow, ...]
    verdicts: tuple[Verdict, ...]
    fitted: tuple[str, ...]
    """Names of the recordings that were fitted while models were compared."""
    held_out: tuple[str, ...]
    """Names of those that judged."""
    seconds: float
    simulations: int
    diverged: int
    joints: tuple[str, ...] = ()
    signals: Mapping[str, float] = field(default_factory=dict)
    """Fitted numbers that belong to the recordings, not to the world: reading delays."""
    model_selection: tuple[Comparison, ...] = ()
    """Candidate models in the order in which they were tried, and what each bought."""
    hints: tuple[Hint, ...] = ()
    traces: tuple[Trace, ...] = ()
    check: Mapping[str, object] | None = None
    """What was said before the fit, as plain values (`sim2real.identify.check.Check.to_json`)."""
    next_motion: Mapping[str, object] | None = None
    """What to record next, as plain values (`sim2real.identify.experiment_design.NextMotion.to_json`)."""
    unmodelled: tuple[ParameterEstimate, ...] = ()
    """Effects that the model seems to lack, with the values that they would have."""
    notes: tuple[str, ...] = ()
    """What the recordings don't say of the robot, as joints that were not measured, a sentence each."""

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst verdict."""
        return exit_code(self.verdicts)

    def to_json(self) -> dict[str, object]:
        """As plain values; NaN becomes null."""
        first = {"world": self.world, "verdicts": ranked(self.verdicts), "exit_code": self.exit_code}
        rest = {**vars(self), "domain": self.domain.to_toml()}
        del rest["traces"]
        return dict(plain({**first, **rest, **first}))

    def save(self, folder: Path) -> None:
        """Write ``identified.toml`` (for ``train --domain``), ``point.toml`` and ``identification.json``."""
        self.domain.save(folder / "identified.toml")
        shapes = {name: d.value for name, d in self.domain.parameters.items() if isinstance(d, Point)}
        Domain.point({**shapes, **self.point}).save(folder / "point.toml")
        write_atomically(folder / "identification.json", as_json(self.to_json()))
