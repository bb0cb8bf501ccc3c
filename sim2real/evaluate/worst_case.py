"""The worst physics of a domain, by adversarial search: CMA-ES (Hansen 2016) on what policies score least in.

A generation is one batch: all its physics × episodes are rows of one env, and every physics meets the same
starts. The first has corners of the domain, for the worst often is at an end of several ranges at once, and a
corner may be a valley of its own.

Such a minimum is biased, for the search picks what went badly by chance as well: the lowest few are tried
again on other starts, and the worst of them is measured on fresh episodes. Like every search it tells an
upper bound of the true minimum.

::

    found = worst_case(world, [policy], "training")
    found.returns                        # Estimate(value=212.4, interval=(205.1, 219.7), n=256)
    found.domain.save("worst.toml")      # sim2real evaluate POLICY --variants worst.toml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sim2real.distributions import Normal
from sim2real.domain import Domain
from sim2real.draws import checked_seed
from sim2real.errors import InvalidValue
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.fresh import CENTRAL
from sim2real.evaluate.outcomes import mean_return, prepared, success_rate, tried
from sim2real.evaluate.rollouts import SEED, Trials
from sim2real.evaluate.statistics import Array, Estimate
from sim2real.reach import check_reach
from sim2real.world import Variant, World

_SPREAD = 0.5
_SHORTLIST = 4


@dataclass(frozen=True)
class Search:
    """How the worst physics is looked for, and measured.

    Raises:
        InvalidValue: for a search that tries nothing, or an unknown measure.
    """

    generations: int = 12
    population: int | None = None
    """Physics per generation; by default 6 or more, by the number of parameters."""
    episodes: int = 16
    """Of each policy per physics while searching; the lowest few are tried on four times as many others."""
    fresh: int = 256
    """Episodes of each policy on the worst physics, which the search has not seen."""
    measure: Literal["return", "success"] = "return"
    """What is to be least."""
    seed: int = SEED
    simulator: str | None = None
    """Engine; MuJoCo by default, or the world's own."""
    allow_dead: bool = False
    """Whether to search ranges that change nothing."""

    def __post_init__(self) -> None:
        """Refuse what finds nothing."""
        check_reach(self, "whole [1, inf)", "generations", "episodes", "fresh")
        check_reach(self, "whole [4, inf)", "population")
        if self.measure not in ("return", "success"):
            raise InvalidValue(f"a search can't minimize {self.measure!r}; give 'return' or 'success'")
        checked_seed(self.seed)

    def trials(self, episodes: int, stage: int) -> Trials:
        """Episodes of a stage: 0 the search, 1 the second try, 2 the measurement; none shares a start."""
        return Trials(episodes, self.seed + stage, self.simulator, self.allow_dead)


