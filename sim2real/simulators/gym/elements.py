"""A domain over a stranger's env as a world: its elements, nominal values and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mujoco

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.parameters import Parameter, quantity_of
from sim2real.world import UNIT, World

Nominal = Callable[[str, str], float]
"""Nominal value of a quantity of an element; raises for an element that does not exist."""


@dataclass(frozen=True)
class Naming:
    """What an env is called, and how its elements are grouped."""

    title: str
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Elements that a name in the domain stands for, as ``elements`` does in ``physics.toml``."""

    def check(self) -> Naming:
        """Itself, if every group is a list of different names.

        Raises:
            InvalidValue: for one that is not.
        """
        for name, elements in self.groups.items():
            if isinstance(elements, str) or not elements or len(set(elements)) < len(elements):
                raise InvalidValue(
                    f"group {name!r} is {elements!r} where a list of different names of elements is meant"
                )
        return self

    def elements(self, parameter: str) -> tuple[str, ...]:
        """Elements of a parameter."""
        element = parameter.rpartition(".")[0]
        if quantity_of(parameter).element == "world":
            return ()
        return tuple(self.groups.get(element, (element,)))


def as_world(model: mujoco.MjModel, domain: Domain, naming: Naming, nominal: Nominal) -> World:
    """The env with the domain's parameters; parameters that only drift come along.

    Raises:
        UnknownName: for an element that does not exist.
        InvalidValue: for a quantity that the element does not have.
    """
    parameters: dict[str, Parameter] = {}

    def add(name: str, low: float | None, high: float | None) -> None:
        kind, elements = quantity_of(name), naming.elements(name)
        if kind.name == "correction":
            raise InvalidValue(
                f"{name} is a share of a learned network, which the folder of a world has and {naming.title} "
                "has not; make it a world (scene.xml, physics.toml) to use one"
            )
        if kind.acts != "model" and kind.neutral is None:
            value = low or 0.0  # the shape of an effect has no nominal value
        else:
            value = nominal(kind.name, next(iter(elements), "world"))
            others = {element: nominal(kind.name, element) for element in elements}
            if low is None and any(other != value for other in others.values()):
                raise InvalidValue(
                    f"{name} changes within an episode from nominal, which is not the same for all of "
                    f"{', '.join(f'{element} ({other:g})' for element, other in others.items())}; give "
                    f"{name} a value in the domain, or each element a parameter of its own"
                )
        unit = kind.units[0] if kind.units else UNIT
        ends = (value if low is None else low, value if high is None else high)
        parameters[name] = Parameter(name, unit, value, *ends, f"the model of {naming.title}", elements)

    for name, distribution in domain.parameters.items():
        add(name, *distribution.support())
    for name in list(parameters):
        for element in parameters[name].elements:
            if quantity_of(name).element == "parameter" and element not in parameters:
                add(element, None, None)
    return World(naming.title, Path(naming.title), naming.title, "", model, parameters, {}, {}, {})
