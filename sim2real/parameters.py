"""Physical parameters: what can differ between two worlds of the same shape.

A parameter is named ``<element>.<quantity>``: ``pole.mass``, ``hinge.damping``, ``motor.latency``,
``world.gravity``, ``encoders.noise``. The quantity says which kind of element is meant, in which unit, within
which hard limits, what must follow when it changes (the inertia scales with the mass), and who acts on it:
the engine's model, or a channel between policy and body. Values are absolute, in SI units, and are always
set from the nominal model, never from the last draw. ``motor.strength.drift`` is the rate at which another
parameter changes within an episode, ``motor.strength.redraw`` the interval at which it is drawn anew.
"""

from __future__ import annotations

import inspect
import math
import pickle
import re
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from sim2real.documents import is_number
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Channel
from sim2real.registry import Registry, pickled

MODEL, ACTUATOR, LAW, SENSOR, DISTURBANCE, SCHEDULE = (
    "model",
    "actuator",
    "law",
    "sensor",
    "disturbance",
    "schedule",
)
"""Who acts on a quantity: the engine's model; a channel for commands, once a control step; a law of the
actuator, once a physics step; a channel for observations; a disturbance; the env, over an episode."""


@dataclass(frozen=True)
class Quantity:
    """A kind of physical quantity."""

    name: str
    element: str
    """What it belongs to: a body, joint, geom, actuator or the world of the MJCF, a signal of the task's
    observation, or another parameter."""
    units: tuple[str, ...]
    """Possible units: for a hinge and, where it differs, for a slide. Empty: the element's own unit."""
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    integer: bool = False
    acts: str = MODEL
    neutral: float | None = None
    """Value that changes nothing; None where the model has a value of its own."""
    shapes: str = ""
    """The quantity without which this one of a user's own channel changes nothing; empty for others."""


_POSITIVE, _MAX = 1e-9, 1e6
_TORQUE, _GAIN, _RATE = ("N·m", "N"), ("N·m/rad", "N/m"), ("N·m·s/rad", "N·s/m")
_ANGLE, _SPEED, _STEPS, _PER = ("rad", "m"), ("rad/s", "m/s"), ("control steps",), ("1/(N·m)", "1/N")


def _effect(
    acts: str, name: str, element: str, meaning: str, units: tuple[str, ...] = (), **limits: float
) -> Quantity:
    """A quantity of a channel: by default from 0, which changes nothing; ``shape`` says how another acts."""
    shape, integer = bool(limits.pop("shape", False)), bool(limits.pop("integer", False))
    low = limits.pop("low", _POSITIVE if shape else 0.0)
    neutral = None if shape else limits.pop("neutral", 0.0)
    return Quantity(name, element, units, meaning, low, limits.pop("high", _MAX), integer, acts, neutral)


_OF_INERTIA = (
    ("log_mass", "1", "logarithm of a factor on the mass and its inertia", -10.0, 10.0),
    *((f"shift_{x}", "m", f"move of the centre of mass along {x}, body frame", -10.0, 10.0) for x in "xyz"),
    *((f"stretch_{x}", "1", f"logarithm of a stretch of the mass along {x}", -10.0, 10.0) for x in "xyz"),
    *((f"shear_{x}{y}", "1", f"shear of the mass, {x} with {y}", -1e3, 1e3) for x, y in ("xy", "yz", "xz")),
)