@dataclass(frozen=True)
class WorstCase:
    """The worst physics that was found."""

    physics: Mapping[str, float]
    """By parameter name, in the parameters' units."""
    measure: str
    """What was minimized."""
    returns: Estimate
    """Mean return of the policies there from fresh episodes; the interval is about other starts."""
    success: Estimate | None
    """Success rate there; None where the env tells of no success."""
    lowest: float
    """Lowest mean that the search itself saw: biased downwards, for comparison."""
    searched: int
    """Rollouts that the search took, over all policies."""
    fresh: int
    """Rollouts of the measurement."""
    ranges: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Lower end of what was searched, nominal value and upper end, of each parameter."""

    @property
    def domain(self) -> Domain:
        """The physics as a domain of one point; its file is a variant of `sim2real evaluate`."""
        return Domain.point(self.physics)


def worst_case(
    world: World,
    policies: Sequence[Candidate],
    domain: str | Domain,
    search: Search = Search(),
    watch: Callable[[int, float], None] = lambda *_: None,
) -> WorstCase:
    """Look for the physics of a domain in which the policies score least on average.

    Args:
        world: where.
        policies: of one method, such as its seeds; their mean is minimized.
        domain: ``"training"``, the path of a TOML file, or a `Domain`. The search goes through its quantiles,
            so to the ends of ranges; whole numbers stay whole, a normal is searched between its 2.5 % and
            97.5 % quantiles, sample sets row by row.
        search: how.
        watch: is told the number of each generation, from 1, and the lowest mean so far.

    Raises:
        InvalidValue: without policies, for a domain of one physics, or if success is to be least in an env
            that tells of none.
        PolicyError: if a policy does not fit the world.
        MissingExtra: if the engine is not installed.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
    """
    from cmaes import CMA  # it imports much of scipy

    world, domain = prepared(world, policies, domain, search.trials(search.episodes, 0))
    free = [k for k, d in enumerate(domain.parameters.values()) if d.support()[0] < d.support()[1]]
    population = search.population or max(6, 4 + int(3 * np.log(len(free))))
    cma = CMA(np.full(len(free), 0.5), _SPREAD, population_size=population, seed=search.seed % 2**32)
    points: list[dict[str, float]] = []
    scores: list[float] = []
    rollouts = 0
    for generation in range(1, search.generations + 1):
        asked = np.clip([cma.ask() for _ in range(population)], 0.0, 1.0)
        if generation == 1:
            corners = _corners(len(free), population - 2, search.seed)
            asked[: len(corners)] = corners
        physics = _physics(domain, free, asked)
        told = _least(world, policies, physics, search, (search.episodes, 0))
        cma.tell([(point, float(score)) for point, score in zip(asked, told, strict=True)])
        points.extend(physics)
        scores.extend(map(float, told))
        rollouts += told.size * search.episodes * len(policies)
        watch(generation, float(min(scores)))
    shortlist = _lowest(points, scores)
    again = _least(world, policies, shortlist, search, (4 * search.episodes, 1))
    rollouts += again.size * 4 * search.episodes * len(policies)
    worst = shortlist[int(np.argmin(again))]
    returns, success = tried(world, policies, [_variant(worst)], search.trials(search.fresh, 2))
    return WorstCase(
        physics=worst,
        measure=search.measure,
        returns=mean_return(returns[:, 0]),
        success=None if success is None else success_rate(success[:, 0]),
        lowest=float(min(scores)),
        searched=rollouts,
        fresh=returns.size,
        ranges={
            name: (low, float(world.nominal[name]), high)
            for name, d in domain.parameters.items()
            for low, high in (d.support(),)
        },
    )


def _least(
    world: World,
    policies: Sequence[Candidate],
    physics: Sequence[Mapping[str, float]],
    search: Search,
    effort: tuple[int, int],
) -> Array:
    """Mean of what is to be least, for each physics; ``effort`` is episodes and stage."""
    returns, success = tried(world, policies, [_variant(p) for p in physics], search.trials(*effort))
    if search.measure == "return":
        return np.asarray(returns.mean(axis=(0, 2)))
    if success is None:
        raise InvalidValue("the env tells of no success; let the search minimize the return")
    return np.asarray(success.mean(axis=(0, 2)))


def _corners(count: int, most: int, seed: int) -> Array:
    """Corners of the unit cube, each beside the opposite one, so that both ends of all columns are there.

    Shape (at most ``most``, count); every corner once at most.
    """
    rng = np.random.default_rng(seed)
    found: dict[tuple[float, ...], None] = {}
    pairs = most // 2 if count > 62 else min(most // 2, 2 ** (count - 1))
    while len(found) < 2 * pairs:
        corner = rng.integers(0, 2, count).astype(float)
        found |= dict.fromkeys((tuple(corner), tuple(1 - corner)))
    return np.array(list(found)).reshape(-1, count)


def _physics(domain: Domain, free: Sequence[int], points: Array) -> list[dict[str, float]]:
    """Physics at points of the unit cube, shape (n, free), others at their median."""
    u = np.full((len(points), len(domain.names)), 0.5)
    u[:, free] = points
    for k, distribution in enumerate(domain.parameters.values()):
        if isinstance(distribution, Normal):
            u[:, k] = CENTRAL[0] + u[:, k] * (CENTRAL[1] - CENTRAL[0])
    return [dict(zip(domain.names, map(float, row), strict=True)) for row in domain.quantile(u)]


def _lowest(points: Sequence[dict[str, float]], scores: Sequence[float]) -> list[dict[str, float]]:
    """The lowest few that differ, lowest first."""
    ordered = [points[k] for k in np.argsort(scores, kind="stable")]
    unlike = {tuple(point.values()): point for point in reversed(ordered)}
    return [p for p in ordered if unlike[tuple(p.values())] is p][:_SHORTLIST]


def _variant(physics: Mapping[str, float]) -> Variant:
    return Variant("worst", "combined", physics)
