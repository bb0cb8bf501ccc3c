"""A world: a robot and its surroundings as data, a folder of ``scene.xml``, ``physics.toml``, ``README.md``.

    >>> world = World.load("furuta")
    >>> world.parameters["pole.mass"].unit
    'kg'

``physics.toml`` names every parameter with unit, nominal value, training range and source, and the
held-out variants. Loading compiles the MJCF once and refuses a world that contradicts itself: a nominal value
that the model does not have, a geom friction that a grippier partner makes ineffective, a misspelt variant.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypedDict

import mujoco
import numpy as np

from sim2real.catalog import find
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import (
    ACTUATORS,
    MODEL,
    QUANTITIES,
    SENSORS,
    Parameter,
    check_unit,
    check_value,
    quantity_of,
)

GROUPS = ("interpolation", "extrapolation", "combined", "structural", "simulator")
"""Groups of held-out variants: inside the training range, outside it, several parameters at once, effects
that training does not have, and other engines."""

SIMULATORS = ("mujoco", "bullet", "warp")
"""Engines that a variant can ask for."""

CONTROL = "nominal"
"""Name of the unperturbed variant, the control arm of every evaluation."""

Table = dict[str, object]


@dataclass(frozen=True)
class Variant:
    """One held-out physics."""

    name: str
    group: str
    physics: Mapping[str, float]
    """Values that differ from nominal, by parameter name."""
    simulator: str = "mujoco"

    @property
    def domain(self) -> Domain:
        """The variant as a domain of one point."""
        return Domain.point(self.physics)


class JointMapping(TypedDict, total=False):
    """How a joint of a recording becomes a joint of the world: ``angle = scale * value + offset``."""

    joint: str
    scale: float
    offset: float
    velocity_scale: float
    unit: str


@dataclass(frozen=True)
class World:
    """A robot and its surroundings."""

    name: str
    path: Path
    title: str
    task: str
    model: mujoco.MjModel
    """The compiled MJCF at nominal physics."""
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Variant]
    """The control arm and the held-out variants, by name."""
    recordings: Mapping[str, JointMapping]
    """Joints of recordings, by their name there; empty if the world has none."""
    training: Mapping[str, object]
    """What training overrides of its defaults on this world."""
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Order of what happens to readings (``sensors``) and to commands (``actuators``), where ``physics.toml``
    gives one, else that of `sim2real.parameters`; and the file of the learned ``correction``."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> World:
        """Load a world of the catalogue, or from a folder of the same form.

        Raises:
            UnknownName: if there is no such world, or for a misspelt name inside it.
            InvalidValue: if the folder contradicts itself.
        """
        path = find("envs", name_or_path)
        table = _read(path / "physics.toml")
        _check_keys(path, "key of physics.toml", table, _KEYS)
        parameters = {name: _parameter(name, entry) for name, entry in _table(table, "parameters").items()}
        variants = {CONTROL: Variant(CONTROL, "control", {})}
        for group, entries in _table(table, "variants").items():
            if group not in GROUPS:
                raise UnknownName(f"group of variants in {path.name}", group, GROUPS)
            for name, physics in _as_table(group, entries).items():
                if name in variants:
                    raise InvalidValue(
                        f"variant {name!r} of {path.name} is there twice; give each its own name"
                    )
                variants[name] = _variant(name, group, _as_table(name, physics), parameters)
        model = compile_scene(path / "scene.xml", parameters, variants)
        for parameter in parameters.values():
            _check_parameter(model, path, parameter)
            if parameter.quantity.element == "parameter":
                for element in parameter.elements:
                    if element not in parameters:
                        raise UnknownName(f"parameter for {parameter.name}:", element, parameters)
        joints = _as_table("recordings", table.get("recordings", {})).get("joints", {})
        world = cls(
            name=path.name,
            path=path,
            title=str(table.get("title", path.name)),
            task=str(table.get("task", path.name)),
            model=model,
            parameters=parameters,
            variants=variants,
            recordings=_as_table("recordings.joints", joints),  # type: ignore[arg-type]
            training=_as_table("training", table.get("training", {})),
            channels=_channels(path, _table(table, "channels"), parameters),
        )
        for domain in (world.training_domain, *(variant.domain for variant in variants.values())):
            world.check(domain)
        return world

    @cached_property
    def nominal(self) -> Mapping[str, float]:
        """Nominal value of every parameter."""
        return {name: parameter.nominal for name, parameter in self.parameters.items()}

    @cached_property
    def training_domain(self) -> Domain:
        """Independent draws from every parameter's training range."""
        return Domain.box([p for p in self.parameters.values() if p.low < p.high])

    def domain(self, given: str | Domain | Mapping[str, object] | None) -> Domain:
        """The domain that ``given`` stands for, checked against this world.

        Args:
            given: ``"nominal"`` or None, ``"training"``, the path of a TOML file, a `Domain`, or the table
                that `Domain.to_toml` makes.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for a value that it can't take.
        """
        if given is None or given == "nominal":
            return Domain({})
        if isinstance(given, Domain):
            return self.check(given)
        if isinstance(given, Mapping):
            return self.check(Domain.from_toml(given))
        if given == "training":
            return self.training_domain
        path = Path(given)
        if not path.is_file():
            held_out = "; held-out variants are for evaluation" if given in self.variants else ""
            raise InvalidValue(
                f"no domain {given!r}: give 'nominal', 'training' or the path of a TOML file{held_out}"
            )
        return self.check(Domain.load(path))

    def variant(self, name: str) -> Variant:
        """The control arm or a held-out variant.

        Raises:
            UnknownName: if there is no such variant.
        """
        if name not in self.variants:
            raise UnknownName(f"variant of {self.name}", name, self.variants)
        return self.variants[name]

    def check(self, domain: Domain) -> Domain:
        """Return ``domain`` if this world has all its parameters.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for a latency that the command buffer can't hold, a friction or wind without effect,
                or a backlash wider than its joint's range.
        """
        for name, distribution in domain.parameters.items():
            if name not in self.parameters:
                raise UnknownName(f"parameter of {self.name}", name, self.parameters)
            low, high = distribution.support()
            if name.rpartition(".")[2].startswith("wind_"):
                self._check_air(name)
            for element in self.parameters[name].elements:
                if quantity_of(name).name in _DELAYS:
                    self._check_latency(domain, element)
                if quantity_of(name).name == "friction":
                    _check_friction(self.model, self.path, (name, low), element)
                if quantity_of(name).name == "backlash":
                    _check_backlash(self.model, (name, high), element)
        return domain

    def _check_air(self, name: str) -> None:
        if self.model.opt.density == 0 and "world.air_density" not in self.parameters:
            raise InvalidValue(
                f"{name} has no effect without air; give the world a parameter 'world.air_density', or "
                f"{self.path / 'scene.xml'} a density"
            )

    def _check_latency(self, domain: Domain, element: str) -> None:
        """Refuse a latency that, with its jitter, does not fit the actuator's buffer of commands."""
        delays = [p for p in self.parameters.values() if p.quantity.name in _DELAYS and element in p.elements]
        given = domain.parameters
        steps = {p.name: given[p.name].support()[1] if p.name in given else p.nominal for p in delays}
        buffer = int(self.model.actuator_history[actuator_of(self.model, element).id, 0])
        if sum(steps.values()) > buffer:
            names = " + ".join(name for name in steps if steps[name])
            raise InvalidValue(
                f"{names} of {sum(steps.values()):g} physics steps does not fit the buffer of {buffer}; "
                f"raise nsample of actuator {element!r} in {self.path / 'scene.xml'}"
            )