_ALL = (
    Quantity("mass", "body", ("kg",), "mass; the inertia scales with it", _POSITIVE),
    Quantity("payload", "body", ("kg",), "point mass held at the centre of mass", 0.0, neutral=0.0),
    Quantity("com_x", "body", ("m",), "centre of mass along x, body frame"),
    Quantity("com_y", "body", ("m",), "centre of mass along y, body frame"),
    Quantity("com_z", "body", ("m",), "centre of mass along z, body frame"),
    *(
        Quantity(f"inertia_{name}", "body", (unit,), meaning, low, high, neutral=0.0)
        for name, unit, meaning, low, high in _OF_INERTIA
    ),
    Quantity("friction", "geom", ("1",), "sliding friction coefficient", 0.0),
    Quantity("height", "geom", ("m",), "height of a geom in its body's frame"),
    Quantity("damping", "joint", _RATE, "viscous damping of a joint or tendon", 0.0),
    Quantity("frictionloss", "joint", _TORQUE, "dry friction of a joint or tendon", 0.0),
    Quantity("armature", "joint", ("kg·m²", "kg"), "rotor inertia seen at the joint", 0.0),
    Quantity("stiffness", "joint", _GAIN, "spring stiffness of a joint or tendon", 0.0),
    Quantity("backlash", "joint", _ANGLE, "free play between motor and joint, end to end", 0.0, neutral=0.0),
    Quantity("stuck", "joint", ("1",), "1 for a joint that is stuck", 0.0, 1.0, True, neutral=0.0),
    Quantity("encoder_offset", "joint", _ANGLE, "what servo and sensor read too much", neutral=0.0),
    Quantity("gravity", "world", ("m/s²",), "magnitude of gravity, its direction kept; along -z if 0", 0.0),
    Quantity("slope_x", "world", ("rad",), "tilt of gravity about the world's x", -1.6, 1.6, neutral=0.0),
    Quantity("slope_y", "world", ("rad",), "tilt of gravity about the world's y", -1.6, 1.6, neutral=0.0),
    Quantity("wind_x", "world", ("m/s",), "speed of the air along x"),
    Quantity("wind_y", "world", ("m/s",), "speed of the air along y"),
    Quantity("wind_z", "world", ("m/s",), "speed of the air along z"),
    Quantity("air_density", "world", ("kg/m³",), "density of the air, for drag and lift", 0.0),
    Quantity("strength", "actuator", ("1",), "factor on what the motor can give, limits included", 0.0),
    Quantity("kp", "actuator", _GAIN, "position gain of a servo", 0.0),
    Quantity("kd", "actuator", _RATE, "velocity gain of a servo", 0.0),
    Quantity("back_emf", "actuator", _RATE, "torque that a motor loses per speed", 0.0),
    Quantity(
        "torque_limit", "actuator", _TORQUE, "most that the actuator gives, either way, before its gear", 0.0
    ),
    Quantity(
        "bias_torque", "actuator", _TORQUE, "constant torque besides what the command asks for", neutral=0.0
    ),
    Quantity("latency", "actuator", ("physics steps",), "delay of the command", 0.0, _MAX, integer=True),
    _effect(ACTUATOR, "command_resolution", "actuator", "step that commands are rounded to"),
    _effect(
        ACTUATOR,
        "rate_limit",
        "actuator",
        "most that a command changes per second",
        low=_POSITIVE,
        neutral=_MAX,
    ),
    _effect(
        ACTUATOR,
        "goal_braking",
        "actuator",
        "most that the inner goal of a servo slows down",
        ("rad/s²", "m/s²"),
        low=_POSITIVE,
        neutral=_MAX,
    ),
    _effect(ACTUATOR, "deadband", "actuator", "size of commands, or of changes of a goal, that do nothing"),
    _effect(ACTUATOR, "command_noise", "actuator", "white noise on the command, std"),
    _effect(ACTUATOR, "correction", "actuator", "share of the learned correction", ("1",), high=1.0),
    _effect(
        ACTUATOR,
        "latency_jitter",
        "actuator",
        "most that a command comes later than the latency",
        ("physics steps",),
        integer=True,
    ),
    _effect(LAW, "speed_loss", "actuator", "share of the force limit lost per speed", ("s/rad", "s/m")),
    _effect(LAW, "stribeck", "joint", "dry friction at rest above that in motion", _TORQUE),
    _effect(LAW, "load_friction_motor", "joint", "dry friction per force of the motor", ("1",)),
    _effect(LAW, "load_friction_external", "joint", "dry friction per force of the load", ("1",)),
    _effect(LAW, "load_stribeck_motor", "joint", "the same, at rest above that in motion", ("1",)),
    _effect(LAW, "load_stribeck_external", "joint", "the same for the load", ("1",)),
    _effect(LAW, "load_quadratic_motor", "joint", "dry friction per squared motor force, driven back", _PER),
    _effect(LAW, "load_quadratic_external", "joint", "dry friction per squared load, driving", _PER),
    _effect(
        LAW,
        "stribeck_velocity",
        "joint",
        "speed at which the excess at rest has fallen to 1/e",
        _SPEED,
        shape=True,
    ),
    _effect(LAW, "stribeck_exponent", "joint", "how steeply the excess at rest falls", ("1",), shape=True),
    _effect(SENSOR, "sensor_gain", "signal", "factor on what a sensor reads", ("1",), low=-_MAX, neutral=1.0),
    _effect(SENSOR, "bias", "signal", "what a sensor reads too much", low=-_MAX),
    _effect(SENSOR, "bias_drift", "signal", "random walk of the bias, std after a second"),
    _effect(SENSOR, "noise", "signal", "white noise of a sensor, std"),
    _effect(SENSOR, "spike", "signal", "chance that a reading is off by spike_size", ("1",), high=1.0),
    _effect(SENSOR, "resolution", "signal", "step that readings are rounded to"),
    _effect(
        SENSOR,
        "sensor_period",
        "signal",
        "steps between new values",
        _STEPS,
        low=1.0,
        integer=True,
        neutral=1.0,
    ),
    _effect(SENSOR, "dropout", "signal", "chance that the last reading comes again", ("1",), high=1.0),
    _effect(SENSOR, "sensor_latency", "signal", "age of what is read", _STEPS, high=100.0, integer=True),
    _effect(SENSOR, "spike_size", "signal", "size of such an outlier, either way", shape=True),
    _effect(DISTURBANCE, "push", "body", "force of pushes in random level directions", ("N",)),
    _effect(DISTURBANCE, "push_interval", "body", "mean time between pushes", ("s",), shape=True),
    _effect(DISTURBANCE, "push_duration", "body", "how long a push lasts", ("s",), shape=True),
    _effect(SCHEDULE, "drift", "parameter", "change per second within an episode", low=-_MAX),
    _effect(SCHEDULE, "redraw", "parameter", "interval of new draws within an episode; 0 never", ("s",)),
)

