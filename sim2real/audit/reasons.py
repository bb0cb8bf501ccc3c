"""Why a change of a model changes nothing, or only half of what it should, read off the numbers it wrote.

    why_dead(nominal, changed)           # ["floor: 'foot' is grippier (1.5) ..."]
    what_is_left_out(nominal, changed)   # ["mass of 'arm' moved and its inertia did not: ..."]

Works for any two models of the same sizes, whoever wrote the second.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import mujoco
import numpy as np

from sim2real.audit.contacts import why_friction_is_dead
from sim2real.audit.written import Written, written
from sim2real.interface import Ids
from sim2real.world.refusals import is_moved

Pairs = set[tuple[int, int]]
"""Geoms that touched, the smaller number first."""


def why_dead(model: mujoco.MjModel, changed: mujoco.MjModel, touched: Pairs | None = None) -> list[str]:
    """Known reasons for which a change has no effect; empty if none is known.

    Args:
        model: the nominal one.
        changed: the same after the change.
        touched: pairs of geoms that touched in the motion, if it was looked at.
    """
    fields = written(model, changed)
    if not fields:
        return ["it writes nothing: every number of the model is what it was"]
    unread = [field.name for field in fields if _is_scenery(field.name)]
    if len(unread) == len(fields):
        return [f"it writes only {', '.join(sorted(unread))}, which the engine does not read when it steps"]
    reasons: list[str] = []
    for field in fields:
        for starts, reason in _REASONS:
            if field.name.startswith(starts):
                reasons += reason(model, field)
        if field.name == "geom_friction":
            reasons += why_friction_is_dead(model, changed, field.rows, touched)
    return list(dict.fromkeys(reasons))


def what_is_left_out(model: mujoco.MjModel, changed: mujoco.MjModel) -> list[str]:
    """What should have moved along with a change, and did not."""
    fields = {field.name: field for field in written(model, changed)}
    return [*_mass_without_inertia(model, changed, fields), *_gain_without_bias(model, changed, fields),
            *_stale(changed, fields)]  # fmt: skip


def _is_scenery(field: str) -> bool:
    words = ("_rgba", "_user", "_group", "_matid", "castshadow", "bvh", "_aabb", "_rbound")
    kinds = ("mat_", "light_", "tex_", "cam_", "skin_", "names", "name_", "vis.", "site_")
    return field.startswith(kinds) or any(word in field for word in words)


def _fixed_body(model: mujoco.MjModel, field: Written) -> Iterator[str]:
    for body in field.rows:
        if not is_moved(model, int(body)):
            yield f"body {_name(model, 'body', body)} is fixed to the world, or put somewhere by mocap"


def _unlimited(flag: str, kind: str) -> Callable[[mujoco.MjModel, Written], Iterator[str]]:
    def reason(model: mujoco.MjModel, field: Written) -> Iterator[str]:
        for row in field.rows:
            if not getattr(model, flag)[row]:
                yield f"{kind} {_name(model, kind, row)} has no limit there ({flag} is 0)"

    return reason


def _no_buffer(model: mujoco.MjModel, field: Written) -> Iterator[str]:
    for row in field.rows:
        if not model.actuator_history[row, 0]:
            yield f"actuator {_name(model, 'actuator', row)} has no delay buffer; give it nsample in the MJCF"


def _gain(model: mujoco.MjModel, field: Written) -> Iterator[str]:
    for row in field.rows:
        fixed = int(model.actuator_gaintype[row]) == int(mujoco.mjtGain.mjGAIN_FIXED)
        if fixed and 0 not in field.columns(row):
            columns = ", ".join(f"gainprm[{k}]" for k in field.columns(row))
            servo = "; the gains of a servo are gainprm[0], biasprm[1] and, for damping, biasprm[2]"
            yield (
                f"{_name(model, 'actuator', row)} has a fixed gain, gainprm[0], and ignores {columns}"
                + (servo if model.actuator_biasprm[row, 1] else "")
            )


def _bias(model: mujoco.MjModel, field: Written) -> Iterator[str]:
    for row in field.rows:
        if int(model.actuator_biastype[row]) == int(mujoco.mjtBias.mjBIAS_NONE):
            yield f"actuator {_name(model, 'actuator', row)} is a plain motor, which ignores biasprm"


def _wind(model: mujoco.MjModel, field: Written) -> Iterator[str]:
    if not model.opt.density and not model.opt.viscosity:
        yield "there is no air: opt.density and opt.viscosity are 0"


def _disabled(flag: mujoco.mjtDisableBit) -> Callable[[mujoco.MjModel, Written], Iterator[str]]:
    def reason(model: mujoco.MjModel, field: Written) -> Iterator[str]:
        if int(model.opt.disableflags) & int(flag):
            yield f"the model switches that off (opt.disableflags has {flag.name})"

    return reason


_OFF = mujoco.mjtDisableBit
_REASONS: tuple[tuple[str, Callable[[mujoco.MjModel, Written], Iterator[str]]], ...] = (
    ("body_mass", _fixed_body),
    ("body_inertia", _fixed_body),
    ("body_ipos", _fixed_body),
    ("actuator_gainprm", _gain),
    ("actuator_biasprm", _bias),
    ("actuator_delay", _no_buffer),
    ("actuator_forcerange", _unlimited("actuator_forcelimited", "actuator")),
    ("actuator_ctrlrange", _unlimited("actuator_ctrllimited", "actuator")),
    ("jnt_range", _unlimited("jnt_limited", "joint")),
    ("opt.wind", _wind),
    ("opt.gravity", _disabled(_OFF.mjDSBL_GRAVITY)),
    ("dof_frictionloss", _disabled(_OFF.mjDSBL_FRICTIONLOSS)),
    ("dof_damping", _disabled(_OFF.mjDSBL_DAMPER)),
    ("jnt_stiffness", _disabled(_OFF.mjDSBL_SPRING)),
    ("geom_friction", _disabled(_OFF.mjDSBL_CONTACT)),
    ("actuator_", _disabled(_OFF.mjDSBL_ACTUATION)),
)


def _mass_without_inertia(
    model: mujoco.MjModel, changed: mujoco.MjModel, fields: dict[str, Written]
) -> Iterator[str]:
    if "body_mass" not in fields:
        return
    for body in fields["body_mass"].rows:
        before, after = model.body_inertia[body], changed.body_inertia[body]
        if before.any() and np.array_equal(before, after):
            ratio = changed.body_mass[body] / model.body_mass[body]
            yield (
                f"the mass of {_name(model, 'body', body)} moved ({ratio:.3g} of nominal) and its rotational "
                "inertia did not; scale body_inertia with it"
            )


def _gain_without_bias(
    model: mujoco.MjModel, changed: mujoco.MjModel, fields: dict[str, Written]
) -> Iterator[str]:
    moved = {name: set(fields[f"actuator_{name}prm"].rows) if f"actuator_{name}prm" in fields else set()
             for name in ("gain", "bias")}  # fmt: skip
    for row in sorted(moved["gain"] ^ moved["bias"]):
        servo = model.actuator_biasprm[row, 1]
        gain, bias = changed.actuator_gainprm[row, 0], changed.actuator_biasprm[row, 1]
        if servo and not np.isclose(gain, -bias) and np.isclose(model.actuator_gainprm[row, 0], -servo):
            yield (
                f"{_name(model, 'actuator', row)} is a position servo (force = gain · goal - kp · angle): "
                f"gainprm[0] is now {gain:g} and kp = -biasprm[1] is {-bias:g}, so that it rests at "
                f"{gain / -bias if bias else np.inf:.3g} of its goal; write both"
            )


def _stale(changed: mujoco.MjModel, fields: dict[str, Written]) -> Iterator[str]:
    """Derived numbers that still are those of the nominal model."""
    inputs = sorted(set(fields) & set(mujoco.MjModel._setconst_inputs))
    if not inputs:
        return
    fresh = copy.deepcopy(changed)
    mujoco.mj_setConst(fresh, mujoco.MjData(fresh))
    late = [field.name for field in written(changed, fresh) if field.relative > _STALE]
    if late:
        yield (
            f"{', '.join(inputs)} moved, and what the engine derives did not ({', '.join(late[:4])}); "
            "call mujoco.mj_setConst(model, data) after the write"
        )


_STALE = 1e-6


def _name(model: mujoco.MjModel, kind: str, row: int | Ids) -> str:
    number = int(row)
    return repr(getattr(model, kind)(number).name or f"{kind} {number}")
