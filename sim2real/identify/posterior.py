"""The domain that a fit hands on: normals about the fitted point that go together as the data say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sim2real.distributions import Distribution, Normal, Point
from sim2real.domain import Correlation, Domain
from sim2real.identify.problem import Linear
from sim2real.identify.space import FloatArray, FreeParameter
from sim2real.identify.uncertainty import MOST_STD

_CERTAIN = 0.25  # steps; a whole number that is known to less is known


def make_domain(
    free: Sequence[FreeParameter],
    point: FloatArray,
    draws: FloatArray,
    widening: float,
    fixed: Mapping[str, float],
) -> Domain:
    """A normal about the fitted point with the spread of the draws; what was fixed stays a point.

    So does a whole number that is certain.

    Args:
        free: of the columns.
        point: fitted, in the unit cube. Shape (p,).
        draws: refitted points. Shape (n, p).
        widening: factor on the spread, at least 1; see `widening_of`.
        fixed: values that differ from the world's nominal ones.
    """
    centred = (draws - point) * widening
    std = np.minimum(np.sqrt((centred**2).mean(axis=0)), MOST_STD)
    parameters: dict[str, Distribution] = {name: Point(value) for name, value in fixed.items()}
    for f, at, width in zip(free, map(float, point), map(float, std), strict=True):
        value = float(f.value(at))
        parameters[f.name] = Point(value)
        if not f.integer or width * f.span >= _CERTAIN:
            continuous = FreeParameter(f.name, f.low, f.high, f.start, f.log, f.elements)
            below, above = continuous.value(np.clip([at - width, at + width], 0.0, 1.0))
            half = max(0.5 * float(above - below), 1e-9 * max(abs(value), 1.0))
            parameters[f.name] = Normal(value, half, f.low, f.high)
        element, _, quantity = f.name.rpartition(".")
        if quantity == "stribeck":  # the shape that replays have, whatever the world's own is
            parameters[f"{element}.stribeck_exponent"] = Point(1.0)
    columns = [k for k, f in enumerate(free) if isinstance(parameters[f.name], Normal)]
    if len(columns) < 2:
        return Domain(parameters)
    names = tuple(free[k].name for k in columns)
    return Domain(parameters, Correlation.of(names, centred[:, columns].T @ centred[:, columns]))


def widening_of(held: float, draws: FloatArray, linear: Linear) -> float:
    """How much wider the spread must be so that its predictions miss by as much as the held-out error.

    A model that lacks something is certain of the wrong values; what it gets wrong says how wrong.

    Args:
        held: mean square error on held-out data.
        draws: the spread. Shape (n, p).
        linear: what it would change in the prediction.
    """
    centred, curvature = draws - linear.point, linear.curvature.sum(axis=0)
    scatter = float(np.einsum("np,pq,nq->n", centred, curvature, centred).mean())
    return max(1.0, math.sqrt(held / max(scatter, 1e-30)))


def joined(one: Domain, other: Domain) -> Domain:
    """Both domains as one, independent of each other."""
    parameters = {**one.parameters, **other.parameters}
    blocks = [domain.correlation for domain in (one, other) if domain.correlation is not None]
    if not blocks:
        return Domain(parameters)
    names = tuple(name for block in blocks for name in block.names)
    matrix, start = np.zeros((len(names), len(names))), 0
    for block in blocks:
        end = start + len(block.names)
        matrix[start:end, start:end] = block.matrix
        start = end
    return Domain(parameters, Correlation(names, tuple(tuple(row) for row in matrix.tolist())))
