"""Which numbers of a MuJoCo model a parameter decides.

Each number is a sum of products: ``field[address] = Σ factor · parameter · parameter · parameter``. Motor
strength multiplies the gain of a motor (a DC motor keeps its back-EMF), and gain, bias and force limit of a
position servo; a payload adds to the mass; a slope turns gravity, by the sines and cosines of its angles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.parameters import INERTIA, MODEL, Parameter
from sim2real.world import World, actuator_of

PLAY = "_play"
"""What the second joint of a joint with free play adds to its name."""

_JOINT_FIELDS = {
    "damping": "dof_damping",
    "frictionloss": "dof_frictionloss",
    "armature": "dof_armature",
    "stiffness": "jnt_stiffness",
}
_STUCK = 1e4  # N·m or N of dry friction that no motor overcomes


@dataclass(frozen=True)
class Entry:
    """One term of one number of the model."""

    field: str
    """Field of MjModel, or ``opt.<name>`` of its options."""
    address: int
    """Index into the flattened field."""
    factor: float
    parameters: tuple[str, ...]
    """At most three parameters, whose values multiply the factor; ``sin NAME`` and ``cos NAME`` are their
    sine and cosine."""


def entries(world: World, parameter: Parameter) -> Iterator[Entry]:
    """Every term that ``parameter`` has a part in, and the others of the same numbers that it completes.

    A quantity that a channel acts on decides no number of the model.

    Raises:
        InvalidValue: if an element has no such quantity: a servo gain of a plain motor, the strength of an
            actuator that is neither motor nor servo.
    """
    quantity = parameter.quantity
    if quantity.acts != MODEL:
        return
    if quantity.element == "world":
        yield from _of_world(world, quantity.name)
        return
    terms = {"body": _of_body, "geom": _of_geom, "joint": _of_joint, "actuator": _of_actuator}
    for element in parameter.elements:
        yield from terms[quantity.element](world, element, quantity.name)


def _owner(world: World, quantity: str, element: str = "") -> tuple[str, ...]:
    """The parameter of a quantity that an element has, if any."""
    return tuple(
        p.name
        for p in world.parameters.values()
        if p.quantity.name == quantity and (not element or element in p.elements)
    )[:1]


def _term(
    world: World, field: str, address: int, value: tuple[str, str, float], factor: float = 1.0
) -> Entry:
    """Factor times a quantity of an element: its parameter where there is one, else its nominal value."""
    quantity, element, nominal = value
    owner = _owner(world, quantity, element)
    return Entry(field, address, factor if owner else factor * nominal, owner)


def _of_world(world: World, quantity: str) -> Iterator[Entry]:
    option = world.model.opt
    if quantity == "air_density":
        yield Entry("opt.density", 0, 1.0, _owner(world, quantity))
    elif quantity.startswith("wind_"):
        yield Entry("opt.wind", "xyz".index(quantity[-1]), 1.0, _owner(world, quantity))
    else:
        yield from _gravity(world, option.gravity / np.linalg.norm(option.gravity))


def _gravity(world: World, direction: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Iterator[Entry]:
    """Gravity turned about x, then about y."""
    size = _owner(world, "gravity")
    factor = 1.0 if size else float(np.linalg.norm(world.model.opt.gravity))
    about_x, about_y = (_owner(world, f"slope_{axis}") for axis in "xy")

    def trig(function: str, name: tuple[str, ...]) -> tuple[str, ...] | None:
        """The factor as a parameter; none for a cosine of 1, None for a sine of 0."""
        if name:
            return (f"{function} {name[0]}",)
        return () if function == "cos" else None

    sx, cx, sy, cy = trig("sin", about_x), trig("cos", about_x), trig("sin", about_y), trig("cos", about_y)
    one: tuple[str, ...] = ()
    rotation = (
        ((1, cy, one), (1, sy, sx), (1, sy, cx)),
        ((0, one, one), (1, cx, one), (-1, sx, one)),
        ((-1, sy, one), (1, cy, sx), (1, cy, cx)),
    )
    for i, row in enumerate(rotation):
        zero = True
        for j, (sign, first, second) in enumerate(row):
            number = sign * factor * float(direction[j])
            if number and first is not None and second is not None:
                zero = False
                yield Entry("opt.gravity", i, number, (*size, *first, *second))
        if zero:
            yield Entry("opt.gravity", i, 0.0, ())


def _of_body(world: World, element: str, quantity: str) -> Iterator[Entry]:
    body = world.model.body(element)
    whole = bool(reshaping(world, element))
    if whole or quantity.startswith("com_"):
        for axis, letter in enumerate("xyz"):
            if whole or quantity.endswith(letter):
                centre = (f"com_{letter}", element, float(body.ipos[axis]))
                yield _term(world, "body_ipos", 3 * body.id + axis, centre)
    if quantity.startswith("com_") and not whole:
        return
    if whole:
        yield from (Entry("body_iquat", 4 * body.id + k, float(x), ()) for k, x in enumerate(body.iquat))
    nominal = float(body.mass[0])
    mass = ("mass", element, nominal)
    yield _term(world, "body_mass", body.id, mass)
    yield from (Entry("body_mass", body.id, 1.0, (name,)) for name in _owner(world, "payload", element))
    for axis, inertia in enumerate(body.inertia / nominal):
        yield _term(world, "body_inertia", 3 * body.id + axis, mass, float(inertia))


def reshaping(world: World, body: str) -> tuple[str, ...]:
    """Parameters of a body by which its whole inertia follows (`sim2real.simulators.inertia`), if any."""
    return tuple(
        p.name for p in world.parameters.values() if p.quantity.name in INERTIA and body in p.elements
    )


def _of_geom(world: World, element: str, quantity: str) -> Iterator[Entry]:
    if quantity == "height":
        yield Entry("geom_pos", 3 * world.model.geom(element).id + 2, 1.0, _owner(world, quantity, element))
        return
    yield Entry("geom_friction", 3 * world.model.geom(element).id, 1.0, _owner(world, quantity, element))


def _of_joint(world: World, element: str, quantity: str) -> Iterator[Entry]:
    model, joint = world.model, world.model.joint(element)
    if quantity == "backlash":
        yield from _play(world, element)
    elif quantity == "encoder_offset":
        for actuator in range(model.nu):
            if model.actuator_trnid[actuator, 0] == joint.id and model.actuator_biasprm[actuator, 1]:
                yield from _servo(world, actuator)
    elif quantity in ("frictionloss", "stuck"):
        address = int(joint.dofadr[0])
        yield _term(
            world, "dof_frictionloss", address, ("frictionloss", element, float(joint.frictionloss[0]))
        )
        for name in _owner(world, "stuck", element):
            yield Entry("dof_frictionloss", address, _STUCK, (name,))
    else:
        field = _JOINT_FIELDS[quantity]
        address = joint.id if field.startswith("jnt") else int(joint.dofadr[0])
        yield Entry(field, address, 1.0, _owner(world, quantity, element))


def _play(world: World, element: str) -> Iterator[Entry]:
    """Half of the play to either side; a model that was compiled without play has no such numbers."""
    joint = mujoco.mj_name2id(world.model, mujoco.mjtObj.mjOBJ_JOINT, element + PLAY)
    if joint >= 0:
        for side, sign in enumerate((-0.5, 0.5)):
            yield Entry("jnt_range", 2 * joint + side, sign, _owner(world, "backlash", element))


def _of_actuator(world: World, element: str, quantity: str) -> Iterator[Entry]:
    model, actuator = world.model, actuator_of(world.model, element)
    if quantity == "latency":
        dt = float(model.opt.timestep)
        yield Entry("actuator_delay", actuator.id, dt, _owner(world, quantity, element))
        return
    if actuator.gaintype[0] != mujoco.mjtGain.mjGAIN_FIXED:
        raise InvalidValue(
            f"{element}.{quantity}: actuator {element!r} is neither a motor nor a position servo; "
            "write it as <motor>, <general> with fixed gain, or <position>"
        )
    is_servo = bool(actuator.biasprm[1])
    if quantity in ("kp", "kd") and not is_servo:
        raise InvalidValue(
            f"{element}.{quantity}: actuator {element!r} is no position servo and has no gains"
        )
    if quantity == "back_emf" and is_servo:
        raise InvalidValue(
            f"{element}.{quantity}: actuator {element!r} is a position servo; its kd says that"
        )
    if quantity == "torque_limit" and not actuator.forcelimited[0]:
        raise InvalidValue(
            f"{element}.{quantity}: actuator {element!r} has no force limit to change; give it a forcerange"
        )
    if quantity == "torque_limit":
        yield from _force_range(world, actuator.id)
    elif is_servo:
        yield from _servo(world, actuator.id)
    elif quantity == "back_emf":
        address = actuator.id * model.actuator_biasprm.shape[1] + 2
        yield Entry("actuator_biasprm", address, -1.0, _owner(world, quantity, element))
    else:
        address = actuator.id * model.actuator_gainprm.shape[1]
        yield Entry(
            "actuator_gainprm", address, float(actuator.gainprm[0]), _owner(world, "strength", element)
        )


def _servo(world: World, actuator: int) -> Iterator[Entry]:
    """Gain and bias of a position servo: strength · (kp (goal - angle - encoder offset) - kd speed)."""
    model = world.model
    element = _element(world, actuator)
    gain, bias = float(model.actuator_gainprm[actuator, 0]), model.actuator_biasprm[actuator]
    width_gain, width_bias = model.actuator_gainprm.shape[1], model.actuator_biasprm.shape[1]
    kp, kd = ("kp", element, -float(bias[1])), ("kd", element, -float(bias[2]))
    strength = _owner(world, "strength", element)
    terms = [
        _term(world, "actuator_gainprm", actuator * width_gain, kp, gain / -float(bias[1])),
        _term(world, "actuator_biasprm", actuator * width_bias + 1, kp, -1.0),
        _term(world, "actuator_biasprm", actuator * width_bias + 2, kd, -1.0),
    ]
    joint = model.joint(int(model.actuator_trnid[actuator, 0])).name
    terms += [
        Entry("actuator_biasprm", actuator * width_bias, 1.0, (name,))
        for name in _owner(world, "bias_torque", element)
    ]
    for offset in _owner(world, "encoder_offset", joint):
        term = _term(world, "actuator_biasprm", actuator * width_bias, kp, -1.0)
        terms.append(Entry(term.field, term.address, term.factor, (*term.parameters, offset)))
    for term in terms:
        yield Entry(term.field, term.address, term.factor, (*term.parameters, *strength))
    if strength and model.actuator_forcelimited[actuator]:
        yield from _force_range(world, actuator)


def _force_range(world: World, actuator: int) -> Iterator[Entry]:
    """Both force limits: the torque limit where the world has one, times a servo's strength."""
    element, model = _element(world, actuator), world.model
    strength = _owner(world, "strength", element) if model.actuator_biasprm[actuator, 1] else ()
    for side, sign in enumerate((-1.0, 1.0)):
        nominal = float(model.actuator_forcerange[actuator, side])
        limit = ("torque_limit", element, sign * nominal)
        term = _term(world, "actuator_forcerange", 2 * actuator + side, limit, sign)
        yield Entry(term.field, term.address, term.factor, (*term.parameters, *strength))


def _element(world: World, actuator: int) -> str:
    """The name that parameters give an actuator: its own, or that of the joint it drives."""
    view = world.model.actuator(actuator)
    return str(view.name or world.model.joint(int(view.trnid[0])).name)
