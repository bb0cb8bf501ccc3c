"""Which joints an actuator or a tendon moves, and with what lever."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco

_TRN = mujoco.mjtTrn
_SCALAR = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


def levers(model: mujoco.MjModel, joint: int) -> dict[int, float | None]:
    """Force on a hinge or slide per force of each actuator that can move it; None where that varies.

    The lever of a joint's own actuator is its gear; that of one on a fixed tendon the gear times the joint's
    coefficient. Through spatial tendons, sites, cranks and contacts it varies with the pose.
    """
    found: dict[int, float | None] = {}
    for actuator in range(model.nactuator):
        if joint in moved_joints(model, actuator):
            kind = int(model.actuator_trntype[actuator])
            gear = float(model.actuator_gear[model.actuator_outadr[actuator], 0])
            if kind in (_TRN.mjTRN_JOINT, _TRN.mjTRN_JOINTINPARENT):
                found[actuator] = gear
            elif kind == _TRN.mjTRN_TENDON and is_fixed(model, int(model.actuator_trnid[actuator, 0])):
                coefficients = dict(_coefficients(model, int(model.actuator_trnid[actuator, 0])))
                found[actuator] = gear * coefficients[joint]
            else:
                found[actuator] = None
    return found


def moved_joints(model: mujoco.MjModel, actuator: int) -> set[int]:
    """Numbers of the joints that an actuator can put a force on."""
    kind, (first, second) = int(model.actuator_trntype[actuator]), model.actuator_trnid[actuator]
    if kind in (_TRN.mjTRN_JOINT, _TRN.mjTRN_JOINTINPARENT):
        return {int(first)}
    if kind == _TRN.mjTRN_SO3:
        return (
            {int(first)} if second < 0 else _between(model, [model.site_bodyid[k] for k in (first, second)])
        )
    if kind == _TRN.mjTRN_TENDON:
        return tendon_joints(model, int(first))
    if kind in (_TRN.mjTRN_SITE, _TRN.mjTRN_SLIDERCRANK):
        ends = [model.site_bodyid[k] for k in (first, second) if k >= 0]
        return _between(model, ends) if len(ends) > 1 else _chain(model, ends[0])
    return set(range(model.njnt))  # an adhesion pulls at whatever its body touches


def tendon_joints(model: mujoco.MjModel, tendon: int) -> set[int]:
    """Numbers of the joints that change the length of a tendon."""
    if is_fixed(model, tendon):
        return {joint for joint, _ in _coefficients(model, tendon)}
    places = {
        int(mujoco.mjtWrap.mjWRAP_SITE): model.site_bodyid,
        int(mujoco.mjtWrap.mjWRAP_SPHERE): model.geom_bodyid,
        int(mujoco.mjtWrap.mjWRAP_CYLINDER): model.geom_bodyid,
    }
    wraps = range(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon])
    kinds = [(int(model.wrap_type[k]), int(model.wrap_objid[k])) for k in wraps]
    return _between(model, [places[kind][number] for kind, number in kinds if kind in places])


def is_fixed(model: mujoco.MjModel, tendon: int) -> bool:
    """Whether a tendon is a weighted sum of joints."""
    return int(model.wrap_type[model.tendon_adr[tendon]]) == int(mujoco.mjtWrap.mjWRAP_JOINT)


def limited_joints(model: mujoco.MjModel, actuator: int) -> list[int]:
    """Joints at which the model limits what this actuator, with all others there, can give."""
    return [
        joint
        for joint in sorted(moved_joints(model, actuator))
        if model.jnt_actfrclimited[joint] and is_scalar(model, joint)
    ]


def is_scalar(model: mujoco.MjModel, joint: int) -> bool:
    """Whether a joint is a hinge or a slide."""
    return int(model.jnt_type[joint]) in _SCALAR


def _coefficients(model: mujoco.MjModel, tendon: int) -> Iterator[tuple[int, float]]:
    for k in range(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon]):
        yield int(model.wrap_objid[k]), float(model.wrap_prm[k])


def _between(model: mujoco.MjModel, bodies: list[int]) -> set[int]:
    """Joints that move some of these bodies, but not all together."""
    chains = [_chain(model, int(body)) for body in bodies]
    return set[int]().union(*chains) - chains[0].intersection(*chains)


def _chain(model: mujoco.MjModel, body: int) -> set[int]:
    """Joints from a body to the world."""
    joints: set[int] = set()
    while body:
        joints |= set(range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]))
        body = int(model.body_parentid[body])
    return joints
