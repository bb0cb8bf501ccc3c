"""What of a world Bullet can't do as MuJoCo does; refused by name before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.simulators.bullet.contacts import Touching
from sim2real.simulators.bullet.trees import body_joints, make_trees
from sim2real.world import World
from sim2real.world.entries import entries
from sim2real.world.levers import is_scalar
from sim2real.world.names import element_name

_MOST_COORDINATES, _MOST_LINKS = 121, 128
_COORDINATES = {
    int(mujoco.mjtJoint.mjJNT_FREE): 0,
    int(mujoco.mjtJoint.mjJNT_BALL): 4,
    int(mujoco.mjtJoint.mjJNT_HINGE): 1,
    int(mujoco.mjtJoint.mjJNT_SLIDE): 1,
}
_SHAPES = tuple(
    mujoco.mjtGeom(kind)
    for kind in (
        mujoco.mjtGeom.mjGEOM_PLANE,
        mujoco.mjtGeom.mjGEOM_SPHERE,
        mujoco.mjtGeom.mjGEOM_CAPSULE,
        mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        mujoco.mjtGeom.mjGEOM_CYLINDER,
        mujoco.mjtGeom.mjGEOM_BOX,
        mujoco.mjtGeom.mjGEOM_MESH,
    )
)
_OF_BODIES = ("body_", "geom_", "pair_", "jnt_pos", "jnt_axis", "jnt_margin", "tendon_armature")
_FOLLOWED = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "body_gravcomp",
    "geom_pos",
    "geom_friction",
)
"""Those of them that act: in `Numbers`, or in MuJoCo's step alone."""
_FLAGS = {
    mujoco.mjtEnableBit.mjENBL_OVERRIDE: ("contact override", "friction and margin at the geoms"),
    mujoco.mjtEnableBit.mjENBL_SLEEP: ("sleep", 'sleep="disable"'),
}


def check(world: World, touching: Touching) -> None:
    """Refuse a world that Bullet would silently do otherwise.

    Raises:
        InvalidValue: naming the element, what is possible, and the next step.
    """
    for fault, possible in _faults(world.model, touching):
        raise InvalidValue(
            f"bullet can't express {fault} of world {world.name!r}; possible: {possible}; "
            "take it out of scene.xml or use simulator 'mujoco'"
        )


def _faults(model: mujoco.MjModel, touching: Touching) -> Iterator[tuple[str, str]]:
    """Every fault with what is possible instead.

    What MuJoCo's step does without contacts acts here as it is, tendons, equalities and muscles too; so these
    are faults of bodies, of contacts, and of what has its inertia in no body.
    """
    plugins = np.setdiff1d(np.arange(model.nplugin), model.actuator_plugin)
    several = (
        ("flex", model.nflex, "rigid bodies"),
        ("plugin", len(plugins), "plugins of actuators"),
        ("mocap body", model.nmocap, "bodies that are fixed or move by physics"),
        ("contact pair", model.npair, "contype, conaffinity and <exclude>"),
    )
    for kind, count, possible in several:
        if count:
            yield f"{kind} {_first(model, kind)!r}", possible
    yield from _option_faults(model)
    yield from _size_faults(model, touching)
    for tendon in np.flatnonzero(model.tendon_armature):
        yield f"the armature of tendon {model.tendon(int(tendon)).name!r}", "armature of joints"
    own = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    for actuator in np.flatnonzero(model.actuator_armature):
        joint = int(model.actuator_trnid[actuator, 0])
        if int(model.actuator_trntype[actuator]) not in own or not is_scalar(model, joint):
            name = element_name(model, "actuator", int(actuator))
            yield (
                f"the armature of actuator {name!r}",
                "armature of joints, and of actuators of a hinge or slide",
            )
    for actuator in np.flatnonzero(model.actuator_trntype == mujoco.mjtTrn.mjTRN_BODY):
        name = model.actuator(int(actuator)).name or f"actuator {actuator}"
        yield f"the adhesion {name!r}", "forces at joints, tendons and sites"
    for geom in touching.geoms:
        yield from _geom_faults(model, geom, touching.names[geom])


