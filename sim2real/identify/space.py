"""What a fit may change: parameters split, shared or fixed, each with its bounds and its prior.

    >>> free = free_parameters(World.load("so101"), ["shoulder_pan.kp", "joints.damping"])
    >>> [f.elements for f in free][0]
    ('shoulder_pan',)

A name need not be a parameter of the world: any element of the right kind can have any quantity, and takes
its nominal value from the model or from the group that it is split from (`World.own_value`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.distributions import LogUniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import INERTIA, Parameter, quantity_of
from sim2real.replay import READ_DELAY
from sim2real.world import World, drive_of, drives, element_id, element_names, levers
from sim2real.world.drives import Drive

FloatArray = NDArray[np.float64]

_WIDE = {
    "kp": (0.004, 2.0),
    "damping": (0.02, 50.0),
    "kd": (0.02, 50.0),
    "frictionloss": (0.05, 30.0),
    "armature": (0.2, 5.0),
    "mass": (0.4, 2.5),
    "torque_limit": (0.1, 2.0),
    "strength": (0.3, 1.5),
    "friction": (0.05, 2.0),
}
"""Bounds as multiples of the nominal value, on a logarithmic scale."""

_ABSOLUTE = {
    "stribeck": (1e-3, 1.0, True),
    "stribeck_velocity": (5e-3, 1.0, True),
    "load_friction_motor": (1e-3, 0.5, True),
    "goal_braking": (5.0, 1e3, True),
    "rate_limit": (1.0, 50.0, True),
    "backlash": (1e-3, 0.15, True),
    "speed_loss": (1e-3, 1.0, True),
    "bias_torque": (-0.6, 0.6, False),
    "latency": (0.0, 12.0, False),
    READ_DELAY: (0.0, 0.02, False),
    "inertia_log_mass": (-0.9, 0.9, False),
    **{f"inertia_shift_{axis}": (-0.1, 0.1, False) for axis in "xyz"},
    **{f"inertia_stretch_{axis}": (-1.5, 3.0, False) for axis in "xyz"},
    **{f"inertia_shear_{axes}": (-1.5, 1.5, False) for axes in ("xy", "yz", "xz")},
}
"""Bounds where the nominal value is 0 or says nothing; whether the scale is logarithmic."""

_AROUND = {"com_x": 0.1, "com_y": 0.1, "com_z": 0.1, "height": 0.5}
"""Half widths of bounds about the nominal value, m."""

_WEAK = 0.3
_ZERO_SCALE = {"frictionloss": 1e-2, "damping": 1e-3, "armature": 1e-3}
_OF_STIFFNESS = {"frictionloss": 0.02, "damping": 0.02, "armature": 5e-4}
"""What a joint that has none in the model may have at most, as a share of its servos' stiffness: a friction
that leaves them 0.02 rad off, a damping that makes them 0.02 s late, an inertia that swings at 45 rad/s."""


@dataclass(frozen=True)
class FreeParameter:
    """One number that a fit may change."""

    name: str
    low: float
    high: float
    start: float
    log: bool
    elements: tuple[str, ...]
    """Elements that share it."""
    integer: bool = False
    prior: tuple[float, float] | None = None
    """Mean and standard deviation; on a logarithmic scale, the standard deviation of the logarithm."""

    @property
    def quantity(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    @property
    def span(self) -> float:
        """From bound to bound, of the logarithm on a logarithmic scale."""
        return float(np.log(self.high / self.low)) if self.log else self.high - self.low

    def unit(self, value: float | FloatArray) -> FloatArray:
        """Where a value lies between the bounds, from 0 to 1."""
        low, x = (np.log(v) if self.log else np.asarray(v) for v in (self.low, value))
        return np.asarray((x - low) / self.span, dtype=float)

    def value(self, unit: float | FloatArray) -> FloatArray:
        """The inverse of `unit`."""
        x = (np.log(self.low) if self.log else self.low) + np.asarray(unit) * self.span
        x = np.exp(x) if self.log else x
        return np.clip(np.round(x) if self.integer else x, self.low, self.high)


@dataclass(frozen=True)
class ParameterSpace:
    """All free numbers, as points of the unit cube."""

    free: tuple[FreeParameter, ...]

    @classmethod
    def of(cls, world: World, bounds: Domain) -> ParameterSpace:
        """The box that a domain's ends make, begun in its middle; whole numbers stay whole.

        Raises:
            InvalidValue: for a parameter that has only one value, or no ends.
        """
        bounds = world.check(bounds)
        if not bounds.parameters:
            raise InvalidValue("no parameters to identify; give a domain with their ranges")
        free = []
        for name, distribution in bounds.parameters.items():
            low, high = map(float, distribution.support())
            if not high > low or max(abs(low), abs(high)) > 1e12:
                raise InvalidValue(
                    f"{name} has the range [{low:g}, {high:g}] to search in; give two ends, or leave it out"
                )
            whole = quantity_of(name).integer
            log = isinstance(distribution, LogUniform) and not whole
            one = FreeParameter(name, low, high, low, log, world.elements_of(name), whole)
            free.append(dataclasses.replace(one, start=float(one.value(0.5))))
        return cls(tuple(free))

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return tuple(f.name for f in self.free)

    @property
    def elements(self) -> dict[str, tuple[str, ...]]:
        """Elements of what the world has parameters for, by name."""
        return {f.name: f.elements for f in self.free if f.quantity != READ_DELAY}

    @property
    def start(self) -> FloatArray:
        """Where a fit begins. Shape (p,)."""
        return np.array([float(np.clip(f.unit(f.start), 0.0, 1.0)) for f in self.free])

    @property
    def steps(self) -> FloatArray:
        """Distance of neighbouring whole numbers in the cube, 0 for fractions. Shape (p,)."""
        return np.array([1.0 / f.span if f.integer else 0.0 for f in self.free])

    def values(self, unit: FloatArray) -> FloatArray:
        """Physical values of points of the unit cube, column by column. Shape (..., p)."""
        columns = [f.value(unit[..., k]) for k, f in enumerate(self.free)]
        return np.stack(columns, axis=-1) if columns else np.zeros(unit.shape)

    def units(self, values: FloatArray) -> FloatArray:
        """The inverse of `values`."""
        return np.stack([f.unit(values[..., k]) for k, f in enumerate(self.free)], axis=-1)

    def widths(self, point: FloatArray, spans: FloatArray) -> FloatArray:
        """Small spans of the cube around a point, in the parameters' units. Shape (p,)."""
        per_unit = [float(f.value(at)) if f.log else 1.0 for f, at in zip(self.free, point, strict=True)]
        return np.asarray(spans * np.array([f.span for f in self.free]) * np.array(per_unit))

    def late(self) -> list[int]:
        """Columns of latencies, which an engine has in whole steps."""
        return [k for k, free in enumerate(self.free) if free.quantity == "latency"]

    def rounded(self, point: FloatArray, columns: Collection[int], side: int) -> FloatArray:
        """The point with whole latencies in some columns, the nearest ones and so many steps to a side."""
        moved = point.copy()
        for k in {*self.late()} & {*columns}:
            free = self.free[k]
            steps = round(float(free.value(point[k]))) + side
            moved[k] = free.unit(float(min(max(steps, np.ceil(free.low)), np.floor(free.high))))
        return moved

    def named(self, point: FloatArray) -> dict[str, float]:
        """Physical values of a point, by name."""
        return dict(zip(self.names, self.values(point).tolist(), strict=True))

    def physics(self, point: FloatArray) -> dict[str, float]:
        """A point as parameters of the world, without what belongs to its recordings."""
        return {name: value for name, value in self.named(point).items() if not name.endswith(READ_DELAY)}

    def with_start(self, values: Mapping[str, float]) -> ParameterSpace:
        """The same space begun elsewhere."""
        return ParameterSpace(
            tuple(
                dataclasses.replace(f, start=min(max(values.get(f.name, f.start), f.low), f.high))
                for f in self.free
            )
        )