INERTIA = tuple(f"inertia_{name}" for name, *_ in _OF_INERTIA)
"""What changes a body's mass, centre of mass and inertia together, always to those of some body; ten."""

SENSORS = tuple(q.name for q in _ALL if q.acts == SENSOR and q.neutral is not None)
"""What happens to a reading: in this order, unless ``[channels]`` in ``physics.toml`` gives another."""

ACTUATORS = tuple(q.name for q in _ALL if q.acts == ACTUATOR and q.name != "latency_jitter")
"""What happens to a command before it is delayed, likewise."""

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _ALL}
"""Every quantity that can be set, by name; those of a user's own channels come on top (`quantity_named`)."""

_SIDES = {"command": (ACTUATOR, "actuator"), "reading": (SENSOR, "signal")}


def _check_channel(name: str, given: object) -> type[Channel]:
    """What is registered as a channel, if it is one."""
    if not (isinstance(given, type) and issubclass(given, Channel)) or given.apply is Channel.apply:
        raise InvalidValue(
            f"{given!r} is no channel; register {name!r} as a class that inherits from sim2real.Channel and "
            "has a method apply"
        )
    taken = [each for each in (name, *(f"{name}_{shape}" for shape in given.shapes)) if each in QUANTITIES]
    if taken or not re.fullmatch("[a-z][a-z0-9_]*", name):
        why = f"is named as the quantity {taken[0]!r}" if taken else "needs a name of small letters"
        raise InvalidValue(f"channel {name!r} {why}; give it one of its own, as in 'my_play'")
    if getattr(given, "acts", None) not in _SIDES:
        raise InvalidValue(f"channel {name!r} must say what it acts on: acts = 'command' or 'reading'")
    if not -math.inf < given.low <= given.neutral <= given.high < math.inf:
        raise InvalidValue(
            f"channel {name!r} goes from {given.low} to {given.high} with {given.neutral} as neutral; give "
            "finite limits with the neutral value between them"
        )
    return given


CHANNELS: Registry[type[Channel]] = Registry("channel", "sim2real.channels", {}, _check_channel)
"""Channels of a user's own by name; each is a quantity, and each of its shapes another."""

register_channel = CHANNELS.register