def check_parameters(world: World, names: Sequence[str]) -> None:
    """Refuse parameters that decide something which Bullet's bodies don't follow.

    Raises:
        InvalidValue: naming the parameter.
    """
    for name in names:
        for entry in entries(world, world.parameters[name]):
            if entry.field.startswith(_OF_BODIES) and entry.field not in _FOLLOWED:
                raise InvalidValue(
                    f"{name}: bullet's bodies don't follow {entry.field}, so it can't be varied; leave it "
                    "nominal, or use simulator 'mujoco'"
                )


def _option_faults(model: mujoco.MjModel) -> Iterator[tuple[str, str]]:
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT:
        yield "contacts between parent and child", 'filterparent="enable"'
    for flag, fault in _FLAGS.items():
        if model.opt.enableflags & flag:
            yield fault
    if model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4:
        yield "the integrator RK4", "Euler, implicit and implicitfast, where positions follow new velocities"


def _size_faults(model: mujoco.MjModel, touching: Touching) -> Iterator[tuple[str, str]]:
    """Trees that don't fit into the fixed buffers of Bullet's interface, which says nothing or fails."""
    for tree in make_trees(model, touching.shapes):
        joints = [joint for body in tree.bodies for joint in body_joints(model, body)]
        coordinates = sum(_COORDINATES[int(model.jnt_type[joint])] for joint in joints)
        chained = sum(max(len(body_joints(model, body)) - 1, 0) for body in tree.bodies)
        carried = {int(model.geom_bodyid[geom]) for geom, _ in tree.shapes}
        links = len(tree.bodies) + chained + len(tree.shapes) - len(carried)
        root = model.body(tree.root).name or f"body {tree.root}"
        if coordinates > _MOST_COORDINATES:
            yield (
                f"the {coordinates} coordinates of the joints that hang on {root!r}",
                f"{_MOST_COORDINATES} a tree (a hinge or slide has 1, a ball 4)",
            )
        if links > _MOST_LINKS:
            yield (
                f"the {links} links that {root!r} and all that hangs on it take",
                f"{_MOST_LINKS} a tree (a body is one, and each further geom of it that can touch is one, "
                "or two where geoms touch all round)",
            )


def _geom_faults(model: mujoco.MjModel, geom: int, name: str) -> Iterator[tuple[str, str]]:
    kind = mujoco.mjtGeom(int(model.geom_type[geom]))
    if kind not in _SHAPES:
        words = ", ".join(shape.name.removeprefix("mjGEOM_").lower() for shape in _SHAPES)
        yield f"the {kind.name.removeprefix('mjGEOM_').lower()} {name!r}", words
    if kind == mujoco.mjtGeom.mjGEOM_PLANE and model.geom_bodyid[geom]:
        yield f"the moving plane {name!r}", "planes of the world"
    if model.geom_margin[geom] and kind == mujoco.mjtGeom.mjGEOM_MESH:
        yield f"the margin of mesh {name!r}", "margins of other shapes"
    if model.geom_adhesion[geom] or model.geom_surfacevel[geom].any():
        yield f"the adhesion or surface velocity of geom {name!r}", "geoms that only touch"


def _first(model: mujoco.MjModel, kind: str) -> str:
    """Name of the first element of a kind, or its number where it has none."""
    objects = {
        "flex": mujoco.mjtObj.mjOBJ_FLEX,
        "contact pair": mujoco.mjtObj.mjOBJ_PAIR,
    }
    if kind == "plugin":
        others = np.setdiff1d(np.arange(model.nplugin), model.actuator_plugin)
        return mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_PLUGIN, int(others[0])) or str(others[0])
    if kind == "mocap body":
        return str(model.body(int(np.flatnonzero(model.body_mocapid >= 0)[0])).name)
    return mujoco.mj_id2name(model, objects[kind], 0) or "0"
