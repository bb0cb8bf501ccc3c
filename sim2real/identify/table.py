"""A table as part of a result: its values with intervals, its share of the domain.

Its interval counts three things: which blocks of time were recorded, what is not known of the joints that
press on it, and what each recording alone would have said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.domain import Correlation, Domain
from sim2real.identify.conditioning import Combination, combinations
from sim2real.identify.estimates import estimates_of
from sim2real.identify.free import Space, free_parameters
from sim2real.identify.plane import plane_parameters
from sim2real.identify.problem import Linear, Problem
from sim2real.identify.result import Estimate, make_domain, widening_of
from sim2real.identify.table_rung import TableRung, physics_at, settle_plane
from sim2real.identify.uncertainty import Spread, bootstrap
from sim2real.opening import opened

FloatArray = NDArray[np.float64]
Values = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is part of a result."""

    first: Values
    """As the recordings show it that were fitted first; empty if those touch nothing."""
    values: Values
    """As all of them do."""
    estimates: tuple[Estimate, ...]
    domain: Domain
    told: tuple[Combination, ...]
    """What contacts leave open."""


def table_of(
    problem: Problem, point: FloatArray, rung: TableRung, first: Values, joints: FloatArray
) -> Table:
    """The table of a result, with its intervals.

    Args:
        problem: the last fit of the joints.
        point: where it ended.
        rung: that was kept.
        first: the plane as the fitted recordings show it.
        joints: covariance of the joints' numbers, in the unit cube. Shape (p, p).
    """
    values = settle_plane(problem, point, rung.hits) or dict(rung.each[0])
    base = opened(problem.world, {}, physics_at(problem, point))
    plane = Space(tuple(free_parameters(base, list(values)))).with_start(values)
    both = Space((*problem.space.free, *plane.free))
    linear = Problem.of(base, both, rung.hits, problem.threads).linearize(
        np.concatenate([point, plane.start]), central=True
    )
    alone = Problem.of(base, plane, rung.hits, problem.threads)
    own = np.arange(len(point), len(both.free))
    seen = np.array([[each[name] for name in values] for each in rung.each])
    draws = _draws(linear, own, joints, plane.units(seen))
    part = _part(linear, own)
    spread = Spread(draws, bootstrap(part).independent)
    centred = draws - part.point
    scatter = float(np.einsum("np,pq,nq->n", centred, part.curvature.sum(axis=0), centred).mean())
    widening = widening_of(float((part.weight * part.rmse**2).sum()), scatter)
    unmoved = plane_parameters(problem.world)
    estimates = tuple(
        dataclasses.replace(e, nominal=unmoved[e.name]) for e in estimates_of(alone, plane.start, spread)
    )
    told = tuple(combinations(alone, part))
    return Table(first, values, estimates, make_domain(plane.free, plane.start, draws, widening, {}), told)


def _part(linear: Linear, columns: NDArray[np.intp]) -> Linear:
    """The residual as a function of some columns alone."""
    block = np.ix_(np.arange(len(linear.slope)), columns, columns)
    return dataclasses.replace(
        linear,
        point=linear.point[columns],
        curvature=linear.curvature[block],
        slope=linear.slope[:, columns],
        noise=linear.noise[block],
    )


def _draws(linear: Linear, own: NDArray[np.intp], joints: FloatArray, seen: FloatArray) -> FloatArray:
    """Scatter of the plane: from blocks of time, from the joints' own, and from recording to recording.

    Args:
        linear: of joints and plane where something is touched.
        own: the plane's columns.
        joints: covariance of the others. Shape (p, p).
        seen: planes found without one recording each. Shape (n, len(own)).

    Returns:
        FloatArray: points of the plane's unit cube. Shape (400, len(own)).
    """
    blocks = bootstrap(_part(linear, own)).draws
    curvature = linear.curvature.sum(axis=0)
    rest = np.arange(len(joints))
    follows = -np.linalg.lstsq(curvature[np.ix_(own, own)], curvature[np.ix_(own, rest)], rcond=None)[0]
    rng = np.random.default_rng(0)
    others = rng.multivariate_normal(np.zeros(len(joints)), joints, len(blocks), "ignore", method="eigh")
    between = seen.std(axis=0) * rng.normal(size=blocks.shape)
    return np.asarray(blocks + others @ follows.T + between)


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
