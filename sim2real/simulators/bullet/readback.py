"""What Bullet has loaded, read back and compared with the compiled model.

Bullet reads a text, and says nothing of what it took otherwise. So of every link its parent, joint, axis,
limits, mass, principal inertia, frames and shapes are asked for again, in the pose of `MjModel.qpos0`, and
compared with what MuJoCo has there. They agree to ``1e-9`` of the size of a number (of a millimetre where a
place is closer to zero), a hull to ``1e-3``, for Bullet keeps its points in another order and moves them by a
little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.interface import Array
from sim2real.simulators.bullet.contacts import limited
from sim2real.simulators.bullet.trees import Inertial, Numbers, Tree, body_joints, inertials
from sim2real.simulators.bullet.urdf import KINDS, hull, shape_name, surface, thick

_ALIKE, _ALIKE_HULLS = 1e-9, 1e-3
_BULLET_KINDS = {0: "revolute", 1: "prismatic", 2: "spherical", 4: "fixed"}
_SHAPES = {
    mujoco.mjtGeom.mjGEOM_SPHERE: ("sphere", 2),
    mujoco.mjtGeom.mjGEOM_BOX: ("box", 3),
    mujoco.mjtGeom.mjGEOM_CYLINDER: ("cylinder", 4),
    mujoco.mjtGeom.mjGEOM_CAPSULE: ("capsule", 7),
    mujoco.mjtGeom.mjGEOM_PLANE: ("plane", 6),
}
_MESH = ("mesh", 5)
_MASS, _MOMENTS, _HULL = "a mass of", "principal moments of inertia of", "a hull that reaches"
_LENGTH = 1e-3  # m, 1: places, sizes and axes are compared to no smaller scale
_NOTHING = Inertial(0.0, np.zeros(3), np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
_DIRECTIONS = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z])


Ask = Callable[..., Any]
"""A function of Bullet by its name, for one body."""
Value = float | str | Array | Sequence[float]
Numbered = Iterator[tuple[str, Value, Value]]
"""What a number is, as it was found, and as it should be."""


@dataclass(frozen=True)
class _Frame:
    """A place in the world: of its origin, and its axes as columns."""

    origin: Array
    axes: Array

    def __matmul__(self, other: _Frame) -> _Frame:
        return _Frame(self.origin + self.axes @ other.origin, self.axes @ other.axes)

    def inverse(self) -> _Frame:
        return _Frame(-self.axes.T @ self.origin, self.axes.T)


@dataclass(frozen=True)
class _Link:
    """A link as it should be."""

    name: str
    element: str
    """What of the model it stands for, in words."""
    parent: str
    kind: str
    frame: _Frame
    """Of the link itself, whose origin is the anchor of its joint."""
    inertial: Inertial
    """In the link's frame."""
    joint: int | None = None
    shape: tuple[int, _Frame] | None = None
    """The geom of its shape, and where that is."""

    @property
    def centre(self) -> _Frame:
        """Frame of the centre of mass and the principal axes."""
        return self.frame @ _Frame(self.inertial.position, _matrix(self.inertial.axes))


def ask(bullet: ModuleType, client: int, unique: int) -> Ask:
    """Functions of Bullet by their names, for one of its bodies."""

    def called(name: str, *arguments: object, **more: object) -> object:
        return getattr(bullet, name)(unique, *arguments, **more, physicsClientId=client)

    return called


def compare(call: Ask, model: mujoco.MjModel, tree: Tree, numbers: Numbers) -> None:
    """Compare a tree that Bullet has just loaded with the model.

    Args:
        call: asks about the body; see `ask`.
        model: the compiled model.
        tree: which of its trees.
        numbers: that the tree was written with.

    Raises:
        InvalidValue: naming the link and what differs.
    """
    wanted = {link.name: link for link in _links(model, tree, numbers)}
    infos = {call("getBodyInfo")[0].decode(): None}
    for index in range(call("getNumJoints")):
        info = call("getJointInfo", index)
        infos[info[12].decode()] = info
    faults = [f"it lacks {link.element}" for name, link in wanted.items() if name not in infos]
    faults += [f"it has a link {name!r} too many" for name in infos if name not in wanted]
    names = list(infos)
    if not faults:
        for index, (name, info) in enumerate(infos.items(), -1):
            link = wanted[name]
            faults += _faults(link.element, _of_weight(call("getDynamicsInfo", index), link))
            if info is not None:
                parent = wanted[names[info[16] + 1]]
                faults += _faults(link.element, _of_joint(info, parent, (model, numbers), link))
            faults += _faults(link.element, _of_place(call, index, model, link))
    if faults:
        root = _named(model.body(tree.root).name, tree.root)
        raise InvalidValue(
            f"bullet has loaded the tree of body {root} otherwise than the model has it: {faults[0]}; "
            "use simulator 'mujoco'"
        )


