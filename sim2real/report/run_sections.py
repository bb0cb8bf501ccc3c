"""Sections of what commands besides `evaluate` found: causes of a drop, the worst physics, maps, curves."""

from __future__ import annotations

from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.episode_table import Episodes, told_apart
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.matrix import Matrix
from sim2real.evaluate.robust_radius import Radius, RobustRadius
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.worst_case import WorstCase
from sim2real.report.causes import draw_map, draw_sensitivity
from sim2real.report.matrix import draw_matrix
from sim2real.report.page import Section
from sim2real.report.tables import NONE, Cell, Row, Table, estimate
from sim2real.report.waterfall import draw_waterfall
from sim2real.transfer.worth import WorthOfKnowing

_PAIRS = 5


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
    lead = (
        f"Shapley values of what “{found.label}” loses from source to {found.target}: they add up to the "
        f"drop. Positive is lost; {how} × {found.episodes} episodes in {found.simulator}. 95 % intervals "
        f"are about {found.about}."
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
        [name, Cell(f"{value:.4g}", value=value), _reach(radius.alone.get(name))]
        for name, value in found.physics.items()
    ]
    success = "" if found.success is None else f", success {100 * found.success.value:.0f} %"
    lead = (
        f"An adversarial search of {found.searched:,} rollouts minimized {found.measure}; {found.fresh:,} "
        f"fresh episodes measure a mean return of {_told(found.returns.value, found.returns.interval)} "
        f"there{success}. The true minimum can be lower. With all parameters at once, policies hold to "
        f"{_reach(radius.joint)} of the range."
    )
    head = ["parameter", "worst value", "holds to this share of its range, alone"]
    return Section("The worst physics", lead, [Table("The worst physics", head, rows)])


def _reach(radius: Radius | None) -> str:
    """What holds, and what is shown to fail."""
    if radius is None:
        return "fixed"
    if radius.fails is None:
        return "1" if radius.scale == 1 else f"{radius.scale:.2g} or more"
    return f"{radius.scale:.2g} (fails at {radius.fails:.2g})"


def _told(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:.4g}" if interval is None else f"{value:.4g} [{interval[0]:.4g}, {interval[1]:.4g}]"


def sensitivity_section(found: Sensitivity) -> Section:
    """Sobol indices of every parameter."""
    rows: list[Row] = [
        [i.name, estimate(i.first, digits=2), estimate(i.total, digits=2)] for i in found.indices
    ]
    lead = (
        f"Shares of the variance of the return over the domain (mean {found.mean:.4g}, standard deviation "
        f"{found.deviation:.4g}): of a parameter alone, and with all that it does together with others. "
        f"Sobol indices from {found.samples} × {len(found.indices) + 2} physics × {found.episodes} episodes."
    )
    table = Table("Sobol indices", ["parameter", "alone", "with others"], rows)
    return Section("What the spread over the domain comes from", lead, [table], draw_sensitivity(found))


def map_section(found: SolvedMap) -> Section:
    """Where on a grid of two parameters all is well."""
    one, other = found.names
    share = estimate(found.solved, 100, 0, " %")
    lead = (
        f"Of the grid {share.text} {share.small} is solved: a {found.measure} of at least "
        f"{found.threshold:.4g}, from {found.episodes} starts everywhere."
    )
    head = [f"{one} \\ {other}", *(f"{value:.4g}" for value in found.values[1])]
    rows: list[Row] = [
        [f"{value:.4g}", *(Cell(f"{mean:.3g}", value=mean) for mean in means)]
        for value, means in zip(found.values[0], found.means, strict=True)
    ]
    table = Table(f"{one} and {other}", head, rows)
    return Section(f"The map of {one} and {other}", lead, [table], draw_map(found))


def matrix_section(episodes: Episodes) -> Section:
    """Methods trained here, run there."""
    first = str(told_apart(episodes["label"], episodes["lineage"])[0])
    report = gap_report(episodes, {}, GapOptions("trained here, run there", first))
    rows: list[Row] = []
    for label in report.labels:
        cells = [report.cell(label, variant) for variant in report.variants]
        rows.append([label, *(estimate(cell.returns) if cell else NONE for cell in cells)])
    table = Table("Matrix", ["trained", *report.variants], rows)
    lead = "Mean return with its interval over training seeds; rows are methods, columns where they were run."
    return Section(
        "The matrix: trained here, run there", lead, [table], draw_matrix(Matrix(report, episodes, {}))
    )


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
    nothing, everything = estimate(found.nothing), estimate(found.everything)
    lead = (
        f"“{found.label}” policies that went on knowing nothing of {found.target} reach {nothing.text} "
        f"{nothing.small} there, those that knew all of these {everything.text} {everything.small}. "
        f"{found.trainings} trainings of {found.steps:,} steps in the source."
    )
    head = ["known", "in the target", "gained", "of the gap is left", "range halved"]
    return Section(f"What to measure next for {found.target}", lead, [Table("Worth of knowing", head, rows)])
