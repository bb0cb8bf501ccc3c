"""Sections of what decides: whether simulation predicts reality, and whether requirements are met."""

from __future__ import annotations

from collections.abc import Sequence

from sim2real.evaluate.agreement import METRICS
from sim2real.evaluate.control_variate import RealEstimate
from sim2real.evaluate.gate import Gate
from sim2real.evaluate.prediction import Prediction
from sim2real.evaluate.predictivity import MINIMUM_POLICIES
from sim2real.report.page import Section
from sim2real.report.tables import Rows, Table, Value, badge, estimate, long

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
    rows: Rows = [[m, *(estimate(own[m], digits=4) for own in found.agreement.values())] for m in METRICS]
    tables = [Table(title, ["metric", *found.agreement], rows, note)]
    for simulator, estimates in found.real.items():
        if any(one.helped for one in estimates):
            head = ["policy", "real episodes alone", f"with {simulator}", "worth"]
            tables.append(Table(f"Mean in {where}, with {simulator}", head, list(map(_helped, estimates))))
    return Section(f"Does simulation predict {where}?", f"{found.policies} policies in both.", tables)


def _helped(one: RealEstimate) -> Sequence[Value]:
    alone = estimate(one.real, digits=4)
    if one.helped is None:
        return [one.policy, alone, None, "too few"]
    return [one.policy, alone, estimate(one.helped, digits=4), f"{one.worth:.1f} times the episodes"]


def gate_section(gate: Gate) -> Section:
    """What was required, and what was decided."""
    rows: Rows = [
        [d.requirement.text, d.label, badge(d.verdict, _TONES[d.verdict]), d.found, long(d.note)]
        for d in gate.decisions
    ]
    lead = f"{gate.verdict.capitalize()}. Decided with the ends of 95 % intervals."
    table = Table("Requirements", ["requirement", "method", "verdict", "measured", "note"], rows)
    return Section("Requirements", lead, [table])