def free_parameters(
    world: World, names: Sequence[str], bounds: Mapping[str, tuple[float, float]] | None = None
) -> list[FreeParameter]:
    """Free parameters by name, with bounds wide enough for a robot that is not the published one.

    Args:
        world: whose elements and groups the names refer to.
        names: parameters of the world, ``<element>.<quantity>``, ``<joint>.read_delay``, or
            ``<body>.inertia`` for all ten of a body.
        bounds: by name or by quantity, in place of the usual ones.

    Raises:
        UnknownName: for an element or a quantity that does not exist.
        InvalidValue: for a parameter named twice.
    """
    every: list[str] = []
    for name in names:
        body, _, quantity = name.rpartition(".")
        every += [f"{body}.{part}" for part in INERTIA] if quantity == "inertia" else [name]
    for name in every:
        if every.count(name) > 1:
            raise InvalidValue(f"{name} is free twice; name it once")
    return [_free(world, name, bounds or {}) for name in every]


def _free(world: World, name: str, bounds: Mapping[str, tuple[float, float]]) -> FreeParameter:
    element, _, quantity = name.rpartition(".")
    elements: tuple[str, ...] = (element,)
    if quantity == READ_DELAY:
        known = element_names(world.model, "joint")
        if element not in known:
            raise UnknownName(f"joint in {name}:", element, known)
        nominal = 0.0
    else:
        elements = world.elements_of(name)
        nominal = world.own_value(name, elements)
    low, high, log = _bounds(quantity, nominal)
    if nominal == 0 and quantity in _OF_STIFFNESS:
        high = max(high, _OF_STIFFNESS[quantity] * min(_stiffness(world, joint) for joint in elements))
    if name in world.parameters:
        low, high, log = _with_range(world.parameters[name], (low, high, log))
    low, high = bounds.get(name, bounds.get(quantity, (low, high)))
    if not -np.inf < low < high < np.inf:
        raise InvalidValue(
            f"{name} is free between {low:g} and {high:g}; give two finite ends, the lower first"
        )
    free = FreeParameter(name, low, high, nominal, log and low > 0, elements)
    if low <= nominal <= high:
        return free
    # an effect that is not there yet begins where it is weak but can be seen
    return dataclasses.replace(free, start=float(free.value(_WEAK if nominal < low else 1 - _WEAK)))


