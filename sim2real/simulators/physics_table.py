"""The physics of many simulations, and the numbers of the model that follow from it; shared by all engines.

    table = PhysicsTable(world, num_envs=4)
    plan = table.set(env_ids, ("pole.mass",), values)
    numbers = table.numbers(plan, env_ids)      # columns as plan.fields says

Values are absolute and always set from nominal. Numbers are computed for all simulations at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids, Mask
from sim2real.parameters import INERTIA, MODEL
from sim2real.simulators.inertia import reshaped
from sim2real.world import World
from sim2real.world.entries import entries, reshaping
from sim2real.world.names import element_id
from sim2real.world.terms import Entry

_ROUNDING = 1e-12
"""Largest share by which a number at nominal values differs from the compiled one that it stands for."""


@dataclass(frozen=True)
class FieldNumbers:
    """Numbers of one field of the model."""

    field: str
    """Field of MjModel, or ``opt.<name>`` of its options."""
    addresses: Ids
    """Indices into the flattened field. Shape (k,)."""
    numbers: slice
    """Which columns of the plan's numbers they are."""


@dataclass(frozen=True)
class Shape:
    """A body whose distribution of mass is changed as a whole (`sim2real.simulators.inertia`)."""

    numbers: Ids
    """Columns of its eleven numbers among a plan's."""
    columns: Ids
    """Columns of the parameters in the table's values. Shape (k,)."""
    places: Ids
    """Which of the ten they are. Shape (k,)."""


@dataclass(frozen=True)
class Plan:
    """The numbers that a set of parameters decides: sums of ``factor · first · second · third``."""

    names: tuple[str, ...]
    columns: Ids
    """Columns of the parameters in the table's values."""
    factors: Array
    picks: tuple[Ids, ...]
    """Up to three columns of the values, the last of which is 1, for each term."""
    angles: Ids
    """Columns whose sines and cosines follow the values as further columns."""
    starts: Ids | None
    """First term of each number, where some have several."""
    fields: tuple[FieldNumbers, ...]
    derive: bool
    """Whether the engine derives other numbers from these."""
    compiled: Array
    """The numbers as the scene compiles to them; NaN for what is written in another way. Shape (numbers,)."""
    shapes: tuple[Shape, ...] = ()
    """Bodies whose inertia follows as a whole from the numbers above."""


