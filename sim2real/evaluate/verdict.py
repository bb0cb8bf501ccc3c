"""The sentences a report opens with: size of the gap, what closed it, what hurt; and what its oracles are."""

from __future__ import annotations

from sim2real.evaluate.compare import Difference
from sim2real.evaluate.gap import Cell, GapReport
from sim2real.evaluate.leakage import TARGET, TRAINED
from sim2real.evaluate.robustness import LabelSummary
from sim2real.evaluate.statistics import Estimate

_SEEN = {
    TRAINED: ("was trained on the physics of", "no verdict is about"),
    TARGET: ("was adapted to", "the verdict on held-out physics as a whole leaves out"),
}


def verdict(report: GapReport) -> tuple[str, str, str]:
    """Say in plain words how big the gap is, what closed it, and whether anything hurt.

    The second has a line for each method, and one each on held-out physics that a policy has met before and
    on the oracles, where there is something to say of them.
    """
    closed = "\n".join(filter(None, (_closed(report), leaks(report), oracles(report))))
    return _size(report), closed, _hurt(report)


def headline(report: GapReport) -> str:
    """Which methods help on everything held out, and of which that is not shown; empty where none does."""
    held_out = sum(1 for group in report.groups if group != "control")
    whole = {
        s.label: s.difference for s in report.summaries if s.difference is not None and s.variants == held_out
    }
    told = {label: f"“{label}” ({_signed(report, change)})" for label, change in whole.items()}
    helps, hurts, open_yet = (
        [told[label] for label, change in whole.items() if change.verdict == verdict]
        for verdict in ("helps", "hurts", "undecided")
    )
    if not helps:
        return ""
    verb, whole_set = "helps" if len(helps) == 1 else "help", "s as a whole" if held_out > 1 else ""
    parts = [f"{_listed(helps)} {verb} on {held_out} held-out variant{whole_set}"]
    if hurts:
        parts.append(f"{_listed(hurts)} {'hurts' if len(hurts) == 1 else 'hurt'}")
    if open_yet:
        parts.append(f"{_listed(open_yet)} {'is' if len(open_yet) == 1 else 'are'} not shown to help")
    return f"Against “{report.baseline}”, {_listed(parts, ', and ')}."


def _listed(names: list[str], last: str = " and ") -> str:
    return last.join(filter(None, (", ".join(names[:-1]), names[-1])))


def _signed(report: GapReport, change: Difference) -> str:
    sign = "+" if change.estimate.value > 0 else ""
    return sign + number(change.estimate, unit=_unit(report))


def leaks(report: GapReport) -> str:
    """Which methods have met which held-out physics before, and what is left out for it; empty for none."""
    told = []
    for label in report.labels:
        met = {how: [c.variant for c in report.cells if (c.label, c.seen) == (label, how)] for how in _SEEN}
        told += [
            f"“{label}” {_SEEN[how][0]} {_listed(names)}, which {_SEEN[how][1]}."
            for how, names in met.items()
            if names
        ]
    return " ".join(told)


def oracles(report: GapReport) -> str:
    """Where scores are against less than an oracle; empty where there is nothing to say.

    An oracle that a method scores above is a lower bound of what can be reached, and one that was picked
    among the methods is none.
    """
    if not report.normalized:
        return ""
    told = []
    above = [best for variant in report.variants if (best := _best(report, variant)).score.value > 100]
    if above:
        most = max(above, key=lambda c: c.score.value)
        told.append(
            f"The oracle is a lower bound on {len(above)} of {len(report.variants)} variants, where a method "
            f"scores above it (most on {most.variant}: “{most.label}”, {_minus(most.score.value)})."
        )
    picked = [name for name, reference in report.references.items() if reference.picked]
    if picked:
        told.append(
            f"On {len(picked)} of {len(report.variants)} variants the oracle is the best shipped policy, as "
            "it is or trained on, picked by such episodes: scores near 100 say little there."
        )
    return " ".join(told)


def _best(report: GapReport, variant: str) -> Cell:
    return max((c for c in report.cells if c.variant == variant), key=lambda c: c.score.value)


def number(estimate: Estimate | None, scale: float = 1.0, digits: int = 1, unit: str = "") -> str:
    """``"71.2 points [64.0, 78.1]"``, or ``"71.2 points, interval n/a (needs 3 seeds)"``."""
    if estimate is None:
        return "NA"
    text = f"{_minus(estimate.value * scale, digits)}{unit}"
    if estimate.interval is None:
        return f"{text}, interval {why_no_interval(estimate)}"
    low, high = (_minus(end * scale, digits) for end in estimate.interval)
    return f"{text} [{low}, {high}]"


