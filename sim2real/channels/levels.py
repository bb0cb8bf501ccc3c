"""Values of the channels' parameters, in every simulation and for every element that they act on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim2real.arrays import Arrays
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids
from sim2real.parameters import QUANTITIES, Parameter
from sim2real.world import World

Setter = Callable[[Ids, Array], None]
"""Takes rows and their values of one parameter, both of shape (k,)."""


class Level:
    """Values of one quantity: a row for each simulation, a column for each element in a range of them."""

    def __init__(self, arrays: Arrays, num_envs: int, start: Array, neutral: float | None) -> None:
        """Begin with every simulation at ``start``, shape (width,); None as neutral for a mere shape."""
        self._arrays, self._neutral = arrays, neutral
        self.host: Array = np.tile(start, (num_envs, 1))
        """On the host, live. Shape (num_envs, width)."""
        self.values: Array = arrays.put(self.host)
        """In the simulator's namespace, live. Shape (num_envs, width)."""
        self.held_on = False
        """Whether it counts as on even while neutral, since it may change within an episode."""
        self.limits: Array | None = None
        """The largest values that there is room for, if they are limited. Shape (width,)."""
        self._on, self._checked = False, True

    @property
    def on(self) -> bool:
        """Whether any simulation has a value that changes something."""
        if not self._checked:
            self._on, self._checked = bool((self.host != self._neutral).any()), True
        return self._on or self.held_on

    def set(self, env_ids: Ids, columns: Ids, values: Array) -> None:
        """Take new values. Shape (len(env_ids), len(columns))."""
        rows = env_ids[:, None]
        self.host[rows, columns] = values
        if not self._arrays.on_host:
            self.values[rows, columns] = self._arrays.put(values)
        self._checked = self._neutral is None


class Levels:
    """The levels of a world's parameters, made on demand, and what sets them."""

    def __init__(self, world: World, arrays: Arrays, num_envs: int) -> None:
        """Nothing is bound yet."""
        self.world, self.arrays, self.num_envs = world, arrays, num_envs
        self.setters: dict[str, list[Setter]] = {}
        """What to call with new values of a parameter."""
        self.of_parameter: dict[str, list[Level]] = {}
        """The levels that a parameter decides."""

    def has(self, *quantities: str) -> bool:
        """Whether the world has a parameter of one of these quantities."""
        return any(p.quantity.name in quantities for p in self.world.parameters.values())

    def columns(self, quantity: str, elements: Sequence[str]) -> slice:
        """The smallest range of elements that holds all that the quantity's parameters act on.

        Raises:
            UnknownName: for an element that is not among them.
        """
        found = []
        for parameter in self._parameters(quantity):
            for element in parameter.elements:
                if element not in elements:
                    kind = QUANTITIES[quantity].element
                    raise UnknownName(f"{kind} for parameter {parameter.name}:", element, elements)
                found.append(elements.index(element))
        return slice(min(found), max(found) + 1) if found else slice(0, 0)

    def bind(
        self,
        quantity: str,
        elements: Sequence[str],
        scales: Array | None = None,
        default: float | Array = np.nan,
    ) -> Level:
        """The level of a quantity on these elements.

        Args:
            quantity: by name.
            elements: one for each column; parameters of other elements are left out.
            scales: what a value of 1 is in each column; by default 1.
            default: value of a shape that no parameter gives; NaN where one must.

        Raises:
            InvalidValue: for elements without a shape that has no default.
        """
        kind, width = QUANTITIES[quantity], len(elements)
        scales = np.ones(width) if scales is None else scales
        start = np.full(width, default)
        if kind.neutral is not None:
            start[:] = kind.neutral
        for parameter in self._parameters(quantity):
            picked = [k for k, element in enumerate(elements) if element in parameter.elements]
            start[picked] = parameter.nominal
        missing = [element for element, value in zip(elements, start, strict=True) if np.isnan(value)]
        if missing:
            raise InvalidValue(
                f"{self.world.name} has no {quantity} for {missing[0]!r}; give it a parameter "
                f'"{missing[0]}.{quantity}" in physics.toml'
            )
        level = Level(self.arrays, self.num_envs, start * scales, kind.neutral)
        self._listen(level, quantity, elements, scales)
        return level

    def _listen(self, level: Level, quantity: str, elements: Sequence[str], scales: Array) -> None:
        for parameter in self._parameters(quantity):
            columns = np.array([k for k, e in enumerate(elements) if e in parameter.elements], np.intp)
            if columns.size:
                self.setters.setdefault(parameter.name, []).append(
                    _setter(parameter, level, columns, scales[columns])
                )
                self.of_parameter.setdefault(parameter.name, []).append(level)

    def _parameters(self, quantity: str) -> Sequence[Parameter]:
        return [p for p in self.world.parameters.values() if p.quantity.name == quantity]

    def set_physics(self, env_ids: Ids, names: Sequence[str], values: Array) -> None:
        """Take new values of parameters. Shape (len(env_ids), len(names)); others than ours are left."""
        for k, name in enumerate(names):
            for setter in self.setters.get(name, ()):
                setter(env_ids, values[:, k])


def _setter(parameter: Parameter, level: Level, columns: Ids, scales: Array) -> Setter:
    def set_rows(env_ids: Ids, values: Array) -> None:
        if level.limits is not None and values.size and values.max() > (room := level.limits[columns].min()):
            raise InvalidValue(
                f"{parameter.name} of {values.max():g} {parameter.unit} does not fit the buffer of {room:g}; "
                "let its range or a variant in physics.toml go so far"
            )
        level.set(env_ids, columns, values[:, None] * scales)

    return set_rows


def longest(world: World, domain: Domain, quantity: str, elements: Sequence[str]) -> Array:
    """The largest value of a quantity that the range, a variant or the domain asks for, for each element."""
    most = np.zeros(len(elements))
    for parameter in world.parameters.values():
        if parameter.quantity.name == quantity:
            asked = [v.physics.get(parameter.name, 0.0) for v in world.variants.values()]
            asked += [d.support()[1] for name, d in domain.parameters.items() if name == parameter.name]
            mine = [element in parameter.elements for element in elements]
            most[mine] = max([parameter.high, *asked])
    return most
