"""What an audit moves: each parameter to both ends, from a base in which it can act.

Most parameters are moved from nominal. One that only shapes another effect (the speed at which the Stribeck
friction falls, the interval of pushes) is moved with that effect at its strongest: it can't act without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim2real.distributions import Distribution, Normal
from sim2real.domain import Domain
from sim2real.parameters import MODEL, Parameter, Quantity, quantity_of
from sim2real.world import Variant, World

Physics = Mapping[str, float]

_AT_REST = (
    "stribeck",
    "load_stribeck_motor",
    "load_stribeck_external",
    "load_quadratic_motor",
    "load_quadratic_external",
)
_SHAPES: Mapping[str, tuple[str, ...]] = {
    "stribeck_velocity": _AT_REST,
    "stribeck_exponent": _AT_REST,
    "spike_size": ("spike",),
    "push_interval": ("push",),
    "push_duration": ("push",),
    "friction": ("height",),
    "wind_x": ("air_density",),
    "wind_y": ("air_density",),
    "wind_z": ("air_density",),
    "slope_x": ("gravity",),
    "slope_y": ("gravity",),
}
"""Quantities that change nothing while all of these others are at their neutral value."""

_NEAR = 0.01  # of the range: an end so near to nominal is not one to measure at


@dataclass(frozen=True)
class Move:
    """One parameter moved to one value."""

    parameter: str
    value: float
    base: Physics = field(hash=False)
    """What else differs from nominal, both with and without the move."""

    @property
    def physics(self) -> Physics:
        """Base and move together."""
        return {**self.base, self.parameter: self.value}


def domain_moves(world: World, domain: Domain) -> list[Move]:
    """Both ends of every parameter of a domain."""
    ends = {name: _ends(name, distribution) for name, distribution in domain.parameters.items()}
    return _moves(world, ends)


def world_moves(world: World) -> list[Move]:
    """Both ends of every training range; of parameters without one, of the values in the variants."""
    ends: dict[str, tuple[float, ...]] = {}
    for name, parameter in world.parameters.items():
        if parameter.low < parameter.high:
            ends[name] = (parameter.low, parameter.high)
        else:
            values = [v.physics[name] for v in world.variants.values() if name in v.physics]
            ends[name] = tuple(sorted({min(values), max(values)})) if values else ()
    return _moves(world, ends)


def variant_moves(variants: Sequence[Variant]) -> list[Move]:
    """Every value of every variant, moved within its variant."""
    return [
        Move(name, value, {other: v for other, v in variant.physics.items() if other != name})
        for variant in variants
        for name, value in variant.physics.items()
    ]


def _shaped(quantity: Quantity) -> tuple[str, ...]:
    """What a quantity shapes."""
    return _SHAPES.get(quantity.name, (quantity.shapes,) if quantity.shapes else ())


def _companions(world: World, parameter: Parameter) -> tuple[str, ...]:
    """Parameters without which this one has no effect to shape."""
    shaped = _shaped(parameter.quantity)
    return tuple(
        other.name
        for other in world.parameters.values()
        if other.quantity.name in shaped
        and (other.quantity.element == "world" or set(other.elements) & set(parameter.elements))
    )


def why_idle(world: World, move: Move) -> Iterator[str]:
    """That a parameter only shapes an effect which is not there, if that is so."""
    parameter = world.parameters[move.parameter]
    others = [world.parameters[name] for name in _companions(world, parameter)]
    if _is_lonely(world, parameter):
        shaped = " or ".join(_shaped(parameter.quantity))
        yield f"it only shapes {shaped}, which none of its elements is given"
    if others and all(move.base.get(p.name, p.nominal) == (p.quantity.neutral or 0.0) for p in others):
        yield f"it only shapes {', '.join(p.name for p in others)}, which stays neutral"


def _is_lonely(world: World, parameter: Parameter) -> bool:
    """Whether a parameter shapes a channel's effect that no parameter gives."""
    quantity = parameter.quantity
    shapes = _shaped(quantity) and quantity.acts != MODEL and quantity.neutral is None
    return bool(shapes) and not _companions(world, parameter)


def rows_of(moves: Sequence[Move]) -> tuple[list[Physics], list[tuple[int, int]]]:
    """Distinct physics, nominal first and second, and for each move its row and that of its base."""
    rows: dict[frozenset[tuple[str, float]], int] = {}

    def row(physics: Physics) -> int:
        return rows.setdefault(frozenset(physics.items()), len(rows))

    row({})
    pairs = [(row(move.physics), row(move.base)) for move in moves]
    # nominal stands twice: what two runs of the same physics differ by is the noise of the engine
    return [{}, *map(dict, rows)], [(moved + 1, base + 1) for moved, base in pairs]


def _moves(world: World, ends: Mapping[str, tuple[float, ...]]) -> list[Move]:
    found = []
    for name, values in ends.items():
        parameter = world.parameters[name]
        base = _base(world, parameter, ends)
        width = max(values, default=0.0) - min(values, default=0.0)
        lonely = _is_lonely(world, parameter)  # dead wherever it stands
        found += [
            Move(name, value, base)
            for value in dict.fromkeys(values)
            if lonely or (value != parameter.nominal and abs(value - parameter.nominal) >= _NEAR * width)
        ]
    return found


def _base(world: World, parameter: Parameter, ends: Mapping[str, tuple[float, ...]]) -> Physics:
    base = {}
    for name in _companions(world, parameter):
        neutral = world.parameters[name].quantity.neutral or 0.0
        if name.endswith(".height"):
            neutral = world.nominal[name]
        strongest = max(ends.get(name, ()), key=lambda value: abs(value - neutral), default=neutral)
        if strongest != world.nominal[name]:
            base[name] = strongest
    return base


def _ends(name: str, distribution: Distribution) -> tuple[float, float]:
    """Lowest and highest value that draws come near."""
    low, high = distribution.support()
    if isinstance(distribution, Normal):
        low, high = distribution.quantile(np.array([0.005, 0.995]))
    if quantity_of(name).integer:
        low, high = np.round([low, high])  # as they are drawn
    return float(low), float(high)
