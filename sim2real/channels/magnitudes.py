"""Values of the channels' parameters, in every simulation and for every element that they act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.arrays import Arrays
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids
from sim2real.parameters import Parameter, quantity_named
from sim2real.world import World


class Magnitude:
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


@dataclass(frozen=True)
class Either:
    """Several magnitudes of one filter, which runs while any of them is on."""

    magnitudes: tuple[Magnitude, ...]

    @property
    def on(self) -> bool:
        """Whether any has a value that changes something."""
        return any(magnitude.on for magnitude in self.magnitudes)


class Magnitudes:
    """The magnitudes of a world's parameters, made on demand, and what sets them."""

    def __init__(self, world: World, arrays: Arrays, num_envs: int) -> None:
        """Nothing is bound yet."""
        self.world, self.arrays, self.num_envs = world, arrays, num_envs
        self._magnitudes: list[Magnitude] = []
        self._decided: dict[str, list[tuple[Magnitude, Ids, Array]]] = {}
        self._plans: dict[tuple[str, ...], list[_Write]] = {}

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
                    kind = quantity_named(quantity).element
                    raise UnknownName(f"{kind} for parameter {parameter.name}:", element, elements)
                found.append(elements.index(element))
        return slice(min(found), max(found) + 1) if found else slice(0, 0)

    def bind(
        self,
        quantity: str,
        elements: Sequence[str],
        scales: Array | None = None,
        default: float | Array = np.nan,
    ) -> Magnitude:
        """The magnitude of a quantity on these elements.

        Args:
            quantity: by name.
            elements: one for each column; parameters of other elements are left out.
            scales: what a value of 1 is in each column; by default 1.
            default: value of a shape that no parameter gives; NaN where one must.

        Raises:
            InvalidValue: for elements without a shape that has no default.
        """
        kind, width = quantity_named(quantity), len(elements)
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
        magnitude = Magnitude(self.arrays, self.num_envs, start * scales, kind.neutral)
        self._magnitudes.append(magnitude)
        for parameter in self._parameters(quantity):
            columns = np.array([k for k, e in enumerate(elements) if e in parameter.elements], np.intp)
            if columns.size:
                decided = self._decided.setdefault(parameter.name, [])
                decided.append((magnitude, columns, scales[columns]))
        return magnitude

    def of_parameter(self, name: str) -> list[Magnitude]:
        """The magnitudes that a parameter decides."""
        return [magnitude for magnitude, _, _ in self._decided.get(name, ())]

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Take new values of parameters. Shape (len(env_ids), len(names)); others than ours are left.

        Raises:
            InvalidValue: for a value that there is no room for.
        """
        if names not in self._plans:
            self._plans[names] = self._plan(names)
        for write in self._plans[names]:
            given = values[:, write.picks]
            self._check_room(write, names, given)
            write.magnitude.set(env_ids, write.columns, given * write.scales)

    def _plan(self, names: tuple[str, ...]) -> list[_Write]:
        """One write for each magnitude that some of these parameters decide."""
        plan = []
        for magnitude in self._magnitudes:
            parts = [
                (np.full(len(columns), k), columns, scales)
                for k, name in enumerate(names)
                for decided, columns, scales in self._decided.get(name, ())
                if decided is magnitude
            ]
            if parts:
                plan.append(_Write(magnitude, *map(np.concatenate, zip(*parts, strict=True))))
        return plan

    def _check_room(self, write: _Write, names: tuple[str, ...], given: Array) -> None:
        limits = write.magnitude.limits
        if limits is not None and (given > limits[write.columns]).any():
            _, column = np.argwhere(given > limits[write.columns])[0]
            parameter = self.world.parameters[names[write.picks[column]]]
            raise InvalidValue(
                f"{parameter.name} of {given[:, column].max():g} {parameter.unit} does not fit the buffer of "
                f"{limits[write.columns[column]]:g}; let its range or a variant in physics.toml go so far"
            )

    def _parameters(self, quantity: str) -> Sequence[Parameter]:
        return [p for p in self.world.parameters.values() if p.quantity.name == quantity]


@dataclass(frozen=True)
class _Write:
    """Columns of a magnitude, and what they get: values of these picks times scales. All of shape (k,)."""

    magnitude: Magnitude
    picks: Ids
    columns: Ids
    scales: Array


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
