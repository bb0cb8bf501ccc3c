"""One number per method over many variants: IQM, worst case, CVaR, gap closed.

Held out means: every variant outside the control arm. A method that met only some of them is summed
    up over those, and ``variants`` says how many; such numbers are not comparable with those over
    all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.evaluate.statistics import Array, Estimate, bootstrap, iqm, probability_of_improvement
from sim2real.evaluate.table import Folded

_SMALLEST_GAP = 5.0
HELD_OUT = "all held-out"
"""Name of the aggregate over every variant outside the control arm."""


@dataclass(frozen=True)
class Scores:
    """Scores of every method, variant and seed, and the choices all numbers of one report share."""

    folded: Folded
    percent: Array
    """Normalized score, 0 random to 100 oracle, shape (labels, variants, seeds); NaN where
    missing."""
    normalized: bool
    values: Array
    """``percent`` or the returns, whichever the report uses; shape (labels, variants, seeds)."""
    baseline: int
    """Index of the zero-shot label."""
    label_order: tuple[int, ...]
    control: int | None
    """Index of the control arm among the variants."""
    cvar_fraction: float
    repetitions: int
    seed: int


@dataclass(frozen=True)
class Aggregate:
    """Interquartile mean of a method over the seeds and variants of a group."""

    label: str
    group: str
    iqm: Estimate
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
    worst_variant: str
    """Variant with the lowest mean score."""
    worst: Estimate
    """Lowest variant mean. A list of variants overestimates the true minimum over the physics
    between them."""
    cvar: Estimate
    """Mean over the worst fraction of the variant means."""
    closed: Estimate | None
    """Gap closed over these variants together; None for the baseline and where it is NA."""
    improvement: Estimate | None
    """Probability that a run beats a baseline run on the same variant; None for the baseline."""


def summarize(scores: Scores) -> tuple[tuple[Aggregate, ...], tuple[LabelSummary, ...]]:
    """Aggregate every method per group and over everything held out."""
    folded = scores.folded
    held_out = [i for i, group in enumerate(folded.groups) if group != "control"]
    names = list(dict.fromkeys(folded.groups))
    members = {name: [i for i, group in enumerate(folded.groups) if group == name] for name in names}
    if len(held_out) > 1:
        members[HELD_OUT] = held_out
    aggregates = tuple(
        _aggregate(scores, label, group, met, len(variants))
        for label in scores.label_order
        for group, variants in members.items()
        if (met := _met(scores, label, variants))
    )
    summaries = tuple(
        _summary(scores, label, met) for label in scores.label_order if (met := _met(scores, label, held_out))
    )
    return aggregates, summaries


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
    ours, theirs = scores.percent[label].T, scores.percent[scores.baseline].T
    usable = [v for v in variants if not (np.isnan(ours[:, v]).all() or np.isnan(theirs[:, v]).all())]
    if not usable:
        return None
    both = np.stack([ours[:, usable], theirs[:, usable]], axis=2)
    complete = both[~np.isnan(both).any(axis=(1, 2))]
    rows = complete if len(complete) >= 3 else np.nanmean(both, axis=0)[None]

    def closed(draws: Array) -> Array:
        # Two columns per variant: the method's score and the baseline's.
        method, baseline = draws[..., 0::2].mean(axis=(1, 2)), draws[..., 1::2].mean(axis=(1, 2))
        short = 100.0 - baseline
        gained: Array = np.full_like(short, np.nan)
        np.divide(method - baseline, short, out=gained, where=short >= _SMALLEST_GAP)
        return gained

    flat = rows.reshape(len(rows), -1)
    estimate = bootstrap(flat, closed, repetitions=scores.repetitions, seed=scores.seed)
    return None if np.isnan(estimate.value) else estimate


def cvar(means: Array, fraction: float) -> Array:
    """Mean of the worst ``fraction`` of the values in each row (Rockafellar & Uryasev 2000).

    Args:
        means: shape (rows, variants), NaN where missing.
        fraction: in (0, 1]; a part of a variant counts as that part.

    Returns:
        Shape (rows,).
    """
    share = fraction * np.count_nonzero(~np.isnan(means), axis=1, keepdims=True)
    weights = np.clip(share - np.arange(means.shape[1]), 0.0, 1.0)
    ordered = np.nan_to_num(np.sort(means, axis=1))
    tail: Array = (ordered * weights).sum(axis=1) / share[:, 0]
    return tail


def _met(scores: Scores, label: int, variants: Sequence[int]) -> list[int]:
    return [v for v in variants if scores.folded.episodes[label, v]]


def _aggregate(scores: Scores, label: int, group: str, met: list[int], of: int) -> Aggregate:
    estimate = _bootstrap(scores, label, met, lambda draws: iqm(draws.reshape(len(draws), -1)))
    return Aggregate(scores.folded.labels[label], group, estimate, len(met), of)


def _summary(scores: Scores, label: int, met: list[int]) -> LabelSummary:
    means = _variant_means(scores.values[label, met].T[None])[0]
    is_baseline = label == scores.baseline
    return LabelSummary(
        label=scores.folded.labels[label],
        variants=len(met),
        worst_variant=scores.folded.variants[met[int(np.argmin(means))]],
        worst=_bootstrap(scores, label, met, lambda d: np.fmin.reduce(_variant_means(d), axis=1)),
        cvar=_bootstrap(scores, label, met, lambda d: cvar(_variant_means(d), scores.cvar_fraction)),
        closed=None if is_baseline else gap_closed(scores, label, met),
        improvement=None if is_baseline else _improvement(scores, label, met),
    )


def _bootstrap(scores: Scores, label: int, met: list[int], statistic: Callable[[Array], Array]) -> Estimate:
    rows = scores.values[label, met].T
    return bootstrap(rows, statistic, repetitions=scores.repetitions, seed=scores.seed)


def _improvement(scores: Scores, label: int, met: list[int]) -> Estimate | None:
    shared = _met(scores, scores.baseline, met)
    if not shared:
        return None
    return probability_of_improvement(
        scores.values[label, shared].T,
        scores.values[scores.baseline, shared].T,
        repetitions=scores.repetitions,
        seed=scores.seed,
    )


def _variant_means(draws: Array) -> Array:
    """Mean over seeds: (rows, seeds, variants) to (rows, variants); NaN where there is no run."""
    count = np.count_nonzero(~np.isnan(draws), axis=1)
    total = np.nansum(draws, axis=1)
    means = np.full(total.shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