class PhysicsTable:
    """Values of all parameters in many simulations."""

    def __init__(self, world: World, num_envs: int) -> None:
        """Begin with every simulation at nominal physics."""
        self.names = tuple(world.parameters)
        self.values: Array = np.ones((num_envs, len(self.names) + 1))
        """One row a simulation, one column a parameter, and a column of ones."""
        self.values[:, :-1] = list(world.nominal.values())
        self._nominal = np.array([*world.nominal.values(), 1.0])
        self._world = world
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._terms: dict[tuple[str, int], dict[tuple[str, ...], Entry]] | None = None

    def set(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> Plan:
        """Take new values, shape (len(env_ids), len(names)), and say which numbers follow from them.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for one that its element can't have.
        """
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plans[names] = self._make_plan(names)
        self.values[env_ids[:, None], plan.columns] = values
        return plan

    def numbers(self, plan: Plan, env_ids: Ids) -> Array:
        """Numbers of a plan, columns as its fields say. Shape (len(env_ids), numbers).

        One of which every parameter is nominal is the compiled one, to the bit.
        """
        physics = self.values.take(env_ids, axis=0)
        numbers, moved = _sums(plan, physics), _moved(plan, physics != self._nominal)
        np.copyto(numbers, plan.compiled, where=~moved & ~np.isnan(plan.compiled))
        for shape in plan.shapes:
            theta = np.zeros((len(numbers), len(INERTIA)))
            theta[:, shape.places] = self.values[np.ix_(env_ids, shape.columns)]
            numbers[:, shape.numbers] = reshaped(numbers[:, shape.numbers], theta)
        return numbers

    def row(self, env_id: int) -> dict[str, float]:
        """Every parameter of one simulation."""
        return dict(zip(self.names, map(float, self.values[env_id]), strict=False))

    def _make_plan(self, names: tuple[str, ...]) -> Plan:
        for name in names:
            if name not in self._world.parameters:
                raise UnknownName(f"parameter of {self._world.name}", name, self.names)
        decided = {
            (entry.field, entry.address): None
            for name in names
            for entry in entries(self._world, self._world.parameters[name])
        }
        known = self._all_terms()
        by_field: dict[str, list[int]] = {}
        for field, address in decided:
            by_field.setdefault(field, []).append(address)
        groups = [
            list(known[field, address].values())
            for field, addresses in by_field.items()
            for address in addresses
        ]
        terms = [term for group in groups for term in group]
        columns, angles = self._columns(terms)
        width = max((1, *(len(term.parameters) for term in terms)))
        picks = [[columns[name] for name in (*term.parameters, *("",) * width)[:width]] for term in terms]
        sizes = [len(group) for group in groups]
        plan = Plan(
            names=names,
            columns=np.array([columns[name] for name in names], dtype=np.intp),
            factors=np.array([term.factor for term in terms]),
            picks=tuple(np.array(picks, dtype=np.intp).reshape(len(terms), width).T.copy()),
            angles=angles,
            starts=np.cumsum([0, *sizes[:-1]]) if max(sizes, default=1) > 1 else None,
            fields=_slices(by_field),
            derive=any(field in mujoco.MjModel._setconst_inputs for field in by_field),
            compiled=np.concatenate([[], *(_compiled(self._world.model, f, a) for f, a in by_field.items())]),
            shapes=self._shapes(names, by_field),
        )
        at_nominal = _sums(plan, self._nominal[None])[0]
        plan.compiled[~np.isclose(at_nominal, plan.compiled, rtol=_ROUNDING, atol=0.0)] = np.nan
        return plan

    def _shapes(self, names: tuple[str, ...], by_field: Mapping[str, list[int]]) -> tuple[Shape, ...]:
        """Of every body that a named parameter is about and that is changed as a whole."""
        table = self._world.parameters
        acting = [table[n] for n in names if table[n].quantity.acts == MODEL]
        bodies = {body for p in acting if p.quantity.element == "body" for body in p.elements}
        placed = [(field, address) for field, addresses in by_field.items() for address in addresses]
        found = []
        for body in sorted(bodies):
            owners = reshaping(self._world, body)
            if owners:
                k = element_id(self._world.model, "body", body)
                fields = (("body_mass", 1), ("body_ipos", 3), ("body_inertia", 3), ("body_iquat", 4))
                numbers = [placed.index((field, n * k + i)) for field, n in fields for i in range(n)]
                columns = [self.names.index(name) for name in owners]
                places = [INERTIA.index(table[name].quantity.name) for name in owners]
                found.append(Shape(np.array(numbers), np.array(columns), np.array(places)))
        return tuple(found)

    def _columns(self, terms: list[Entry]) -> tuple[dict[str, int], Ids]:
        """Column of every parameter, of 1 (an empty name), and of the sines and cosines in some terms."""
        columns = {name: k for k, name in enumerate((*self.names, ""))}
        turned = {name for term in terms for name in term.parameters if name not in columns}
        trig = sorted({name.partition(" ")[2] for name in turned})
        for k, name in enumerate(trig):
            columns[f"sin {name}"] = len(self.names) + 1 + k
            columns[f"cos {name}"] = len(self.names) + 1 + len(trig) + k
        return columns, np.array([columns[name] for name in trig], dtype=np.intp)

    def _all_terms(self) -> Mapping[tuple[str, int], dict[tuple[str, ...], Entry]]:
        """Terms of every number that some parameter decides; each term once, whoever named it."""
        if self._terms is None:
            self._terms = {}
            for entry in possible_entries(self._world):
                terms = self._terms.setdefault((entry.field, entry.address), {})
                terms[entry.parameters] = entry
        return self._terms


def _sums(plan: Plan, physics: Array) -> Array:
    """Numbers by rows of values. Shape (rows, numbers)."""
    if plan.angles.size:
        turned = physics[:, plan.angles]
        physics = np.concatenate((physics, np.sin(turned), np.cos(turned)), axis=1)
    terms = plan.factors * physics.take(plan.picks[0], axis=1)
    for pick in plan.picks[1:]:
        terms *= physics.take(pick, axis=1)
    numbers: Array = terms if plan.starts is None else np.add.reduceat(terms, plan.starts, axis=1)
    return numbers


def _moved(plan: Plan, changed: Mask) -> Mask:
    """Which numbers have a parameter that is not nominal, by rows of which values aren't."""
    if plan.angles.size:
        turned = changed[:, plan.angles]
        changed = np.concatenate((changed, turned, turned), axis=1)
    terms = changed.take(plan.picks[0], axis=1)
    for pick in plan.picks[1:]:
        terms |= changed.take(pick, axis=1)
    moved: Mask = terms if plan.starts is None else np.logical_or.reduceat(terms, plan.starts, axis=1)
    return moved


def _compiled(model: mujoco.MjModel, field: str, addresses: list[int]) -> Array:
    owner = model.opt if field.startswith("opt.") else model
    numbers: Array = np.ravel(getattr(owner, field.removeprefix("opt."))).astype(float)[addresses]
    return numbers


def possible_entries(world: World) -> Iterator[Entry]:
    """Entries of all parameters, but for those that their elements can't have; who names one hears of it."""
    for parameter in world.parameters.values():
        with contextlib.suppress(InvalidValue):
            yield from list(entries(world, parameter))


def _slices(by_field: Mapping[str, list[int]]) -> tuple[FieldNumbers, ...]:
    found, start = [], 0
    for field, addresses in by_field.items():
        found.append(FieldNumbers(field, np.array(addresses), slice(start, start + len(addresses))))
        start += len(addresses)
    return tuple(found)
