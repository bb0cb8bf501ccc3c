"""Which numbers of a MuJoCo model a parameter decides.

Each is a product: ``field[address] = factor · parameter · (a second parameter)``. Motor strength multiplies
the gain of a motor (a DC motor keeps its back-EMF), and gain, bias and force limit of a position servo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.parameters import Parameter
from sim2real.world import World, actuator_of

_JOINT_FIELDS = {
    "damping": "dof_damping",
    "frictionloss": "dof_frictionloss",
    "armature": "dof_armature",
    "stiffness": "jnt_stiffness",
}


@dataclass(frozen=True)
class Entry:
    """One number of the model."""

    field: str
    """Field of MjModel, or ``opt.<name>`` of its options."""
    address: int
    """Index into the flattened field."""
    factor: float
    parameters: tuple[str, ...]
    """At most two parameters, whose values multiply the factor."""


def entries(world: World, parameter: Parameter) -> Iterator[Entry]:
    """Every number that ``parameter`` decides, alone or with another parameter.

    Raises:
        InvalidValue: if an element has no such quantity: a servo gain of a plain motor, the strength of an
            actuator that is neither motor nor servo.
    """
    model, quantity, name = world.model, parameter.quantity.name, parameter.name
    if quantity == "gravity":
        direction = model.opt.gravity / np.linalg.norm(model.opt.gravity)
        yield from (Entry("opt.gravity", i, float(direction[i]), (name,)) for i in range(3))
    for element in parameter.elements:
        if quantity in ("mass", "com_x", "com_y", "com_z"):
            yield from _body(model, element, quantity, name)
        elif quantity == "friction":
            yield Entry("geom_friction", 3 * model.geom(element).id, 1.0, (name,))
        elif quantity == "latency":
            dt = float(model.opt.timestep)
            yield Entry("actuator_delay", actuator_of(model, element).id, dt, (name,))
        elif quantity in _JOINT_FIELDS:
            joint, field = model.joint(element), _JOINT_FIELDS[quantity]
            address = joint.id if field.startswith("jnt") else int(joint.dofadr[0])
            yield Entry(field, address, 1.0, (name,))
        elif quantity != "gravity":
            yield from _actuator(world, element, name)


def _body(model: mujoco.MjModel, element: str, quantity: str, name: str) -> Iterator[Entry]:
    body = model.body(element)
    if quantity != "mass":
        yield Entry("body_ipos", 3 * body.id + "xyz".index(quantity[-1]), 1.0, (name,))
        return
    yield Entry("body_mass", body.id, 1.0, (name,))
    for axis, inertia in enumerate(body.inertia / body.mass[0]):
        yield Entry("body_inertia", 3 * body.id + axis, float(inertia), (name,))


def _actuator(world: World, element: str, name: str) -> Iterator[Entry]:
    actuator = actuator_of(world.model, element)
    if actuator.gaintype[0] != mujoco.mjtGain.mjGAIN_FIXED:
        raise InvalidValue(
            f"{name}: actuator {element!r} is neither a motor nor a position servo; "
            "write it as <motor>, <general> with fixed gain, or <position>"
        )
    gain, bias = float(actuator.gainprm[0]), actuator.biasprm
    width_gain, width_bias = world.model.actuator_gainprm.shape[1], world.model.actuator_biasprm.shape[1]
    if bias[1] == 0.0:
        if not name.endswith(".strength"):
            raise InvalidValue(f"{name}: actuator {element!r} is no position servo and has no gains")
        yield Entry("actuator_gainprm", actuator.id * width_gain, gain, (name,))
        return
    kp_sign = gain / -float(bias[1])
    for field, address, factor, gains in (
        ("actuator_gainprm", actuator.id * width_gain, kp_sign, "kp"),
        ("actuator_biasprm", actuator.id * width_bias + 1, -1.0, "kp"),
        ("actuator_biasprm", actuator.id * width_bias + 2, -1.0, "kd"),
    ):
        nominal = -float(bias[1] if gains == "kp" else bias[2])
        yield _product(world, element, Entry(field, address, factor, ()), (gains, nominal))
    if actuator.forcelimited[0]:
        for side in range(2):
            limit = Entry("actuator_forcerange", 2 * actuator.id + side, float(actuator.forcerange[side]), ())
            yield _product(world, element, limit, None)


def _product(world: World, element: str, entry: Entry, gain: tuple[str, float] | None) -> Entry:
    """The entry times gain and strength, each a parameter where the world has one."""
    factor, names = entry.factor, []
    for quantity, nominal in ((gain,) if gain else ()) + (("strength", 1.0),):
        owners = [
            p.name for p in world.parameters.values() if p.quantity.name == quantity and element in p.elements
        ]
        factor *= 1.0 if owners else nominal
        names += owners[:1]
    return Entry(entry.field, entry.address, factor, tuple(names))
