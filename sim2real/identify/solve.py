"""Least squares on batched finite differences: Levenberg's steps of several lengths tried in one batch.

Each round costs one batch: the columns of the Jacobian, then steps under five dampings, whose best is taken.
Marquardt's damping (1963) on the diagonal; bounds by leaving out columns that push against them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.problem import Linear, Problem

FloatArray = NDArray[np.float64]

_DAMPINGS = np.array([1e-3, 1e-2, 1e-1, 1.0, 10.0])
_REACH = 0.25
"""Most that a step moves a parameter, as a share of its range."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a fit ended."""

    point: FloatArray
    cost: float
    rounds: int
    linear: Linear
    """At the point of the last linearization."""
    history: tuple[float, ...]


def cost_of(problem: Problem, rmse: FloatArray) -> FloatArray:
    """Mean over motions and joints of the RMSE. Shape (c,)."""
    return np.asarray(rmse.mean(axis=(1, 2)))


def prior_curvature(problem: Problem) -> FloatArray:
    """Curvature that priors add, in the unit cube, where the error's noise is 1. Shape (p,)."""
    return prior_terms(problem, problem.space.start)[0]


def prior_terms(problem: Problem, point: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Curvature and slope that the priors add, on the diagonal. Shapes (p,)."""
    curvature, slope = np.zeros((2, len(point)))
    for k, free in enumerate(problem.space.free):
        if free.prior is not None:
            mean, std = free.prior
            span = np.log(free.high / free.low) if free.log else free.high - free.low
            width = std / span
            curvature[k] = 1.0 / width**2
            slope[k] = (point[k] - float(free.unit(mean))) / width**2
    return curvature, slope


def steps(
    linear: Linear, point: FloatArray, prior: tuple[FloatArray, FloatArray], dampings: FloatArray
) -> FloatArray:
    """Points after a step under each damping. Shape (len(dampings), p)."""
    hessian = linear.curvature.sum(axis=0)
    slope = linear.slope.sum(axis=0)
    noise = float((linear.squares.sum() / max(linear.rows.sum(), 1)) ** 0.5) + 1e-12
    hessian = hessian + np.diag(prior[0]) * noise
    slope = slope + prior[1] * noise
    diagonal = np.diag(hessian).copy()
    diagonal = np.maximum(diagonal, 1e-6 * diagonal.max() + 1e-15)
    found = []
    for damping in dampings:
        free = ~(((point <= 0) & (slope > 0)) | ((point >= 1) & (slope < 0)))
        move = np.zeros_like(point)
        part = hessian[np.ix_(free, free)] + damping * np.diag(diagonal[free])
        move[free] = -np.linalg.solve(part, slope[free])
        move = np.clip(move, -_REACH, _REACH)
        found.append(np.clip(point + move, 0.0, 1.0))
    return np.array(found)


def least_squares(
    problem: Problem,
    start: FloatArray,
    rounds: int = 12,
    tolerance: float = 3e-3,
    watch: Callable[[int, float, FloatArray], None] = lambda *_: None,
) -> Fit:
    """Minimize the mean over motions of the mean over joints of the RMSE.

    Args:
        problem: what to fit.
        start: point of the unit cube. Shape (p,).
        rounds: at most.
        tolerance: relative gain of a round below which the fit ends.
        watch: called after each round with its number, the cost and the point.
    """
    point, damping, history = start.copy(), 1.0, []
    linear = problem.linearize(point)
    best = float(linear.rmse.mean())
    history.append(best)
    stalled = 0
    for number in range(rounds):
        candidates = steps(linear, point, prior_terms(problem, point), damping * _DAMPINGS)
        costs = cost_of(problem, problem.rmse(candidates))
        k = int(costs.argmin())
        gain = best - float(costs[k])
        if gain > 0:
            point, best = candidates[k], float(costs[k])
            damping = float(np.clip(damping * _DAMPINGS[k] * 3, 1e-4, 1e2))
        else:
            damping *= 30
        history.append(best)
        watch(number, best, point)
        stalled = stalled + 1 if gain < tolerance * best else 0
        if stalled >= 2 or (gain <= 0 and damping > 1e4):
            break
        if gain > 0:
            linear = problem.linearize(point)
    return Fit(point, best, number + 1, linear, tuple(history))
