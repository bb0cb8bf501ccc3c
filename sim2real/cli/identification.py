"""An identification as tables for a terminal: verdicts first."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Column, Table

from sim2real.identify.check import Check, Excitation
from sim2real.identify.estimates import ParameterEstimate
from sim2real.identify.result import Identification
from sim2real.identify.verdicts import ranked


def identification_tables(found: Identification) -> Iterator[Table]:
    """Verdicts, errors before and after, what each step of the model bought, parameters with intervals."""
    yield _verdicts(found)
    yield _gap(found)
    if found.model_selection:
        yield _model_selection(found)
    yield _parameters(found)


def check_tables(found: Check) -> Iterator[Table]:
    """Verdicts, how much each joint moves, and how well each parameter can be known at best."""
    if found.verdicts:
        table = Table("verdict", "about", "evidence", title=f"Before the fit: what {found.world} shows")
        for verdict in ranked(found.verdicts):
            table.add_row(verdict.name, _short(verdict.subject), verdict.text)
        yield table
    table = Table(
        "joint", "commands span", "span", "top speed", "moving", "noise", title="Excitation, rad or m"
    )
    for moved in found.excitation:
        table.add_row(*_excitation(moved))
    yield table
    title = "95 % intervals to expect at best: a model that lacks nothing, sensor noise alone"
    table = Table("parameter", "about", "interval", "it could be", "share of that", "unit", title=title)
    for e in sorted(found.expected, key=lambda e: -e.share):
        ends = (f"{low:.4g} to {high:.4g}" for low, high in ((e.low, e.high), e.range))
        share = f"{100 * e.share:.2g} %" + ("" if e.identifiable else " (can't tell)")
        table.add_row(e.name, f"{e.value:.4g}", *ends, share, e.unit)
    yield table


def _excitation(moved: Excitation) -> tuple[str, ...]:
    commanded = "not driven" if math.isnan(moved.commanded) else f"{moved.commanded:.3g}"
    numbers = f"{moved.span:.3g}", f"{moved.speed:.3g}/s", f"{100 * moved.moving:.0f} %", f"{moved.noise:.2g}"
    return moved.joint, commanded, *numbers


def _verdicts(found: Identification) -> Table:
    table = Table("verdict", "about", "evidence", title=f"Identification of {found.world}")
    for verdict in ranked(found.verdicts):
        table.add_row(verdict.name, _short(verdict.subject), verdict.text)
    return table


def _gap(found: Identification) -> Table:
    judged = "held out" if found.held else "fitted"
    predictors = [row.predictor for row in found.gap]
    table = Table("mean RMSE, mrad or mm", *predictors, title=f"Error by joint: {judged}")
    table.add_row("fitted", *(_milli(row.fitted) for row in found.gap))
    table.add_row("held out", *(_milli(row.held) for row in found.gap), end_section=True)
    for k, joint in enumerate(found.joints):  # a row each: a hand has two dozen
        table.add_row(joint, *(_milli(row.joints[k]) for row in found.gap))
    return table


def _model_selection(found: Identification) -> Table:
    table = Table(
        "model", "parameters", "fitted", "held out", "kept for", title="What each step bought, mrad"
    )
    for step in found.model_selection:
        kept = "all" if len(step.kept) >= len(found.joints) else ", ".join(step.kept) or "none"
        table.add_row(step.model, str(step.parameters), _milli(step.fit), _milli(step.held), kept)
    return table


def _parameters(found: Identification) -> Table:
    """The page has the narrower intervals as well, of a model that lacked nothing."""
    table = Table(Column("parameter", no_wrap=True), "nominal", "value", "95 % interval", "unit")
    for estimate in found.estimates:
        table.add_row(*_estimate(estimate))
    return table


def _estimate(estimate: ParameterEstimate) -> tuple[str, ...]:
    value = f"{estimate.value:.4g}" + (" (bound)" if estimate.on_bound else "")
    return (
        estimate.name,
        f"{estimate.nominal:.4g}",
        value,
        f"{estimate.low:.4g} to {estimate.high:.4g}",
        estimate.unit,
    )


def _milli(value: float) -> str:
    return "" if math.isnan(value) else f"{1000 * value:.2f}"


def _short(subject: str) -> str:
    parts = subject.split(", ")
    return subject if len(parts) <= 4 else f"{', '.join(parts[:3])} and {len(parts) - 3} more"
