"""What ``physics.toml`` says: parameters, variants, joints of recordings and the order of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.io_table import IO_FILE
from sim2real.parameters import (
    ACTUATOR,
    ACTUATORS,
    CHANNELS,
    SENSOR,
    SENSORS,
    Parameter,
    check_unit,
    check_value,
    quantity_of,
)
from sim2real.world.variant import CONTROL, GROUPS, SIMULATORS, Variant


class JointMapping(TypedDict, total=False):
    """How a joint of a recording becomes a joint of the world: ``angle = scale * value + offset``."""

    joint: str
    scale: float
    offset: float
    velocity_scale: float
    unit: str


@dataclass(frozen=True)
class PhysicsFile:
    """The content of a ``physics.toml``, in the words of `World`."""

    title: str
    task: str
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Variant]
    recordings: Mapping[str, JointMapping]
    training: Mapping[str, object]
    channels: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, path: Path) -> tuple[PhysicsFile, Section]:
        """The file of the world in the folder ``path``, and what it says of a gymnasium env.

        Raises:
            UnknownName: for a misspelt name.
            InvalidValue: for a file that is no TOML, or that contradicts itself.
        """
        table = _read(path / "physics.toml")
        return cls.of(table, path), Section(str(path / "physics.toml"), table).section("env")

    @classmethod
    def of(cls, table: Mapping[str, object], path: Path) -> PhysicsFile:
        """What a table says that has the form of the file; messages name it by ``path``, its folder.

        Raises:
            UnknownName: for a misspelt name.
            InvalidValue: for a table that contradicts itself.
        """
        table = dict(table)
        _check_keys(path, "key of physics.toml", table, _KEYS)
        parameters = {name: _parameter(name, entry) for name, entry in _table(table, "parameters").items()}
        file = Section(str(path / "physics.toml"), table)
        joints = file.section("recordings").section("joints").sections()
        return cls(
            title=file.text("title", path.name),
            task=file.text("task", "io" if (path / IO_FILE).is_file() else path.name),
            parameters=parameters,
            variants=_variants(path, _table(table, "variants"), parameters),
            recordings={name: _joint_mapping(entry) for name, entry in joints.items()},
            training=_as_table("training", table.get("training", {})),
            channels=_channels(path, _table(table, "channels"), parameters),
        )


_Table = dict[str, object]
_KEYS = ("title", "task", "env", "parameters", "variants", "recordings", "training", "channels")
_PARAMETER_KEYS = ("unit", "nominal", "range", "scale", "source", "elements")
_SCALES = {"linear": "uniform", "log": "loguniform"}
_ORDERS = {"sensors": (SENSORS, SENSOR), "actuators": (ACTUATORS, ACTUATOR)}


def _read(path: Path) -> _Table:
    try:
        return dict(Section.read_toml(path).values)
    except FileNotFoundError as error:
        raise InvalidValue(f"{path.parent} is no world: it has no {path.name}") from error


def _table(table: _Table, key: str) -> _Table:
    return _as_table(key, table.get(key, {}))


def _as_table(name: str, value: object) -> _Table:
    if not isinstance(value, dict):
        raise InvalidValue(f"{name!r} is {value!r} where a TOML table is meant")
    return value


def _check_keys(where: Path | str, kind: str, table: _Table, known: tuple[str, ...]) -> None:
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
    if not elements and quantity.element != "world":
        raise InvalidValue(f"elements of {name} are none; name each {quantity.element} that it is about")
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


def _joint_mapping(entry: Section) -> JointMapping:
    entry.only("joint", "scale", "offset", "velocity_scale", "unit")
    mapping: JointMapping = {"joint": entry.text("joint")}
    if "unit" in entry:
        mapping["unit"] = entry.text("unit")
    if "offset" in entry:
        mapping["offset"] = entry.number("offset")
    if "scale" in entry:
        mapping["scale"] = _factor(entry, "scale")
    if "velocity_scale" in entry:
        mapping["velocity_scale"] = _factor(entry, "velocity_scale")
    return mapping


def _factor(entry: Section, key: str) -> float:
    if entry.number(key) == 0:
        raise InvalidValue(f"{entry.path}: {entry.place}{key} is 0; give the factor to rad or m")
    return entry.number(key)


def _channels(path: Path, table: _Table, known: Mapping[str, Parameter]) -> Mapping[str, tuple[str, ...]]:
    """What ``[channels]`` says: orders that leave out no quantity which the world has a parameter of."""
    _check_keys(path.name, "channels", table, (*_ORDERS, "correction"))
    given = {name: (value,) if isinstance(value, str) else value for name, value in table.items()}
    for side, (ours, acts) in _ORDERS.items():
        own = (p.quantity for p in known.values() if p.quantity.acts == acts)
        filters = (*ours, *(q.name for q in own if q.name in CHANNELS))
        order = given.get(side, filters)
        if not isinstance(order, list | tuple) or len(set(map(str, order))) < len(order):
            raise InvalidValue(f"{side} of [channels] are {order!r} where a list of different names is meant")
        for name in order:
            if name not in filters:
                raise UnknownName(f"{side} of [channels] in {path.name}:", str(name), filters)
        for parameter in known.values():
            if parameter.quantity.name in set(filters) - set(order):
                raise InvalidValue(
                    f"{side} of [channels] in {path.name} leave out {parameter.quantity.name!r}, which the "
                    f"world has a parameter of: {parameter.name}"
                )
    return {name: tuple(map(str, value)) for name, value in given.items() if isinstance(value, list | tuple)}


def _variants(path: Path, table: _Table, parameters: Mapping[str, Parameter]) -> Mapping[str, Variant]:
    """The control arm, and the held-out variants of all groups."""
    variants = {CONTROL: Variant(CONTROL, "control", {})}
    for group, entries in table.items():
        if group not in GROUPS:
            raise UnknownName(f"group of variants in {path.name}", group, GROUPS)
        for name, physics in _as_table(group, entries).items():
            if name in variants:
                raise InvalidValue(f"variant {name!r} of {path.name} is there twice; give each its own name")
            variants[name] = _variant(name, group, _as_table(name, physics), parameters)
    return variants


def _variant(name: str, group: str, physics: _Table, known: Mapping[str, Parameter]) -> Variant:
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
