"""A tree of bodies of a compiled `mujoco.MjModel`, written as URDF for Bullet.

Several joints of one body become a chain of massless links of one joint each, the last of which carries the
body. A body's first colliding shape is the link's own, every further one a massless link fixed to it, so that
each has its own friction and its own partners. Frames: a link's origin is at the anchor of its
joint, so a body's frame is moved by `Tree.offsets` within its last link. Links and joints are
named ``body3``, ``shape5.0``, ``joint2`` by MuJoCo's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from sim2real.interface import Array
from sim2real.simulators.bullet.contacts import Shape, limited
from sim2real.simulators.bullet.trees import WORLD, Inertial, Numbers, Tree, body_joints, inertials

_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
KINDS = {
    int(mujoco.mjtJoint.mjJNT_HINGE): "revolute",
    int(mujoco.mjtJoint.mjJNT_SLIDE): "prismatic",
    int(mujoco.mjtJoint.mjJNT_BALL): "spherical",
}
"""URDF's words for joints that move."""


def write(model: mujoco.MjModel, tree: Tree, numbers: Numbers, folder: Path) -> Path:
    """Write the URDF of a tree, and the meshes that it needs, into ``folder``."""
    robot = ElementTree.Element("robot", name=f"tree{tree.root}")
    writer = _Writer(model, tree, numbers, robot, folder, inertials(model, numbers, tree))
    if tree.free is None:
        ElementTree.SubElement(robot, "link", name="world")
    for body in tree.bodies:
        writer.body(body)
    ElementTree.indent(robot, "")  # an element a line: Bullet's reader breaks a line after 8191 characters
    path = folder / f"tree{tree.root}.urdf"
    ElementTree.ElementTree(robot).write(path)
    return path


@dataclass
class _Writer:
    model: mujoco.MjModel
    tree: Tree
    numbers: Numbers
    robot: ElementTree.Element
    folder: Path
    weights: Mapping[str, Inertial]

    def body(self, body: int) -> None:
        model, tree = self.model, self.tree
        shapes = [shape for shape in tree.shapes if model.geom_bodyid[shape[0]] == body]
        if body == tree.root and tree.free is not None:
            self._link(f"base{body}")
            self._carrier(body, shapes)
            self._joint(f"weld{body}", "fixed", (f"base{body}", f"body{body}"), (np.zeros(3), _IDENTITY))
            self._further(body, shapes)
            return
        parent = int(model.body_parentid[body])
        above = f"body{parent}" if parent != WORLD else "world"
        position = model.body_pos[body] - tree.offsets.get(parent, np.zeros(3))
        rotation = model.body_quat[body]
        joints = body_joints(model, body)
        if not joints:
            self._carrier(body, shapes)
            self._joint(f"weld{body}", "fixed", (above, f"body{body}"), (position, rotation))
        anchor = np.zeros(3)
        for joint in joints:
            moved = np.zeros(3)
            mujoco.mju_rotVecQuat(moved, model.jnt_pos[joint] - anchor, rotation)
            if joint == joints[-1]:
                self._carrier(body, shapes)
                below = f"body{body}"
            else:
                below = f"part{joint}"
                self._link(below)
            element = self._joint(
                f"joint{joint}",
                KINDS[int(model.jnt_type[joint])],
                (above, below),
                (position + moved, rotation),
            )
            self._axis(element, joint)
            above, position, rotation, anchor = below, np.zeros(3), _IDENTITY, model.jnt_pos[joint]
        self._further(body, shapes)

    def _axis(self, element: ElementTree.Element, joint: int) -> None:
        model = self.model
        ElementTree.SubElement(element, "axis", xyz=_text(model.jnt_axis[joint]))
        low, high = 1.0, -1.0  # Bullet takes a lower limit above the upper one for none
        if limited(model)[joint]:
            low, high = self.numbers.jnt_range[joint]
            start = model.qpos0[model.jnt_qposadr[joint]]
            low, high = low - start, high - start
        ElementTree.SubElement(
            element, "limit", lower=repr(float(low)), upper=repr(float(high)), effort="0", velocity="0"
        )

    def _carrier(self, body: int, shapes: Sequence[Shape]) -> None:
        """The link that carries a body's mass and its first shape."""
        offset = self.tree.offsets[body]
        link = self._link(f"body{body}", offset)
        for geom, _ in shapes[:1]:
            self._collision(link, geom, offset)

    def _further(self, body: int, shapes: Sequence[Shape]) -> None:
        offset = self.tree.offsets[body]
        for geom, role in shapes[1:]:
            name, frame = shape_name((geom, role)), (np.zeros(3), _IDENTITY)
            self._collision(self._link(name), geom, offset)
            self._joint(f"weld {name}", "fixed", (f"body{body}", name), frame)

    def _link(self, name: str, offset: Array | None = None) -> ElementTree.Element:
        link = ElementTree.SubElement(self.robot, "link", name=name)
        inertial = ElementTree.SubElement(link, "inertial")
        weight = self.weights.get(name, Inertial(0.0, np.zeros(3), np.zeros(3), _IDENTITY))
        _origin(inertial, (weight.position - (0.0 if offset is None else offset), weight.axes))
        ElementTree.SubElement(inertial, "mass", value=repr(weight.mass))
        diagonal = {f"i{a}{a}": repr(float(weight.moments[k])) for k, a in enumerate("xyz")}
        ElementTree.SubElement(inertial, "inertia", diagonal, ixy="0", ixz="0", iyz="0")
        return link

    def _joint(
        self, name: str, kind: str, links: tuple[str, str], frame: tuple[Array, Array]
    ) -> ElementTree.Element:
        joint = ElementTree.SubElement(self.robot, "joint", name=name, type=kind)
        ElementTree.SubElement(joint, "parent", link=links[0])
        ElementTree.SubElement(joint, "child", link=links[1])
        _origin(joint, frame)
        return joint

    def _collision(self, link: ElementTree.Element, geom: int, offset: Array) -> None:
        collision = ElementTree.SubElement(link, "collision")
        _origin(collision, (self.numbers.geom_pos[geom] - offset, self.model.geom_quat[geom]))
        shape = ElementTree.SubElement(collision, "geometry")
        kind, numbers = _urdf_shape(self.model, geom)
        if kind == "mesh":
            path = self.folder / f"geom{geom}.obj"
            if not path.exists():
                path.write_text(_obj(hull(self.model, geom)))
            numbers = {"filename": path.name}
        ElementTree.SubElement(shape, kind, dict(numbers))


