"""Real success from few real episodes and many simulated ones.

A simulated episode that starts like a real one tells part of what the real one will do. The estimate is

    R + beta (S_N - S_n),   beta = Cov(S, R) / Var(S)

where R is the mean of n real episodes, S_n that of their n simulated twins, which beta is taken from as well,
and S_N that of all N simulated ones: a control variate, or prediction-powered inference (Sim2Val, arXiv
2506.20553). It is right however bad the simulator is, and narrower where that is good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.evaluate.predictivity import PolicyResults
from sim2real.evaluate.statistics import MINIMUM_RUNS, Array, Estimate, Spread


@dataclass(frozen=True)
class RealEstimate:
    """What a policy does in reality, with and without the help of simulation."""

    policy: str
    real: Estimate
    """From its real episodes alone; ``n`` counts them."""
    helped: Estimate | None
    """From its simulated ones as well; ``n`` counts twins. None with fewer than five twins, where a real
    episode has none, or where there is no simulated one besides."""
    worth: float
    """How many times as many real episodes would tell as much; 1 without help."""
    beta: float


_LEAST_TWINS = 5


def real_estimates(simulated: PolicyResults, real: PolicyResults) -> list[RealEstimate]:
    """The real mean of every policy.

    Args:
        simulated: many episodes; those whose name is that of a real one are its twins.
        real: few, of the same policies.

    Raises:
        InvalidValue: if the policies aren't the same.
    """
    if simulated.policies != real.policies:
        raise InvalidValue("the policies in simulation and in reality are not the same; give those of both")
    share = all(np.isin(values, (0.0, 1.0)).all() for values in (*simulated.values, *real.values))
    found = []
    for policy, s, r, s_names, r_names in zip(
        real.policies, simulated.values, real.values, simulated.starts, real.starts, strict=True
    ):
        place = {name: k for k, name in enumerate(s_names)}
        twins = [k for k, name in enumerate(r_names) if name in place]
        own = _estimate(
            float(r.mean()), float(r.var(ddof=1)) / len(r) if len(r) > 1 else np.nan, len(r), share
        )
        # a real episode without twin would be left out, and twins alone tell nothing new
        if len(twins) < max(_LEAST_TWINS, len(r)) or len(s) <= len(r):
            found.append(RealEstimate(policy, own, None, 1.0, 0.0))
            continue
        paired = s[[place[r_names[k]] for k in twins]]
        helped, worth, beta = _control_variate(paired, r[twins], s, share)
        found.append(RealEstimate(policy, own, helped, worth, beta))
    return found


def _control_variate(
    twins: Array, real: Array, all_simulated: Array, share: bool
) -> tuple[Estimate, float, float]:
    """The estimate, how many times as many real episodes it is worth, and beta.

    The variance is that of a regression's value at S_N (its errors of slope and of mean), and of S_N itself.
    Of successes, beta and the variance come from the table of twins with half an episode more in each of its
    four cells (Agresti & Min 2005): twenty twins that agree don't say that all do.
    """
    n, more = len(real), len(all_simulated)
    weights, s, r = np.ones(n), twins, real
    if share:
        weights = np.concatenate([weights, np.full(4, 0.5)])
        s, r = np.concatenate([s, [0, 0, 1, 1]]), np.concatenate([r, [0, 1, 0, 1]])
    total = float(weights.sum())
    s, r = s - np.average(s, weights=weights), r - np.average(r, weights=weights)
    spread_of_s = float(weights @ s**2)
    beta = float(weights @ (s * r)) / spread_of_s if spread_of_s > 0 else 0.0
    shift = float(all_simulated.mean() - twins.mean())
    residual = float(weights @ (r - beta * s) ** 2) / (total - 2)
    own = float(weights @ r**2) / (total - 1)
    leverage = 1 / n + (shift**2 / spread_of_s if spread_of_s > 0 else 0.0)
    variance = (1 - n / more) * residual * leverage + own / more
    helped = _estimate(float(real.mean()) + beta * shift, variance, n, share)
    return helped, own / n / variance if variance > 0 else 1.0, beta


def _estimate(value: float, variance: float, count: int, share: bool) -> Estimate:
    """Student's interval of a mean of so many, or Wilson's of as many trials as it is worth."""
    if count < MINIMUM_RUNS:
        return Estimate(value, None, count)
    found = Spread(value, ((variance, count),), 0.0)
    return replace(found.within(0.0, 1.0, count) if share else found.estimate, n=count)
