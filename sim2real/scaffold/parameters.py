"""Parameters that most robots have, with nominal values from the model and assumed ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import QUANTITIES, Parameter
from sim2real.world import World, element_names, nominal_value
from sim2real.world.contacts import possible_partners
from sim2real.world.levers import is_scalar
from sim2real.world.refusals import is_moved, refusal

_BODIES, _SHARE = 8, 0.03  # the heaviest, of at least that share of what moves
_LATENCY = 0.02  # s


@dataclass(frozen=True)
class _Kind:
    """How a quantity is grouped and ranged."""

    quantity: str
    group: str
    factors: tuple[float, float]
    scale: str = "linear"


_OF_JOINTS = (
    _Kind("damping", "joints", (0.5, 2.0), "log"),
    _Kind("frictionloss", "joints", (0.5, 2.0), "log"),
    _Kind("armature", "joints", (0.5, 2.0), "log"),
)
_OF_ACTUATORS = (
    _Kind("strength", "motors", (0.8, 1.1)),
    _Kind("kp", "motors", (0.8, 1.25), "log"),
    _Kind("kd", "motors", (0.5, 2.0), "log"),
)


def with_common_parameters(world: World) -> World:
    """The world with what usually differs between two robots, as far as its model can have it."""
    return with_parameters(world, candidates(world.model))


def with_parameters(world: World, given: Iterable[Parameter]) -> World:
    """The world with those parameters that its model can have; see `sim2real.world.refusals`."""
    for parameter in given:
        with suppress(InvalidValue, UnknownName):  # what the table refuses, a stranger's model does without
            world = world.with_parameter(parameter)
    return world


def heaviest(model: mujoco.MjModel) -> list[int]:
    """Moving bodies that weigh something, from the heaviest on."""
    moving = [body for body in range(1, model.nbody) if is_moved(model, body)]
    total = float(model.body_mass[moving].sum())
    order = sorted(moving, key=lambda body: -model.body_mass[body])
    return [body for body in order if model.body_mass[body] >= _SHARE * total > 0][:_BODIES]


def candidates(model: mujoco.MjModel) -> Iterator[Parameter]:
    """What usually differs, whether the model can have it or not."""
    heavy, names = heaviest(model), element_names(model, "body")
    for body in sorted(heavy):
        yield ranged(f"{names[body]}.mass", "kg", float(model.body_mass[body]), (0.8, 1.2))
    if heavy:
        most = 0.1 * float(model.body_mass[heavy].sum())
        name = f"{names[heavy[0]]}.payload"
        yield Parameter(
            name, "kg", 0.0, 0.0, most, "assumed: up to a tenth of the weight", (names[heavy[0]],)
        )
    yield from _friction(model)
    joints = [joint for joint in range(model.njnt) if is_scalar(model, joint)]
    for kind in _OF_JOINTS:
        yield from _grouped(model, kind, "joint", joints)
    actuators = list(range(model.nactuator))
    for kind in _OF_ACTUATORS:
        yield from _grouped(model, kind, "actuator", actuators)
    yield from _latency(model, actuators)


def _friction(model: mujoco.MjModel) -> Iterator[Parameter]:
    """Of the geoms that decide: a contact's friction is that of the higher priority, or else the larger."""
    touching = [geom for geom in range(model.ngeom) if possible_partners(model, geom)]
    first = max((int(model.geom_priority[geom]) for geom in touching), default=0)
    touching = [geom for geom in touching if model.geom_priority[geom] == first]
    values = sorted({float(model.geom_friction[geom, 0]) for geom in touching})
    if not values or not values[-1]:
        return
    names = element_names(model, "geom")
    most = [geom for geom in touching if float(model.geom_friction[geom, 0]) == values[-1]]
    low = max(0.5 * values[-1], *values[:-1][-1:], 0.0)
    source = "assumed: down to half of the model's, or to that of what it touches"
    elements = tuple(names[geom] for geom in most)
    name = elements[0] if len(elements) == 1 else "contacts"
    yield Parameter(f"{name}.friction", "1", values[-1], low, 1.2 * values[-1], source, elements)


def _grouped(model: mujoco.MjModel, kind: _Kind, element: str, numbers: Iterable[int]) -> Iterator[Parameter]:
    """One parameter for all elements of the same nominal value and unit; none for a value of 0."""
    quantity, names = QUANTITIES[kind.quantity], element_names(model, element)
    groups: dict[tuple[float, str], list[str]] = {}
    for number in numbers:
        if refusal(model, quantity, element, number) is None:
            value = nominal_value(model, kind.quantity, names[number])
            slides = element == "joint" and model.jnt_type[number] == int(mujoco.mjtJoint.mjJNT_SLIDE)
            unit = quantity.units[-1 if slides else 0]
            if value > 0 and np.isfinite(value):
                groups.setdefault((value, unit), []).append(names[number])
    for count, ((value, unit), elements) in enumerate(groups.items(), 1):
        group = kind.group if len(groups) == 1 else f"{kind.group}_{count}"
        name = elements[0] if len(elements) == 1 else group
        given = ranged(f"{name}.{kind.quantity}", unit, value, kind.factors, kind.scale)
        yield replace(given, elements=tuple(elements))


def _latency(model: mujoco.MjModel, actuators: list[int]) -> Iterator[Parameter]:
    names = element_names(model, "actuator")
    able = [k for k in actuators if refusal(model, QUANTITIES["latency"], "actuator", k) is None]
    steps = {nominal_value(model, "latency", names[k]) for k in able}
    if len(steps) == 1:
        nominal = steps.pop()
        high = nominal + max(1, round(_LATENCY / float(model.opt.timestep)))
        elements = tuple(names[k] for k in able)
        name = elements[0] if len(elements) == 1 else "motors"
        yield Parameter(
            f"{name}.latency", "physics steps", nominal, nominal, high, "assumed: up to 20 ms more", elements
        )


def ranged(
    name: str, unit: str, nominal: float, factors: tuple[float, float], scale: str = "linear"
) -> Parameter:
    """A parameter whose range is between two shares of its nominal value."""
    low, high = (factor * nominal for factor in factors)
    source = f"assumed: {factors[0]:g} to {factors[1]:g} of the model's"
    return Parameter(name, unit, nominal, low, high, source, (name.rpartition(".")[0],), scale)
