"""What a quantity can't do to an element, and why: with `sim2real.world.entries`, the table of both.

A quantity acts on every element of its kind, but for what stands here. A row is a quantity, a column a kind
of body, joint or actuator; what depends on more than the kind is asked of the model below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import mujoco
import numpy as np

from sim2real.parameters import ACTUATOR, INERTIA, LAW, QUANTITIES, Quantity
from sim2real.world.contacts import why_no_friction
from sim2real.world.drives import Drive, drive_of, inputs_of, reads_position
from sim2real.world.levers import is_fixed, is_scalar, levers, limited_joints, tendon_joints
from sim2real.world.names import element_name, element_names

_FOREIGN = {
    Drive.PLUGIN: "what it gives is decided by the plugin",
    Drive.USER: "what it gives is decided by a law that the engine does not know",
}
_PAST_DELAYS = "it reads the command as it is given, past the engine's delay"
_NO_GAIN = {
    Drive.VARYING: "it has no goal, and so no gain of a servo",
    Drive.MUSCLE: "it has no goal, and so no gain of a servo",
    **_FOREIGN,
}
ACTUATORS: Mapping[str, Mapping[Drive, str]] = {
    "strength": {
        Drive.DC_MOTOR: "its torque follows from its resistance and motor constant; give a torque_limit",
        **_FOREIGN,
    },
    "kp": {
        Drive.MOTOR: "no position servo, which has gains",
        Drive.VELOCITY: "no position servo; its gain is its kd",
        **_NO_GAIN,
    },
    "kd": {
        Drive.MOTOR: "no servo, which has gains; what it loses per speed is its back_emf",
        **_NO_GAIN,
    },
    "latency": {Drive.PLUGIN: _PAST_DELAYS},
    "latency_jitter": {Drive.PLUGIN: _PAST_DELAYS},
    "back_emf": {
        **dict.fromkeys((Drive.SERVO, Drive.VELOCITY, Drive.PID, Drive.ORIENTATION), "its kd says that"),
        Drive.MUSCLE: "how its force falls with speed is its own law",
        Drive.DC_MOTOR: "it follows from its motor constant",
        **_FOREIGN,
    },
    "bias_torque": {
        Drive.ORIENTATION: "it gives three torques, and which is meant is not said",
        Drive.MUSCLE: "its law has no constant",
        Drive.DC_MOTOR: "its law has no constant",
        **_FOREIGN,
    },
}
"""Kinds of actuators that a quantity of the engine's is refused on."""

_LAWS = tuple(q.name for q in QUANTITIES.values() if q.acts == LAW and q.element == "joint")
BALL, FREE, TENDON = "ball joint", "free joint", "tendon"
_ONE_AXIS = {BALL: "it needs one axis", FREE: "it needs one axis"}
_ONE_SPEED = {BALL: "it follows one speed, and a ball joint has three", FREE: "it follows one speed, and a \
free joint has six", TENDON: "it is a law of a joint"}  # fmt: skip
JOINTS: Mapping[str, Mapping[str, str]] = {
    "backlash": {**_ONE_AXIS, TENDON: "it is free play of a joint"},
    "encoder_offset": {**_ONE_AXIS, TENDON: "encoders are those of joints"},
    **dict.fromkeys(_LAWS, _ONE_SPEED),
}
"""Kinds of joints that a quantity is refused on, and tendons; on hinges and slides all act."""

STATIC, MOCAP, MASSLESS = "static", "mocap", "massless"
_FIXED = "it is fixed to the world, where no mass and no force moves it"
_PUT = "it goes where mocap puts it, whatever its mass and whatever pushes it"
_UNMOVED = {STATIC: _FIXED, MOCAP: _PUT}
_NO_MASS = "it has no mass and so no inertia to follow; give it a mass in scene.xml, or a payload"
BODIES: Mapping[str, Mapping[str, str]] = {
    "mass": {**_UNMOVED, MASSLESS: _NO_MASS},
    "payload": _UNMOVED,
    "push": _UNMOVED,
    **{f"com_{x}": {**_UNMOVED, MASSLESS: _NO_MASS} for x in "xyz"},
    **{name: {**_UNMOVED, MASSLESS: _NO_MASS} for name in INERTIA},
}
"""Kinds of bodies that a quantity is refused on."""