_DELAYS = ("latency", "latency_jitter")
_KEYS = ("title", "task", "parameters", "variants", "recordings", "training", "channels")
_PARAMETER_KEYS = ("unit", "nominal", "range", "scale", "source", "elements")
_SCALES = {"linear": "uniform", "log": "loguniform"}


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidValue(f"{path.parent} is no world: it has no {path.name}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{path} is not a TOML file: {error}") from error


def _table(table: Table, key: str) -> Table:
    return _as_table(key, table.get(key, {}))


def _as_table(name: str, value: object) -> Table:
    if not isinstance(value, dict):
        raise InvalidValue(f"{name!r} is {value!r} where a TOML table is meant")
    return value


def _check_keys(where: Path | str, kind: str, table: Table, known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise UnknownName(f"{kind} in {where}:", key, known)


def _parameter(name: str, entry: object) -> Parameter:
    quantity = quantity_of(name)
    table = _as_table(name, entry)
    _check_keys(name, "key", table, _PARAMETER_KEYS)
    missing = {"unit", "nominal", "source"} - set(table)
    if missing:
        raise InvalidValue(f"parameter {name} lacks {', '.join(sorted(missing))}")
    scale = str(table.get("scale", "linear"))
    if scale not in _SCALES:
        raise UnknownName(f"scale of {name}", scale, _SCALES)
    nominal = check_value(name, table["nominal"])
    low = high = nominal
    if "range" in table:
        # a range of the right form is a domain of the right form: one parser serves both
        box = Domain.from_toml({"parameters": {name: {_SCALES[scale]: table["range"]}}})
        low, high = box.parameters[name].support()
    elements = table.get("elements", [] if quantity.element == "world" else [name.rpartition(".")[0]])
    if not isinstance(elements, list):
        raise InvalidValue(f"elements of {name} are {elements!r} where a list of names is meant")
    return Parameter(
        name=name,
        unit=check_unit(name, str(table["unit"])),
        nominal=nominal,
        low=low,
        high=high,
        source=str(table["source"]),
        elements=tuple(map(str, elements)),
        scale=scale,
    )


def _channels(path: Path, table: Table, known: Mapping[str, Parameter]) -> Mapping[str, tuple[str, ...]]:
    """What ``[channels]`` says: orders that leave out no quantity which the world has a parameter of."""
    _check_keys(path.name, "channels", table, (*_ORDERS, "correction"))
    given = {name: (value,) if isinstance(value, str) else value for name, value in table.items()}
    for side, stages in _ORDERS.items():
        order = given.get(side, stages)
        if not isinstance(order, list | tuple) or len(set(map(str, order))) < len(order):
            raise InvalidValue(f"{side} of [channels] are {order!r} where a list of different names is meant")
        for stage in order:
            if stage not in stages:
                raise UnknownName(f"{side} of [channels] in {path.name}:", str(stage), stages)
        for parameter in known.values():
            if parameter.quantity.name in set(stages) - set(order):
                raise InvalidValue(
                    f"{side} of [channels] in {path.name} leave out {parameter.quantity.name!r}, which the "
                    f"world has a parameter of: {parameter.name}"
                )
    return {name: tuple(map(str, value)) for name, value in given.items() if isinstance(value, list | tuple)}


_ORDERS = {"sensors": SENSORS, "actuators": ACTUATORS}


def _variant(name: str, group: str, physics: Table, known: Mapping[str, Parameter]) -> Variant:
    values: dict[str, float] = {}
    simulator = str(physics.get("simulator", "mujoco"))
    if simulator not in SIMULATORS:
        raise UnknownName(f"simulator of variant {name}:", simulator, SIMULATORS)
    for parameter, value in physics.items():
        if parameter == "simulator":
            continue
        if parameter not in known:
            raise UnknownName(f"parameter in variant {name}:", parameter, known)
        values[parameter] = check_value(parameter, value)
    return Variant(name, group, values, simulator)


def compile_scene(
    path: Path,
    parameters: Mapping[str, Parameter],
    variants: Mapping[str, Variant],
    change: Callable[[mujoco.MjSpec], None] = lambda _: None,
) -> mujoco.MjModel:
    """The model of a scene, with buffers for the latencies that parameters and variants ask for.

    Args:
        path: the MJCF.
        parameters: of the world, by name.
        variants: of the world, by name.
        change: what else is done to the scene before it is compiled.

    Raises:
        UnknownName: for a parameter of an element that the scene does not have.
        InvalidValue: if there is no such file or it does not compile.
    """
    if not path.is_file():
        raise InvalidValue(f"{path.parent} is no world: it has no {path.name}")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        for parameter in sorted(parameters.values(), key=lambda p: p.quantity.name == "latency_jitter"):
            _prepare(spec, parameter, variants)
        change(spec)
        model = spec.compile()
    except ValueError as error:
        if isinstance(error, InvalidValue | UnknownName):
            raise
        raise InvalidValue(f"{path} does not compile: {error}") from error
    # the engine compares time stamps in floating point: k·dt drifts to k + 1 steps, (k - 0.5)·dt does not
    steps = np.ceil(model.actuator_delay / model.opt.timestep - 1e-9)
    model.actuator_delay[:] = np.maximum(steps - 0.5, 0.0) * model.opt.timestep
    return model


def _prepare(spec: mujoco.MjSpec, parameter: Parameter, variants: Mapping[str, Variant]) -> None:
    kind, quantity = parameter.quantity.element, parameter.quantity.name
    if kind not in _PLURAL:
        return
    known = {element.name: element for element in getattr(spec, _PLURAL[kind])}
    longest = int(max([parameter.high, *(v.physics.get(parameter.name, 0.0) for v in variants.values())]))
    for name in parameter.elements:
        if name not in known:
            raise UnknownName(f"{kind} for parameter {parameter.name}:", name, known)
        if quantity.startswith(("com_", "inertia_")):
            known[name].simple = 0  # else the engine keeps a shortcut for centred bodies
        if quantity == "latency":
            known[name].nsample = max(known[name].nsample, longest, 1)
        if quantity == "latency_jitter":
            known[name].nsample += max(longest, 1)  # on top of the latency, which comes first


_PLURAL = {"body": "bodies", "joint": "joints", "geom": "geoms", "actuator": "actuators"}


def _check_parameter(model: mujoco.MjModel, path: Path, parameter: Parameter) -> None:
    quantity = parameter.quantity
    if quantity.name == "gravity" and parameter.nominal == 0:
        raise InvalidValue(
            f"{path.name}: {parameter.name} of 0 has no direction to keep; give gravity in scene.xml"
        )
    for element in parameter.elements or ("world",):
        if quantity.acts != MODEL and quantity.neutral is None:
            continue  # only the shape of an effect, as the speed at which friction falls
        compiled = nominal_value(model, quantity.name, element)
        if not np.isclose(compiled, parameter.nominal, rtol=1e-6, atol=1e-12):
            raise InvalidValue(
                f"{path.name}: physics.toml says {parameter.name} = {parameter.nominal:g}, but "
                f"{element!r} in scene.xml compiles to {compiled:g}; make the two agree"
            )


def nominal_value(model: mujoco.MjModel, quantity: str, element: str) -> float:
    """Value of a quantity in a compiled model, in the quantity's unit.

    Args:
        model: the compiled model.
        quantity: a name in `sim2real.parameters.QUANTITIES`.
        element: name of the MJCF element; ignored for world quantities.
    """
    kind, axis = QUANTITIES[quantity], "xyz".find(quantity[-1])
    if kind.neutral is not None:
        return kind.neutral
    if kind.element == "world":
        return _of_options(model.opt, quantity, axis)
    if kind.element == "actuator":
        return _of_actuator(model, quantity, actuator_of(model, element))
    if kind.element == "body":
        body = model.body(element)
        return float(body.mass[0] if quantity == "mass" else body.ipos[axis])
    if kind.element == "geom":
        geom = model.geom(element)
        return float(geom.pos[2] if quantity == "height" else geom.friction[0])
    return float(np.ravel(getattr(model.joint(element), quantity))[0])


def _of_options(option: mujoco.MjOption, quantity: str, axis: int) -> float:
    if quantity == "gravity":
        return float(np.linalg.norm(option.gravity))
    return float(option.density if quantity == "air_density" else option.wind[axis])


def _of_actuator(
    model: mujoco.MjModel, quantity: str, actuator: mujoco._structs._MjModelActuatorViews
) -> float:
    if quantity == "strength":
        return 1.0
    if quantity == "torque_limit":
        return float(actuator.forcerange[1])
    if quantity == "latency":
        return float(max(0.0, np.ceil(model.actuator_delay[actuator.id] / model.opt.timestep - 1e-9)))
    return -float(actuator.biasprm[1 if quantity == "kp" else 2])  # kd and back-EMF


def actuator_of(model: mujoco.MjModel, name: str) -> mujoco._structs._MjModelActuatorViews:
    """An actuator by its name or, as many models leave them unnamed, by the joint that it drives.

    Raises:
        UnknownName: if there is neither.
    """
    known = {}
    for actuator in map(model.actuator, range(model.nu)):
        driven = model.joint(actuator.trnid[0]).name if actuator.trntype[0] == _DRIVES_JOINT else ""
        known[actuator.name or driven] = actuator
    if name not in known:
        raise UnknownName("actuator", name, known)
    return known[name]


_DRIVES_JOINT = int(mujoco.mjtTrn.mjTRN_JOINT)


def _check_friction(model: mujoco.MjModel, path: Path, lowest: tuple[str, float], element: str) -> None:
    """Refuse a friction that MuJoCo's rule (the larger of the two geoms counts) makes ineffective."""
    (name, value), geom = lowest, model.geom(element)
    for other in map(model.geom, range(model.ngeom)):
        touches = (geom.contype[0] & other.conaffinity[0]) or (other.contype[0] & geom.conaffinity[0])
        if other.id == geom.id or other.bodyid[0] == geom.bodyid[0] or not touches:
            continue
        ruled_out = other.priority[0] > geom.priority[0] or (
            other.priority[0] == geom.priority[0] and other.friction[0] > value
        )
        if ruled_out:
            raise InvalidValue(
                f"{path.name}: {name} has no effect below {other.friction[0]:g} against "
                f"geom {other.name!r}, because the larger friction of a contact counts; give "
                f'{element!r} priority="1" or {other.name!r} less friction'
            )


def _check_backlash(model: mujoco.MjModel, widest: tuple[str, float], element: str) -> None:
    (name, value), joint = widest, model.joint(element)
    width = float(joint.range[1] - joint.range[0])
    if joint.limited[0] and value >= width:
        raise InvalidValue(
            f"{name} of {value:g} is wider than the range of joint {element!r}, {width:g}; give less"
        )
    if value and not joint.armature[0]:
        raise InvalidValue(
            f"{name} needs an inertia on the motor's side of joint {element!r}; give it an armature"
        )
