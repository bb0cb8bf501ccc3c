"""One simulation in Bullet: its bodies, their state in MuJoCo's layout, steps under given forces."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.files import room_in
from sim2real.interface import Array
from sim2real.simulators.bullet.contacts import Shape, Touching
from sim2real.simulators.bullet.engine import load
from sim2real.simulators.bullet.reactions import Contact
from sim2real.simulators.bullet.readback import ask, compare, compare_static
from sim2real.simulators.bullet.trees import Numbers, Tree, inertials, make_trees
from sim2real.simulators.bullet.urdf import hull, shape_name, surface, thick, write

_HUGE, _FAR = 1e30, 1e4
_UNTURNED, _CONJUGATE = np.array([1.0, 0.0, 0.0, 0.0]), np.array([1.0, -1.0, -1.0, -1.0])
_HINGE, _SLIDE, _BALL = (
    int(kind)
    for kind in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_BALL)
)


@dataclass(frozen=True)
class _Ball:
    link: int
    body: int | None
    """MuJoCo's body that the link carries; None for a link in the middle of a chain."""
    qpos: int
    """First column."""
    qvel: int


@dataclass(frozen=True)
class _Body:
    """A tree as Bullet numbers it."""

    tree: Tree
    unique: int
    links: Mapping[str, int]
    """Index of every link by its name; the base is -1."""
    joints: list[int]
    """Link indices of the joints that move."""
    singles: list[int]
    """Those of them that are hinges and slides."""
    balls: list[_Ball]
    """The others."""
    qpos: list[int]
    """Columns of the hinges and slides."""
    qvel: list[int]
    start: list[float]
    """Positions of the hinges and slides where Bullet has zero."""
    free: tuple[int, int] | None
    """First columns of the free joint, if there is one."""


def _disconnect(bullet: ModuleType, client: int) -> None:
    if bullet.isConnected(client):  # at the end of a process Bullet has given up its clients already
        bullet.disconnect(physicsClientId=client)