def compare_static(call: Ask, model: mujoco.MjModel, numbers: Numbers, geom: int) -> None:
    """Compare a geom of the world that Bullet has just made with the model.

    Raises:
        InvalidValue: naming the geom and what differs.
    """
    origin, quat = call("getBasePositionAndOrientation")
    centre = _Frame(np.array(origin), _matrix(np.roll(quat, 1)))
    own = _Frame(surface(model, geom, numbers.geom_pos), _matrix(model.geom_quat[geom]))
    for fault in _faults(_geom_word(model, geom), _of_shape(call, -1, model, geom, (own, centre))):
        raise InvalidValue(f"bullet has made a geom otherwise than the model has it: {fault}; use 'mujoco'")


def _links(model: mujoco.MjModel, tree: Tree, numbers: Numbers) -> Iterator[_Link]:
    """Every link of a tree, in the pose ``qpos0``."""
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_kinematics(model, data)
    weights = inertials(model, numbers, tree)
    bodies = {b: _Frame(data.xpos[b], data.xmat[b].reshape(3, 3)) for b in tree.bodies}
    is_free = tree.free is not None
    base = _Frame(np.zeros(3), np.eye(3)) if not is_free else bodies[tree.root]
    first = f"base{tree.root}" if is_free else "world"

    def link(name: str, element: str, above: tuple[str, str], frame: _Frame) -> _Link:
        return _Link(name, element, *above, base.inverse() @ frame, weights.get(name, _NOTHING))

    yield link(first, "the base", ("", "fixed"), base)
    for body in tree.bodies:
        word = f"body {_named(model.body(body).name, body)}"
        joints = [] if is_free and body == tree.root else body_joints(model, body)
        above = first if body == tree.root else f"body{model.body_parentid[body]}"
        for joint in joints[:-1]:
            part = link(f"part{joint}", word, (above, ""), _Frame(data.xanchor[joint], bodies[body].axes))
            yield _jointed(model, part, joint)
            above = part.name
        own = bodies[body] @ _Frame(tree.offsets[body], np.eye(3))
        carrier = link(f"body{body}", word, (above, "fixed"), own)
        weight = carrier.inertial
        carrier = replace(carrier, inertial=replace(weight, position=weight.position - tree.offsets[body]))
        shapes = [shape for shape in tree.shapes if model.geom_bodyid[shape[0]] == body]
        local = [(g, _Frame(numbers.geom_pos[g], _matrix(model.geom_quat[g]))) for g, _ in shapes]
        places = [(geom, base.inverse() @ bodies[body] @ place) for geom, place in local]
        carrier = replace(carrier, shape=places[0] if places else None)
        yield _jointed(model, carrier, joints[-1]) if joints else carrier
        for shape, place in zip(shapes[1:], places[1:], strict=True):
            about = _geom_word(model, shape[0])
            further = link(shape_name(shape), about, (carrier.name, "fixed"), own)
            yield replace(further, shape=place)


def _jointed(model: mujoco.MjModel, link: _Link, joint: int) -> _Link:
    """A link that hangs on a joint."""
    element = f"joint {_named(model.joint(joint).name, joint)} of {link.element}"
    return replace(link, element=element, kind=KINDS[int(model.jnt_type[joint])], joint=joint)


def _of_weight(info: Sequence[Any], link: _Link) -> Numbered:
    """Mass and inertia of a link."""
    mass, _, moments, position, axes, *_ = info
    weight = link.inertial
    yield _MASS, mass, weight.mass
    if mass:  # without one Bullet takes no inertia from the text
        yield _MOMENTS, moments, weight.moments
    yield "its centre of mass at", position, weight.position
    yield "axes of inertia of", _matrix(np.roll(axes, 1)), _matrix(weight.axes)


