"""Physical parameters: what can differ between two worlds of the same shape.

A parameter is named ``<element>.<quantity>``: ``pole.mass``, ``hinge.damping``, ``motor.latency``,
``world.gravity``. The quantity says which kind of element is meant, in which unit, within which hard limits,
and what must follow when it changes (the inertia scales with the mass). Values are absolute, in SI units, and
are always set from the nominal model, never from the last draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim2real.errors import InvalidValue, UnknownName


@dataclass(frozen=True)
class Quantity:
    """A kind of physical quantity."""

    name: str
    element: str
    """Kind of MJCF element it belongs to: body, joint, geom, actuator or world."""
    units: tuple[str, ...]
    """Possible units: for a hinge and, where it differs, for a slide."""
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    integer: bool = False


_POSITIVE = 1e-9

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("mass", "body", ("kg",), "mass; the inertia scales with it", _POSITIVE),
        Quantity("com_x", "body", ("m",), "centre of mass along x, body frame"),
        Quantity("com_y", "body", ("m",), "centre of mass along y, body frame"),
        Quantity("com_z", "body", ("m",), "centre of mass along z, body frame"),
        Quantity("friction", "geom", ("1",), "sliding friction coefficient", 0.0),
        Quantity("damping", "joint", ("N·m·s/rad", "N·s/m"), "viscous joint damping", 0.0),
        Quantity("frictionloss", "joint", ("N·m", "N"), "dry joint friction", 0.0),
        Quantity("armature", "joint", ("kg·m²", "kg"), "rotor inertia seen at the joint", 0.0),
        Quantity("stiffness", "joint", ("N·m/rad", "N/m"), "joint spring stiffness", 0.0),
        Quantity("gravity", "world", ("m/s²",), "magnitude of gravity, its direction kept", 0.0),
        Quantity("strength", "actuator", ("1",), "factor on what the motor can give", 0.0),
        Quantity("kp", "actuator", ("N·m/rad", "N/m"), "position gain of a servo", 0.0),
        Quantity("kd", "actuator", ("N·m·s/rad", "N·s/m"), "velocity gain of a servo", 0.0),
        Quantity("latency", "actuator", ("physics steps",), "delay of the command", 0.0, integer=True),
    )
}
"""Every quantity that can be set, by name."""


@dataclass(frozen=True)
class Parameter:
    """One physical quantity of a world."""

    name: str
    """``<element>.<quantity>``."""
    unit: str
    nominal: float
    """Value of the unperturbed world, in ``unit``."""
    low: float
    """Lower end of the training range."""
    high: float
    """Upper end of the training range."""
    source: str
    """Where the nominal value and the range come from."""
    elements: tuple[str, ...] = field(default=())
    """MJCF elements that share the value; by default the one in the name."""
    scale: str = "linear"
    """How the training range is drawn from: ``linear`` or ``log``."""

    @property
    def quantity(self) -> Quantity:
        """The kind of quantity this is."""
        return quantity_of(self.name)


def quantity_of(name: str) -> Quantity:
    """The quantity that a parameter name ends in.

    Raises:
        InvalidValue: if the name is not of the form ``<element>.<quantity>``.
        UnknownName: if the quantity does not exist.
    """
    element, dot, quantity = name.rpartition(".")
    if not dot or not element:
        raise InvalidValue(f"parameter {name!r} is not of the form <element>.<quantity>, as in 'pole.mass'")
    if quantity not in QUANTITIES:
        raise UnknownName(f"quantity in parameter {name!r}:", quantity, QUANTITIES)
    return QUANTITIES[quantity]


def check_value(name: str, value: object) -> float:
    """Return ``value`` as a float if the parameter can have it.

    Raises:
        InvalidValue: for a NaN, an infinity, a value outside the quantity's hard limits, or a
            fraction where whole numbers are meant.
    """
    quantity = quantity_of(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} = {value!r} is not a number; give one in {quantity.units[0]}")
    value = float(value)
    if not math.isfinite(value):
        raise InvalidValue(f"{name} = {value} is not a finite number; give one in {quantity.units[0]}")
    if not quantity.low <= value <= quantity.high:
        limit = f"at least {quantity.low:g}" if value < quantity.low else f"at most {quantity.high:g}"
        raise InvalidValue(f"{name} = {value:g} {quantity.units[0]} is impossible; it must be {limit}")
    if quantity.integer and value != round(value):
        raise InvalidValue(f"{name} = {value:g} must be a whole number of {quantity.units[0]}")
    return value


def check_unit(name: str, unit: str) -> str:
    """Return ``unit`` if the parameter can have it.

    Raises:
        InvalidValue: for a unit that the quantity is not measured in.
    """
    units = quantity_of(name).units
    if unit not in units:
        raise InvalidValue(f"{name} is given in {unit!r}; possible: {' or '.join(map(repr, units))}")
    return unit