class Client:
    """One simulation; ``close`` gives its memory back, as does forgetting it."""

    def __init__(self, model: mujoco.MjModel, touching: Touching, numbers: Numbers) -> None:
        """Connect, and build the bodies."""
        self._model = model
        self._touching = touching
        self._trees = make_trees(model, touching.shapes)
        self._geom_body: list[int] = model.geom_bodyid.tolist()
        self._bullet = load()
        self._client: int = self._bullet.connect(self._bullet.DIRECT)
        self.close = weakref.finalize(self, _disconnect, self._bullet, self._client)
        self._bodies: list[_Body] = []
        self._poses: dict[int, tuple[Sequence[float], Sequence[float]]] = {}
        self._statics: dict[Shape, int] = {}
        self._compared: dict[int, str] = {}
        self.build(numbers)

    def build(self, numbers: Numbers) -> None:
        """Forget all and build the bodies anew."""
        call = self._call
        self._broken = False
        self._poses.clear()
        call("resetSimulation")()
        call("setPhysicsEngineParameter")(
            fixedTimeStep=float(self._model.opt.timestep),
            deterministicOverlappingPairs=1,
            enableFileCaching=0,
        )
        with room_in(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="sim2real-") as folder:
            files = [write(self._model, tree, numbers, Path(folder)) for tree in self._trees]
            loaded = zip(self._trees, files, strict=True)
            self._bodies = [self._load(tree, file, numbers) for tree, file in loaded]
        shapes = self._touching.shapes
        self._statics = {s: self._static(s[0], numbers) for s in shapes if self._geom_body[s[0]] == 0}
        self._links = {shape: self._link(shape) for shape in shapes}
        self._geoms = {link: geom for (geom, _), link in self._links.items()}
        self._filter(numbers)
        self._update(numbers)

    def take(self, numbers: Numbers) -> bool:
        """Take new numbers, and say whether the bodies had to be built anew, which loses the state."""
        meetings = self._touching.friction(numbers.geom_friction).meetings
        if meetings != self._meetings or not np.array_equal(self._unchangeable(numbers), self._shape):
            self.build(numbers)
            return True
        self._update(numbers)
        return False

    def _unchangeable(self, numbers: Numbers) -> Array:
        """The numbers that Bullet takes only when it builds bodies: frames of inertia, limits, places."""
        weights = [w for tree in self._trees for w in inertials(self._model, numbers, tree).values()]
        frames = [part for weight in weights for part in (weight.position, weight.axes)]
        return np.concatenate((*frames, numbers.jnt_range.ravel(), numbers.geom_pos.ravel()))

    def _update(self, numbers: Numbers) -> None:
        """Masses, inertias, frictions and gravity."""
        call = self._call
        call("setGravity")(*map(float, numbers.gravity))
        change = call("changeDynamics")
        for body in self._bodies:
            for name, weight in inertials(self._model, numbers, body.tree).items():
                mass = (
                    {"mass": weight.mass} if weight.mass else {}
                )  # Bullet takes a mass of 0 for a fixed body
                change(body.unique, body.links[name], localInertiaDiagonal=weight.moments.tolist(), **mass)
        friction = self._touching.friction(numbers.geom_friction)
        for shape, (sliding, spinning, rolling) in friction.values.items():
            change(
                *self._links[shape],
                lateralFriction=float(sliding),
                spinningFriction=float(spinning),
                rollingFriction=float(rolling),
                restitution=0.0,
            )
        pairs = zip(self._touching.pairs, friction.sliding.tolist(), strict=True)
        self._friction = {key: mu for (a, b), mu in pairs for key in ((a, b), (b, a))}
        self._shape, self._iquat = self._unchangeable(numbers), numbers.body_iquat

    def write(self, qpos: list[float], qvel: list[float]) -> None:
        """Set the state."""
        for k, body in enumerate(self._bodies):
            if body.free is not None:
                self._write_base(k, body.free, qpos, qvel)
            if body.singles:
                columns = zip(body.qpos, body.start, strict=True)
                self._bullet.resetJointStatesMultiDof(
                    body.unique,
                    body.singles,
                    [[qpos[column] - start] for column, start in columns],
                    [[qvel[column]] for column in body.qvel],
                    physicsClientId=self._client,
                )
            for ball in body.balls:
                axes = self._axes(ball)
                position = _turned(_conjugate(axes), np.array(qpos[ball.qpos : ball.qpos + 4]), axes)
                self._bullet.resetJointStateMultiDof(
                    body.unique,
                    ball.link,
                    np.roll(position, -1).tolist(),
                    _rotated(qvel[ball.qvel : ball.qvel + 3], _conjugate(axes).tolist()),
                    physicsClientId=self._client,
                )

    def forget(self, numbers: Numbers) -> None:
        """Clear what Bullet keeps of past contacts, which would else have a say after a reset."""
        if self._broken or any(self._links[a][0] == self._links[b][0] for a, b in self._meetings):
            self.build(numbers)  # shapes of one tree can't be parted
            return
        self._poses.clear()
        place, upright = self._call("resetBasePositionAndOrientation"), [0.0, 0.0, 0.0, 1.0]
        for k, body in enumerate(self._bodies):
            place(body.unique, [0.0, 0.0, _FAR * (k + 1)], upright)
        self._call("performCollisionDetection")()
        for body in self._bodies:
            place(body.unique, [0.0, 0.0, 0.0], upright)

    def give_up(self) -> None:
        """Leave a state that is not finite alone until `forget`."""
        self._broken = True

    def apply(self, force: list[float]) -> None:
        """Give the generalized forces of the next physics step, one a degree of freedom."""
        for k, body in enumerate(self._bodies):
            if body.free is not None:
                self._push_base(k, body.free[1], force)
            if body.singles:
                self._bullet.setJointMotorControlArray(
                    body.unique,
                    body.singles,
                    self._bullet.TORQUE_CONTROL,
                    forces=[force[column] for column in body.qvel],
                    physicsClientId=self._client,
                )
            for ball in body.balls:
                torque = force[ball.qvel : ball.qvel + 3]
                self._bullet.setJointMotorControlMultiDof(
                    body.unique,
                    ball.link,
                    self._bullet.TORQUE_CONTROL,
                    force=_rotated(torque, _conjugate(self._axes(ball)).tolist()),
                    physicsClientId=self._client,
                )

    def step(self) -> None:
        """One physics step."""
        self._bullet.stepSimulation(physicsClientId=self._client)

    def read(self) -> tuple[list[float], list[float]]:
        """Positions and velocities in MuJoCo's layout."""
        qpos, qvel = [0.0] * self._model.nq, [0.0] * self._model.nv
        for k, body in enumerate(self._bodies):
            if body.free is not None:
                self._read_base(k, body.free, qpos, qvel)
            if body.singles:
                states = self._bullet.getJointStates(body.unique, body.singles, physicsClientId=self._client)
                for q, v, start, state in zip(body.qpos, body.qvel, body.start, states, strict=True):
                    qpos[q] = state[0] + start
                    qvel[v] = state[1]
            for ball in body.balls:
                axes = self._axes(ball)
                state = self._bullet.getJointStateMultiDof(
                    body.unique, ball.link, physicsClientId=self._client
                )
                position = _turned(axes, np.roll(state[0], 1), _conjugate(axes))
                qpos[ball.qpos : ball.qpos + 4] = position.tolist()
                qvel[ball.qvel : ball.qvel + 3] = _rotated(state[1], axes.tolist())
        return qpos, qvel

    def contacts(self) -> list[Contact]:
        """The contacts that pushed in the last step."""
        if not self._meetings:
            return []
        found = self._bullet.getContactPoints(physicsClientId=self._client)
        return [self._contact(point) for point in found if point[9] > 0.0] if found else []

    def _contact(self, point: Sequence[Any]) -> Contact:
        _, a, b, i, j, _, place, normal, _, push, first, along, second, across, *_ = point
        one, other = self._geoms[a, i], self._geoms[b, j]
        bodies = self._geom_body[one], self._geom_body[other]
        return *bodies, *place, *normal, *along, *across, push, first, second, self._friction[one, other]

    def _call(self, name: str) -> Callable[..., Any]:
        return partial(getattr(self._bullet, name), physicsClientId=self._client)

    def _load(self, tree: Tree, path: Path, numbers: Numbers) -> _Body:
        text, flags = path.read_text(), self._bullet.URDF_USE_INERTIA_FROM_FILE
        flags |= self._bullet.URDF_USE_SELF_COLLISION | self._bullet.URDF_USE_IMPLICIT_CYLINDER
        flags |= self._bullet.URDF_MAINTAIN_LINK_ORDER | self._bullet.URDF_IGNORE_VISUAL_SHAPES
        try:
            unique = self._call("loadURDF")(str(path), useFixedBase=tree.free is None, flags=flags)
        except self._bullet.error as error:
            root = self._model.body(tree.root).name or f"body {tree.root}"
            raise InvalidValue(
                f"bullet can't load the tree of {root!r} from {path} ({error}); use simulator 'mujoco'"
            ) from error
        if self._compared.get(tree.root) != text:  # the same text is loaded alike
            compare(ask(self._bullet, self._client, unique), self._model, tree, numbers)
            self._compared[tree.root] = text
        links, moving = {f"base{tree.root}" if tree.free is not None else "world": -1}, {}
        for index in range(self._bullet.getNumJoints(unique, physicsClientId=self._client)):
            info = self._bullet.getJointInfo(unique, index, physicsClientId=self._client)
            links[info[12].decode()] = index
            if info[1].startswith(b"joint"):
                moving[index] = int(info[1][5:])
        body = _numbered(self._model, tree, unique, links, moving)
        self._bare(body)
        return body

    def _bare(self, body: _Body) -> None:
        """Take away the motors and the dampings that Bullet gives by default."""
        call = self._call
        for index in body.links.values():
            call("changeDynamics")(
                body.unique,
                index,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                maxJointVelocity=_HUGE,
            )
        if body.singles:
            call("setJointMotorControlArray")(
                body.unique, body.singles, self._bullet.VELOCITY_CONTROL, forces=[0.0] * len(body.singles)
            )
        for ball in body.balls:
            call("setJointMotorControlMultiDof")(
                body.unique,
                ball.link,
                self._bullet.POSITION_CONTROL,
                targetPosition=[0.0, 0.0, 0.0, 1.0],
                positionGain=0.0,
                velocityGain=0.0,
                force=[0.0, 0.0, 0.0],
            )

    def _static(self, geom: int, numbers: Numbers) -> int:
        """A geom of the world, as a body of its own."""
        model, size = self._model, thick(self._model, geom).tolist()
        place = surface(model, geom, numbers.geom_pos)
        kind = mujoco.mjtGeom(int(model.geom_type[geom]))
        shapes: dict[mujoco.mjtGeom, dict[str, Any]] = {
            mujoco.mjtGeom.mjGEOM_PLANE: {"shapeType": self._bullet.GEOM_PLANE, "planeNormal": [0, 0, 1]},
            mujoco.mjtGeom.mjGEOM_SPHERE: {"shapeType": self._bullet.GEOM_SPHERE, "radius": size[0]},
            mujoco.mjtGeom.mjGEOM_BOX: {"shapeType": self._bullet.GEOM_BOX, "halfExtents": size},
            mujoco.mjtGeom.mjGEOM_CAPSULE: {
                "shapeType": self._bullet.GEOM_CAPSULE,
                "radius": size[0],
                "height": 2 * size[1],
            },
            mujoco.mjtGeom.mjGEOM_CYLINDER: {
                "shapeType": self._bullet.GEOM_CYLINDER,
                "radius": size[0],
                "height": 2 * size[1],
            },
        }
        shape = shapes.get(kind)
        if shape is None:
            shape = {"shapeType": self._bullet.GEOM_MESH, "vertices": hull(model, geom).tolist()}
        unique: int = self._call("createMultiBody")(
            baseMass=0.0,
            baseCollisionShapeIndex=self._call("createCollisionShape")(**shape),
            basePosition=place.tolist(),
            baseOrientation=np.roll(model.geom_quat[geom], -1).tolist(),
        )
        compare_static(ask(self._bullet, self._client, unique), model, numbers, geom)
        return unique

    def _link(self, shape: Shape) -> tuple[int, int]:
        """Bullet's body and link of a shape."""
        if shape in self._statics:
            return self._statics[shape], -1
        body = next(body for body in self._bodies if shape in body.tree.shapes)
        carrier = body.links[f"body{self._geom_body[shape[0]]}"]
        return body.unique, body.links.get(shape_name(shape), carrier)

    def _filter(self, numbers: Numbers) -> None:
        """Only the pairs that touch in MuJoCo touch here."""
        for link in self._links.values():
            self._call("setCollisionFilterGroupMask")(*link, 0, 0)
        self._meetings = self._touching.friction(numbers.geom_friction).meetings
        for one, other in self._meetings:
            (a, i), (b, j) = self._links[one], self._links[other]
            self._call("setCollisionFilterPair")(a, b, i, j, 1)

    def _axes(self, ball: _Ball) -> Array:
        """Orientation of the axes of a ball joint in Bullet: the principal ones of the link's inertia."""
        return _UNTURNED if ball.body is None else self._iquat[ball.body]

    def _write_base(self, k: int, columns: tuple[int, int], qpos: list[float], qvel: list[float]) -> None:
        (q, v), unique, client = columns, self._bodies[k].unique, self._client
        turn = qpos[q + 3 : q + 7]
        self._bullet.resetBasePositionAndOrientation(
            unique, qpos[q : q + 3], [*turn[1:], turn[0]], physicsClientId=client
        )
        spin = _rotated(qvel[v + 3 : v + 6], turn)  # MuJoCo has it in the body's own frame
        self._bullet.resetBaseVelocity(unique, qvel[v : v + 3], spin, physicsClientId=client)
        self._poses.pop(k, None)

    def _read_base(self, k: int, columns: tuple[int, int], qpos: list[float], qvel: list[float]) -> None:
        (q, v), unique, client = columns, self._bodies[k].unique, self._client
        position, pose = self._bullet.getBasePositionAndOrientation(unique, physicsClientId=client)
        self._poses[k] = position, pose
        velocity, spin = self._bullet.getBaseVelocity(unique, physicsClientId=client)
        x, y, z, w = pose
        qpos[q : q + 7] = *position, w, x, y, z
        qvel[v : v + 6] = *velocity, *_rotated(spin, (w, -x, -y, -z))

    def _push_base(self, k: int, v: int, force: list[float]) -> None:
        unique, client, world = self._bodies[k].unique, self._client, self._bullet.WORLD_FRAME
        known = self._poses.get(k)
        position, (x, y, z, w) = known or self._bullet.getBasePositionAndOrientation(
            unique, physicsClientId=client
        )
        torque = _rotated(force[v + 3 : v + 6], (w, x, y, z))
        self._bullet.applyExternalForce(unique, -1, force[v : v + 3], position, world, physicsClientId=client)
        self._bullet.applyExternalTorque(unique, -1, torque, world, physicsClientId=client)


