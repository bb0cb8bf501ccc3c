"""Least squares on batched finite differences: Levenberg's steps of several lengths tried in one batch.

Each round costs one batch: the columns of the Jacobian, then steps under several dampings, whose best is
taken. Marquardt's damping (1963) on the diagonal; bounds by leaving out columns that push against them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.identify.problem import Linear, Problem, RecordingProblem
from sim2real.identify.search import Watch
from sim2real.identify.space import FloatArray

_DAMPINGS = np.array([1e-3, 1e-2, 1e-1, 1.0, 10.0])
_REACH = 0.25
"""Most that a step moves a parameter, as a share of its range."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a fit ended."""

    point: FloatArray
    cost: float


def prior_curvature(problem: Problem, linear: Linear) -> FloatArray:
    """What priors add to the curvature of the cost, in its unit: each weighs as one joint of one motion."""
    return _prior_terms(problem, linear, linear.point)[0]


def _prior_terms(problem: Problem, linear: Linear, point: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Curvature and slope that the priors add, on the diagonal. Shapes (p,)."""
    # what a prior of standard deviation 1 weighs beside the data, so that both are in the same unit
    weight = float((linear.squares.sum() / max(linear.rows.sum(), 1)) ** 0.5) + 1e-12
    curvature, slope = np.zeros((2, len(point)))
    for k, free in enumerate(problem.space.free):
        if free.prior is not None:
            mean, std = free.prior
            curvature[k] = weight * (free.span / std) ** 2
            slope[k] = curvature[k] * (point[k] - float(free.unit(mean)))
    return curvature, slope


def _steps(
    problem: Problem, linear: Linear, point: FloatArray, dampings: FloatArray, frozen: Sequence[int]
) -> FloatArray:
    """Points after a step under each damping; frozen columns stay. Shape (len(dampings), p)."""
    prior = _prior_terms(problem, linear, point)
    hessian = linear.curvature.sum(axis=0) + np.diag(prior[0])
    slope = linear.slope.sum(axis=0) + prior[1]
    diagonal = np.maximum(np.diag(hessian), 1e-6 * np.diag(hessian).max() + 1e-15)
    free = ~(((point <= 0) & (slope > 0)) | ((point >= 1) & (slope < 0)))
    free[list(frozen)] = False
    found = np.tile(point, (len(dampings), 1))
    for row, damping in enumerate(dampings):
        part = hessian[np.ix_(free, free)] + damping * np.diag(diagonal[free])
        move = np.clip(-np.linalg.solve(part, slope[free]), -_REACH, _REACH)
        found[row, free] = np.clip(point[free] + move, 0.0, 1.0)
    return found


def _candidates(
    problem: Problem, linear: Linear, point: FloatArray, damping: float, frozen: Sequence[int]
) -> FloatArray:
    """Points that a round tries: under each damping, and for robots that touch things further ones.

    Where a foot lands a step earlier, the slope of a window is huge and means nothing. Such windows rule the
    curvature and make steps short; so longer ones are tried too, and those of the calmer windows alone.
    """
    candidates = _steps(problem, linear, point, damping * _DAMPINGS, frozen)
    if problem.decoupled:
        return candidates
    found = [candidates, _stretched(point, candidates[0], (2.0, 4.0, 8.0))]
    for share in (0.5, 0.75):
        step = _steps(problem, calmer(linear, share), point, _DAMPINGS[:1], frozen)[0]
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
    watch: Watch = lambda *_: None,
    frozen: Sequence[int] = (),
) -> Fit:
    """Minimize a problem's cost.

    Args:
        problem: what to fit.
        start: point of the unit cube. Shape (p,).
        rounds: at most.
        tolerance: relative gain of a round below which the fit ends, if that of the next is, too.
        watch: called after each round.
        frozen: columns that stay as they are.
    """
    point, damping, stalled = start.copy(), 1.0, 0
    linear = problem.linearize(point)
    best = linear.cost
    for number in range(rounds):
        candidates = _candidates(problem, linear, point, damping, frozen)
        costs = problem.cost(candidates)
        k = int(costs.argmin())
        gain = best - float(costs[k])
        if gain > 0:
            point, best = candidates[k], float(costs[k])
            damping = float(np.clip(damping * _DAMPINGS[min(k, 5) % 5] * 3, 1e-4, 1e2))
        else:
            damping *= 30
        watch(number, best)
        stalled = stalled + 1 if gain < tolerance * best else 0
        if stalled >= 2 or (gain <= 0 and damping > 1e4):
            break
        if gain > 0 and number + 1 < rounds:
            linear = problem.linearize(point)
    return Fit(point, best)


_MOST_MOVES, _ROUNDS = 4, 4
_AS_GOOD = 1.01  # times the error of the best fraction: then no other whole number is tried


def settle_integers(
    problem: RecordingProblem, point: FloatArray, watch: Watch = lambda *_: None
) -> FloatArray:
    """The point with whole latencies, as an engine has them, and the rest fitted to those.

    From the nearest whole numbers on, one less and one more are tried until neither is better; joint by joint
    where joints are decoupled.
    """
    whole = [k for k, f in enumerate(problem.space.free) if f.quantity == "latency"]
    tried: set[tuple[float, ...]] = set()

    def fitted(start: FloatArray, side: int) -> FloatArray:
        moved = _moved(problem, start, whole, side)
        if tuple(moved[whole]) in tried:
            return start
        tried.add(tuple(moved[whole]))
        return least_squares(problem, moved, rounds=_ROUNDS, watch=watch, frozen=whole).point

    if not whole:
        return point
    best = fitted(point, 0)
    before, errors = (rmse.copy() for rmse in problem.rmse(np.stack([point, best])))
    if errors.mean() <= before.mean() * _AS_GOOD:
        return best
    for _ in range(_MOST_MOVES):
        better = best.copy()
        for side in (-1, 1):
            candidate = fitted(best, side)
            error = problem.rmse(candidate[None])[0]
            for columns, of_joint in _together(problem, whole):
                if error[:, of_joint].mean() < errors[:, of_joint].mean():
                    better[columns] = candidate[columns]
                    errors[:, of_joint] = error[:, of_joint]
        if np.array_equal(better, best):
            break
        best = better
    return best


def _moved(problem: RecordingProblem, point: FloatArray, whole: Sequence[int], side: int) -> FloatArray:
    """The point with its nearest whole numbers, and some steps to a side."""
    moved = point.copy()
    for k in whole:
        free = problem.space.free[k]
        steps = min(max(round(float(free.value(point[k]))) + side, np.ceil(free.low)), np.floor(free.high))
        moved[k] = float(free.unit(float(steps)))
    return moved


def _together(problem: RecordingProblem, whole: Sequence[int]) -> list[tuple[list[int], slice]]:
    """Columns that follow a latency, and the joints whose error judges them."""
    owners, columns = [problem.owner(k) for k in whole], range(len(problem.space.free))
    found = [
        ([k for k in columns if problem.owner(k) == joint], slice(joint, joint + 1))
        for joint in owners
        if joint is not None and problem.decoupled
    ]
    return found if len(found) == len(owners) else [(list(columns), slice(None))]
