"""One number per method over many variants: mean, worst quarter, IQM, worst case, gap closed.

Held out means: every variant outside the control arm. A method that met only some of them is summed
    up over those, and ``variants`` says how many; such numbers are not comparable with those over
    all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.evaluate.compare import Difference
from sim2real.evaluate.metrics import cvar, iqm, mean, probability_of_improvement, variant_means
from sim2real.evaluate.profiles import optimality_gap
from sim2real.evaluate.scores import Scores
from sim2real.evaluate.statistics import MINIMUM_RUNS, Array, Estimate, over_starts, spread

_SMALLEST_GAP = 5.0
HELD_OUT = "all held-out"
"""Name of the aggregate over every variant outside the control arm."""


@dataclass(frozen=True)
class Aggregate:
    """A method over the seeds and variants of a group."""

    label: str
    group: str
    mean: Estimate
    iqm: Estimate
    """Interquartile mean: without the quarter of runs and variants that went worst, and the best."""
    variants: int
    """How many variants of the group the method was evaluated on."""
    of: int
    """How many variants the group has."""


@dataclass(frozen=True)
class LabelSummary:
    """A method over all held-out variants it was evaluated on."""

    label: str
    variants: int
    """Number of those variants."""
    mean: Estimate
    cvar: Estimate
    """Mean over the worst fraction of the variant means."""
    worst_variant: str
    """Variant with the lowest mean score."""
    worst: Estimate
    """Lowest variant mean. A list of variants overestimates the true minimum over the physics
    between them."""
    closed: Estimate | None
    """Gap closed over these variants together; None for the baseline and where it is NA."""
    improvement: Estimate | None
    """Probability that a run beats a baseline run on the same variant; None for the baseline."""
    optimality_gap: Estimate | None
    """By how much scores fall short of the oracle, none making up for another; None for returns."""
    difference: Difference | None
    """Mean over the variants that the baseline met too, less the baseline's; None for the baseline."""


def aggregate(scores: Scores) -> tuple[Aggregate, ...]:
    """Every method per group and over everything held out."""
    groups = scores.folded.groups
    members = {name: [i for i, group in enumerate(groups) if group == name] for name in dict.fromkeys(groups)}
    held_out = scores.held_out
    if len(held_out) > 1:
        members[HELD_OUT] = held_out
    found = []
    for label in scores.label_order:
        for group, variants in members.items():
            if met := scores.met(label, variants):
                average, middle = (scores.estimate(statistic, label, met) for statistic in (mean, _iqm))
                name = scores.folded.labels[label]
                found.append(Aggregate(name, group, average, middle, len(met), len(variants)))
    return tuple(found)


def summarize(scores: Scores, label: int, difference: Difference | None) -> LabelSummary | None:
    """A method over everything held out; None where it met nothing of it."""
    met = scores.met(label, scores.held_out)
    if not met:
        return None
    worst = min(met, key=lambda v: float(np.nanmean(over_starts(scores.values(label, [v])[0]))))
    others = label != scores.baseline
    return LabelSummary(
        label=scores.folded.labels[label],
        variants=len(met),
        mean=scores.estimate(mean, label, met),
        cvar=scores.estimate(lambda d: cvar(variant_means(d), scores.cvar_fraction), label, met),
        worst_variant=scores.folded.variants[worst],
        worst=scores.estimate(mean, label, [worst]),
        closed=gap_closed(scores, label, met) if others else None,
        improvement=_improvement(scores, label, met) if others else None,
        optimality_gap=scores.estimate(optimality_gap, label, met) if scores.normalized else None,
        difference=difference,
    )


def gap_closed(scores: Scores, label: int, variants: Sequence[int]) -> Estimate | None:
    """(J_method - J_zero-shot) / (J_oracle - J_zero-shot), summed over normalized variants.

    1 means the oracle is reached, below 0 means worse than the baseline. Paired by seed where at
    least three seeds are complete, else the point from all means without an interval.

    Args:
        scores: of the report.
        label: index of the method.
        variants: indices; those without references or without one of the two methods are left out.

    Returns:
        None (NA) if no variant is left, or if the baseline is on average less than 5 points short
        of the oracle: there is then no gap to speak of, and the ratio would be noise.
    """
    known = [v for v in variants if not math.isnan(scores.references[v].oracle)]
    usable = scores.met(scores.baseline, scores.met(label, known))
    if not usable:
        return None

    def closed(draws: Array) -> Array:
        # Twice as many columns as variants: the method's scores, then the baseline's.
        method, baseline = (half.mean(axis=(1, 2)) for half in np.split(draws, 2, axis=2))
        short = 100.0 - baseline
        gained: Array = np.full_like(short, np.nan)
        np.divide(method - baseline, short, out=gained, where=short >= _SMALLEST_GAP)
        return gained

    pairs = zip(*(scores.percent(method, usable) for method in (label, scores.baseline)), strict=True)
    both = [np.concatenate(pair, axis=1) for pair in pairs]
    complete = ~np.isnan(over_starts(both[0])).any(axis=1)
    if complete.sum() >= MINIMUM_RUNS:
        rows = [sample[complete] for sample in both]
    else:
        rows = [variant_means(np.moveaxis(sample, 2, 0)).T[None] for sample in both]
    found = spread(closed, rows[0], others=[(row,) for row in rows[1:]]).estimate
    return None if math.isnan(found.value) else found


def _improvement(scores: Scores, label: int, met: list[int]) -> Estimate | None:
    shared = scores.met(scores.baseline, met)
    if not shared:
        return None
    ours, theirs = (scores.values(method, shared)[0] for method in (label, scores.baseline))
    found = spread(probability_of_improvement, ours, theirs)
    return found.within(0.0, 1.0, math.prod(count for _, count in found.seeds))


def _iqm(draws: Array) -> Array:
    return iqm(draws.reshape(len(draws), -1))
