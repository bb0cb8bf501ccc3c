"""What a fit may change: parameters split, shared or fixed, each with its bounds and its prior.

    >>> free = free_parameters(World.load("so101"), ["shoulder_pan.kp", "joints.damping"])
    >>> [f.elements for f in free][0]
    ('shoulder_pan',)

A name need not be a parameter of the world: any element of the right kind can have any quantity, and takes
its nominal value from the model or from the group that it is split from (`sim2real.opening`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, UnknownName
from sim2real.opening import elements_of, own_value
from sim2real.parameters import INERTIA, Parameter
from sim2real.replay import READ_DELAY
from sim2real.world import World

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
_WHOLE = "inertia"

_ZERO_SCALE = {"frictionloss": 1e-2, "damping": 1e-3, "armature": 1e-3}


@dataclass(frozen=True)
class Free:
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

    def unit(self, value: float | FloatArray) -> FloatArray:
        """Where a value lies between the bounds, from 0 to 1."""
        low, high, x = (np.log(v) if self.log else np.asarray(v) for v in (self.low, self.high, value))
        return np.asarray((x - low) / (high - low), dtype=float)

    def value(self, unit: float | FloatArray) -> FloatArray:
        """The inverse of `unit`."""
        low, high = (np.log(v) if self.log else v for v in (self.low, self.high))
        x = low + np.asarray(unit) * (high - low)
        x = np.exp(x) if self.log else x
        return np.clip(np.round(x) if self.integer else x, self.low, self.high)


@dataclass(frozen=True)
class Space:
    """All free numbers, as points of the unit cube."""

    free: tuple[Free, ...]

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

    def values(self, unit: FloatArray) -> FloatArray:
        """Physical values of points of the unit cube, column by column. Shape (..., p)."""
        columns = [f.value(unit[..., k]) for k, f in enumerate(self.free)]
        return np.stack(columns, axis=-1) if columns else np.zeros(unit.shape)

    def units(self, values: FloatArray) -> FloatArray:
        """The inverse of `values`."""
        return np.stack([f.unit(values[..., k]) for k, f in enumerate(self.free)], axis=-1)

    def with_start(self, values: Mapping[str, float]) -> Space:
        """The same space begun elsewhere."""
        free = [
            dataclasses.replace(f, start=min(max(values[f.name], f.low), f.high)) if f.name in values else f
            for f in self.free
        ]
        return Space(tuple(free))


def free_parameters(
    world: World, names: Sequence[str], bounds: Mapping[str, tuple[float, float]] | None = None
) -> list[Free]:
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
    names = [part for name in names for part in _parts(name)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InvalidValue(f"{twice} is free twice; name it once")
    return [_free(world, name, dict(bounds or {})) for name in names]


def _parts(name: str) -> list[str]:
    """The names that a name stands for: ten for the whole inertia of a body."""
    body, _, quantity = name.rpartition(".")
    return [f"{body}.{part}" for part in INERTIA] if quantity == _WHOLE else [name]


def _free(world: World, name: str, bounds: Mapping[str, tuple[float, float]]) -> Free:
    element, _, quantity = name.rpartition(".")
    elements: tuple[str, ...] = (element,)
    if quantity == READ_DELAY:
        known = [world.model.joint(k).name for k in range(world.model.njnt)]
        if element not in known:
            raise UnknownName(f"joint in {name}:", element, known)
        nominal = 0.0
    else:
        elements = elements_of(world, name)
        nominal = own_value(world, name, elements)
    low, high, log = _bounds(quantity, nominal)
    if name in world.parameters:
        low, high, log = _with_range(world.parameters[name], (low, high, log))
    low, high = bounds.get(name, bounds.get(quantity, (low, high)))
    if not low < high:
        raise InvalidValue(f"{name} is free between {low:g} and {high:g}; give the lower end first")
    free = Free(name, low, high, nominal, log and low > 0, elements)
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
