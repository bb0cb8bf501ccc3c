"""What the data cannot tell apart, in words.

The curvature of the residual, each column as a share of its parameter's range, has directions along which the
prediction hardly changes. Moving along one by a good part of the range and seeing no more error than the
noise hides: that combination is not identifiable, whatever an optimizer returns for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.free import Space
from sim2real.identify.problem import Linear, Problem

FloatArray = NDArray[np.float64]

_REACH = 0.15
"""How far a combination is moved, as a share of the range of the parameter that moves most."""
HIDDEN = 0.03
"""Relative growth of the mean square error that nobody would notice."""
_PART = 0.2  # share of the largest entry from which on a parameter belongs to a combination


@dataclass(frozen=True, eq=False)
class Combination:
    """A direction that the data say little or nothing about."""

    names: tuple[str, ...]
    """Parameters that move together, the one that moves most first."""
    direction: FloatArray
    """In the unit cube, its largest entry 1. Shape (p,)."""
    growth: float
    """Relative growth of the mean square error when moved by `_REACH` of the range."""
    text: str


def combinations(problem: Problem, linear: Linear, priors: FloatArray | None = None) -> list[Combination]:
    """All that the data cannot tell apart, worst first: what leaves no trace at all, then what goes together.

    Args:
        problem: what is free, and which joint each parameter is about.
        linear: the residual to first order at the fitted point, from central differences.
        priors: curvature that priors add, in units of the weighted mean square error. Shape (p,).
    """
    space = problem.space
    hessian = linear.curvature.sum(axis=0) + np.diag(np.zeros(len(space.free)) if priors is None else priors)
    errors = (linear.weight * linear.rmse**2).sum(axis=0)
    found, seen = [], []
    for k in range(len(space.free)):
        growth = float(hessian[k, k]) * _REACH**2 / _base(problem, errors, [k])
        if growth < HIDDEN:
            direction = np.zeros(len(space.free))
            direction[k] = 1.0
            found.append(_combination(space, direction, growth))
        else:
            seen.append(k)
    found.sort(key=lambda combination: combination.growth)
    values, vectors = np.linalg.eigh(hessian[np.ix_(seen, seen)])
    for value, vector in zip(values, vectors.T, strict=True):
        direction = np.zeros(len(space.free))
        direction[seen] = vector / vector[np.abs(vector).argmax()]
        members = np.flatnonzero(np.abs(direction) >= _PART).tolist()
        growth = float(max(value, 0.0) / (vector**2).max()) * _REACH**2 / _base(problem, errors, members)
        if growth < HIDDEN:
            found.append(_combination(space, direction, growth))
    return _without_repeats(found)


def traceless(problem: Problem, linear: Linear) -> list[str]:
    """Parameters of which these recordings show nothing."""
    errors = (linear.weight * linear.rmse**2).sum(axis=0)
    diagonal = np.diag(linear.curvature.sum(axis=0)) * _REACH**2
    shares = [diagonal[k] / _base(problem, errors, [k]) for k in range(len(diagonal))]
    return [f.name for f, share in zip(problem.space.free, shares, strict=True) if share < HIDDEN]


def _base(problem: Problem, errors: FloatArray, members: list[int]) -> float:
    """Weighted mean square error of the joints that the members are about."""
    owners = [problem.owner(k) if problem.decoupled else None for k in members]
    joints = [owner for owner in owners if owner is not None]
    total = errors.sum() if len(joints) < len(owners) else errors[sorted(set(joints))].sum()
    return max(float(total), 1e-30)


def _without_repeats(found: list[Combination]) -> list[Combination]:
    """The first of several combinations of the same parameters."""
    first: dict[frozenset[str], Combination] = {}
    for combination in found:
        first.setdefault(frozenset(combination.names), combination)
    return list(first.values())


def _combination(space: Space, direction: FloatArray, growth: float) -> Combination:
    order = np.argsort(-np.abs(direction))
    members = [int(k) for k in order if abs(direction[k]) >= _PART]
    names = tuple(space.free[k].name for k in members)
    return Combination(names, direction, growth, _words(space, members, direction))


def _words(space: Space, members: list[int], direction: FloatArray) -> str:
    free = [space.free[k] for k in members]
    if len(free) == 1:
        return f"{free[0].name} leaves no trace in these recordings"
    elements = {f.elements[0] if len(f.elements) == 1 else f.name for f in free}
    same_sign = len({bool(direction[k] > 0) for k in members}) == 1
    where = f" of {next(iter(elements))}" if len(elements) == 1 else ""
    listed = ", ".join(f.quantity if where else f.name for f in free)
    if where and same_sign and all(f.log for f in free):
        return f"only the ratios of {listed}{where} can be told, not their scale"
    if len(free) == 2:
        first, second = (f.quantity if where else f.name for f in free)
        return f"{first} and {second}{where} are one column"
    return f"{listed}{where} can only be told together"
