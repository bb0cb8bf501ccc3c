"""How far from nominal physics policies can be trusted: the largest box in which they still do well.

A box of scale s has each parameter between nominal + s (low - nominal) and nominal + s (high - nominal), in
the logarithm where the domain is log-uniform; 1 is the whole range of the domain. Every box is a variant that
draws each episode's physics, and the boxes of all parameters, alone and jointly, are bisected side by side: a
round is one batch. Bisection trusts that a larger box is no easier than a smaller one. Draws are uniform in a
box, whatever the shape of the domain; a normal's range is that of `sim2real.evaluate.worst_case`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim2real.distributions import Distribution, LogUniform, Normal, Point, Uniform
from sim2real.domain import Domain
from sim2real.draws import checked_seed
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.fresh import CENTRAL
from sim2real.evaluate.outcomes import mean_return, prepared, success_rate, tried
from sim2real.evaluate.rollouts import SEED, Trials
from sim2real.evaluate.statistics import Estimate
from sim2real.parameters import quantity_of
from sim2real.reach import check_reach
from sim2real.world import Variant, World


@dataclass(frozen=True)
class Bisection:
    """How a radius is found.

    Raises:
        InvalidValue: for a threshold outside (0, 1), less than three episodes, or no halving.
    """

    threshold: float = 0.8
    """Success rate to stay above; where the env tells of none, share of the nominal return."""
    episodes: int = 256
    """Of each policy per box, each with a physics of its own."""
    halvings: int = 5
    """Rounds after the first; the radius is exact to 0.5 to this power."""
    seed: int = SEED
    simulator: str | None = None
    """Engine; MuJoCo by default, or the world's own."""
    allow_dead: bool = False
    """Whether to bisect ranges that change nothing, which hold whatever policies do."""

    def __post_init__(self) -> None:
        """Refuse what decides nothing."""
        check_reach(self, "(0, 1)", "threshold")
        check_reach(self, "whole [3, inf)", "episodes")
        check_reach(self, "whole [1, inf)", "halvings")
        checked_seed(self.seed)


@dataclass(frozen=True)
class Radius:
    """Of one parameter, or of all jointly."""

    scale: float
    """Largest scale at which the interval's lower end was above the threshold; 0 if none was."""
    fails: float | None
    """Smallest scale at which the interval's upper end was below it; None if there was none. The radius is
    between the two."""
    measured: Estimate
    """Success rate, or mean return, at ``scale``, with its interval by physics and starts."""


@dataclass(frozen=True)
class RobustRadius:
    """The largest boxes in which policies still do well."""

    measure: str
    """``"success"`` or ``"return"``."""
    threshold: float
    """What it stays above, in the measure's unit."""
    nominal: Estimate
    """At nominal physics."""
    joint: Radius
    """All parameters at once."""
    alone: Mapping[str, Radius]
    """Each parameter, the others nominal."""
    rollouts: int


def robust_radius(
    world: World,
    policies: Sequence[Candidate],
    domain: str | Domain,
    bisection: Bisection = Bisection(),
    watch: Callable[[int], None] = lambda _: None,
) -> RobustRadius:
    """Find the largest box around nominal in which policies stay above a threshold, jointly and by parameter.

    Args:
        world: where.
        policies: of one method, such as its seeds; their mean is what counts.
        domain: ``"training"``, the path of a TOML file, or a `Domain`; its range is scale 1.
        bisection: how. Each round draws fresh physics and fresh starts.
        watch: is told the number of each round, from 1.

    Raises:
        InvalidValue: without policies, or for a domain of one physics.
        PolicyError: if a policy does not fit the world.
        MissingExtra: if the engine is not installed.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
    """
    trials = Trials(bisection.episodes, bisection.seed, bisection.simulator, bisection.allow_dead)
    world, domain = prepared(world, policies, domain, trials)
    boxes = [domain.parameters, *({name: d} for name, d in domain.parameters.items() if _has_range(d))]
    spent = 0

    def measured(scales: Mapping[int, float], number: int) -> tuple[str, dict[int, Estimate]]:
        nonlocal spent
        variants = [
            Variant(str(k), "combined", {}, drawn=scaled_box(world, boxes[k], s)) for k, s in scales.items()
        ]
        seed = bisection.seed + number
        returns, success = tried(world, policies, variants, replace(trials, seed=seed), draws=seed)
        spent += returns.size
        watch(number)
        told, estimate = (returns, mean_return) if success is None else (success, success_rate)
        found = {k: estimate(told[:, i]) for i, k in enumerate(scales)}
        return "return" if success is None else "success", found

    measure, first = measured({0: 0.0}, 1)
    nominal, least = first[0], bisection.threshold
    if measure == "return":
        least = nominal.value - (1 - bisection.threshold) * abs(nominal.value)
    radii = [Radius(0.0, None, nominal) for _ in boxes]
    scales = dict.fromkeys(range(len(boxes)), 1.0)
    number = 1
    held = _ends(nominal)[0] >= least or measure == "return"
    while held and scales and number < bisection.halvings + 2:
        number += 1
        for k, estimate in measured(scales, number)[1].items():
            radii[k] = _narrowed(radii[k], scales[k], estimate, least)
        step = 0.5 ** (number - 1)
        scales = {
            k: s + step * (1 if radii[k].scale == s else -1) for k, s in scales.items() if radii[k].scale < 1
        }
    names = [next(iter(box)) for box in boxes[1:]]
    alone = dict(zip(names, radii[1:], strict=True))
    return RobustRadius(measure, least, nominal, radii[0], alone, spent)


def scaled_box(world: World, ranges: Mapping[str, Distribution], scale: float) -> Domain:
    """The box of a scale around nominal; whole numbers keep to those inside it."""
    return Domain({name: _scaled(name, d, world.nominal[name], scale) for name, d in ranges.items()})


def _scaled(name: str, distribution: Distribution, nominal: float, scale: float) -> Distribution:
    if not _has_range(distribution):
        return distribution
    low, high = distribution.support()
    if isinstance(distribution, Normal):
        low, high = map(float, distribution.quantile(np.array(CENTRAL)))
    low, high = min(low, nominal), max(high, nominal)
    if isinstance(distribution, LogUniform) and low > 0:
        logs = [math.log(nominal) + scale * (math.log(end) - math.log(nominal)) for end in (low, high)]
        ends = [min(max(math.exp(end), low), high) for end in logs]
    else:
        ends = [nominal + scale * (end - nominal) for end in (low, high)]
    if quantity_of(name).integer:
        ends = [math.ceil(ends[0] - 1e-9), math.floor(ends[1] + 1e-9)]
    if ends[0] >= ends[1]:
        return Point(nominal)
    return (LogUniform if isinstance(distribution, LogUniform) and low > 0 else Uniform)(*ends)


def _narrowed(radius: Radius, scale: float, estimate: Estimate, least: float) -> Radius:
    low, high = _ends(estimate)
    if low >= least:
        return Radius(scale, radius.fails, estimate)
    fails = radius.fails
    if high < least:
        fails = scale if fails is None else min(fails, scale)
    return Radius(radius.scale, fails, radius.measured)


def _ends(estimate: Estimate) -> tuple[float, float]:
    return estimate.interval or (-math.inf, math.inf)


def _has_range(distribution: Distribution) -> bool:
    low, high = distribution.support()
    return low < high
