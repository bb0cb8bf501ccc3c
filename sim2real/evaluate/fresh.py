"""Physics that no author has seen: variants drawn by seed from an evaluation domain, and grids of it.

::

    run_policies(world, [policy], fresh_variants(world, evaluation_domain(world), 40, seed=7))
    run_policies(world, [policy], grid_variants(world, evaluation_domain(world), {"motor.latency": 5}))

A result that was published on a world's held-out variants can be tried on others like them: whoever names
another seed gets physics that nobody has chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from sim2real.distributions import Normal, Uniform
from sim2real.domain import Domain
from sim2real.draws import checked_seed
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.statistics import Array
from sim2real.world import Variant, World

FRESH, GRID = "fresh", "grid"
"""Groups of such variants."""
CENTRAL = (0.025, 0.975)
"""Probabilities between which a normal distribution is searched and gridded: its own ends may be far out."""


def evaluation_domain(world: World) -> Domain:
    """All that training ranges and held-out variants span, for every parameter that has such a range.

    Raises:
        InvalidValue: for a world without any training range.
    """
    wide = []
    for p in (p for p in world.parameters.values() if p.low < p.high):
        values = [v.physics[p.name] for v in world.variants.values() if p.name in v.physics]
        values = [value for value in values if value > 0 or p.scale != "log"]
        wide.append(replace(p, low=min([p.low, *values]), high=max([p.high, *values])))
    if not wide:
        raise InvalidValue(
            f"{world.name} has no parameter with a range to draw fresh physics from; give the TOML file of a "
            "domain, or a physics.toml with ranges"
        )
    return Domain.box(wide)


def fresh_variants(world: World, domain: Domain, count: int, seed: int) -> list[Variant]:
    """Variants of one physics each, drawn by a seed; the first of them don't change with the count.

    Raises:
        InvalidValue: for a domain of one physics, a count below 1, or a seed that is none.
    """
    if count < 1 or domain.is_point:
        what = "a domain of one physics" if domain.is_point else f"{count} fresh variants"
        raise InvalidValue(
            f"{what} leaves nothing to draw; give at least 1 variant, and a domain with a range"
        )
    drawn = domain.sample(np.random.default_rng(checked_seed(seed)), count)
    nominal = world.for_domain(domain).nominal
    return [
        Variant(f"fresh_{seed}_{k}", FRESH, _unlike(nominal, dict(zip(domain.names, row, strict=True))))
        for k, row in enumerate(drawn)
    ]


def grid_variants(world: World, domain: Domain, counts: Mapping[str, int]) -> list[Variant]:
    """Every combination of evenly spaced values of some parameters, the others nominal.

    Even in probability, so in the logarithm where the domain has that; both ends are there, and of a normal
    its central 95 %. Of whole numbers no value is there twice.

    Args:
        world: where.
        domain: what the values are from.
        counts: values of each parameter, at least 2.

    Raises:
        UnknownName: for a parameter that the domain does not have.
        InvalidValue: for a count below 2, or a parameter that has one value.
    """
    axes = [grid_values(domain, name, count) for name, count in counts.items()]
    nominal = world.for_domain(domain).nominal
    return [
        Variant(",".join(f"{n}={v:.6g}" for n, v in physics.items()), GRID, _unlike(nominal, physics))
        for values in product(*axes)
        for physics in [dict(zip(counts, values, strict=True))]
    ]


def grid_values(domain: Domain, name: str, count: int) -> Array:
    """Values of one parameter for a grid, rising; raises as `grid_variants`. Shape (at most count,)."""
    if name not in domain.parameters:
        raise UnknownName("parameter of the domain", name, domain.parameters)
    distribution = domain.parameters[name]
    low, high = distribution.support()
    if count < 2 or low == high:
        why = f"it has one value, {low:g}" if low == high else f"{count} leave out an end"
        raise InvalidValue(f"no grid of {name} is possible: {why}; give a range, and at least 2 values")
    normal = isinstance(distribution, Normal)
    u = np.linspace(*(CENTRAL if normal else (0.0, 1.0)), count)
    values = Domain({name: distribution}).quantile(u[:, None])[:, 0]
    if not normal:
        values[[0, -1]] = low, high
    return np.unique(values)


def drawn_domain(variants: Sequence[Variant]) -> Domain:
    """What some variants span, to be audited as one."""
    values: dict[str, list[float]] = {}
    for variant in variants:
        for name, value in variant.physics.items():
            values.setdefault(name, []).append(value)
    return Domain({name: Uniform(min(own), max(own)) for name, own in values.items()})


def _unlike(nominal: Mapping[str, float], physics: Mapping[str, float]) -> dict[str, float]:
    """The values that differ from nominal, as a variant has them."""
    return {name: float(value) for name, value in physics.items() if value != nominal[name]}
