"""Which parameters a gymnasium env can have, who sets them, and what they are nominally."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from enum import Enum

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import ACTUATOR, LAW, MODEL, Parameter, quantity_of
from sim2real.world.entries import elements_of
from sim2real.world.gym.bullet_bodies import WRITTEN
from sim2real.world.gym.inspection import GymEnv
from sim2real.world.variant import Variant

_DELAYS = ("latency", "latency_jitter")


class Sets(Enum):
    """Who sets a parameter."""

    ENV = "the env, by a setter, an attribute or its set_physics"
    MODEL = "its MuJoCo model"
    BODIES = "its PyBullet bodies"
    DELAY = "the line that its actions wait in"
    CHANNEL = "a channel between policy and env"


def who_sets(env: GymEnv, name: str, elements: tuple[str, ...]) -> Sets:
    """Who sets a parameter of some elements."""
    quantity = quantity_of(name)
    if name in env.source.setters or quantity.element == "env":
        return Sets.ENV
    if quantity.acts != MODEL:
        return Sets.CHANNEL
    if quantity.name == "latency" and env.engine != "mujoco":
        return Sets.DELAY
    takes = not env.engine or env.takes_physics or elements == ("env",)
    if env.engine == "bullet":
        unknown = any((quantity.name, element) not in env.values for element in elements or ("world",))
        return Sets.ENV if takes and unknown else Sets.BODIES
    return Sets.ENV if takes and not _in_model(env, name, elements) else Sets.MODEL


def own_value(env: GymEnv, name: str, elements: tuple[str, ...]) -> float | None:
    """Nominal value of what an env or its PyBullet bodies have; None of what they don't tell.

    Raises:
        UnknownName: for an attribute, a link or a joint that does not exist.
        InvalidValue: for what PyBullet can't have, and for an env that nothing can be set in.
    """
    quantity, setter, who = quantity_of(name), env.source.setters.get(name), who_sets(env, name, elements)
    if who is Sets.BODIES and quantity.name not in WRITTEN:
        raise InvalidValue(f"{name} can't be set on a PyBullet env; possible: {', '.join(WRITTEN)}")
    if who is Sets.BODIES:
        known = [element for kind, element in env.values if kind == quantity.name]
        for element in elements or ("world",):
            if (quantity.name, element) not in env.values:
                raise UnknownName(f"element for parameter {name}:", element, known)
        return env.values[quantity.name, (elements or ("world",))[0]]
    if who is not Sets.ENV:
        return None
    attribute = quantity.name if setter is None and elements == ("env",) else setter
    if attribute is None and not env.takes_physics:
        raise InvalidValue(
            f"{env.source.name} has no way to set {name}: no MuJoCo model, no PyBullet client, no setter; "
            f"call it env.<attribute>, write {name!r} = <attribute> under [env.setters] of physics.toml, or "
            "give the env a method set_physics, which takes a table"
        )
    if not isinstance(attribute, str):
        return None
    if attribute not in env.attributes and (setter or not env.takes_physics):
        raise UnknownName(
            f"number that {env.source.name} has as an attribute, for {name}:", attribute, env.attributes
        )
    return env.attributes.get(attribute)


def check(env: GymEnv, parameter: Parameter) -> None:
    """Refuse what an env can't have, or a nominal value that it does not have.

    Raises:
        UnknownName: for an attribute, a link or a joint that does not exist.
        InvalidValue: else; the message says why, and what to do.
    """
    name, title = parameter.name, env.source.name
    reason = _channel_refusal(env, parameter)
    if reason:
        raise InvalidValue(reason)
    value = own_value(env, name, parameter.elements)
    if value is not None and not np.isclose(value, parameter.nominal, rtol=1e-6, atol=1e-12):
        raise InvalidValue(
            f"{name} = {parameter.nominal:g} is said to be nominal, and {title} has {value:g}; make the "
            "two agree"
        )


def with_room(
    env: GymEnv, parameters: Mapping[str, Parameter], variants: Mapping[str, Variant]
) -> mujoco.MjModel:
    """A copy of an env's model that says how late its commands may be; what delays them is not the model."""
    model = copy.deepcopy(env.model)
    for parameter in parameters.values():
        if parameter.quantity.name in _DELAYS:
            asked = [parameter.high, *(v.physics.get(parameter.name, 0.0) for v in variants.values())]
            for _, actuator, _ in elements_of(model, parameter):
                if not env.model.actuator_history[actuator, 0]:
                    model.actuator_history[actuator, 0] += int(max(asked))
    return model


def _in_model(env: GymEnv, name: str, elements: tuple[str, ...]) -> bool:
    try:
        list(elements_of(env.model, Parameter(name, "", 0.0, 0.0, 0.0, "", elements)))
    except UnknownName:
        return False
    return bool(env.engine)


def _channel_refusal(env: GymEnv, parameter: Parameter) -> str:
    """Why a channel can't act as a parameter asks; empty if it can, or isn't asked."""
    name, quantity, title = parameter.name, parameter.quantity, env.source.name
    direct, stepped = env.reaches
    if quantity.acts == LAW:
        return (
            f"{name} acts within a control period, which {title} keeps to itself; leave it out, or put "
            "sim2real.wrappers.Randomize around one env"
        )
    if quantity.name in ("backlash", "correction"):
        return f"{name} needs a world with a scene.xml, and {title} is a gymnasium env; leave it out"
    if quantity.name == "push" and env.engine != "mujoco":
        return f"{name} pushes a body of a MuJoCo model, which {title} has not; leave it out"
    late = quantity.name in _DELAYS
    if (late and not stepped) or (quantity.acts == ACTUATOR and not late and not direct):
        return (
            f"{name} can't act on {title}, whose code makes other commands of its actions; envs that step "
            "through gymnasium's MujocoEnv.do_simulation can have it"
        )
    return ""
