"""Least squares on batched finite differences: Levenberg's steps of several lengths tried in one batch.

Each round costs one batch: the columns of the Jacobian, then steps under five dampings, whose best is taken.
Marquardt's damping (1963) on the diagonal; bounds by leaving out columns that push against them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
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


def _cost_of(problem: Problem, rmse: FloatArray) -> FloatArray:
    """Mean over motions and joints of the RMSE. Shape (c,)."""
    return np.asarray(rmse.mean(axis=(1, 2)))


def _prior_terms(problem: Problem, point: FloatArray) -> tuple[FloatArray, FloatArray]:
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


def prior_curvature(problem: Problem, point: FloatArray, linear: Linear) -> FloatArray:
    """What priors add to the curvature of the cost, in its unit: each weighs as one joint of one motion."""
    return np.asarray(_prior_terms(problem, point)[0] * _noise(linear))


def _noise(linear: Linear) -> float:
    """What a prior of standard deviation 1 weighs beside the data, so that both are in the same unit."""
    return float((linear.squares.sum() / max(linear.rows.sum(), 1)) ** 0.5) + 1e-12


def _steps(
    linear: Linear,
    point: FloatArray,
    prior: tuple[FloatArray, FloatArray],
    dampings: FloatArray,
    frozen: Sequence[int] = (),
) -> FloatArray:
    """Points after a step under each damping; frozen columns stay. Shape (len(dampings), p)."""
    hessian = linear.curvature.sum(axis=0)
    slope = linear.slope.sum(axis=0)
    noise = _noise(linear)
    hessian = hessian + np.diag(prior[0]) * noise
    slope = slope + prior[1] * noise
    diagonal = np.diag(hessian).copy()
    diagonal = np.maximum(diagonal, 1e-6 * diagonal.max() + 1e-15)
    found = []
    for damping in dampings:
        free = ~(((point <= 0) & (slope > 0)) | ((point >= 1) & (slope < 0)))
        free[list(frozen)] = False
        move = np.zeros_like(point)
        part = hessian[np.ix_(free, free)] + damping * np.diag(diagonal[free])
        move[free] = -np.linalg.solve(part, slope[free])
        move = np.clip(move, -_REACH, _REACH)
        found.append(np.clip(point + move, 0.0, 1.0))
    return np.array(found)


def _candidates(
    problem: Problem, linear: Linear, point: FloatArray, damping: float, frozen: Sequence[int]
) -> FloatArray:
    """Points that a round tries: under each damping, and for robots that touch things further ones.

    Where a foot lands a step earlier, the slope of a window is huge and means nothing. Such windows rule the
    curvature and make steps short; so longer ones are tried too, and those of the calmer windows alone.
    """
    prior = _prior_terms(problem, point)
    candidates = _steps(linear, point, prior, damping * _DAMPINGS, frozen)
    if problem.decoupled:
        return candidates
    found = [candidates, _stretched(point, candidates[0], (2.0, 4.0, 8.0))]
    for share in (0.5, 0.75):
        step = _steps(calmer(linear, share), point, prior, _DAMPINGS[:1], frozen)[0]
        found.append(_stretched(point, step, (1.0, 2.0)))
    return np.vstack(found)


def calmer(linear: Linear, share: float) -> Linear:
    """Without the blocks of largest slopes, those in which something is struck a step earlier or later.

    Args:
        linear: of all blocks.
        share: of the blocks that stay.
    """
    size = np.trace(linear.curvature, axis1=1, axis2=2)
    stays = size <= np.quantile(size, share)
    names = ("curvature", "slope", "noise", "squares", "rows", "motion")
    return dataclasses.replace(linear, **{name: getattr(linear, name)[stays] for name in names})


def _stretched(point: FloatArray, candidate: FloatArray, factors: Sequence[float]) -> FloatArray:
    """Points along a step. Shape (len(factors), p)."""
    moves = np.clip(np.multiply.outer(factors, candidate - point), -_REACH, _REACH)
    return np.asarray(np.clip(point + moves, 0.0, 1.0))


def least_squares(
    problem: Problem,
    start: FloatArray,
    rounds: int = 12,
    tolerance: float = 3e-3,
    watch: Callable[[int, float, FloatArray], None] = lambda *_: None,
    frozen: Sequence[int] = (),
) -> Fit:
    """Minimize the mean over motions of the mean over joints of the RMSE.

    Args:
        problem: what to fit.
        start: point of the unit cube. Shape (p,).
        rounds: at most.
        tolerance: relative gain of a round below which the fit ends.
        watch: called after each round with its number, the cost and the point.
        frozen: columns that stay as they are.
    """
    point, damping, history = start.copy(), 1.0, []
    linear = problem.linearize(point)
    best = float(linear.rmse.mean())
    history.append(best)
    stalled = 0
    for number in range(rounds):
        candidates = _candidates(problem, linear, point, damping, frozen)
        costs = _cost_of(problem, problem.rmse(candidates))
        k = int(costs.argmin())
        gain = best - float(costs[k])
        if gain > 0:
            point, best = candidates[k], float(costs[k])
            damping = float(np.clip(damping * _DAMPINGS[min(k, 5) % 5] * 3, 1e-4, 1e2))
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


def follow(problem: Problem, point: FloatArray, held: Sequence[int]) -> FloatArray:
    """RMSE once the columns that are not held have followed by a round of steps. Shape (motions, k)."""
    linear = problem.linearize(point)
    tried = problem.rmse(_candidates(problem, linear, point, 1.0, held))
    rmse = np.concatenate([linear.rmse[None], tried])
    if not problem.decoupled:
        return np.asarray(rmse[int(_cost_of(problem, rmse).argmin())])
    best = rmse.mean(axis=1).argmin(axis=0)
    return np.stack([rmse[k, :, joint] for joint, k in enumerate(best)], axis=1)


def settle_integers(
    problem: Problem,
    point: FloatArray,
    watch: Callable[[int, float, FloatArray], None] = lambda *_: None,
) -> FloatArray:
    """The point with whole latencies, as an engine has them, and the rest fitted to those.

    From the nearest whole numbers on, one less and one more are tried until neither is better; joint by joint
    where joints are decoupled.
    """
    whole = [k for k, f in enumerate(problem.space.free) if f.quantity == "latency"]
    if not whole:
        return point
    best = _fitted_to(problem, _moved(problem, point, whole, 0), whole, watch)
    before, errors = (rmse.copy() for rmse in problem.rmse(np.stack([point, best])))
    if errors.mean() <= before.mean() * _AS_GOOD:
        return best
    tried: set[tuple[float, ...]] = set()
    for _ in range(_MOST_MOVES):
        better = best.copy()
        for side in (-1, 1):
            moved = _moved(problem, best, whole, side)
            if tuple(moved[whole]) in tried:
                continue
            tried.add(tuple(moved[whole]))
            candidate = _fitted_to(problem, moved, whole, watch)
            error = problem.rmse(candidate[None])[0]
            for columns, joint in _together(problem, whole):
                gained = _share(error, joint) < _share(errors, joint)
                if gained:
                    better[columns] = candidate[columns]
                    errors[:, slice(None) if joint is None else joint] = error[
                        :, slice(None) if joint is None else joint
                    ]
        if np.array_equal(better, best):
            break
        best = better
    return best


_MOST_MOVES = 4
_AS_GOOD = 1.01  # times the error of the best fraction: then no other whole number is tried


def _moved(problem: Problem, point: FloatArray, whole: Sequence[int], side: int) -> FloatArray:
    moved = point.copy()
    for k in whole:
        free = problem.space.free[k]
        steps = min(max(round(float(free.value(point[k]))) + side, np.ceil(free.low)), np.floor(free.high))
        moved[k] = float(free.unit(float(steps)))
    return moved


def _fitted_to(
    problem: Problem,
    point: FloatArray,
    whole: Sequence[int],
    watch: Callable[[int, float, FloatArray], None],
) -> FloatArray:
    return least_squares(problem, point, rounds=_INTEGER_ROUNDS, watch=watch, frozen=whole).point


_INTEGER_ROUNDS = 4


def _together(problem: Problem, whole: Sequence[int]) -> list[tuple[list[int], int | None]]:
    """Columns that follow a latency, and the joint whose error judges it."""
    owners = [problem.owner(k) for k in whole]
    if not problem.decoupled or None in owners:
        return [(list(range(len(problem.space.free))), None)]
    columns = range(len(problem.space.free))
    return [([k for k in columns if problem.owner(k) == joint], joint) for joint in owners]


def _share(errors: FloatArray, joint: int | None) -> float:
    return float(errors.mean() if joint is None else errors[:, joint].mean())