_OFF = mujoco.mjtDisableBit
_DISABLED: Mapping[str, tuple[mujoco.mjtDisableBit, ...]] = {
    "damping": (_OFF.mjDSBL_DAMPER,),
    "stiffness": (_OFF.mjDSBL_SPRING,),
    "gravity": (_OFF.mjDSBL_GRAVITY,),
    "slope_x": (_OFF.mjDSBL_GRAVITY,),
    "slope_y": (_OFF.mjDSBL_GRAVITY,),
    "friction": (_OFF.mjDSBL_CONTACT, _OFF.mjDSBL_CONSTRAINT),
    "height": (_OFF.mjDSBL_CONTACT, _OFF.mjDSBL_CONSTRAINT),
    "backlash": (_OFF.mjDSBL_LIMIT, _OFF.mjDSBL_CONSTRAINT),
    **dict.fromkeys(
        ("frictionloss", "stuck", *_LAWS),
        (_OFF.mjDSBL_FRICTIONLOSS, _OFF.mjDSBL_CONSTRAINT),
    ),
    **{q.name: (_OFF.mjDSBL_ACTUATION,) for q in QUANTITIES.values() if q.element == "actuator"},
}  # fmt: skip
"""Switches of the scene that take the effect of a quantity away."""


def refusal(model: mujoco.MjModel, quantity: Quantity, kind: str, number: int) -> str | None:
    """Why an element can't have a quantity, as the second half of a sentence; None if it can.

    Args:
        model: compiled.
        quantity: what.
        kind: of element: ``body``, ``joint``, ``tendon``, ``geom``, ``actuator``, ``world``.
        number: of the element.
    """
    for flag in _DISABLED.get(quantity.name, ()):
        if int(model.opt.disableflags) & int(flag):
            return f"the scene switches that off ({flag.name.removeprefix('mjDSBL_').lower()} is disabled)"
    ask: dict[str, Callable[[mujoco.MjModel, Quantity, int], Iterator[str]]] = {
        "body": _of_body,
        "joint": _of_joint,
        "tendon": _of_tendon,
        "geom": _of_geom,
        "actuator": _of_actuator,
    }
    return next(ask[kind](model, quantity, number), None) if kind in ask else None


def is_moved(model: mujoco.MjModel, body: int) -> bool:
    """Whether some joint moves a body; none moves what is fixed to the world or put somewhere by mocap."""
    root = int(model.body_weldid[body])
    return bool(root and model.body_mocapid[root] < 0)


def shortcut(model: mujoco.MjModel, quantity: Quantity, kind: str, number: int) -> str | None:
    """What a model was compiled without, so that a quantity needs it compiled again; None if it has all."""
    if kind == "body" and model.body_simple[number] and quantity.name.startswith(("com_", "inertia_")):
        return (
            'it was compiled as a simple one; give it simple="false" in the MJCF, so that its centre of '
            "mass can move"
        )
    unburdened = kind == "tendon" and not is_fixed(model, number) and not model.tendon_armature[number]
    for body in _wrapped(model, number) if unburdened and quantity.name == "armature" else ():
        if model.body_simple[body]:
            name = element_name(model, "body", body)
            return f'it is led over body {name!r}, which was compiled as simple; give that simple="false"'
    return None


def _of_body(model: mujoco.MjModel, quantity: Quantity, body: int) -> Iterator[str]:
    reasons = BODIES.get(quantity.name, {})
    if not is_moved(model, body):
        kind = MOCAP if model.body_weldid[body] else STATIC
        yield from (reasons[kind] for _ in range(kind in reasons))
    if model.body_mass[body] == 0 and MASSLESS in reasons:
        yield reasons[MASSLESS]


