"""What is asked of parameters and of their values before anything is computed with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array
from sim2real.parameters import MODEL, Parameter
from sim2real.world.contacts import contact_dim, possible_partners
from sim2real.world.entries import elements_of, entries
from sim2real.world.levers import levers, limited_joints
from sim2real.world.names import element_name
from sim2real.world.terms import Described
from sim2real.world.values import nominal_value


def canonical(model: mujoco.MjModel, parameter: Parameter) -> Parameter:
    """The parameter with every element by its one name (`sim2real.world.names`).

    Raises:
        UnknownName: for an element that the model does not have.
    """
    found = tuple(element_name(model, kind, number) for kind, number, _ in elements_of(model, parameter)
                  if kind != "world")  # fmt: skip
    return replace(parameter, elements=found) if found else parameter


def check_parameters(world: Described, names: Iterable[str] | None = None) -> None:
    """Refuse what an element can't have, and two parameters for the same number.

    Args:
        world: its model and parameters.
        names: of the parameters that are new; by default all.

    Raises:
        UnknownName: for an element that does not exist.
        InvalidValue: for a quantity that an element can't have; the message names both and says why.
    """
    for parameter in (world.parameters[n] for n in (world.parameters if names is None else names)):
        for _ in entries(world, parameter):
            pass
        if parameter.quantity.element == "parameter":
            for element in parameter.elements:
                if element not in world.parameters:
                    raise UnknownName(f"parameter for {parameter.name}:", element, world.parameters)
    seen: dict[tuple[str, str], str] = {}
    for parameter in world.parameters.values():
        for element in parameter.elements or ("world",):
            other = seen.setdefault((parameter.quantity.name, element), parameter.name)
            if other != parameter.name:
                raise InvalidValue(
                    f"{other} and {parameter.name} are both the {parameter.quantity.name} of {element!r}; "
                    "let one of them go without it"
                )


def check_nominal(model: mujoco.MjModel, path: Path, parameter: Parameter) -> None:
    """Refuse a nominal value that the compiled model does not have."""
    quantity = parameter.quantity
    if quantity.acts != MODEL and quantity.neutral is None:
        return  # only the shape of an effect, as the speed at which friction falls
    for element in parameter.elements or ("world",):
        compiled = nominal_value(model, quantity.name, element)
        if not np.isclose(compiled, parameter.nominal, rtol=1e-6, atol=1e-12):
            raise InvalidValue(
                f"{path.name}: physics.toml says {parameter.name} = {parameter.nominal:g}, but "
                f"{element!r} in scene.xml compiles to {compiled:g}; make the two agree"
            )


def check_values(world: Described, path: Path, domain: Domain) -> None:
    """Refuse values of a domain that can't act as they say.

    Raises:
        InvalidValue: for a latency that the command buffer can't hold, a friction, wind, slope or torque
            limit without effect, or a backlash wider than its joint's range.
    """
    tops = _highest(world, domain)
    for name, distribution in domain.parameters.items():
        parameter, (low, high) = world.parameters[name], distribution.support()
        quantity = parameter.quantity.name
        if quantity.startswith("wind_"):
            _check_air(world, path, name)
        if quantity.startswith("slope_"):
            _check_weight(world, domain, name)
        if quantity == "friction":
            geoms = [number for _, number, _ in elements_of(world.model, parameter)]
            _check_friction(world, path, tops, (parameter, low), geoms)
        for _, number, element in elements_of(world.model, parameter):
            if quantity in _DELAYS:
                _check_latency(world, path, domain, element, number)
            if quantity == "backlash":
                _check_backlash(world.model, (name, high), number)
            if quantity == "torque_limit":
                _check_limit(world.model, (name, high), number)


_DELAYS = ("latency", "latency_jitter")


def _check_air(world: Described, path: Path, name: str) -> None:
    option = world.model.opt
    if option.density == 0 and option.viscosity == 0 and "world.air_density" not in world.parameters:
        raise InvalidValue(
            f"{name} has no effect without air; give the world a parameter 'world.air_density', or "
            f"{path / 'scene.xml'} a density"
        )


def _check_weight(world: Described, domain: Domain, name: str) -> None:
    """Refuse a slope where nothing falls."""
    gravity = [p for p in world.parameters.values() if p.quantity.name == "gravity"]
    most = [domain.parameters[p.name].support()[1] for p in gravity if p.name in domain.parameters]
    if not world.model.opt.gravity.any() and not any(most) and not any(p.nominal for p in gravity):
        raise InvalidValue(
            f"{name} has no effect without gravity; give 'world.gravity' a value beside it, or scene.xml one"
        )


def _check_latency(world: Described, path: Path, domain: Domain, element: str, actuator: int) -> None:
    """Refuse a latency that, with its jitter, does not fit the actuator's buffer of commands."""
    delays = [p for p in world.parameters.values() if p.quantity.name in _DELAYS and element in p.elements]
    given = domain.parameters
    steps = {p.name: given[p.name].support()[1] if p.name in given else p.nominal for p in delays}
    buffer = int(world.model.actuator_history[actuator, 0])
    if sum(steps.values()) > buffer:
        names = " + ".join(name for name in steps if steps[name])
        raise InvalidValue(
            f"{names} of {sum(steps.values()):g} physics steps does not fit the buffer of {buffer}; "
            f"raise nsample of actuator {element!r} in {path / 'scene.xml'}"
        )


