"""One term of one number of the model, and whose parameter it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import mujoco

from sim2real.parameters import Parameter


class Described(Protocol):
    """A model with the parameters of its elements: a world."""

    @property
    def model(self) -> mujoco.MjModel:
        """Compiled, at nominal physics."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """By name."""


@dataclass(frozen=True)
class Entry:
    """One term of one number of the model."""

    field: str
    """Field of MjModel, or ``opt.<name>`` of its options."""
    address: int
    """Index into the flattened field."""
    factor: float
    parameters: tuple[str, ...]
    """At most three parameters, whose values multiply the factor; ``sin NAME`` and ``cos NAME`` are their
    sine and cosine."""


def owner(world: Described, quantity: str, element: str = "") -> tuple[str, ...]:
    """The parameter of a quantity that an element has, if any."""
    return tuple(
        p.name
        for p in world.parameters.values()
        if (not element or element in p.elements) and p.quantity.name == quantity
    )[:1]


def term(
    world: Described, field: str, address: int, value: tuple[str, str, float], factor: float = 1.0
) -> Entry:
    """Factor times a quantity of an element: its parameter where there is one, else its nominal value."""
    quantity, element, nominal = value
    mine = owner(world, quantity, element)
    return Entry(field, address, factor if mine else factor * nominal, mine)