def _numbered(
    model: mujoco.MjModel, tree: Tree, unique: int, links: Mapping[str, int], moving: Mapping[int, int]
) -> _Body:
    """Where Bullet's joints (MuJoCo's joint by link index) lie in MuJoCo's layout."""
    singles = [index for index, joint in moving.items() if model.jnt_type[joint] != _BALL]
    columns, free = [int(model.jnt_qposadr[moving[index]]) for index in singles], tree.free
    return _Body(
        tree=tree,
        unique=unique,
        links=links,
        joints=list(moving),
        singles=singles,
        balls=[
            _Ball(
                index,
                next((body for body in tree.bodies if links[f"body{body}"] == index), None),
                int(model.jnt_qposadr[joint]),
                int(model.jnt_dofadr[joint]),
            )
            for index, joint in moving.items()
            if model.jnt_type[joint] == _BALL
        ],
        qpos=columns,
        qvel=[int(model.jnt_dofadr[moving[index]]) for index in singles],
        start=model.qpos0[columns].tolist(),
        free=None if free is None else (int(model.jnt_qposadr[free]), int(model.jnt_dofadr[free])),
    )


def _rotated(vector: Sequence[float], quat: Sequence[float]) -> list[float]:
    """As ``mju_rotVecQuat``, to the same bits, without arrays."""
    (x, y, z), (w, i, j, k) = vector, quat
    if x == 0.0 and y == 0.0 and z == 0.0:
        return [0.0, 0.0, 0.0]
    if w == 1.0 and i == 0.0 and j == 0.0 and k == 0.0:
        return [x, y, z]
    a, b, c = w * x + j * z - k * y, w * y + k * x - i * z, w * z + i * y - j * x
    return [x + 2.0 * (j * c - k * b), y + 2.0 * (k * a - i * c), z + 2.0 * (i * b - j * a)]


def _turned(*quats: Array) -> Array:
    """Product of quaternions."""
    product = quats[0].copy()
    for quat in quats[1:]:
        mujoco.mju_mulQuat(product, product.copy(), quat)
    return product


def _conjugate(quat: Array) -> Array:
    return np.asarray(quat * _CONJUGATE)
