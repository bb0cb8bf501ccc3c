"""A report held to requirements: met, broken, or undecided and what would decide.

::

    gate = require(report, "success >= 0.9 on combined", "worst >= 60 on all for randomized")
    gate.status  # 0 met, 1 broken, 3 undecided

A requirement is met where the whole 95 % interval meets it, and broken where none of it does. Of gates one of
whose requirements doesn't hold, at most one in forty says "met": each needs to be met by itself. "Broken" is
decided for all requirements and methods together (Bonferroni): of gates whose requirements all hold, at most
one in forty says "broken". ``scripts/coverage_evaluate.py`` prints both rates.

Intervals are about other training seeds and other starts, so that from fewer than three seeds nothing but
``success`` is decided, and that about these very policies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.evaluate.gap import GapReport
from sim2real.evaluate.leakage import TRAINED
from sim2real.evaluate.metrics import cvar, mean, variant_means
from sim2real.evaluate.requirements import Requirement, check, parse
from sim2real.evaluate.scores import Scores, bounds
from sim2real.evaluate.statistics import (
    LEVEL,
    MINIMUM_RUNS,
    Array,
    Estimate,
    Spread,
    Statistic,
    first,
    over_starts,
    spread,
)

Verdict: TypeAlias = Literal["met", "broken", "undecided"]

_STATUS: dict[Verdict, int] = {"met": 0, "broken": 1, "undecided": 3}
_MOST_SEEDS, _MOST_STARTS = 99, 64
_POWER = NormalDist().inv_cdf(0.8)


@dataclass(frozen=True)
class Decision:
    """One requirement and one method."""

    requirement: Requirement
    label: str
    verdict: Verdict
    measured: Estimate | None
    """The quantity; None where the method wasn't evaluated on all of the variants."""
    unit: str
    """``n`` of the estimate counts these: seeds, or episodes of these policies."""
    note: str
    """The variant that is worst, and what would decide the undecided."""

    @property
    def text(self) -> str:
        """One line: ``"met: success >= 0.9 on combined: randomized has 0.97 [0.93, 0.99] (5 seeds)"``."""
        note = f"; {self.note}" if self.note else ""
        return f"{self.verdict}: {self.requirement.text}: {self.label} has {self.found}{note}"

    @property
    def found(self) -> str:
        """What was measured, to four digits: nothing that decides may vanish by rounding."""
        if self.measured is None:
            return "nothing"
        value, interval = self.measured.value, self.measured.interval
        ends = "no interval" if interval is None else f"[{interval[0]:.4g}, {interval[1]:.4g}]"
        return f"{value:.4g} {ends} ({self.measured.n} {self.unit})"