def _check_friction(
    world: Described, path: Path, tops: Array, lowest: tuple[Parameter, float], geoms: Sequence[int]
) -> None:
    """Refuse a friction that MuJoCo's rule (the larger of the two geoms counts) makes ineffective."""
    (parameter, value), model = lowest, world.model
    others = np.ones(model.ngeom, dtype=bool)
    others[geoms] = False  # these move together
    for geom in geoms:
        ahead = model.geom_priority - model.geom_priority[geom]
        ruling = others & ((ahead > 0) | ((ahead == 0) & (tops > value)))
        for other in possible_partners(model, geom) if ruling.any() else ():
            if not ruling[other] or contact_dim(model, geom, other) == 1:
                continue
            name = element_name(model, "geom", other)
            raise InvalidValue(
                f"{path.name}: {parameter.name} has no effect below {tops[other]:g} against "
                f"geom {name!r}, because the larger friction of a contact counts; give "
                f'{element_name(model, "geom", geom)!r} priority="1" or {name!r} less friction'
            )


def _highest(world: Described, domain: Domain) -> Array:
    """Most sliding friction of every geom that a domain draws. Shape (ngeom,)."""
    model = world.model
    tops = np.array(model.geom_friction[:, 0])
    for parameter in world.parameters.values():
        if parameter.quantity.name == "friction":
            drawn = domain.parameters.get(parameter.name)
            geoms = [number for _, number, _ in elements_of(model, parameter)]
            tops[geoms] = parameter.nominal if drawn is None else drawn.support()[1]
    return tops


def _check_backlash(model: mujoco.MjModel, widest: tuple[str, float], joint: int) -> None:
    """Refuse a free play that is wider than its joint's range, or has no motor's side."""
    (name, value), element = widest, element_name(model, "joint", joint)
    width = float(model.jnt_range[joint, 1] - model.jnt_range[joint, 0])
    if model.jnt_limited[joint] and value >= width:
        raise InvalidValue(
            f"{name} of {value:g} is wider than the range of joint {element!r}, {width:g}; give less"
        )
    if value and not model.dof_armature[model.jnt_dofadr[joint]]:
        raise InvalidValue(
            f"{name} needs an inertia on the motor's side of joint {element!r}; give it an armature"
        )


def _check_limit(model: mujoco.MjModel, widest: tuple[str, float], actuator: int) -> None:
    """Refuse a torque limit that a joint's own keeps the actuator from."""
    name, value = widest
    for joint in limited_joints(model, actuator) if model.actuator_forcelimited[actuator] else ():
        lever = levers(model, joint)[actuator]
        most = float(np.abs(model.jnt_actfrcrange[joint]).min()) / abs(lever) if lever else np.inf
        if value > most * (1 + 1e-9):
            raise InvalidValue(
                f"{name} has no effect above {most:g}, because joint {element_name(model, 'joint', joint)!r} "
                "takes no more of its actuators (actuatorfrcrange); give less, or the joint more"
            )
