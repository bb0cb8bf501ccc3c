"""What simulators tell of reality: how they agree with it, and what they add to few real episodes.

::

    simulated, real = results_of(read_columns("results.csv"), ("mujoco", "robot"))
    predict({"mujoco": simulated}, real).agreement["mujoco"]["MMRV"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from sim2real.evaluate.control_variate import RealEstimate, real_estimates
from sim2real.evaluate.predictivity import PolicyResults, difference, predictivity
from sim2real.evaluate.statistics import Estimate


@dataclass(frozen=True)
class Prediction:
    """How well simulators predict what policies do in reality."""

    policies: int
    trials: int
    """Fewest real episodes of a policy."""
    agreement: Mapping[str, Mapping[str, Estimate]]
    """By simulator and metric; of several, also how each differs from the one before it. NaN where all
    policies score the same."""
    real: Mapping[str, tuple[RealEstimate, ...]]
    """By simulator, what each policy does in reality, with its help."""


def predict(simulated: Mapping[str, PolicyResults], real: PolicyResults) -> Prediction:
    """Hold simulators against reality.

    Args:
        simulated: results of the same policies in each simulator.
        real: in reality.

    Raises:
        InvalidValue: if the policies aren't the same.
    """
    judged = {name: predictivity(one, real) for name, one in simulated.items()}
    agreement = {name: {metric: a.estimate for metric, a in own.items()} for name, own in judged.items()}
    for first, second in pairwise(judged):
        agreement[f"{second} less {first}"] = difference(judged[first], judged[second])
    helped = {name: tuple(real_estimates(one, real)) for name, one in simulated.items()}
    return Prediction(len(real.policies), min(map(len, real.values)), agreement, helped)
