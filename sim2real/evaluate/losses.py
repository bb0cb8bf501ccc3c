"""What sets of parameters lose, by policy and start, and what of it is each one's, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sim2real.evaluate.shapley import Game
from sim2real.evaluate.statistics import LEVEL, MINIMUM_RUNS, Array, Estimate, spread

_REPETITIONS = 2000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Losses:
    """Returns of every set of parameters of a game, as policies and starts show them.

    Intervals are Student's: about other policies and other starts, with each policy a unit, from three
    policies on, else about other starts, each of them a unit. ``scripts/coverage_attribution.py`` prints how
    often they hold the truth: of 1,000 attributions each 97 to 99 % with three to ten policies, of 4,000 with
    one 95 %.
    """

    game: Game
    returns: Array
    """Shape (policies, sets, starts)."""
    seed: int = 0
    """Of the bootstrap in `by_start`."""

    @cached_property
    def _lost(self) -> Array:
        """What each set loses of the source's returns. Shape (policies, sets, starts)."""
        return self.returns[:, [self.game.place()]] - self.returns

    def _told(self, values: Array) -> Array:
        """Values with 0 where they are but rounding, which every start may have alike."""
        return np.where(np.abs(values) > _ROUNDING * np.abs(self.returns).max(), values, 0.0)

    @cached_property
    def _shares(self) -> Array:
        """Shapley values. Shape (policies, starts, parameters)."""
        return self._told(self.game.shapley(self._lost.swapaxes(1, 2)))

    @property
    def whole(self) -> Array:
        """What all parameters together lose, by policy and start: the drop."""
        return np.asarray(self._lost[:, self.game.place(but=True)])

    @property
    def about(self) -> str:
        """What the intervals are about."""
        seeds, _, starts = self.returns.shape
        if seeds >= MINIMUM_RUNS:
            return f"other seeds and other starts, from {seeds} policies and {starts} starts"
        if starts < MINIMUM_RUNS:
            return f"nothing: {MINIMUM_RUNS} policies or {MINIMUM_RUNS} episodes give an interval"
        return (
            f"other starts alone, from {starts}; {seeds} "
            f"{'policy tells' if seeds == 1 else 'policies tell'} nothing of other training seeds"
        )

    def score(self, *, target: bool) -> Estimate:
        """Mean return in target or source."""
        return self._mean(self.returns[:, self.game.place(but=target)])

    def drop(self) -> Estimate:
        """What all parameters cost."""
        return self._mean(self.whole)

    def share(self, *parameters: int) -> Estimate:
        """Shapley value of some parameters together, which add up to the drop."""
        return self._mean(self._shares[..., list(parameters)].sum(axis=-1), self.sampling_error(*parameters))

    def sampling_error(self, *parameters: int) -> float:
        """Standard error of their share by the sampled permutations; 0 where all sets were run."""
        return self.game.sampling_error(self._lost.mean(axis=(0, 2)), parameters)

    def alone(self, *parameters: int) -> Estimate:
        """What they cost where they alone have the target's values."""
        return self._mean(self._lost[:, self.game.place(*parameters)])

    def last(self, parameter: int) -> Estimate:
        """What one costs where all others have the target's values already."""
        return self._mean(self.whole - self._lost[:, self.game.place(parameter, but=True)])

    def interaction(self, one: int, other: int) -> Estimate:
        """What two cost together beyond what each costs alone."""
        pair, *alone = (self._lost[:, self.game.place(*which)] for which in ((one, other), (one,), (other,)))
        return self._mean(self._told(pair - alone[0] - alone[1]))

    def by_start(self) -> Estimate:
        """Standard deviation of the drop over starts; its interval is by bootstrap of them."""
        by_start = self.whole.mean(axis=0)
        if len(by_start) < MINIMUM_RUNS:
            return Estimate(float(by_start.std()), None, len(by_start))
        draws = np.random.default_rng(self.seed).integers(len(by_start), size=(_REPETITIONS, len(by_start)))
        low, high = np.quantile(by_start[draws].std(axis=1, ddof=1), [LEVEL / 2, 1 - LEVEL / 2])
        return Estimate(float(by_start.std(ddof=1)), (float(low), float(high)), len(by_start))

    def _mean(self, values: Array, error: float = 0.0) -> Estimate:
        """The mean over policies and starts, shape (policies, starts).

        Below three policies a start is a unit: its quantile is Student's, as of few starts with heavy tails
        a bootstrap's percentiles are too narrow.
        """
        units = values if len(values) >= MINIMUM_RUNS else values.mean(axis=0)[:, None]
        found = spread(lambda means: means.mean(axis=(1, 2)), units[:, None])
        return replace(found, references=error**2).estimate


def only_together(alone: Sequence[Estimate], cost: Estimate) -> bool:
    """Whether two parameters are shown to hurt together, and neither is shown to hurt by itself."""
    sure = cost.interval is not None and cost.interval[0] > 0
    return sure and all(one.interval is not None and one.interval[0] <= 0 for one in alone)
