"""A world with parameters that its files do not name: single joints split from a group, new effects.

    >>> world = opened(World.load("so101"), {"elbow_flex.kp": ("elbow_flex",)})
    >>> "elbow_flex" in world.parameters["servos.kp"].elements
    False

Everything happens in memory, and nothing is compiled again, but for a centred body that may lose its centre.
A domain that names such parameters, as identification returns it, is drawn from in the world opened for it
(`opened_for`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from sim2real.domain import Domain
from sim2real.errors import UnknownName
from sim2real.parameters import Parameter, quantity_of
from sim2real.world import World, compile_scene, nominal_value

SHAPE = 0.05
"""Nominal value of what only shapes an effect that is not there, as the speed at which friction falls."""


def opened(
    world: World, names: Mapping[str, tuple[str, ...]], fixed: Mapping[str, float] | None = None
) -> World:
    """The world with a parameter for every name; groups lose the elements that are split from them.

    Args:
        world: left as it is.
        names: elements by the parameter's name.
        fixed: nominal values that differ from the world's, by name; these are opened as well.

    Raises:
        UnknownName: for an element or a quantity that does not exist.
    """
    parameters = dict(world.parameters)
    chosen = dict(names) | {name: elements_of(world, name) for name in fixed or {} if name not in names}
    for name, elements in chosen.items():
        quantity = quantity_of(name)
        nominal = (fixed or {}).get(name, own_value(world, name, elements))
        for other in [p for p in parameters.values() if p.quantity == quantity and p.name != name]:
            rest = tuple(element for element in other.elements if element not in elements)
            parameters[other.name] = dataclasses.replace(other, elements=rest)
        if name in parameters:
            changed = dataclasses.replace(parameters[name], nominal=nominal, elements=elements)
            parameters[name] = changed
            continue
        unit = quantity.units[0] if quantity.units else ""
        parameters[name] = Parameter(name, unit, nominal, nominal, nominal, "identification", elements)
    kept = {n: p for n, p in parameters.items() if p.elements or p.quantity.element == "world"}
    model = world.model
    moved = [b for name, bodies in chosen.items() if _moves_centre(name) for b in bodies]
    if any(model.body(body).simple[0] for body in moved):
        model = compile_scene(world.path / "scene.xml", kept, world.variants)
    return dataclasses.replace(world, parameters=kept, model=model)


def _moves_centre(name: str) -> bool:
    """Whether a parameter ends the shortcut that the engine has for centred bodies."""
    return quantity_of(name).name.startswith(("com_", "inertia_"))


def opened_for(world: World, domain: Domain) -> World:
    """The world with every parameter that a domain names; the same world if it has them all.

    Raises:
        UnknownName: for an element or a quantity that does not exist.
    """
    missing = [name for name in domain.names if name not in world.parameters]
    return opened(world, {name: elements_of(world, name) for name in missing}) if missing else world


def elements_of(world: World, name: str) -> tuple[str, ...]:
    """Elements that a parameter is about: those of the world's parameter, or the one that it names.

    Raises:
        UnknownName: for an element or a quantity that does not exist.
    """
    if name in world.parameters:
        return world.parameters[name].elements
    kind = quantity_of(name).element
    if kind == "world":
        return ()
    element, _, quantity = name.rpartition(".")
    known = _names(world, kind)
    if element not in known:
        possible = [*world.parameters, *(f"{other}.{quantity}" for other in known)]
        raise UnknownName(f"parameter of {world.name}", name, possible)
    return (element,)


def of_joint(world: World, joint: str, quantity: str) -> str:
    """Name of a quantity of a joint, or of the actuator that drives it where actuators have that quantity.

    Raises:
        UnknownName: for a quantity that does not exist.
    """
    name = f"{joint}.{quantity}"
    if quantity_of(name).element != "actuator":
        return name
    driven, actuators = drives(world)
    return f"{actuators[driven.index(joint)]}.{quantity}"


def drives(world: World) -> tuple[list[str], list[str]]:
    """The joint of each actuator, and its name; that of the joint, if it has none."""
    model = world.model
    driven = [str(model.joint(int(k)).name) for k in model.actuator_trnid[:, 0]]
    return driven, [str(model.actuator(k).name) or driven[k] for k in range(model.nu)]


def own_value(world: World, name: str, elements: Iterable[str]) -> float:
    """Nominal value: the world's, that of the group that the elements are split from, or the model's."""
    if name in world.parameters:
        return world.parameters[name].nominal
    quantity, elements = quantity_of(name), tuple(elements)
    for parameter in world.parameters.values():
        if parameter.quantity == quantity and set(elements) <= set(parameter.elements):
            return parameter.nominal
    if quantity.acts != "model" and quantity.neutral is None:
        return SHAPE
    return nominal_value(world.model, quantity.name, elements[0] if elements else "world")


def _names(world: World, kind: str) -> list[str]:
    model = world.model
    if kind == "actuator":
        return drives(world)[1]
    counts = {
        "joint": (model.joint, model.njnt),
        "body": (model.body, model.nbody),
        "geom": (model.geom, model.ngeom),
    }
    if kind not in counts:
        return []
    get, count = counts[kind]
    return [str(get(k).name) for k in range(count)]