def _of_place(call: Ask, index: int, model: mujoco.MjModel, link: _Link) -> Numbered:
    """Place and shapes of a link."""
    centre = link.centre
    if index >= 0:
        state = call("getLinkState", index, computeForwardKinematics=1)
        yield "a turn in the world of", _matrix(np.roll(state[1], 1)), centre.axes
        yield "its centre in the world at", state[0], centre.origin
    if link.shape is None:
        yield "shapes:", len(call("getCollisionShapeData", index)), 0
    else:
        geom, place = link.shape
        yield from _of_shape(call, index, model, geom, (place, centre))


def _of_joint(
    info: Sequence[Any], parent: _Link, model_of: tuple[mujoco.MjModel, Numbers], link: _Link
) -> Numbered:
    """What a link hangs on; ``parent`` is what it hangs on in Bullet."""
    model, numbers = model_of
    yield "a parent link", parent.name, link.parent
    yield "a joint of kind", _BULLET_KINDS.get(info[2], str(info[2])), link.kind
    yield "its joint in the parent's frame at", info[14], (parent.centre.inverse() @ link.frame).origin
    if link.joint is None or link.kind == "spherical":
        return
    yield "an axis of", info[13], link.centre.axes.T @ link.frame.axes @ model.jnt_axis[link.joint]
    if limited(model)[link.joint]:
        start = model.qpos0[model.jnt_qposadr[link.joint]]
        yield "limits from the start of", info[8:10], numbers.jnt_range[link.joint] - start
    else:
        yield "limits (none where the lower is above the upper):", float(info[8] > info[9]), 1.0


def _of_shape(
    call: Ask, index: int, model: mujoco.MjModel, geom: int, frames: tuple[_Frame, _Frame]
) -> Numbered:
    """The shape that a link has for a geom; the frames are those of the geom and of the link's centre."""
    own, centre = frames
    shapes = call("getCollisionShapeData", index)
    yield "shapes:", len(shapes), 1
    if not shapes:
        return
    _, _, kind, sizes, _, position, turn = shapes[0]
    word, number = _SHAPES.get(mujoco.mjtGeom(int(model.geom_type[geom])), _MESH)
    yield "a shape of kind", word if kind == number else f"number {kind}", word
    place = centre @ _Frame(np.array(position), _matrix(np.roll(turn, 1)))
    if word == "mesh":
        points = np.array(call("getMeshData", index)[1]).reshape(-1, 3) @ centre.axes.T  # `turn` is in them
        points += centre.origin - own.origin
        right = hull(model, geom) @ own.axes.T
        yield _HULL, *((p @ _DIRECTIONS.T).max(axis=0, initial=-1e9) for p in (points, right))
        return
    yield "a shape of size", sizes, _sizes(word, thick(model, geom))
    yield "its shape at", place.origin, own.origin
    if word != "sphere":
        yield "its shape turned by", place.axes, own.axes


def _sizes(word: str, size: Array) -> Array:
    """Bullet's three numbers for a shape."""
    radius, half = float(size[0]), float(size[1])
    return {
        "sphere": np.full(3, radius),
        "box": 2 * size,
        "plane": np.array([0.0, 0.0, 1.0]),
    }.get(word, np.array([2 * half, radius, 0.0]))


def _geom_word(model: mujoco.MjModel, geom: int) -> str:
    body = int(model.geom_bodyid[geom])
    return f"geom {_named(model.geom(geom).name, geom)} of body {_named(model.body(body).name, body)}"


def _named(name: str, number: int) -> str:
    return repr(name) if name else str(number)


def _matrix(quat: Array) -> Array:
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, np.ascontiguousarray(quat))
    return flat.reshape(3, 3)


def _faults(element: str, numbers: Numbered) -> list[str]:
    """The first of an element's numbers that is not as it should be, in words."""
    for what, found, right in numbers:
        size = 0.0 if what in (_MASS, _MOMENTS) else _LENGTH
        if not _same(found, right, _ALIKE_HULLS if what == _HULL else _ALIKE, size):
            return [f"{element} has {what} {_word(found)}, not {_word(right)}"]
    return []


def _same(found: Value, right: Value, tolerance: float, size: float) -> bool:
    """Whether a value is what it should be, to a share of the largest of its numbers and ``size``."""
    if isinstance(right, str):
        return found == right
    one, other = np.asarray(found, dtype=np.float64), np.asarray(right, dtype=np.float64)
    return bool((np.abs(one - other) <= tolerance * np.abs(other).max(initial=size)).all())


def _word(value: Value) -> str:
    if isinstance(value, str):
        return repr(value)
    return ", ".join(f"{number:.9g}" for number in np.ravel(np.asarray(value, dtype=np.float64)))
