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

    Intervals are about other policies and other starts: Student's, with each policy a unit, from three
    policies on, else by bootstrap of the starts. ``scripts/coverage_attribution.py`` prints how often they
    hold the truth: of 1,000 attributions each, 97 to 99 % with three policies or more, 94 % with one.
    """

    game: Game
    returns: Array
    """Shape (policies, sets, starts)."""
    seed: int = 0
    """Of the bootstrap."""

    @cached_property
    def _lost(self) -> Array:
        """What each set loses of the source's returns. Shape (policies, sets, starts)."""
        return self.returns[:, [self.game.place()]] - self.returns

    @cached_property
    def _shares(self) -> Array:
        """Shapley values, 0 where they are but rounding. Shape (policies, starts, parameters)."""
        found = self.game.shapley(self._lost.swapaxes(1, 2))
        return np.where(np.abs(found) > _ROUNDING * np.abs(self.returns).max(), found, 0.0)

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
        if starts == 1:
            return f"nothing: {MINIMUM_RUNS} policies or 2 episodes give an interval"
        return (
            f"other starts alone, by bootstrap of {starts}; {seeds} "
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
        return self._mean(pair - alone[0] - alone[1])

    def by_start(self) -> Estimate:
        """Standard deviation of the drop over starts; its interval is by bootstrap of them."""
        by_start = self.whole.mean(axis=0)
        if len(by_start) < MINIMUM_RUNS:
            return Estimate(float(by_start.std()), None, len(by_start))
        drawn = by_start[self._draws(len(by_start))].std(axis=1, ddof=1)
        return Estimate(float(by_start.std(ddof=1)), _middle(drawn), len(by_start))

    def _draws(self, starts: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        return np.random.default_rng(self.seed).integers(starts, size=(_REPETITIONS, starts))

    def _mean(self, values: Array, error: float = 0.0) -> Estimate:
        """The mean over policies and starts, shape (policies, starts), each policy a unit from three on."""
        seeds, starts = values.shape
        if seeds >= MINIMUM_RUNS:
            found = spread(lambda means: means.mean(axis=(1, 2)), values[:, None])
            return replace(found, references=error**2).estimate
        value, by_start = float(values.mean()), values.mean(axis=0)
        if starts == 1:
            return Estimate(value, None, seeds)
        drawn = by_start[self._draws(starts)].mean(axis=1)
        drawn += error * np.random.default_rng(self.seed + 1).standard_normal(_REPETITIONS)
        return Estimate(value, _middle(drawn), starts)


def only_together(alone: Sequence[Estimate], cost: Estimate) -> bool:
    """Whether two parameters are shown to hurt together, and neither is shown to hurt by itself."""
    sure = cost.interval is not None and cost.interval[0] > 0
    return sure and all(one.interval is not None and one.interval[0] <= 0 for one in alone)


def _middle(drawn: Array) -> tuple[float, float]:
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
