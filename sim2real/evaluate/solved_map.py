"""Where over two parameters policies still do well: success on a grid, and the share of it that is solved.

::

    found = solved_map(world, [policy], "training", {"pole.mass": 9, "motor.strength": 9})
    found.solved                                # Estimate(value=0.72, interval=(0.68, 0.75), n=32)

The grid is even in the domain's own measure and has both ends, so that the share is the domain's probability
of physics in which they do well (the global success of Tiboni et al. 2024), the other parameters nominal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.fresh import grid_values, grid_variants
from sim2real.evaluate.outcomes import prepared, tried
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.statistics import LEVEL, Array, Estimate
from sim2real.world import Variant, World

_REPETITIONS = 2000
_TRIALS = Trials(32)


@dataclass(frozen=True)
class SolvedMap:
    """Two parameters, a grid of their values, and how policies do there."""

    world: str
    names: tuple[str, str]
    values: tuple[tuple[float, ...], tuple[float, ...]]
    """Of each parameter, rising."""
    nominal: tuple[float, float]
    measure: str
    """``"success"`` or ``"return"``."""
    means: tuple[tuple[float, ...], ...]
    """Of the measure. Shape (values of the first, values of the second)."""
    threshold: float
    """From which a physics counts as solved, in the measure's unit."""
    solved: Estimate
    """Share of the grid; the interval is by bootstrap of starts and, from three on, of policies."""
    episodes: int
    """Starts, the same everywhere on the grid."""


def solved_map(
    world: World,
    policies: Sequence[Candidate],
    domain: str | Domain,
    counts: Mapping[str, int],
    threshold: float = 0.8,
    trials: Trials = _TRIALS,
) -> SolvedMap:
    """Try policies on a grid of two parameters.

    Args:
        world: where.
        policies: of one method, such as its seeds; their mean is what counts.
        domain: ``"training"``, the path of a TOML file, or a `Domain`, whose ranges are gridded.
        counts: values of each of two parameters of it.
        threshold: success from which a physics is solved, in (0, 1]; where the env tells of no success, the
            share of the nominal return.
        trials: episodes in each physics, their seed, and the engine.

    Raises:
        InvalidValue: without policies, for other than two parameters, less than two values, or a threshold
            outside (0, 1].
        UnknownName: for a parameter that the domain does not have.
        PolicyError: if a policy does not fit the world.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
    """
    if len(counts) != 2:
        raise InvalidValue(
            f"a map has two axes, not {len(counts)} ({', '.join(counts)}); name two parameters"
        )
    if not 0 < threshold <= 1:
        raise InvalidValue(f"the threshold {threshold:g} is not in (0, 1]; 0.8 is usual")
    world, domain = prepared(world, policies, domain, trials)
    one, other = counts
    variants = grid_variants(world, domain, counts)
    returns, success = tried(world, policies, [Variant("nominal", "control", {}), *variants], trials)
    least = threshold
    told = returns if success is None else success
    if success is None:
        home = float(returns[:, 0].mean())
        least = home - (1 - threshold) * abs(home)
    values = [tuple(map(float, grid_values(domain, name, count))) for name, count in counts.items()]
    found = told[:, 1:].mean(axis=(0, 2)).reshape(len(values[0]), len(values[1]))
    return SolvedMap(
        world.name, (one, other), (values[0], values[1]), (world.nominal[one], world.nominal[other]),
        "return" if success is None else "success", tuple(tuple(map(float, row)) for row in found),
        least, _solved(told[:, 1:], least, trials.seed), trials.episodes,
    )  # fmt: skip


def _solved(told: Array, least: float, seed: int) -> Estimate:
    """Share of the physics that are solved, from shape (policies, physics, starts)."""
    policies, _, starts = told.shape
    share = float((told.mean(axis=(0, 2)) >= least).mean())
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_REPETITIONS if starts > 1 else 0):
        which = rng.integers(policies, size=policies) if policies > 2 else np.arange(policies)
        by_start = told[which].mean(axis=0)
        drawn.append((by_start[:, rng.integers(starts, size=starts)].mean(axis=1) >= least).mean())
    if not drawn:
        return Estimate(share, None, starts)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return Estimate(share, (min(float(low), share), max(float(high), share)), starts)
