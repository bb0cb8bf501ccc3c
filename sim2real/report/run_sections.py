"""Sections of what commands besides `evaluate` found: causes of a drop, the worst physics, maps, curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.robust_radius import Radius, RobustRadius
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.verdict import number
from sim2real.evaluate.worst_case import WorstCase
from sim2real.files import write_together
from sim2real.report.causes import draw_map, draw_sensitivity, draw_waterfall, draw_worth
from sim2real.report.page import Section
from sim2real.report.plain import as_json
from sim2real.report.style import save_png
from sim2real.report.tables import NONE, Cell, Row, Table, estimate

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
    rows: list[Row] = [
        [
            Cell(cause.name, cause.kind),
            f"{cause.source:g} → {cause.target:g}",
            *(estimate(cost) for cost in (cause.share, cause.alone, cause.last)),
        ]
        for cause in found.causes
    ]
    pairs: list[Row] = [
        [Cell(" and ".join(pair.names), "only together" if pair.only_together else ""), estimate(pair.cost)]
        for pair in found.interactions[:_PAIRS]
    ]
    kinds: list[Row] = [[part.kind, estimate(part.share), estimate(part.alone)] for part in found.parts]
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
    head = ["parameter", "change", "share of the drop", "alone", "as the last"]
    tables = [Table(f"Causes in {found.target}", head, rows)]
    if pairs:
        tables.append(Table(f"Pairs in {found.target}", ["together", "beyond what each costs alone"], pairs))
    if len(kinds) > 1:
        tables.append(Table(f"Kinds in {found.target}", ["kind", "share of the drop", "alone"], kinds))
    title = f"What the drop to {found.target} comes from"
    return Section(
        title, lead, tables, draw_waterfall(found), "Cost of each parameter, as in the table below"
    )


def worst_section(found: WorstCase, radius: RobustRadius) -> Section:
    """The worst physics of the domain, and how far from nominal all is well."""
    rows: list[Row] = [
        [name, *_looked(found, name), Cell(f"{value:.4g}", value=value), _reach(radius.alone.get(name))]
        for name, value in found.physics.items()
    ]
    success = "" if found.success is None else f", success {number(found.success, digits=2)}"
    lead = (
        f"An adversarial search of {found.searched:,} rollouts minimized {found.measure}; {found.fresh:,} "
        f"fresh episodes measure a mean return of {number(found.returns)} there{success}. The true minimum "
        f"can be lower. Robust radius with all parameters at once: {_reach(radius.joint)} of the range, "
        f"where {radius.measure} is {number(radius.joint.measured, digits=2)} (to stay above "
        f"{radius.threshold:.4g}; nominal {number(radius.nominal, digits=2)}; {radius.rollouts:,} rollouts)."
    )
    head = ["parameter", "nominal", "searched", "worst value", "robust radius, alone"]
    return Section("The worst physics", lead, [Table("The worst physics", head, rows)])


def _looked(found: WorstCase, name: str) -> Row:
    """Nominal value and range; of a file of an older version nothing is known."""
    if name not in found.ranges:
        return [NONE, NONE]
    low, nominal, high = found.ranges[name]
    return [Cell(f"{nominal:.4g}", value=nominal), f"{low:.4g} … {high:.4g}"]


def _reach(radius: Radius | None) -> str:
    """What holds, and what is shown to fail."""
    if radius is None:
        return "fixed"
    if radius.fails is None:
        return "1" if radius.scale == 1 else f"{radius.scale:.2g} or more"
    return f"{radius.scale:.2g} (fails at {radius.fails:.2g})"


def sensitivity_section(found: Sensitivity) -> Section:
    """Sobol indices of every parameter."""
    rows: list[Row] = [
        [i.name, estimate(i.first, digits=2), estimate(i.total, digits=2)] for i in found.indices
    ]
    physics = found.samples * (len(found.indices) + 2)
    lead = (
        f"Shares of the variance of the return over the domain (mean {found.mean:.4g}, standard deviation "
        f"{found.deviation:.4g}): of a parameter alone, and with all that it does together with others. "
        f"{physics:,} physics × {found.episodes} starts in {found.simulator}; 95 % intervals are about other "
        "physics of the domain."
    )
    table = Table("Sobol indices", ["parameter", "alone", "with others"], rows)
    return Section("What the spread over the domain comes from", lead, [table], draw_sensitivity(found))


def map_section(found: SolvedMap) -> Section:
    """Where on a grid of two parameters all is well."""
    one, other = found.names
    lead = (
        f"Of the grid {number(found.solved, 100, 0, ' %')} is solved: a {found.measure} of at least "
        f"{found.threshold:.4g}, from {found.episodes} starts everywhere."
    )
    head = [f"{one} \\ {other}", *(f"{value:.4g}" for value in found.values[1])]
    rows: list[Row] = [
        [f"{value:.4g}", *(Cell(f"{mean:.3g}", value=mean) for mean in means)]
        for value, means in zip(found.values[0], found.means, strict=True)
    ]
    table = Table(f"{one} and {other}", head, rows)
    return Section(f"The map of {one} and {other}", lead, [table], draw_map(found))


def worth_section(found: WorthOfKnowing) -> Section:
    """What knowing each parameter of a target would win."""
    rows: list[Row] = [
        [
            one.name,
            f"{one.value:g}",
            estimate(one.gained),
            estimate(one.left, 100, 0, " %") if one.left else NONE,
            estimate(one.halved) if one.halved else NONE,
        ]
        for one in found.parameters
    ]
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
    head = ["known", "in the target", "gained", "of the gap is left", "range halved"]
    halved = () if any(one.halved for one in found.parameters) else head[-1:]
    table = Table(f"What knowing is worth in {found.target}", head, rows, page_only=halved)
    return Section(f"What to measure next for {found.target}", lead, [table], draw_worth(found))