def _of_joint(model: mujoco.MjModel, quantity: Quantity, joint: int) -> Iterator[str]:
    reasons = JOINTS.get(quantity.name, {})
    kinds = {mujoco.mjtJoint.mjJNT_BALL: BALL, mujoco.mjtJoint.mjJNT_FREE: FREE}
    kind = next((name for code, name in kinds.items() if int(model.jnt_type[joint]) == int(code)), "")
    if kind in reasons:
        yield f"it is a {kind}: {reasons[kind]}"
    if quantity.name in ("damping", "frictionloss", "armature"):
        first = int(model.jnt_dofadr[joint])
        last = next((int(a) for a in sorted(model.jnt_dofadr) if a > first), model.nv)
        values = getattr(model, f"dof_{quantity.name}")[first:last]
        if (values != values[0]).any():
            yield f"its degrees of freedom differ ({', '.join(f'{v:g}' for v in values)}), and one is meant"
    if quantity.name == "damping" and model.jnt_bodyid[joint] in (
        *model.flex_vertbodyid,
        *model.flex_nodebodyid,
    ):
        yield "it moves a vertex of a flex, which MuJoCo damps by its edges and elasticity alone"
    if quantity.name == "backlash":
        yield from _coupled(model, joint)
    if quantity.name == "encoder_offset":
        yield from _unread(model, joint)
    if quantity.name.startswith("load_"):
        for actuator, lever in levers(model, joint).items():
            if lever is None:
                yield (
                    f"the lever of actuator {element_names(model, 'actuator')[actuator]!r} at it varies with "
                    "the pose, and so does the motor's torque per force"
                )


def _coupled(model: mujoco.MjModel, joint: int) -> Iterator[str]:
    """Which side of the play another element holds is not said."""
    for equality in range(model.neq):
        kind = int(model.eq_type[equality])
        joints = (model.eq_obj1id[equality], model.eq_obj2id[equality])
        if kind == int(mujoco.mjtEq.mjEQ_JOINT) and joint in joints:
            yield "an equality couples it to another joint, and at which side of the play is not said"
    for tendon in range(model.ntendon):
        if is_fixed(model, tendon) and joint in tendon_joints(model, tendon):
            name = element_names(model, "tendon")[tendon]
            yield f"tendon {name!r} pulls at it, and at which side of the play is not said"


def _unread(model: mujoco.MjModel, joint: int) -> Iterator[str]:
    for actuator, lever in levers(model, joint).items():
        kind, name = drive_of(model, actuator), element_names(model, "actuator")[actuator]
        if kind in _FOREIGN and lever is not None:
            yield f"actuator {name!r} is a {kind}, and the angle that it reads can't be reached"
        if kind is Drive.DC_MOTOR and lever is not None and reads_position(model, actuator):
            yield f"the controller of {name!r} reads its angle, and its law has no constant to shift that by"


_GEOMS = [int(mujoco.mjtWrap.mjWRAP_SPHERE), int(mujoco.mjtWrap.mjWRAP_CYLINDER)]


def _of_tendon(model: mujoco.MjModel, quantity: Quantity, tendon: int) -> Iterator[str]:
    reasons = JOINTS.get(quantity.name, {})
    if TENDON in reasons:
        yield f"it is a tendon, and {reasons[TENDON]}"
    first = int(model.tendon_adr[tendon])
    kinds = model.wrap_type[first : first + int(model.tendon_num[tendon])]
    if quantity.name == "armature" and np.isin(kinds, _GEOMS).any():
        yield "it wraps around a geom, and the engine has no armature of such tendons"


def _wrapped(model: mujoco.MjModel, tendon: int) -> Iterator[int]:
    for k in range(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon]):
        kind, number = int(model.wrap_type[k]), int(model.wrap_objid[k])
        if kind == int(mujoco.mjtWrap.mjWRAP_SITE):
            yield int(model.site_bodyid[number])
        elif kind in _GEOMS:
            yield int(model.geom_bodyid[number])


def _of_geom(model: mujoco.MjModel, quantity: Quantity, geom: int) -> Iterator[str]:
    if quantity.name == "friction":
        yield from why_no_friction(model, geom)