def why_no_interval(estimate: Estimate) -> str:
    """Why an estimate has no interval."""
    return "n/a (needs 3 seeds)" if estimate.n < 3 else "n/a"


def _size(report: GapReport) -> str:
    gaps = [c for c in report.cells if c.label == report.baseline and c.gap is not None]
    if not gaps:
        return (
            f"The gap of “{report.baseline}” is unknown: the table has no control arm and "
            "held-out variant of it to compare."
        )
    worst = max(gaps, key=lambda c: c.gap.value if c.gap else 0.0)
    if worst.gap is None or worst.gap.value <= 0:
        return f"“{report.baseline}” loses nothing on any of {len(gaps)} held-out variants."
    most = f"{worst.variant}: {number(worst.gap, unit=_unit(report))}."
    home = report.cell(report.baseline, report.control or "")
    overall = [s for s in report.summaries if s.label == report.baseline]
    if home is None or not overall:
        return f"“{report.baseline}” loses on {most}"
    whole = overall[0]
    tail = f"{_minus(whole.cvar.value)} over the worst {100 * report.cvar_fraction:.0f} %"
    over = "one variant" if whole.variants == 1 else f"mean over {whole.variants} variants; {tail}"
    return (
        f"“{report.baseline}” falls from {_minus(home.score.value)} on the physics it was trained in "
        f"to {_minus(whole.mean.value)} on held-out physics ({over}), "
        f"and loses most on {most}"
    )


def _closed(report: GapReport) -> str:
    others = [s for s in report.summaries if s.label != report.baseline]
    if not others:
        return "No other method was evaluated, so nothing could close it."
    return "\n".join(_method(report, summary) for summary in others)


def _method(report: GapReport, summary: LabelSummary) -> str:
    cells = [c for c in report.cells if c.label == summary.label and c.group != "control"]
    names = cells[0].variant if len(cells) == 1 else f"{len(cells)} held-out variants"
    whole = summary.difference
    if whole is None or whole.p is None:
        return f"Whether “{summary.label}” helps is undecided on {names}."
    told = f"“{summary.label}” {whole.verdict}"
    if whole.verdict == "undecided":
        tell = f" ({whole.seeds_needed} seeds would tell)" if whole.seeds_needed else ""
        told = f"Whether “{summary.label}” helps is undecided{tell}"
    change = f"{number(whole.estimate, unit=_unit(report))} against “{report.baseline}”"
    if summary.closed is not None:
        change += f", {number(summary.closed, 100, 0, ' %')} of what that lacks to the oracle"
    return f"{told} on {names}{' as a whole' if len(cells) > 1 else ''}: {change}{_tally(cells)}."


def _tally(cells: list[Cell]) -> str:
    if len(cells) == 1:
        return ""
    helped = sum(1 for c in cells if c.difference and c.difference.verdict == "helps")
    return f"; it decidedly helps on {helped} of them"


def _hurt(report: GapReport) -> str:
    compared = [c for c in report.cells if c.difference is not None]
    hurt = sorted(
        (c for c in compared if c.difference and c.difference.verdict == "hurts"),
        key=lambda c: c.difference.estimate.value if c.difference else 0.0,
    )
    undecided = sum(1 for c in compared if c.difference and c.difference.verdict == "undecided")
    rest = f"{undecided} of {len(compared)} comparisons are undecided."
    if not compared:
        return "Nothing was compared, so nothing is known to hurt."
    whole = [f"“{s.label}”" for s in report.summaries if s.difference and s.difference.verdict == "hurts"]
    if whole and not hurt:
        verb = "hurts" if len(whole) == 1 else "hurt"
        return f"On no single variant is harm shown, though {_listed(whole)} {verb} as a whole; {rest}"
    if not hurt:
        return f"Nothing is shown to hurt; {rest}"
    named = "; ".join(
        f"“{c.label}” on {_place(report, c)} by "
        f"{number(c.difference.estimate if c.difference else None, unit=_unit(report))}"
        for c in hurt[:3]
    )
    more = f" and {len(hurt) - 3} more" if len(hurt) > 3 else ""
    return f"Something got worse: {named}{more}; {rest}"


def _place(report: GapReport, cell: Cell) -> str:
    return f"the control arm ({cell.variant})" if cell.variant == report.control else cell.variant


def _unit(report: GapReport) -> str:
    return " points" if report.normalized else " points of return"


def _minus(value: float, digits: int = 1) -> str:
    """A number with a real minus sign, and no negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
