"""What of a world Bullet can't do as MuJoCo does; refused by name before anything is built."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.simulators.bullet.contacts import Touching
from sim2real.simulators.bullet.trees import body_joints, make_trees
from sim2real.world import World

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
_GAINS = {int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtGain.mjGAIN_AFFINE)}
_BIASES = {int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE)}
_TRANSMISSIONS = {
    int(mujoco.mjtTrn.mjTRN_JOINT),
    int(mujoco.mjtTrn.mjTRN_JOINTINPARENT),
    int(mujoco.mjtTrn.mjTRN_SITE),
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
    """Every fault with what is possible instead."""
    several = (
        ("tendon", model.ntendon, "forces at joints"),
        ("equality", model.neq, "joints"),
        ("flex", model.nflex, "rigid bodies"),
        ("plugin", model.nplugin, "MuJoCo's own elements"),
        ("mocap body", model.nmocap, "bodies that are fixed or move by physics"),
        ("contact pair", model.npair, "contype, conaffinity and <exclude>"),
    )
    for kind, count, possible in several:
        if count:
            yield f"{kind} {_first(model, kind)!r}", possible
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT:
        yield "contacts between parent and child", 'filterparent="enable"'
    yield from _size_faults(model, touching)
    yield from _joint_faults(model)
    yield from _actuator_faults(model)
    for geom in touching.geoms:
        yield from _geom_faults(model, geom, touching.names[geom])


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


def _joint_faults(model: mujoco.MjModel) -> Iterator[tuple[str, str]]:
    for joint in map(model.joint, range(model.njnt)):
        if joint.type[0] == mujoco.mjtJoint.mjJNT_BALL and joint.limited[0]:
            yield f"the limit of ball joint {joint.name!r}", "limits of hinges and slides"
        if joint.type[0] == mujoco.mjtJoint.mjJNT_FREE and np.any(model.dof_armature[joint.dofadr[0] :][:6]):
            yield f"the armature of free joint {joint.name!r}", "armature of hinges, slides and balls"


def _actuator_faults(model: mujoco.MjModel) -> Iterator[tuple[str, str]]:
    for actuator in map(model.actuator, range(model.nu)):
        name = actuator.name or f"actuator {actuator.id}"
        if actuator.gaintype[0] not in _GAINS or actuator.biastype[0] not in _BIASES:
            law = (
                "muscle"
                if actuator.gaintype[0] == mujoco.mjtGain.mjGAIN_MUSCLE
                else "actuator with the law of"
            )
            yield (
                f"{law} {name!r}",
                "motor, position, velocity, damper, general with fixed or affine gain and bias",
            )
        if actuator.trntype[0] not in _TRANSMISSIONS:
            yield f"the transmission of actuator {name!r}", "joint, jointinparent and site"


def _geom_faults(model: mujoco.MjModel, geom: int, name: str) -> Iterator[tuple[str, str]]:
    kind = mujoco.mjtGeom(int(model.geom_type[geom]))
    if kind not in _SHAPES:
        words = ", ".join(shape.name.removeprefix("mjGEOM_").lower() for shape in _SHAPES)
        yield f"the {kind.name.removeprefix('mjGEOM_').lower()} {name!r}", words
    if kind == mujoco.mjtGeom.mjGEOM_PLANE and model.geom_bodyid[geom]:
        yield f"the moving plane {name!r}", "planes of the world"
    if model.geom_margin[geom] or model.geom_gap[geom]:
        yield f"the margin of geom {name!r}", "margin and gap of 0"
    if model.geom_adhesion[geom] or model.geom_surfacevel[geom].any():
        yield f"the adhesion or surface velocity of geom {name!r}", "geoms that only touch"


def _first(model: mujoco.MjModel, kind: str) -> str:
    """Name of the first element of a kind, or its number where it has none."""
    objects = {
        "tendon": mujoco.mjtObj.mjOBJ_TENDON,
        "equality": mujoco.mjtObj.mjOBJ_EQUALITY,
        "flex": mujoco.mjtObj.mjOBJ_FLEX,
        "plugin": mujoco.mjtObj.mjOBJ_PLUGIN,
        "contact pair": mujoco.mjtObj.mjOBJ_PAIR,
    }
    if kind == "mocap body":
        return str(model.body(int(np.flatnonzero(model.body_mocapid >= 0)[0])).name)
    return mujoco.mj_id2name(model, objects[kind], 0) or "0"
