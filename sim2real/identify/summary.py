"""An identification as tables for a terminal: verdicts first."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Table

from sim2real.identify.result import Estimate, Identification
from sim2real.identify.verdicts import ranked


def identification_tables(found: Identification) -> Iterator[Table]:
    """Verdicts, errors before and after, what each step of the model bought, parameters with intervals."""
    yield _verdicts(found)
    yield _gap(found)
    if found.ladder:
        yield _ladder(found)
    yield _parameters(found)


def _verdicts(found: Identification) -> Table:
    table = Table("verdict", "about", "evidence", title=f"Identification of {found.world}")
    for verdict in ranked(found.verdicts):
        table.add_row(verdict.name, _short(verdict.subject), verdict.text)
    return table


def _gap(found: Identification) -> Table:
    judged = "held out" if found.held else "fitted"
    table = Table(
        "mean RMSE, mrad or mm", "fitted", "held out", *found.joints, title=f"Error by joint: {judged}"
    )
    for row in found.gap:
        table.add_row(row.predictor, *map(_milli, (row.fitted, row.held, *row.joints)))
    return table


def _ladder(found: Identification) -> Table:
    table = Table(
        "model", "parameters", "fitted", "held out", "kept for", title="What each step bought, mrad"
    )
    for step in found.ladder:
        kept = "all" if len(step.kept) >= len(found.joints) else ", ".join(step.kept) or "none"
        table.add_row(step.rung, str(step.parameters), _milli(step.fit), _milli(step.held), kept)
    return table


def _parameters(found: Identification) -> Table:
    table = Table(
        "parameter",
        "nominal",
        "value",
        "95 % interval",
        "if the model lacked nothing",
        "if errors were independent",
        "unit",
    )
    for estimate in found.estimates:
        table.add_row(*_estimate(estimate))
    return table


def _estimate(estimate: Estimate) -> tuple[str, ...]:
    value = f"{estimate.value:.4g}" + (" (bound)" if estimate.on_bound else "")
    return (
        estimate.name,
        f"{estimate.nominal:.4g}",
        value,
        f"{estimate.low:.4g} to {estimate.high:.4g}",
        f"{estimate.blocks[0]:.4g} to {estimate.blocks[1]:.4g}",
        f"± {estimate.naive:.2g}",
        estimate.unit,
    )


def _milli(value: float) -> str:
    return "" if math.isnan(value) else f"{1000 * value:.2f}"


def _short(subject: str) -> str:
    parts = subject.split(", ")
    return subject if len(parts) <= 4 else f"{', '.join(parts[:3])} and {len(parts) - 3} more"
