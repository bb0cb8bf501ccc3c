"""Sections of what decides: whether simulation predicts reality, and whether requirements are met."""

from __future__ import annotations

from collections.abc import Mapping

from sim2real.evaluate.agreement import METRICS
from sim2real.evaluate.gate import Gate
from sim2real.evaluate.prediction import Prediction
from sim2real.evaluate.predictivity import MINIMUM_POLICIES
from sim2real.report.page import Section
from sim2real.report.tables import Cell, Table, Value, estimate

_TONES = {"met": "good", "broken": "bad", "undecided": "fair"}


def prediction_section(where: str, found: Prediction) -> Section:
    """How simulators agree with reality, and what they add to few real episodes.

    Args:
        where: name of reality, or of the task that is judged.
        found: of it.
    """
    title = f"{where}: {found.policies} policies"
    few = found.policies < MINIMUM_POLICIES
    note = f"An interval is not estimable below {MINIMUM_POLICIES} policies." if few else ""
    if found.trials == 1 and not few:
        note = "With one real result a policy, the noise of its trials is unknown, and in no interval."
    rows: list[Mapping[str, Value]] = [
        {"metric": metric, **{name: estimate(own[metric], digits=4) for name, own in found.agreement.items()}}
        for metric in METRICS
    ]
    tables = [Table.of(title, rows, note)]
    for simulator, estimates in found.real.items():
        helped: list[Mapping[str, Value]] = [
            {
                "policy": one.policy,
                "real episodes alone": estimate(one.real, digits=4),
                f"with {simulator}": estimate(one.helped, digits=4) if one.helped else None,
                "worth": f"{one.worth:.1f} times the episodes" if one.helped else "too few",
            }
            for one in estimates
        ]
        if any(one.helped for one in estimates):
            tables.append(Table.of(f"Mean in {where}, with {simulator}", helped))
    return Section(f"Does simulation predict {where}?", f"{found.policies} policies in both.", tables)


def gate_section(gate: Gate) -> Section:
    """What was required, and what was decided."""
    rows: list[Mapping[str, Value]] = [
        {
            "requirement": one.requirement.text,
            "method": one.label,
            "verdict": Cell(one.verdict, kind=f"badge {_TONES[one.verdict]}"),
            "measured": one.found,
            "note": Cell(one.note, kind="long"),
        }
        for one in gate.decisions
    ]
    lead = f"{gate.verdict.capitalize()}. Decided with the ends of 95 % intervals."
    return Section("Requirements", lead, [Table.of("Requirements", rows)])
