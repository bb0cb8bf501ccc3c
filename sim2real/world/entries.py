"""Which numbers of a MuJoCo model a parameter decides: with `sim2real.world.refusals`, the table of both.

Each number is a sum of products: ``field[address] = Σ factor · parameter · parameter · parameter``. A payload
adds to the mass; a slope turns gravity, by the sines and cosines of its angles; what actuators give is in
`sim2real.world.drive_entries`. Whatever the compiler has worked out from other numbers (a servo's damping
from its ``dampratio``, an inertia from geoms) stays as it was compiled.
"""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array
from sim2real.parameters import INERTIA, MODEL, Parameter
from sim2real.world.drive_entries import of_actuator, of_encoder
from sim2real.world.names import by_number, element_id, element_name
from sim2real.world.refusals import refusal, shortcut
from sim2real.world.terms import Described, Entry, owner, term

BACKLASH = " (free play)"
"""What the second joint of a joint with free play adds to its name; no joint of a scene may end so."""

_STUCK = 1e4  # N·m or N of dry friction that no motor overcomes
_DOWN = np.array([0.0, 0.0, -1.0])


def entries(world: Described, parameter: Parameter) -> Iterator[Entry]:
    """Every term that ``parameter`` has a part in, and the others of the same numbers that it completes.

    A quantity that a channel acts on decides no number of the model.

    Raises:
        UnknownName: for an element that does not exist.
        InvalidValue: if an element can't have the quantity; the message says why.
    """
    for kind, number, name in elements_of(world.model, parameter):
        what = world.model, parameter.quantity, kind, number
        reason = refusal(*what) or shortcut(*what)
        if reason:
            raise InvalidValue(f"{parameter.name}: {kind} {name!r} can't have it, because {reason}")
        if parameter.quantity.acts == MODEL:
            ask = {
                "body": _of_body,
                "geom": _of_geom,
                "joint": _of_joint,
                "tendon": _of_tendon,
                "actuator": of_actuator,
                "world": _of_world,
            }
            yield from ask[kind](world, number, parameter.quantity.name)


def elements_of(model: mujoco.MjModel, parameter: Parameter) -> Iterator[tuple[str, int, str]]:
    """Kind, number and name of every element of the model that a parameter is about.

    What a joint has, a tendon can have as well; a name that both have means the joint.

    Raises:
        UnknownName: for an element that does not exist.
    """
    kind = parameter.quantity.element
    if kind == "world":
        named = parameter.elements or (parameter.name.rpartition(".")[0],)
        for element in (name for name in named if name != "world"):
            raise UnknownName(
                f"element for parameter {parameter.name}, of the whole world:", element, ("world",)
            )
        yield "world", 0, "world"
    for name in parameter.elements if kind in ("body", "geom", "joint", "actuator") else ():
        yield (*locate(model, kind, name, f"{kind} for parameter {parameter.name}:"), name)


def locate(model: mujoco.MjModel, kind: str, name: str, wanted: str) -> tuple[str, int]:
    """Kind and number of an element by its name; ``wanted`` is for the message where there is none."""
    joint = kind != "joint" or mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name) >= 0
    if not joint and (
        mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_TENDON, name) >= 0
        or by_number("tendon", name) is not None
    ):
        return "tendon", element_id(model, "tendon", name, wanted)
    return kind, element_id(model, kind, name, wanted)


def _of_world(world: Described, _: int, quantity: str) -> Iterator[Entry]:
    if quantity == "air_density":
        yield Entry("opt.density", 0, 1.0, owner(world, quantity))
    elif quantity.startswith("wind_"):
        yield Entry("opt.wind", "xyz".index(quantity[-1]), 1.0, owner(world, quantity))
    else:
        yield from _gravity(world)


def _gravity(world: Described) -> Iterator[Entry]:
    """Gravity turned about x, then about y; a scene without has it along -z."""
    gravity = world.model.opt.gravity
    strength = float(np.linalg.norm(gravity))
    direction: Array = gravity / strength if strength else _DOWN
    size = owner(world, "gravity")
    factor = 1.0 if size else strength
    about_x, about_y = (owner(world, f"slope_{axis}") for axis in "xy")

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


