"""Sections of what commands besides `evaluate` found: causes of a drop, the worst physics, maps, curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.robust_radius import Radius, RobustRadius
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.verdict import number
from sim2real.evaluate.worst_case import WorstCase
from sim2real.files import write_together
from sim2real.plain import as_json
from sim2real.report.causes import draw_map, draw_sensitivity, draw_waterfall, draw_worth
from sim2real.report.page import Section
from sim2real.report.style import save_png
from sim2real.report.tables import Cell, Table, Value, estimate

if TYPE_CHECKING:  # it brings torch
    from sim2real.transfer.worth import WorthOfKnowing

_PAIRS = 5


def write_section(found: object, section: Section, path: Path, picture: str) -> None:
    """Write what was found as JSON, a dataclass, with its section's figure beside it."""
    figure = section.figure
    assert figure is not None
    write_together(path.parent, {path.name: as_json(found), picture: lambda place: save_png(figure, place)})


def attribution_section(found: Attribution) -> Section:
    """The waterfall, and what each parameter costs."""
    how = f"all {found.sets} sets" if found.exact else f"{found.sets} sets of sampled permutations"
    starts = "" if found.by_start is None else (
        f" Over start states the drop has a standard deviation of {number(found.by_start)}."
    )  # fmt: skip
    source, target = map(number, found.score)
    lead = (
        f"“{found.label}” falls from {source} in the source to {target} in {found.target}. Shapley values "
        f"add up to that drop of {number(found.drop)}; positive is lost. From {how} × {found.episodes} "
        f"episodes in {found.simulator}; 95 % intervals are about {found.about}.{starts}"
    )
    causes: list[Mapping[str, Value]] = [
        {
            "parameter": Cell(cause.name, cause.kind),
            "change": f"{cause.source:g} → {cause.target:g}",
            "share of the drop": cause.share,
            "alone": cause.alone,
            "as the last": cause.last,
        }
        for cause in found.causes
    ]
    pairs: list[Mapping[str, Value]] = [
        {
            "together": Cell(" and ".join(pair.names), "only together" if pair.only_together else ""),
            "beyond what each costs alone": pair.cost,
        }
        for pair in found.interactions[:_PAIRS]
    ]
    kinds: list[Mapping[str, Value]] = [
        {"kind": part.kind, "share of the drop": part.share, "alone": part.alone} for part in found.parts
    ]
    tables = [Table.of(f"Causes in {found.target}", causes), Table.of(f"Pairs in {found.target}", pairs)]
    if len(kinds) > 1:
        tables.append(Table.of(f"Kinds in {found.target}", kinds))
    title = f"What the drop to {found.target} comes from"
    return Section(
        title, lead, tables, draw_waterfall(found), "Cost of each parameter, as in the table below"
    )


def worst_section(found: WorstCase, radius: RobustRadius) -> Section:
    """The worst physics of the domain, and how far from nominal all is well."""
    success = "" if found.success is None else f", success {number(found.success, digits=2)}"
    lead = (
        f"An adversarial search of {found.searched:,} rollouts minimized {found.measure}; {found.fresh:,} "
        f"fresh episodes measure a mean return of {number(found.returns)} there{success}. The true minimum "
        f"can be lower. Robust radius with all parameters at once: {_reach(radius.joint)} of the range, "
        f"where {radius.measure} is {number(radius.joint.measured, digits=2)} (to stay above "
        f"{radius.threshold:.4g}; nominal {number(radius.nominal, digits=2)}; {radius.rollouts:,} rollouts)."
    )
    rows: list[Mapping[str, Value]] = []
    for name, value in found.physics.items():
        low, nominal, high = found.ranges.get(name, (math.nan,) * 3)  # unknown to files of older versions
        rows.append(
            {
                "parameter": name,
                "nominal": nominal,
                "searched": None if math.isnan(low) else f"{low:.4g} … {high:.4g}",
                "worst value": value,
                "robust radius, alone": _reach(radius.alone.get(name)),
            }
        )
    return Section("The worst physics", lead, [Table.of("The worst physics", rows)])


def _reach(radius: Radius | None) -> str:
    """What holds, and what is shown to fail."""
    if radius is None:
        return "fixed"
    if radius.fails is None:
        return "1" if radius.scale == 1 else f"{radius.scale:.2g} or more"
    return f"{radius.scale:.2g} (fails at {radius.fails:.2g})"


def sensitivity_section(found: Sensitivity) -> Section:
    """Sobol indices of every parameter."""
    physics = found.samples * (len(found.indices) + 2)
    lead = (
        f"Shares of the variance of the return over the domain (mean {found.mean:.4g}, standard deviation "
        f"{found.deviation:.4g}): of a parameter alone, and with all that it does together with others. "
        f"{physics:,} physics × {found.episodes} starts in {found.simulator}; 95 % intervals are about other "
        "physics of the domain."
    )
    rows: list[Mapping[str, Value]] = [
        {
            "parameter": i.name,
            "alone": estimate(i.first, digits=2),
            "with others": estimate(i.total, digits=2),
        }
        for i in found.indices
    ]
    table = Table.of("Sobol indices", rows)
    return Section("What the spread over the domain comes from", lead, [table], draw_sensitivity(found))


def map_section(found: SolvedMap) -> Section:
    """Where on a grid of two parameters all is well."""
    one, other = found.names
    lead = (
        f"Of the grid {number(found.solved, 100, 0, ' %')} is solved: a {found.measure} of at least "
        f"{found.threshold:.4g}, from {found.episodes} starts everywhere."
    )
    head = [f"{one} \\ {other}", *(f"{value:.4g}" for value in found.values[1])]
    rows: list[list[Value]] = [
        [f"{value:.4g}", *means] for value, means in zip(found.values[0], found.means, strict=True)
    ]
    table = Table(f"{one} and {other}", head, rows)
    return Section(f"The map of {one} and {other}", lead, [table], draw_map(found))


def worth_section(found: WorthOfKnowing) -> Section:
    """What knowing each parameter of a target would win."""
    sure = [one for one in found.parameters if one.gained.interval and one.gained.interval[0] > 0]
    first = (
        f"Measure {sure[0].name} first; sim2real identify suggests a motion for it."
        if sure
        else "None is shown to be worth measuring by itself at this budget."
    )
    lead = (
        f"“{found.label}” policies that went on knowing nothing of {found.target} reach "
        f"{number(found.nothing)} there, those that knew all of these {number(found.everything)}. {first} "
        f"{found.trainings} trainings of {found.steps:,} steps in the source."
    )
    rows: list[Mapping[str, Value]] = [
        {
            "known": one.name,
            "in the target": one.value,
            "gained": one.gained,
            "of the gap is left": estimate(one.left, 100, 0, " %") if one.left else None,
            "range halved": one.halved,
        }
        for one in found.parameters
    ]
    halved = () if any(one.halved for one in found.parameters) else ("range halved",)
    table = Table.of(f"What knowing is worth in {found.target}", rows, page_only=halved)
    return Section(f"What to measure next for {found.target}", lead, [table], draw_worth(found))
