"""The compiled scene of a world: its MJCF, with room for what parameters ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import Parameter
from sim2real.world.variant import Variant


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