def shape_name(shape: Shape) -> str:
    """Name of the link that a shape has for itself, if it is not the first one of its body."""
    return f"shape{shape[0]}.{shape[1]}"


def thick(model: mujoco.MjModel, geom: int) -> Array:
    """Sizes of a geom with its margin, by which MuJoCo keeps others away from it. Shape (3,)."""
    size, margin = model.geom_size[geom].copy(), float(model.geom_margin[geom])
    grown = {
        mujoco.mjtGeom.mjGEOM_SPHERE: 1,
        mujoco.mjtGeom.mjGEOM_CAPSULE: 1,
        mujoco.mjtGeom.mjGEOM_CYLINDER: 2,
    }
    size[: grown.get(mujoco.mjtGeom(int(model.geom_type[geom])), 3)] += margin
    return np.asarray(size)


def surface(model: mujoco.MjModel, geom: int, places: Array) -> Array:
    """Where a geom of the world is, a plane raised by its margin. Shape (3,)."""
    raised = np.zeros(3)
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
        mujoco.mju_rotVecQuat(raised, np.array([0.0, 0.0, model.geom_margin[geom]]), model.geom_quat[geom])
    return np.asarray(places[geom] + raised)


def _urdf_shape(model: mujoco.MjModel, geom: int) -> tuple[str, Mapping[str, str]]:
    """URDF's word for a geom's shape, and its sizes."""
    size, kind = thick(model, geom), mujoco.mjtGeom(int(model.geom_type[geom]))
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return "sphere", {"radius": repr(float(size[0]))}
    if kind in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER):
        word = "capsule" if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else "cylinder"
        return word, {"radius": repr(float(size[0])), "length": repr(float(2 * size[1]))}
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return "box", {"size": _text(2 * size)}
    return "mesh", {}


def hull(model: mujoco.MjModel, geom: int) -> Array:
    """Points whose convex hull is a mesh geom, or an ellipsoid to a percent of its size. Shape (n, 3)."""
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        k = np.arange(200) + 0.5  # Fibonacci's lattice on the sphere
        height, turn = 1 - 2 * k / 200, np.pi * (1 + 5**0.5) * k
        radius = np.sqrt(1 - height**2)
        ball = np.stack((radius * np.cos(turn), radius * np.sin(turn), height), axis=1)
        return np.asarray(ball * thick(model, geom))
    mesh = int(model.geom_dataid[geom])
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    points = model.mesh_vert[first : first + count].astype(np.float64)
    graph = int(model.mesh_graphadr[mesh])
    if graph >= 0:
        number = int(model.mesh_graph[graph])
        start = graph + 2 + number
        points = points[model.mesh_graph[start : start + number]]
    return np.asarray(points)


def _obj(points: Array) -> str:
    """Points as a mesh file. Bullet takes the hull of those that faces mention, so all are mentioned."""
    vertices = [f"v {_text(point)}" for point in points]
    corners = [*range(1, len(points) + 1), 1, 2][: len(points) + (-len(points)) % 3]
    faces = [f"f {a} {b} {c}" for a, b, c in zip(*(corners[k::3] for k in range(3)), strict=True)]
    return "\n".join([*vertices, *faces, ""])


def _origin(element: ElementTree.Element, frame: tuple[Array, Array]) -> None:
    ElementTree.SubElement(element, "origin", xyz=_text(frame[0]), rpy=_text(_roll_pitch_yaw(frame[1])))


def _roll_pitch_yaw(quat: Array) -> Array:
    """Angles about the fixed x, y, z axes; exact to rounding at every pitch, also a quarter turn."""
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, quat)
    r = flat.reshape(3, 3)
    pitch = np.arctan2(-r[2, 0], np.hypot(r[0, 0], r[1, 0]))
    yaw = np.arctan2(r[1, 0], r[0, 0])
    sin, cos = np.sin(yaw), np.cos(yaw)
    roll = np.arctan2(sin * r[0, 2] - cos * r[1, 2], cos * r[1, 1] - sin * r[0, 1])
    return np.array([roll, pitch, yaw])


def _text(numbers: Array) -> str:
    return " ".join(repr(float(number)) for number in numbers)
