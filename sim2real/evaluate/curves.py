"""Learning curves on the target, with transfer and from scratch: what Taylor & Stone 2009 measure on them.

::

    transfer = Curve(np.array([0, 10_000, 20_000]), scores)  # of shape (seeds, 3)
    gains(transfer, scratch).area                         # an estimate with its interval over seeds
    time_to_threshold(transfer, 80.0).restricted_mean     # runs that never got there are censored
    [at.effect for at in negative_transfer(transfer, scratch)]

Both arms must have had the same learner, the same budget and as much tuning: negative transfer is relative
to the algorithm (Wang et al. 2019, arXiv 1811.09751). What the source cost is left out (weak transfer) or,
with `Curve.after`, counted (strong transfer).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.evaluate.compare import Difference, compare, decide
from sim2real.evaluate.statistics import Array, Estimate, spread
from sim2real.evaluate.survival import Survival, kaplan_meier

Effect: TypeAlias = Literal["negative", "positive", "undecided"]

_EFFECTS: dict[str, Effect] = {"helps": "positive", "hurts": "negative", "undecided": "undecided"}


@dataclass(frozen=True)
class Curve:
    """Scores of training seeds after so much of the target.

    Raises:
        InvalidValue: if budgets don't rise from 0 or more, a score is infinite, or the shapes don't fit.
    """

    budgets: Array
    """In steps, episodes or seconds of the target, rising. Shape (budgets,)."""
    scores: Array
    """Shape (seeds, budgets); NaN after the end of a run that ended early."""
    seeds: tuple[int, ...] = ()
    """Those of two arms that are the same are paired; by default counted from 0."""

    def __post_init__(self) -> None:
        """Refuse what is no curve."""
        budgets, scores = self.budgets, self.scores
        if scores.ndim != 2 or not scores.size or scores.shape[1:] != budgets.shape:
            raise InvalidValue(
                f"scores of shape {scores.shape} don't fit {len(budgets)} budgets; give (seeds, budgets)"
            )
        if not (np.isfinite(budgets).all() and budgets[0] >= 0 and (np.diff(budgets) > 0).all()):
            raise InvalidValue(f"budgets must rise from 0 or more, not {budgets.tolist()}; sort them")
        gone = np.isnan(scores)
        if np.isinf(scores).any() or gone[:, 0].any() or (gone[:, :-1] & ~gone[:, 1:]).any():
            raise InvalidValue(
                "scores must be finite, and missing (NaN) only after a run ended; leave out a run without any"
            )
        if self.seeds and len(set(self.seeds)) != len(scores):
            raise InvalidValue(f"{len(scores)} runs have the seeds {self.seeds}; give each its own")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seeds, or their numbers from 0."""
        return self.seeds or tuple(range(len(self.scores)))

    def after(self, cost: float) -> Curve:
        """With what the source cost counted: every score comes so much later."""
        return replace(self, budgets=self.budgets + cost)

    @property
    def area(self) -> Array:
        """Mean score over the budget, the area below each curve divided by its width. Shape (seeds,)."""
        if len(self.budgets) == 1:
            return self.scores[:, 0]
        width = self.budgets[-1] - self.budgets[0]
        return np.asarray(np.trapezoid(self.scores, self.budgets, axis=1) / width)


@dataclass(frozen=True)
class Gains:
    """What transfer is worth, with less scratch; intervals are over seeds, None below three."""

    jumpstart: Estimate
    """At the least budget: zero-shot less untrained."""
    asymptote: Estimate
    """Mean of the last evaluations."""
    area: Estimate
    """Mean score over the budget; the number to report first."""
    ratio: Estimate | None
    """Gain in area over the area from scratch; None unless zero means something and scratch is above it."""
    budgets: tuple[float, ...]
    """Those that both arms have; all numbers are about these."""


@dataclass(frozen=True)
class TransferEffect:
    """Whether transfer hurts or helps at one budget."""

    budget: float
    effect: Effect
    difference: Difference
    """With transfer less from scratch; its ``adjusted`` p is for all budgets together (Holm)."""


