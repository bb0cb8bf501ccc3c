"""Sections on where a drop comes from, and where policies do worst."""

from __future__ import annotations

from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.robust_radius import Radius, RobustRadius
from sim2real.evaluate.worst_case import WorstCase
from sim2real.report.page import Section
from sim2real.report.tables import Cell, Row, Table, estimate
from sim2real.report.waterfall import draw_waterfall

_PAIRS = 5


def attribution_section(found: Attribution) -> Section:
    """The waterfall, and what each parameter costs."""
    rows: list[Row] = [
        [
            cause.name,
            f"{cause.source:g} → {cause.target:g}",
            *(estimate(cost) for cost in (cause.share, cause.alone, cause.last)),
        ]
        for cause in found.causes
    ]
    pairs: list[Row] = [
        [" and ".join(pair.names), estimate(pair.cost)] for pair in found.interactions[:_PAIRS]
    ]
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
