"""Least squares on batched finite differences: Levenberg's steps of several lengths tried in one batch.

Each round costs one batch: the columns of the Jacobian, then steps under several dampings, whose best is
taken. Marquardt's damping (1963) on the diagonal; bounds by leaving out columns that push against them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.problem import Linear, Problem, RecordingProblem
from sim2real.identify.search import Found, Watch
from sim2real.identify.space import FloatArray

_DAMPINGS = np.array([1e-3, 1e-2, 1e-1, 1.0, 10.0])
_NOISY = 0.02
"""Least share of an error that is taken for more than noise."""
_SLOW = 0.1
"""Gain of a round of coarse differences, as `tolerance` of `least_squares`, below which finer ones follow."""
_REACH = 0.25
"""Most that a step moves a parameter, as a share of its range."""


def steps(linear: Linear, dampings: FloatArray, still: Collection[int]) -> FloatArray:
    """Points after a step under each damping of the columns, some of which stay. Shape as of dampings."""
    point, hessian, slope = linear.point, linear.hessian, linear.slope.sum(axis=0) + linear.pull
    diagonal = np.maximum(np.diag(hessian), 1e-6 * np.diag(hessian).max() + 1e-15)
    free = ~(((point <= 0) & (slope > 0)) | ((point >= 1) & (slope < 0)))
    free[list(still)] = False
    damped = hessian[np.ix_(free, free)] + np.eye(int(free.sum())) * (dampings * diagonal)[:, None, free]
    moves = np.clip(-np.linalg.solve(damped, slope[None, free, None])[..., 0], -_REACH, _REACH)
    found = np.tile(point, (len(dampings), 1))
    found[:, free] = np.clip(point[free] + moves, 0.0, 1.0)
    return found


def _candidates(linear: Linear, decoupled: bool, damping: FloatArray, still: Collection[int]) -> FloatArray:
    """Points that a round tries: under each damping, and for robots that touch things further ones.

    Where a foot lands a step earlier, the slope of a window is huge and means nothing. Such windows rule the
    curvature and make steps short; so longer ones are tried too, and those of the calmer windows alone.
    """
    candidates = steps(linear, np.multiply.outer(_DAMPINGS, damping), still)
    if decoupled:
        return candidates
    least = np.full((1, len(damping)), _DAMPINGS[0])
    calm = [steps(calmer(linear, share), least, still)[0] for share in (0.5, 0.75)]
    tried = ((candidates[0], [2.0, 4.0, 8.0]), *((step, [1.0, 2.0]) for step in calm))
    moves = np.vstack([np.multiply.outer(factors, step - linear.point) for step, factors in tried])
    further = np.clip(linear.point + np.clip(moves, -_REACH, _REACH), 0.0, 1.0)
    return np.vstack([candidates, further])


def calmer(linear: Linear, share: float) -> Linear:
    """A share of the blocks: without those of largest slopes, where something is struck early or late."""
    size = np.trace(linear.curvature, axis1=1, axis2=2)
    stays = size <= np.quantile(size, share)
    names = ("curvature", "slope", "noise", "squares", "rows", "motion")
    return dataclasses.replace(linear, **{name: getattr(linear, name)[stays] for name in names})


def least_squares(
    problem: Problem,
    start: FloatArray,
    rounds: int = 12,
    tolerance: float = 3e-3,
    watch: Watch = lambda *_: None,
    frozen: Sequence[int] = (),
) -> Found:
    """Minimize a problem's cost, joint by joint where joints stand alone: each ends when it gains no more.

    Args:
        problem: what to fit.
        start: point of the unit cube, shape (p,), or several, shape (s, p), of which each joint begins with
            the one that suits it.
        rounds: at most.
        tolerance: gain of a round, as a share of the error beside the sensors' noise, below which the fit
            ends, if that of the next is, too.
        watch: called after each round.
        frozen: columns that stay as they are.
    """
    blocks, still, starts = problem.own_blocks(), set(frozen), np.atleast_2d(start)
    point = starts[0].copy()
    shared = not {*range(len(point))} <= {*frozen, *itertools.chain(*blocks.values())}
    if len(starts) > 1:
        chosen, _ = _choice(problem, blocks, starts, np.full(len(blocks), np.inf), shared)
        point = starts[chosen, np.arange(len(point))]
    floor = problem.floor
    coarse = isinstance(problem, RecordingProblem) and not (problem.fast or problem.fine)
    damping, stalled = np.ones(len(point)), np.zeros(len(blocks), dtype=int)
    linear = problem.linearize(point, still=still)
    best = linear.costs
    for number in range(rounds):
        candidates = _candidates(linear, problem.decoupled, damping, still)
        chosen, costs = _choice(problem, blocks, candidates, best, shared)
        taken = chosen >= 0
        point = np.where(taken, candidates[chosen, np.arange(len(point))], point)
        factor = 3 * _DAMPINGS[np.where(chosen < len(_DAMPINGS), chosen, 0)]
        damping = damping * np.where(taken, factor, 30.0)
        damping = np.where(taken, np.clip(damping, 1e-4, 1e2), damping)
        left = np.maximum(costs - floor, _NOISY * costs)
        stalled = np.where(best - costs < tolerance * left, stalled + 1, 0)
        slow = coarse and bool((best - costs < _SLOW * left).all())
        best = costs
        watch(number, float(best.mean()))
        pairs = zip(blocks.values(), stalled >= 2, strict=True)
        done = [columns for columns, over in pairs if over or (damping[columns] > 1e4).all()]
        if number + 1 == rounds or (len(done) == len(blocks) and not slow):
            break
        if slow:  # differences that reach over kinks are too long for the end of a narrow valley
            problem, coarse, done = dataclasses.replace(problem, fine=True), False, []
            damping, stalled = np.ones(len(point)), np.zeros(len(blocks), dtype=int)
        still = {*frozen, *itertools.chain(*done)}
        if slow or taken.any():
            linear = problem.linearize(point, still=still)
    return Found(point, float(best.mean()))


def _choice(
    problem: Problem,
    blocks: Mapping[int | None, list[int]],
    candidates: FloatArray,
    best: FloatArray,
    shared: bool,
) -> tuple[NDArray[np.intp], FloatArray]:
    """Of which candidate each column is taken, -1 if of none, and what every block then costs.

    Blocks choose for themselves; where they share columns, a mixture is taken only if it is better than every
    candidate, and either only if it is better than what was there.
    """
    costs = problem.block_costs(candidates, blocks)
    choices, least, whole = costs.argmin(axis=0), costs.min(axis=0), int(costs.mean(axis=1).argmin())
    if not shared:
        choices, least = np.where(least < best, choices, -1), np.minimum(least, best)
    chosen = np.full(candidates.shape[1], whole if shared else -1)
    for columns, k in zip(blocks.values(), choices, strict=True):
        chosen[columns] = k
    if shared:
        mixed = candidates[chosen, np.arange(len(chosen))]
        least = problem.block_costs(mixed[None], blocks)[0]
        if costs[whole].mean() <= least.mean():
            chosen[:], least = whole, costs[whole]
        if least.mean() >= best.mean():
            chosen[:], least = -1, best
    return chosen, least


_MOST_MOVES, _ROUNDS = 4, 4
_AS_GOOD = 1.01  # times the error of the best fraction, beside noise: then no other whole number is tried


def settle_integers(
    problem: RecordingProblem, point: FloatArray, watch: Watch = lambda *_: None
) -> FloatArray:
    """The point with whole latencies, as an engine has them, and the rest fitted to those.

    From the nearest whole numbers on, one less and one more are tried until neither is better; joint by joint
    where joints stand alone.
    """
    whole = problem.space.late()
    tried: set[tuple[float, ...]] = set()

    def fitted(start: FloatArray, side: int, active: Collection[int]) -> FloatArray:
        moved = problem.space.rounded(start, active, side)
        if tuple(moved[whole]) in tried:
            return start
        tried.add(tuple(moved[whole]))
        frozen = [k for k in range(len(start)) if k in whole or k not in active]
        return least_squares(problem, moved, rounds=_ROUNDS, watch=watch, frozen=frozen).point

    active, owners = set(range(len(point))), {problem.owners[k] for k in whole}
    blocks = {owner: columns for owner, columns in problem.blocks().items() if owner in owners}
    if None in owners:  # judged by all, and all columns follow
        blocks = {None: [*active]}
    best = fitted(point, 0, active)
    before, costs = problem.block_costs(np.stack([point, best]), blocks)
    floor = problem.floor
    own, others = (max(float(cost.mean()) ** 2 - floor**2, 0.0) for cost in (costs, before))
    if 0.0 < own <= others * _AS_GOOD**2:
        return best
    for _ in range(_MOST_MOVES):
        better, moving = best.copy(), set()
        for side in (-1, 1):
            candidate = fitted(best, side, active)
            found = problem.block_costs(candidate[None], blocks)[0]
            for b, columns in enumerate(blocks.values()):
                if active.issuperset(columns) and found[b] < costs[b]:
                    better[columns], costs[b] = candidate[columns], found[b]
                    moving.update(columns)
        if not moving:
            break
        best, active = better, moving
    return best