def _of_actuator(model: mujoco.MjModel, quantity: Quantity, actuator: int) -> Iterator[str]:
    kind = drive_of(model, actuator)
    group = int(model.actuator_group[actuator])
    if 0 <= group < 31 and int(model.opt.disableactuator) >> group & 1:
        yield f"the scene disables actuators of its group, {group}"
    if kind in ACTUATORS.get(quantity.name, {}):
        article = "an" if kind[0] in "aeiou" else "a"
        yield f"it is {article} {kind}, and {ACTUATORS[quantity.name][kind]}"
    inputs = int(model.actuator_ctrlnum[actuator])
    if inputs == 0 and (quantity.acts == ACTUATOR or quantity.name == "latency"):
        yield "it takes no command"
    if inputs > 1 and quantity.acts == ACTUATOR and quantity.name != "latency_jitter":
        yield f"it takes {inputs} commands of different kinds, and which is meant is not said"
    if quantity.name == "correction" and not _turns_one(model, actuator):
        yield "it drives no hinge or slide of its own, whose angle the network could see"
    if quantity.name in _ASKED:
        yield from _ASKED[quantity.name](model, actuator)


def _turns_one(model: mujoco.MjModel, actuator: int) -> bool:
    own = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
    return int(model.actuator_trntype[actuator]) in own and is_scalar(
        model, int(model.actuator_trnid[actuator, 0])
    )


def _weak(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    if drive_of(model, actuator) is Drive.PID and "ff" in inputs_of(model, actuator):
        yield "its feedforward is a torque that it adds as it comes"


def _uncontrolled(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    if drive_of(model, actuator) is Drive.DC_MOTOR and not inputs_of(model, actuator):
        yield "it is a DC motor without a controller, and so without its gains"


def _driven_on(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    if model.actuator_biasprm[actuator, 2] > 0:
        yield "its bias grows with its speed (biasprm[2] above 0), where a motor loses by it"


def _unlimited(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    if model.actuator_forcelimited[actuator]:
        low, high = model.actuator_forcerange[actuator]
        if low != -high and drive_of(model, actuator) is not Drive.ORIENTATION:
            yield f"its force range of {low:g} to {high:g} is not the same either way"
        return
    joints = limited_joints(model, actuator)
    if len(joints) != 1 or not _turns_one(model, actuator):
        yield "it has no force limit to change; give it a forcerange"
        return
    others = [k for k in levers(model, joints[0]) if k != actuator]
    if others:
        sharing = element_names(model, "actuator")[others[0]]
        yield f"its only limit is the joint's, which actuator {sharing!r} shares; give it a forcerange"
    low, high = model.jnt_actfrcrange[joints[0]]
    if low != -high:
        yield f"the joint's force range of {low:g} to {high:g} is not the same either way"


def _unlost(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    if not model.actuator_forcelimited[actuator]:
        yield (
            "speed_loss is a share of the force limit, which it does not have; give it a forcerange in "
            "scene.xml"
        )
    if not _turns_one(model, actuator):
        yield "it drives no hinge or slide of its own, whose speed would count"


def _interpolated(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    if model.actuator_history[actuator, 1]:
        yield (
            "it interpolates between its delayed commands, which have no whole steps to be late by; take "
            "interp out of the MJCF"
        )


_ASKED: Mapping[str, Callable[[mujoco.MjModel, int], Iterator[str]]] = {
    "strength": _weak,
    "torque_limit": _unlimited,
    "kp": _uncontrolled,
    "kd": _uncontrolled,
    "back_emf": _driven_on,
    "speed_loss": _unlost,
    "latency": _interpolated,
    "latency_jitter": _interpolated,
}
"""What depends on more than the kind of an actuator."""


def out_of_reach(name: str, env: str) -> str:
    """Why a gymnasium env can't have an encoder's offset."""
    return (
        f"{name}: what {env} observes is worked out by its own code, where no encoder can be reached, and "
        "an offset of its servo alone is half of one; give the signals a bias, and the servo a bias_torque"
    )