def gains(transfer: Curve, scratch: Curve, last: int = 3, normalized: bool = False) -> Gains:
    """Jumpstart, asymptote, area and transfer ratio.

    Args:
        transfer: with it.
        scratch: without.
        last: how many of the last evaluations the asymptote is the mean of.
        normalized: whether a score of 0 means something (random actions), as a ratio needs: that of plain
            returns changes with any constant reward.

    Raises:
        InvalidValue: if the arms share no budget, or a run ended before the last shared one.
    """
    ours, theirs = _shared(transfer, scratch)
    for name, curve in (("transfer", ours), ("scratch", theirs)):
        short = np.flatnonzero(np.isnan(curve.scores).any(axis=1))
        if len(short):
            raise InvalidValue(
                f"seed {curve.numbers[short[0]]} of {name} ended before {curve.budgets[-1]:g}; equal budgets "
                "are compared: cut the curves, or leave it out"
            )
    tail = slice(-min(last, len(ours.budgets)), None)
    return Gains(
        jumpstart=_difference(ours, theirs, lambda curve: curve.scores[:, 0]),
        asymptote=_difference(ours, theirs, lambda curve: curve.scores[:, tail].mean(axis=1)),
        area=_difference(ours, theirs, lambda curve: curve.area),
        ratio=_ratio(ours, theirs) if normalized and theirs.area.mean() > 0 else None,
        budgets=tuple(ours.budgets.tolist()),
    )


def time_to_threshold(curve: Curve, threshold: float, horizon: float | None = None) -> Survival:
    """How much of the target it takes to a score: the first evaluation at or above it.

    Args:
        curve: of one arm.
        threshold: arbitrary, as its authors say; try several.
        horizon: what the mean is restricted to; by default the largest budget.
    """
    reached = curve.scores >= threshold
    got_there = np.asarray(reached.any(axis=1))
    watched = np.array([curve.budgets[~np.isnan(row)][-1] for row in curve.scores])
    times = np.where(got_there, curve.budgets[reached.argmax(axis=1)], watched)
    return kaplan_meier(times, got_there, float(curve.budgets[-1]) if horizon is None else horizon)


def negative_transfer(transfer: Curve, scratch: Curve) -> list[TransferEffect]:
    """Whether transfer hurts, helps, or neither is shown, at every budget that both arms have.

    NTG(n) = J_scratch(n) - J_transfer(n) > 0 is negative transfer. Paired by seed where at least three are
    the same; decided for all budgets together (Holm 1979).

    Raises:
        InvalidValue: if they share no budget.
    """
    ours, theirs = _shared(transfer, scratch)
    found = [
        compare(*_by_seed(ours, theirs, one, other))
        for one, other in zip(ours.scores.T, theirs.scores.T, strict=True)
    ]
    told = zip(ours.budgets.tolist(), decide(found, np.ones(len(found)).tolist()), strict=True)
    return [TransferEffect(budget, _EFFECTS[d.verdict], d) for budget, d in told if d is not None]


def _shared(transfer: Curve, scratch: Curve) -> tuple[Curve, Curve]:
    """Both at the budgets that both have."""
    shared = np.intersect1d(transfer.budgets, scratch.budgets)
    if not len(shared):
        raise InvalidValue(
            f"transfer was evaluated at {transfer.budgets.tolist()} and scratch at "
            f"{scratch.budgets.tolist()}; equal budgets are compared: evaluate both at some of the same"
        )
    return _at(transfer, shared), _at(scratch, shared)


def _at(curve: Curve, budgets: Array) -> Curve:
    kept = np.isin(curve.budgets, budgets)
    scores = curve.scores[:, kept]
    there = ~np.isnan(scores[:, 0])
    seeds = tuple(seed for seed, known in zip(curve.numbers, there, strict=True) if known)
    return Curve(budgets, scores[there], seeds)


def _by_seed(ours: Curve, theirs: Curve, one: Array, other: Array) -> tuple[Array, Array]:
    """A number of each run of both arms, shape (seeds of either, 1, 1), NaN where an arm lacks the seed."""
    seeds = sorted({*ours.numbers, *theirs.numbers})
    arms: Sequence[Array] = [np.full((len(seeds), 1, 1), np.nan) for _ in range(2)]
    for arm, curve, values in zip(arms, (ours, theirs), (one, other), strict=True):
        arm[[seeds.index(seed) for seed in curve.numbers], 0, 0] = values
    return arms[0], arms[1]


def _difference(ours: Curve, theirs: Curve, number: Callable[[Curve], Array]) -> Estimate:
    """Of a number of each run."""
    found = compare(*_by_seed(ours, theirs, number(ours), number(theirs)))
    if found is None:
        raise InvalidValue("an arm has no score at all, so nothing can be compared")
    return found.spread.estimate


def _ratio(ours: Curve, theirs: Curve) -> Estimate:
    """Gain in area over the area from scratch, by the jackknife over both arms' seeds."""

    def share(method: Array, baseline: Array) -> Array:
        below = baseline.mean(axis=(1, 2))
        return np.asarray((method.mean(axis=(1, 2)) - below) / below)

    return spread(share, ours.area[:, None, None], theirs.area[:, None, None]).estimate