def _of_body(world: Described, number: int, quantity: str) -> Iterator[Entry]:
    body = world.model.body(number)
    element = element_name(world.model, "body", number)
    whole = bool(reshaping(world, element))
    if whole or quantity.startswith("com_"):
        for axis, letter in enumerate("xyz"):
            if whole or quantity.endswith(letter):
                centre = (f"com_{letter}", element, float(body.ipos[axis]))
                yield term(world, "body_ipos", 3 * number + axis, centre)
    if quantity.startswith("com_") and not whole:
        return
    if whole:
        yield from (Entry("body_iquat", 4 * number + k, float(x), ()) for k, x in enumerate(body.iquat))
    nominal = float(body.mass[0])
    mass = ("mass", element, nominal)
    yield term(world, "body_mass", number, mass)
    yield from (Entry("body_mass", number, 1.0, (name,)) for name in owner(world, "payload", element))
    for axis, inertia in enumerate(body.inertia):
        if nominal:  # a massless body has no inertia, whatever it carries
            yield term(world, "body_inertia", 3 * number + axis, mass, float(inertia) / nominal)


def reshaping(world: Described, body: str) -> tuple[str, ...]:
    """Parameters of a body by which its whole inertia follows (`sim2real.simulators.inertia`), if any."""
    return tuple(
        p.name for p in world.parameters.values() if p.quantity.name in INERTIA and body in p.elements
    )


def _of_geom(world: Described, number: int, quantity: str) -> Iterator[Entry]:
    mine = owner(world, quantity, element_name(world.model, "geom", number))
    if quantity == "height":
        yield Entry("geom_pos", 3 * number + 2, 1.0, mine)
    else:
        yield Entry("geom_friction", 3 * number, 1.0, mine)


def _of_joint(world: Described, number: int, quantity: str) -> Iterator[Entry]:
    model, element = world.model, element_name(world.model, "joint", number)
    mine = owner(world, quantity, element)
    if quantity == "backlash":
        yield from _play(world, element)
    elif quantity == "encoder_offset":
        yield from of_encoder(world, number)
    elif quantity == "stiffness":
        yield Entry("jnt_stiffness", number, 1.0, mine)
    else:
        field = "frictionloss" if quantity == "stuck" else quantity
        first = int(model.jnt_dofadr[number])
        for dof in range(first, first + _DOFS[int(model.jnt_type[number])]):
            nominal = float(getattr(model, f"dof_{field}")[dof])
            yield term(world, f"dof_{field}", dof, (field, element, nominal))
            if field == "frictionloss":
                yield from (
                    Entry("dof_frictionloss", dof, _STUCK, (name,)) for name in owner(world, "stuck", element)
                )


_DOFS = {
    int(mujoco.mjtJoint.mjJNT_FREE): 6,
    int(mujoco.mjtJoint.mjJNT_BALL): 3,
    int(mujoco.mjtJoint.mjJNT_SLIDE): 1,
    int(mujoco.mjtJoint.mjJNT_HINGE): 1,
}


def _of_tendon(world: Described, number: int, quantity: str) -> Iterator[Entry]:
    element = element_name(world.model, "tendon", number)
    field = "frictionloss" if quantity == "stuck" else quantity
    nominal = float(getattr(world.model, f"tendon_{field}")[number])
    yield term(world, f"tendon_{field}", number, (field, element, nominal))
    if field == "frictionloss":
        for name in owner(world, "stuck", element):
            yield Entry("tendon_frictionloss", number, _STUCK, (name,))


def _play(world: Described, element: str) -> Iterator[Entry]:
    """Half of the play to either side; a model that was compiled without play has no such numbers."""
    joint = mujoco.mj_name2id(world.model, mujoco.mjtObj.mjOBJ_JOINT, element + BACKLASH)
    if joint >= 0:
        for side, sign in enumerate((-0.5, 0.5)):
            yield Entry("jnt_range", 2 * joint + side, sign, owner(world, "backlash", element))