ENV = "env"
"""Element of what a gymnasium env has as attributes of its own: ``env.length``, whatever they mean."""


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
    """Upper end of the training range; equal ends for a parameter that training leaves alone."""
    source: str
    """Where the nominal value and the range come from."""
    elements: tuple[str, ...] = field(default=())
    """Elements that share the value; by default the one in the name."""
    scale: str = "linear"
    """How the training range is drawn from: ``linear`` or ``log``."""

    @property
    def quantity(self) -> Quantity:
        """The kind of quantity this is."""
        return quantity_of(self.name)

    def __reduce__(self) -> tuple[object, ...]:
        """With the channel of a user's own that acts on it: nothing is registered in another process."""
        channel = _channel_of(self.name.rpartition(".")[2])
        return _received, (astuple(self), channel and pickled((channel, CHANNELS[channel])))


def _received(values: tuple[Any, ...], channel: bytes | None) -> Parameter:
    """A parameter from another process."""
    if channel:
        name, found = pickle.loads(channel)
        CHANNELS.register(name)(found)
    return Parameter(*values)


def _channel_of(quantity: str) -> str | None:
    """The channel of a user's own that a quantity belongs to."""
    if quantity in QUANTITIES or quantity in CHANNELS:
        return None if quantity in QUANTITIES else quantity
    names = (name for name in CHANNELS if quantity.startswith(f"{name}_"))
    return next((name for name in names if quantity[len(name) + 1 :] in CHANNELS[name].shapes), None)


def quantity_named(name: str, kind: str = "quantity") -> Quantity:
    """The quantity of this name, of the package or of a user's own channel.

    Raises:
        UnknownName: if there is none; ``kind`` is what the message calls it.
    """
    own = _channel_of(name)
    if own is None and name not in QUANTITIES:
        raise UnknownName(kind, name, (*QUANTITIES, *CHANNELS))
    if own is None:
        return QUANTITIES[name]
    channel = CHANNELS[own]
    acts, element = _SIDES[channel.acts]
    unit = channel.unit if name == own else channel.shapes[name[len(own) + 1 :]]
    units = (unit,) if unit else ()
    if name != own:
        return replace(_effect(acts, name, element, f"how {own} acts", units, shape=True), shapes=own)
    meaning = (inspect.getdoc(channel) or own).partition("\n")[0]
    return Quantity(
        name, element, units, meaning, channel.low, channel.high, channel.integer, acts, channel.neutral
    )


def quantity_of(name: str) -> Quantity:
    """The quantity that a parameter name ends in.

    Raises:
        InvalidValue: if the name is not of the form ``<element>.<quantity>``.
        UnknownName: if the quantity does not exist.
    """
    element, dot, quantity = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if not dot or not element:
        raise InvalidValue(f"parameter {name!r} is not of the form <element>.<quantity>, as in 'pole.mass'")
    if quantity not in QUANTITIES and element == ENV:
        return Quantity(quantity, ENV, (), "attribute of a gymnasium env")
    return quantity_named(quantity, f"quantity in parameter {name!r}:")


def check_value(name: str, value: object) -> float:
    """Return ``value`` as a float if the parameter can have it.

    Raises:
        InvalidValue: for a NaN, an infinity, a value outside the quantity's hard limits, or a
            fraction where whole numbers are meant.
    """
    quantity = quantity_of(name)
    unit = quantity.units[0] if quantity.units else "its element's unit"
    if not is_number(value):
        raise InvalidValue(f"{name} = {value!r} is not a number; give one in {unit}")
    value = float(value)
    if not math.isfinite(value):
        raise InvalidValue(f"{name} = {value} is not a finite number; give one in {unit}")
    if not quantity.low <= value <= quantity.high:
        limit = f"at least {quantity.low:g}" if value < quantity.low else f"at most {quantity.high:g}"
        raise InvalidValue(f"{name} = {value:g} {unit} is impossible; it must be {limit}")
    if quantity.integer and value != round(value):
        raise InvalidValue(f"{name} = {value:g} must be a whole number of {unit}")
    return value


def check_unit(name: str, unit: str) -> str:
    """Return ``unit`` if the parameter can have it.

    Raises:
        InvalidValue: for a unit that the quantity is not measured in.
    """
    units = quantity_of(name).units
    if units and unit not in units:
        raise InvalidValue(f"{name} is given in {unit!r}; possible: {' or '.join(map(repr, units))}")
    return unit
