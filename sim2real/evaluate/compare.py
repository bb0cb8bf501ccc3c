"""Does a method help, hurt, or is that undecided? Decided for all comparisons of a report together.

Each comparison is Student's t-test over seeds and starts (`sim2real.evaluate.statistics.spread`). A report of
fifteen variants and two methods makes thirty of them, one of which would come out by chance: Holm's procedure
keeps the chance that a report calls anything decided where nothing differs at 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import nctdtr, stdtrit

from sim2real.evaluate.metrics import mean
from sim2real.evaluate.statistics import LEVEL, MINIMUM_RUNS, Array, Estimate, Spread, first, spread

Verdict: TypeAlias = Literal["helps", "hurts", "undecided"]

_POWER = 0.8
_MOST_SEEDS = 99


@dataclass(frozen=True)
class Difference:
    """A method's score minus the baseline's."""

    estimate: Estimate
    """In the unit of the scores."""
    paired: bool
    """True if the same training seeds were compared one by one."""
    p: float | None
    """Two-sided p of Student's t-test of this comparison alone; None with fewer than three seeds."""
    adjusted: float | None
    """The same for all comparisons of the report (Holm 1979)."""
    verdict: Verdict
    """Decided where the adjusted p is below 5 %."""
    seeds_needed: int | None
    """Seeds per method that would decide a difference as big as the one seen, with a chance of 80 %; None
    where it is decided, unknown, or more than 99."""


@dataclass(frozen=True)
class Comparison:
    """Two methods, before it is decided what that means beside other comparisons."""

    spread: Spread
    paired: bool


def compare(method: Array, baseline: Array, *others: tuple[Array, Array]) -> Comparison | None:
    """Compare two methods by seed: paired where at least three seeds are shared, else unpaired.

    Args:
        method: scores, shape (seeds, variants, starts), NaN where missing.
        baseline: the same seeds in the same order, and the same variants and starts.
        others: what the two would be with a reference one standard error off.

    Returns:
        The comparison on the variants that both met, or None if there are none.
    """
    known = [~np.isnan(scores) for scores in (method, baseline)]
    both = known[0].any(axis=(0, 2)) & known[1].any(axis=(0, 2))
    if not both.any():
        return None
    ours, theirs = (seeds[:, both].any(axis=(1, 2)) for seeds in known)
    shared = ours & theirs
    if shared.sum() >= MINIMUM_RUNS or (ours == theirs).all():
        changes = [(one - other)[shared] for one, other in ((method, baseline), *others)]
        return Comparison(spread(mean, changes[0], others=[(change,) for change in changes[1:]]), True)
    return Comparison(spread(mean, method, baseline, others=others), False)


def decide(comparisons: Sequence[Comparison | None], weights: Sequence[float]) -> list[Difference | None]:
    """What each comparison says beside all the others.

    Args:
        comparisons: of one report; None where there was nothing to compare.
        weights: how much of the 5 % each may use, in any unit.
    """
    ps = [math.nan if c is None or c.spread.p is None else c.spread.p for c in comparisons]
    known = ~np.isnan(ps)
    shares = np.where(known, weights, 0.0)
    shares = shares / shares.sum() if known.any() else shares
    adjusted = np.full(len(ps), math.nan)
    adjusted[known] = holm(np.array(ps)[known], shares[known])
    found: list[Difference | None] = []
    for comparison, own, share in zip(comparisons, adjusted.tolist(), shares.tolist(), strict=True):
        if comparison is None:
            found.append(None)
            continue
        value, p = comparison.spread.value, comparison.spread.p
        decided = p is not None and own < LEVEL
        verdict: Verdict = "undecided" if not decided else "helps" if value > 0 else "hurts"
        needed = seeds_needed(comparison.spread, LEVEL * share) if p is not None and not decided else None
        estimate = comparison.spread.estimate
        adjusted_p = None if p is None else own
        found.append(Difference(estimate, comparison.paired, p, adjusted_p, verdict, needed))
    return found


def holm(p: Array, weights: Array) -> Array:
    """p-values adjusted for each other, so that any below 5 % is false with a chance of 5 % in all.

    Args:
        p: shape (tests,).
        weights: of the tests, positive; shape (tests,).

    Returns:
        Shape (tests,). Holm 1979, "A simple sequentially rejective multiple test procedure", with weights.
    """
    order = np.argsort(p / weights)
    left = np.cumsum(weights[order][::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * left / weights[order]), 1.0)
    return adjusted


def seeds_needed(seen: Spread, level: float) -> int | None:
    """Seeds per method for a t-test at a level to find a difference as big as this four times in five.

    More seeds shrink what seeds bring about, not what the starts and the references do.
    """
    if seen.value == 0 or seen.error == 0:
        return None

    def found(count: int) -> bool:
        grown = seen.with_seeds(count)
        bound = stdtrit(grown.freedom, 1 - level / 2)
        return bool(1 - nctdtr(grown.freedom, abs(seen.value) / grown.error, bound) >= _POWER)

    return first(found, range(seen.n + 1, _MOST_SEEDS + 1))