@dataclass(frozen=True)
class Gate:
    """All decisions; met if each of them is."""

    title: str
    decisions: tuple[Decision, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the decisions: broken, else undecided, else met."""
        found = {decision.verdict for decision in self.decisions}
        return "broken" if "broken" in found else "undecided" if "undecided" in found else "met"

    @property
    def status(self) -> int:
        """What a command ends with: 0 met, 1 broken, 3 undecided."""
        return _STATUS[self.verdict]


def require(report: GapReport, *requirements: str | Requirement) -> Gate:
    """Decide requirements on a report.

    Args:
        report: of the policies.
        requirements: as `sim2real.evaluate.requirements` says; one without ``for`` is of each method.

    Raises:
        InvalidValue: if there is none, if one can't be read, or asks for what the report can't have.
        UnknownName: if one names a metric, variant, group or method that isn't there.
    """
    if not requirements:
        raise InvalidValue("no requirement was given to decide; give one, such as 'success >= 0.9 on all'")
    groups = dict(zip(report.variants, report.groups, strict=True))
    asked = []
    for given in requirements:
        requirement = parse(given) if isinstance(given, str) else given
        chosen = check(requirement, groups, report.labels, report.references, report.tells_success)
        labels = report.labels if requirement.label is None else (requirement.label,)
        asked += [
            (requirement, label, _measures(report.scores, requirement, label, chosen)) for label in labels
        ]
    count = sum(len(measures) for _, _, measures in asked)
    decisions = (_decide(*case, count) for case in asked)
    return Gate(report.title, tuple(decisions))


@dataclass(frozen=True)
class _Measure:
    """What is compared with the number of a requirement."""

    name: str
    """Of the variant, if it is about a single one."""
    spread: Spread
    ends: tuple[float, float] | None
    """What the quantity stays within; None if nothing."""
    trials: int
    about_policies: bool
    """Whether units are starts of these policies, instead of training seeds."""

    def at(self, level: float) -> Estimate:
        """With the interval of a level."""
        found = replace(self.spread, level=level)
        return found.estimate if self.ends is None else found.within(*self.ends, self.trials)

    def with_seeds(self, count: int) -> _Measure:
        """As it would be with another number of units."""
        trials = self.trials * count // self.spread.n
        return replace(self, spread=self.spread.with_seeds(count), trials=trials)

    def with_starts(self, factor: int) -> _Measure:
        """As it would be with so many times the starts."""
        if self.about_policies:
            return self.with_seeds(factor * self.spread.n)
        return replace(self, spread=self.spread.with_starts(factor), trials=factor * self.trials)


def _measures(scores: Scores, requirement: Requirement, label: str, chosen: Sequence[str]) -> list[_Measure]:
    """One, or for the worst one of each variant that the method was not trained on.

    None where it was trained on all of them, or hasn't met all.
    """
    folded = scores.folded
    which = folded.labels.index(label)
    variants = [folded.variants.index(name) for name in chosen]
    variants = [v for v in variants if folded.seen[which, v] != TRAINED]
    control = [] if scores.control is None or not requirement.gap else [scores.control]
    if not variants or len(scores.met(which, [*control, *variants])) < len(control + variants):
        return []
    sign = -1.0 if requirement.gap else 1.0

    def tail(draws: Array) -> Array:
        return sign * cvar(sign * variant_means(draws), scores.cvar_fraction)

    def measure(name: str, some: Sequence[int], statistic: Statistic) -> _Measure:
        own, *others = _values(scores, requirement.quantity, which, [*control, *some])
        ends = {"success": (0.0, 1.0), "score": bounds(own)}.get(requirement.quantity)
        if control:
            own, *others = (values[:, :1] - values[:, 1:] for values in (own, *others))
            ends = None
        trials = int(np.count_nonzero(~np.isnan(own)))
        there = int((~np.isnan(own)).any(axis=(1, 2)).sum())
        few = there < MINIMUM_RUNS and requirement.quantity == "success"
        if few:
            own = over_starts(np.moveaxis(own, 0, 2)).T[:, :, None]
        found = spread(statistic, own, others=[(values,) for values in others])
        return _Measure(name, found, ends, trials, few)

    if requirement.aggregate == "worst":
        return [measure(folded.variants[v], [v], mean) for v in variants]
    return [measure("", variants, tail if requirement.aggregate == "cvar" else mean)]


def _values(scores: Scores, quantity: str, label: int, variants: Sequence[int]) -> tuple[Array, ...]:
    """Shape (seeds, variants, starts); of scores, behind them those with each reference off."""
    if quantity == "score":
        return scores.percent(label, variants)
    column = scores.folded.success if quantity == "success" else scores.folded.returns
    return (np.moveaxis(column[label, variants], 0, 1),)


def _decide(requirement: Requirement, label: str, measures: Sequence[_Measure], count: int) -> Decision:
    """Met where all measures are, broken where one is, of so many in the whole gate."""
    if not measures:
        missed = "it was not evaluated on all of these variants, or was trained on their physics"
        return Decision(requirement, label, "undecided", None, "seeds", missed)
    sign = 1.0 if requirement.at_least else -1.0
    worst = min(measures, key=lambda m: sign * m.spread.value)
    unit = "episodes of these policies" if worst.about_policies else "seeds"
    met = [_surely(m.at(LEVEL), requirement.holds) for m in measures]
    broken = [_surely(m.at(LEVEL / count), requirement.fails) for m in measures]
    verdict: Verdict = "broken" if any(broken) else "met" if all(met) else "undecided"
    notes = [f"worst on {worst.name}"] if worst.name and len(measures) > 1 else []
    if verdict == "undecided":
        alone = any(_surely(m.at(LEVEL), requirement.fails) for m in measures)
        notes += [f"broken if it stood alone, but {count} numbers are decided together"] * alone
        notes.append(_what_would_decide(requirement, measures, LEVEL / count))
    return Decision(requirement, label, verdict, _joint(measures, worst, sign), unit, ", ".join(notes))


def _surely(estimate: Estimate, holds: Callable[[float], bool]) -> bool:
    return estimate.interval is not None and all(map(holds, estimate.interval))


def _joint(measures: Sequence[_Measure], worst: _Measure, sign: float) -> Estimate:
    """The worst one's value; its interval holds the true worst, whichever variant that is."""
    if len(measures) == 1:
        return worst.at(LEVEL)
    found = [m.at(level).interval for m in measures for level in (LEVEL, LEVEL / len(measures))]
    ends = [interval for interval in found if interval is not None]
    if len(ends) < len(found):
        return Estimate(worst.spread.value, None, worst.spread.n)
    if sign > 0:
        interval = min(low for low, _ in ends[::2]), min(high for _, high in ends[1::2])
    else:
        interval = max(low for low, _ in ends[1::2]), max(high for _, high in ends[::2])
    return Estimate(worst.spread.value, interval, worst.spread.n)


def _what_would_decide(requirement: Requirement, measures: Sequence[_Measure], strict: float) -> str:
    """More seeds or more episodes, if what they are about stays as it is."""
    policies = measures[0].about_policies
    if any(m.spread.n < MINIMUM_RUNS for m in measures):
        return f"it takes at least {MINIMUM_RUNS} {'episodes' if policies else 'training seeds'} to decide"
    fails = [m for m in measures if not requirement.holds(m.spread.value)]
    about = fails or [m for m in measures if not _surely(m.at(LEVEL), requirement.holds)]

    def least(counts: range, grown: Callable[[_Measure, int], _Measure]) -> int | None:
        def told(count: int) -> bool:
            each = (_would_tell(grown(m, count), requirement, strict if fails else LEVEL) for m in about)
            return any(each) if fails else all(each)

        return first(told, counts)

    more = range(max(m.spread.n for m in about) + 1, _MOST_SEEDS + 1)
    seeds = None if policies else least(more, _Measure.with_seeds)
    times = least(range(2, _MOST_STARTS + 1), _Measure.with_starts)
    ways = [f"{seeds} seeds"] * bool(seeds) + [f"{times} times as many episodes"] * bool(times)
    if not ways:
        most = "" if policies else f"{_MOST_SEEDS} seeds or "
        return f"too near to decide with {most}{_MOST_STARTS} times as many episodes"
    return f"about {' or '.join(ways)} would decide"


def _would_tell(measure: _Measure, requirement: Requirement, level: float) -> bool:
    """Whether the interval would be clear of the number four times in five, were this value the true one."""
    value, error = measure.spread.value, measure.spread.error
    if value == requirement.value or not math.isfinite(error):
        return False
    nearer = value + math.copysign(_POWER * error, requirement.value - value)
    shifted = replace(measure, spread=replace(measure.spread, value=nearer))
    holds = requirement.holds(value)
    return _surely(shifted.at(level), lambda end: requirement.holds(end) == holds)
