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
from sim2real.identify.problem import Linear

FloatArray = NDArray[np.float64]

_REACH = 0.15
"""How far a combination is moved, as a share of the range of the parameter that moves most."""
_HIDDEN = 0.02
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


def combinations(space: Space, linear: Linear, priors: FloatArray | None = None) -> list[Combination]:
    """All that the data cannot tell apart, worst first.

    Args:
        space: what is free.
        linear: the residual to first order at the fitted point.
        priors: curvature that priors add, in units of the weighted mean square error. Shape (p,).
    """
    hessian = linear.curvature.sum(axis=0)
    if priors is not None:
        hessian = hessian + np.diag(priors)
    base = float((linear.weight * linear.rmse**2).sum())
    found = []
    values, vectors = np.linalg.eigh(hessian)
    for value, vector in zip(values, vectors.T, strict=True):
        top = np.abs(vector).max()
        direction = vector / vector[np.abs(vector).argmax()]
        growth = float(max(value, 0.0) * (_REACH / top) ** 2 / base)
        if growth < _HIDDEN:
            found.append(_combination(space, direction, growth))
    return found


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
