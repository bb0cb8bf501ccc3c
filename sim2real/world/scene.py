"""The compiled scene of a world: its MJCF, with room for what parameters ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.io_table import IoTable
from sim2real.parameters import Parameter
from sim2real.world.entries import BACKLASH, elements_of
from sim2real.world.io_drives import drive_by_io
from sim2real.world.names import name_elements
from sim2real.world.refusals import shortcut
from sim2real.world.variant import Variant


def compile_scene(
    path: Path,
    parameters: Mapping[str, Parameter],
    variants: Mapping[str, Variant],
    change: Callable[[mujoco.MjSpec], None] = lambda _: None,
) -> mujoco.MjModel:
    """The model of a scene, with buffers for the latencies that parameters and variants ask for.

    An ``io.toml`` beside it gives actuators its gains.

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
        if spec.compiler.fusestatic or spec.compiler.discardvisual:
            spec.compile()  # what is fused or discarded has no number
        name_elements(spec)
        for joint in (joint.name for joint in spec.joints if joint.name.endswith(BACKLASH)):
            raise InvalidValue(
                f"joint {joint!r} of {path} is named as the second joint that a backlash makes; rename it"
            )
        io = IoTable.beside(path)
        if io is not None:
            drive_by_io(spec, io)
        for parameter in sorted(parameters.values(), key=lambda p: p.quantity.name == "latency_jitter"):
            _prepare(spec, parameter, variants)
        change(spec)
        model = spec.compile()
    except ValueError as error:
        if isinstance(error, InvalidValue | UnknownName):
            raise
        raise InvalidValue(f"{path} does not compile: {error}") from error
    # the engine compares time stamps in floating point: k·dt drifts to k + 1 steps, a little less does not
    held = model.actuator_history[:, 1] == 0  # not interpolated, where every part of a step counts
    less = less_delay(model)
    looks = np.ceil(model.actuator_delay[held] / (2 * less) - 1e-9)
    model.actuator_delay[held] = np.maximum(2 * looks - 1, 0.0) * less
    return model


def less_delay(model: mujoco.MjModel) -> float:
    """What a delay of whole physics steps is written shorter by, s, so that no rounding of times matters.

    It is half of what lies between two moments at which the engine looks for a delayed command. Runge and
    Kutta's method looks in the middle of a step too, and at its end, where a sixth of a command comes a step
    early.
    """
    looks = 2 if model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4 else 1
    return float(model.opt.timestep) / (2 * looks)


def lacks_room(model: mujoco.MjModel, parameter: Parameter) -> bool:
    """Whether a scene must be compiled again for a parameter that it was not compiled for."""
    quantity = parameter.quantity.name
    for kind, number, _ in elements_of(model, parameter):
        if shortcut(model, parameter.quantity, kind, number):
            return True
        none = kind == "actuator" and int(model.actuator_biastype[number]) == int(mujoco.mjtBias.mjBIAS_NONE)
        if none and quantity in ("back_emf", "bias_torque"):
            return True
        if quantity == "latency" and model.actuator_history[number, 0] < parameter.high:
            return True
        if quantity == "latency_jitter" and parameter.high:
            return True
    return False


def _prepare(spec: mujoco.MjSpec, parameter: Parameter, variants: Mapping[str, Variant]) -> None:
    """Room in the compiled model for what a parameter may ask of it."""
    kind, quantity = parameter.quantity.element, parameter.quantity.name
    longest = int(max([parameter.high, *(v.physics.get(parameter.name, 0.0) for v in variants.values())]))
    for name in parameter.elements if kind in _PLURAL else ():
        element = _find(spec, parameter, name)
        if quantity.startswith(("com_", "inertia_")):
            element.simple = 0  # else the engine keeps a shortcut for centred bodies
        if quantity == "armature" and isinstance(element, mujoco.MjsTendon):
            for body in spec.bodies:
                body.simple = 0
        if quantity in ("back_emf", "bias_torque") and element.biastype == mujoco.mjtBias.mjBIAS_NONE:
            element.biastype, element.biasprm[:3] = mujoco.mjtBias.mjBIAS_AFFINE, 0.0
        if kind == "actuator" and element.ctrlspec == _NO_INPUT:
            continue
        if quantity == "latency":
            element.nsample = max(element.nsample, longest, 1)
        if quantity == "latency_jitter":
            element.nsample += max(longest, 1)  # on top of the latency, which comes first


_NO_INPUT = 16  # ``input="none"``, of a passive DC motor, which refuses any buffer


def _find(spec: mujoco.MjSpec, parameter: Parameter, name: str) -> mujoco._specs.MjsElement:
    """An element of the scene, all of which have names, by what a parameter calls it."""
    kind = parameter.quantity.element
    known: dict[str, mujoco._specs.MjsElement] = {}
    for what in ("tendon", "joint") if kind == "joint" else (kind,):
        elements = list(getattr(spec, _PLURAL[what]))
        known |= {f"{what} {k}": element for k, element in enumerate(elements)}
        known |= {element.name: element for element in elements}
    if name not in known:
        names = [element.name for element in getattr(spec, _PLURAL[kind])]
        raise UnknownName(f"{kind} for parameter {parameter.name}:", name, names)
    return known[name]


_PLURAL = {
    "body": "bodies",
    "joint": "joints",
    "geom": "geoms",
    "actuator": "actuators",
    "tendon": "tendons",
}
