"""Global search with CMA-ES (Hansen 2016; the package cmaes), where the landscape has many valleys.

One batch of simulations serves several searches at once: where each joint has a servo of its own, the
parameters of each joint are searched by that joint's error alone, and those that joints share by the error of
all. So thirty numbers cost as many generations as five.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import MissingExtra
from sim2real.identify.problem import Problem

FloatArray = NDArray[np.float64]


def search(
    problem: Problem,
    start: FloatArray,
    generations: int = 30,
    sigma: float = 0.2,
    seed: int = 0,
    watch: Callable[[int, float, FloatArray], None] = lambda *_: None,
) -> FloatArray:
    """The best point found from ``start``. Shape (p,).

    Raises:
        MissingExtra: if cmaes is not installed.
    """
    try:
        from cmaes import CMA
    except ImportError as error:
        raise MissingExtra("cmaes", "identify") from error
    blocks = _blocks(problem)
    size = problem.width
    searches = []
    for number, (columns, _) in enumerate(blocks):
        n = len(columns)
        bounds = np.tile([0.0, 1.0], (max(n, 2), 1))
        mean = np.clip(np.resize(start[columns], max(n, 2)), 0.02, 0.98)
        searches.append(CMA(mean=mean, sigma=sigma, bounds=bounds, seed=seed + number, population_size=size))
    best, best_cost = start.copy(), np.full(len(blocks), np.inf)
    for generation in range(generations):
        points = np.tile(best, (size, 1))
        asked = [[s.ask() for _ in range(size)] for s in searches]
        for (columns, _), xs in zip(blocks, asked, strict=True):
            points[:, columns] = np.array(xs)[:, : len(columns)]
        if generation == 0:
            points[0] = start
            for (columns, _), xs in zip(blocks, asked, strict=True):
                xs[0] = np.resize(start[columns], len(xs[0]))
        rmse = problem.rmse(points)
        for number, ((columns, joint), xs) in enumerate(zip(blocks, asked, strict=True)):
            costs = rmse.mean(axis=1).mean(axis=1) if joint is None else rmse[:, :, joint].mean(axis=1)
            searches[number].tell([(x, float(c)) for x, c in zip(xs, costs, strict=True)])
            k = int(costs.argmin())
            if costs[k] < best_cost[number]:
                best_cost[number] = costs[k]
                best[columns] = points[k, columns]
        watch(generation, float(best_cost.mean()), best)
    return best


def _blocks(problem: Problem) -> list[tuple[list[int], int | None]]:
    """Columns that are searched together, and the joint whose error judges them."""
    if not problem.decoupled:
        return [(list(range(len(problem.space.free))), None)]
    groups: dict[int | None, list[int]] = {}
    for column in range(len(problem.space.free)):
        groups.setdefault(problem.owner(column), []).append(column)
    return [(columns, joint) for joint, columns in groups.items()]
