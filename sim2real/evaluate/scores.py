"""Scores of every method, variant, seed and start, in the one unit that a report has.

A score is 100 (J - J_random) / (J_oracle - J_random) if every variant has references, else the return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.evaluate.compare import Comparison, compare
from sim2real.evaluate.episode_table import Folded
from sim2real.evaluate.leakage import TARGET, TRAINED
from sim2real.evaluate.statistics import Array, Estimate, Statistic, spread


@dataclass(frozen=True)
class Reference:
    """Mean returns that anchor the normalized score of one variant."""

    random: float
    """Mean return of random actions: score 0."""
    oracle: float
    """Mean return of policies trained in the true target: score 100."""
    random_error: float = 0.0
    """Standard error of ``random``."""
    oracle_error: float = 0.0
    """Standard error of ``oracle``."""
    picked: bool = False
    """Whether the oracle was picked among the shipped policies by their scores, rather than trained."""


@dataclass(frozen=True)
class Scores:
    """Scores of every method, variant, seed and start, and what all numbers of one report share."""

    folded: Folded
    references: tuple[Reference, ...]
    """Of every variant; NaN where it has none."""
    normalized: bool
    """Whether the report uses normalized scores, or else returns."""
    baseline: int
    """Index of the zero-shot label."""
    label_order: tuple[int, ...]
    control: int | None
    """Index of the control arm among the variants."""
    cvar_fraction: float

    def percent(self, label: int, variants: Sequence[int]) -> tuple[Array, ...]:
        """Normalized scores of a method, 0 random to 100 oracle, shape (seeds, variants, starts).

        Behind them the same with each reference one standard error off.
        """
        returns = np.moveaxis(self.folded.returns[label, variants], 0, 1)
        anchors = np.array([(self.references[v].random, self.references[v].oracle) for v in variants])
        errors = [(self.references[v].random_error, self.references[v].oracle_error) for v in variants]
        shifts = [np.zeros_like(anchors)]
        for place in np.argwhere(np.nan_to_num(errors)):
            shifts.append(np.zeros_like(anchors))
            shifts[-1][tuple(place)] = errors[place[0]][place[1]]
        low_high = [(anchors + shift).T[:, :, None] for shift in shifts]
        return tuple(100 * (returns - low) / (high - low) for low, high in low_high)

    def values(self, label: int, variants: Sequence[int]) -> tuple[Array, ...]:
        """The same in the report's unit."""
        if self.normalized:
            return self.percent(label, variants)
        return (np.moveaxis(self.folded.returns[label, variants], 0, 1),)

    @property
    def held_out(self) -> list[int]:
        """Indices of every variant outside the control arm."""
        return [i for i, group in enumerate(self.folded.groups) if group != "control"]

    def judged(self, label: int, variants: Sequence[int]) -> list[int]:
        """Those of some variants that a verdict on a method can be about.

        None that it or the baseline was trained on, and of several none that was a sealed target of theirs.
        """
        seen = [self.folded.seen[[label, self.baseline], v] for v in variants]
        barred = {TRAINED, TARGET} if len(variants) > 1 else {TRAINED}
        return [v for v, how in zip(variants, seen, strict=True) if not barred & set(how.tolist())]

    def met(self, label: int, variants: Sequence[int]) -> list[int]:
        """Those of some variants that a method was evaluated on."""
        return [v for v in variants if self.folded.episodes[label, v]]

    def against_baseline(self, label: int, variants: Sequence[int]) -> Comparison | None:
        """A method beside the baseline over some variants; None where there is nothing to compare."""
        shared = self.met(self.baseline, self.met(label, self.judged(label, variants)))
        if label == self.baseline or not shared:
            return None
        ours, theirs = (self.values(method, shared) for method in (label, self.baseline))
        return compare(ours[0], theirs[0], *zip(ours[1:], theirs[1:], strict=True))

    def estimate(self, statistic: Statistic, label: int, variants: Sequence[int]) -> Estimate:
        """A statistic of a method on some variants, in the report's unit.

        The intervals of normalized scores keep to `bounds`; returns have none.
        """
        values = self.values(label, variants)
        found = spread(statistic, values[0], others=[(other,) for other in values[1:]])
        if not self.normalized:
            return found.estimate
        return found.within(*bounds(values[0]), int(self.folded.episodes[label, variants].sum()))


def bounds(percent: Array) -> tuple[float, float]:
    """What normalized scores can pile up at: random and oracle, or the episode that lies farthest beyond."""
    return min(0.0, float(np.nanmin(percent))), max(100.0, float(np.nanmax(percent)))