def _with_range(parameter: Parameter, bounds: tuple[float, float, bool]) -> tuple[float, float, bool]:
    """Bounds that hold the training range and half as much again."""
    low, high, log = bounds
    if parameter.low == parameter.high or parameter.quantity.name == "latency":
        return low, max(high, parameter.high), log
    span = parameter.high - parameter.low
    if parameter.low > 0:
        wide = parameter.low / 1.5, parameter.high * 1.5
        return min(low, wide[0]) if low > 0 else wide[0], max(high, wide[1]), True
    floor = parameter.low if parameter.low == parameter.quantity.low else parameter.low - span / 2
    return min(floor, low) if not log else floor, max(high, parameter.high + span / 2), False


def _stiffness(world: World, joint: str) -> float:
    """Of a hinge's or a slide's own servos, at the joint; 0 for what has none, as a tendon."""
    driven, actuators = drives(world.model)
    servos = [k for k, its in enumerate(driven) if its == joint and drive_of(world.model, k) is Drive.SERVO]
    gears = [levers(world.model, element_id(world.model, "joint", joint))[k] or 0.0 for k in servos]
    kp = [world.own_value(f"{actuators[k]}.kp", (actuators[k],)) for k in servos]
    return sum(gain * gear**2 for gain, gear in zip(kp, gears, strict=True))


def _bounds(quantity: str, nominal: float) -> tuple[float, float, bool]:
    if quantity in _ABSOLUTE:
        return _ABSOLUTE[quantity]
    if quantity in _AROUND:
        return nominal - _AROUND[quantity], nominal + _AROUND[quantity], False
    if quantity in _WIDE and nominal > 0:
        low, high = _WIDE[quantity]
        return low * nominal, high * nominal, True
    if nominal == 0:
        scale = _ZERO_SCALE.get(quantity, 1.0)
        return 0.0, 100 * scale, False
    low, high = sorted((0.5 * nominal, 1.5 * nominal))
    return low, high, False
