"""Global search with CMA-ES (Hansen 2016; the package cmaes), where the landscape has many valleys.

One batch of simulations serves several searches at once: where each joint has a servo of its own, the
parameters of each joint are searched by that joint's error alone, and those that joints share by the error of
all. So thirty numbers cost as many generations as five. Whole numbers are searched together with fractions:
CMA-ES with margin (Hamano et al. 2022) keeps every one in reach until the evidence is clear.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.identify.problem import Problem
from sim2real.identify.space import FloatArray
from sim2real.reach import check_reach

Loss = Callable[[FloatArray], FloatArray]
"""From points of the unit cube, shape (n, p), to what is to be small, infinite where impossible: one number a
point, or one for each of several blocks of columns, shape (n, blocks)."""
Watch = Callable[[int, float], None]
"""Is told the number of every round and the best cost so far."""

_ADVICE = "narrow the ranges or check the data"


@dataclass(frozen=True)
class SearchSettings:
    """How a space is searched.

    Raises:
        InvalidValue: for less than one generation, a population below 4, or another number out of reach.
    """

    generations: int = 60
    population: int = 16
    tolerance: float = 1e-3
    """The search ends early when no coordinate's spread is above this."""
    spread: float = 0.25
    """Standard deviation of the first generation."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a search that finds nothing."""
        check_reach(self, "whole [1, inf)", "generations")
        check_reach(self, "whole [4, inf)", "population")
        check_reach(self, "whole [0, inf)", "seed")
        check_reach(self, "[0, inf)", "tolerance")
        check_reach(self, "[1e-6, 1]", "spread")


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a search, or of a descent."""

    point: FloatArray
    """Best point of the unit cube. Shape (p,)."""
    cost: float
    """Mean over blocks."""
    evaluations: int = 0


def minimize(
    loss: Loss,
    start: FloatArray,
    steps: FloatArray,
    settings: SearchSettings,
    blocks: Sequence[Sequence[int]] | None = None,
    watch: Watch = lambda *_: None,
) -> Found:
    """Search the unit cube for the smallest loss.

    Args:
        loss: of a population at once; a candidate that is not finite counts as the worst of its generation.
        start: where the search begins. Shape (p,).
        steps: distance of neighbouring whole numbers, 0 for fractions. Shape (p,).
        settings: how.
        blocks: columns that are searched together, each block by its own loss; by default all by one.
        watch: called after every generation.

    Raises:
        InvalidValue: if no candidate had a finite loss.
    """
    from cmaes import CMAwM  # it imports much of scipy

    blocks = [list(block) for block in blocks or [range(len(start))]]
    searches = [
        CMAwM(
            np.clip(start[block], 0.02, 0.98),
            settings.spread,
            np.repeat([[0.0, 1.0]], len(block), axis=0),
            steps[block],
            population_size=settings.population,
            seed=(settings.seed + number) % 2**32,
        )
        for number, block in enumerate(blocks)
    ]
    best, least = np.array(start, dtype=np.float64), np.full(len(blocks), np.inf)
    evaluations = 0
    for generation in range(settings.generations):
        asked = [[search.ask() for _ in range(settings.population)] for search in searches]
        points = np.tile(best, (settings.population, 1))
        for block, pairs in zip(blocks, asked, strict=True):
            if generation == 0:
                pairs[0] = start[block], start[block]
            points[:, block] = np.clip([evaluated for evaluated, _ in pairs], 0.0, 1.0)
        losses = loss(points).reshape(len(points), -1)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        evaluations += len(points)
        for number, (block, pairs) in enumerate(zip(blocks, asked, strict=True)):
            column = losses[:, number]
            k = int(column.argmin())
            if column[k] < least[number]:
                best[block], least[number] = points[k, block], column[k]
            searches[number].tell([(x, float(c)) for (_, x), c in zip(pairs, column, strict=True)])
        watch(generation, float(least.mean()))
        if points.std(axis=0).max() < settings.tolerance:
            break
    if not np.isfinite(least).all():
        raise InvalidValue(f"all {evaluations} candidates diverged or predicted nothing; {_ADVICE}")
    return Found(best, float(least.mean()), evaluations)


def search(
    problem: Problem, start: FloatArray, settings: SearchSettings, watch: Watch = lambda *_: None
) -> Found:
    """Search a problem's space, joint by joint where joints stand alone; see `minimize`.

    Raises:
        InvalidValue: if every simulation diverged.
    """
    blocks = problem.blocks()

    def loss(points: FloatArray) -> FloatArray:
        return problem.block_costs(points, blocks)

    before, tally = dataclasses.replace(problem.tally), problem.tally
    found = minimize(loss, start, problem.space.steps, settings, list(blocks.values()), watch)
    count = tally.simulations - before.simulations
    if tally.diverged - before.diverged >= count:
        raise InvalidValue(f"all {count} simulations diverged; {_ADVICE}")
    return found
