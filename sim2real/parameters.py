"""Physical parameters: what can differ between two worlds of the same shape.

A parameter is named ``<element>.<quantity>``: ``pole.mass``, ``hinge.damping``, ``motor.latency``,
``world.gravity``, ``encoders.noise``. The quantity says which kind of element is meant, in which unit, within
which hard limits, what must follow when it changes (the inertia scales with the mass), and who acts on it:
the engine's model, or a channel between policy and body. Values are absolute, in SI units, and are always
set from the nominal model, never from the last draw. ``motor.strength.drift`` is the rate at which another
parameter changes within an episode, ``motor.strength.redraw`` the interval at which it is drawn anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim2real.documents import is_number
from sim2real.errors import InvalidValue, UnknownName

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
"""Every quantity that can be set, by name."""


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
