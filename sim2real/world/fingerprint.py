"""The contents of a world (`sim2real.contents`), with hashes of what acts in each element of its scene."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.contents import Contents
from sim2real.io_table import IO_FILE
from sim2real.parameters import MODEL, Parameter

_ASIDE = {
    # how it looks
    *("rgba", "matid", "group", "user", "castshadow", "width"),
    # what follows from the rest, or from the buffers that parameters ask for
    *("M0", "invweight0", "acc0", "length0", "subtreemass", "rbound", "aabb", "sameframe", "simple"),
    *("length", "history", "lengthrange", "signature", "ctrlspec", "plugin", "geom1", "geom2"),
    *("body_contype", "body_conaffinity", "body_margin"),
}
"""Fields that don't act, or whose content is elsewhere."""

_PLACES = ("adr", "num", "id")
"""Endings of fields that say by number where things are; names say it here."""

_OF = mujoco.mjtObj
_KINDS = {
    "body": ("body_", _OF.mjOBJ_BODY, "nbody"),
    "joint": ("jnt_", _OF.mjOBJ_JOINT, "njnt"),
    "geom": ("geom_", _OF.mjOBJ_GEOM, "ngeom"),
    "site": ("site_", _OF.mjOBJ_SITE, "nsite"),
    "actuator": ("actuator_", _OF.mjOBJ_ACTUATOR, "nactuator"),
    "tendon": ("tendon_", _OF.mjOBJ_TENDON, "ntendon"),
    "equality": ("eq_", _OF.mjOBJ_EQUALITY, "neq"),
    "contact pair": ("pair_", _OF.mjOBJ_PAIR, "npair"),
}
_TRANSMISSIONS = {
    mujoco.mjtTrn.mjTRN_JOINT: _OF.mjOBJ_JOINT,
    mujoco.mjtTrn.mjTRN_JOINTINPARENT: _OF.mjOBJ_JOINT,
    mujoco.mjtTrn.mjTRN_TENDON: _OF.mjOBJ_TENDON,
    mujoco.mjtTrn.mjTRN_SITE: _OF.mjOBJ_SITE,
    mujoco.mjtTrn.mjTRN_SLIDERCRANK: _OF.mjOBJ_SITE,
    mujoco.mjtTrn.mjTRN_BODY: _OF.mjOBJ_BODY,
}
_WRAPS = {
    mujoco.mjtWrap.mjWRAP_JOINT: _OF.mjOBJ_JOINT,
    mujoco.mjtWrap.mjWRAP_SITE: _OF.mjOBJ_SITE,
    mujoco.mjtWrap.mjWRAP_SPHERE: _OF.mjOBJ_GEOM,
    mujoco.mjtWrap.mjWRAP_CYLINDER: _OF.mjOBJ_GEOM,
}


def contents(
    model: mujoco.MjModel,
    parameters: Mapping[str, Parameter],
    channels: Mapping[str, tuple[str, ...]],
    folder: Path,
) -> Contents:
    """What a world consists of.

    Args:
        model: its compiled scene.
        parameters: its parameters; their ranges are no part of it.
        channels: the order of its channels, and the file of a learned correction.
        folder: its folder.
    """
    orders = {f"order of {side}": " ".join(order) for side, order in channels.items() if side != "correction"}
    files = [folder / name for name in (*channels.get("correction", ()), IO_FILE)]
    return {
        "parameters": {p.name: p.nominal for p in parameters.values() if p.quantity.acts == MODEL},
        "effects": {**orders, **_options(model)},
        "scene": dict(_elements(model)),
        "files": {file.name: _short(file.read_bytes()) for file in files if file.is_file()},
    }


def _options(model: mujoco.MjModel) -> dict[str, str]:
    """Options that are not MuJoCo's own."""
    usual = mujoco.MjSpec().compile().opt
    names = [name for name in dir(usual) if not name.startswith("_")]
    mine, other = ({name: _text(getattr(opt, name)) for name in names} for opt in (model.opt, usual))
    return {f"option {name}": mine[name] for name in names if mine[name] != other[name]}


def _elements(model: mujoco.MjModel) -> Iterator[tuple[str, str]]:
    """Every element that acts, by kind and name, with a hash of its content."""
    fields = [name for name in dir(model) if not name.startswith("__")]
    for kind, (prefix, what, count) in _KINDS.items():
        mine = [name for name in fields if name.startswith(prefix) and not _aside(name, prefix)]
        for number in range(getattr(model, count)):
            if kind == "geom" and not _acts_on_others(model, number):
                continue
            values = [(name, _rows(model, kind, getattr(model, name), number)) for name in mine]
            parts = [f"{name} {_text(value)}" for name, value in values if np.any(value)]
            parts += [*_of_joint(model, number)] if kind == "joint" else []
            parts += _references(model, kind, number)
            parts += _data(model, kind, number)
            yield f"{kind} {_name(model, what, number)}", _short("\n".join(parts).encode())
    for pair in map(int, model.exclude_signature):
        bodies = sorted(_name(model, _OF.mjOBJ_BODY, body) for body in (pair >> 16, pair & 0xFFFF))
        yield f"exclusion of {' and '.join(bodies)}", ""


def _rows(model: mujoco.MjModel, kind: str, field: NDArray[Any], number: int) -> NDArray[Any]:
    """What a field has of an element; an actuator may have several commands and several outputs."""
    if kind == "actuator" and len(field) == model.nu != model.nactuator:
        field = field[model.actuator_ctrladr[number] :][: model.actuator_ctrlnum[number]]
    elif kind == "actuator" and len(field) == model.nout != model.nactuator:
        field = field[model.actuator_outadr[number] :][: model.actuator_outnum[number]]
    else:
        field = field[number]
    return field


def _aside(name: str, prefix: str) -> bool:
    bare = name.removeprefix(prefix)
    return bare in _ASIDE or name in _ASIDE or bare.endswith(_PLACES)


def _acts_on_others(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom touches anything, or the air; its mass is its body's."""
    touches = model.geom_contype[geom] or model.geom_conaffinity[geom] or model.geom_fluid[geom].any()
    return bool(touches or geom in model.pair_geom1 or geom in model.pair_geom2 or geom in _wrapped(model))


def _wrapped(model: mujoco.MjModel) -> set[int]:
    around = [
        k for k in range(model.nwrap) if _WRAPS.get(mujoco.mjtWrap(model.wrap_type[k])) == _OF.mjOBJ_GEOM
    ]
    return {int(model.wrap_objid[k]) for k in around}


def _of_joint(model: mujoco.MjModel, joint: int) -> Iterator[str]:
    view = model.joint(joint)
    yield f"qpos0 {_text(view.qpos0)} spring {_text(view.qpos_spring)}"
    for name in ("armature", "damping", "dampingpoly", "frictionloss", "solimp", "solref"):
        rows = getattr(model, f"dof_{name}")[model.jnt_dofadr[joint] :][: len(view.damping)]
        yield f"dof {name} {_text(rows)}"


def _references(model: mujoco.MjModel, kind: str, number: int) -> list[str]:
    """What else an element is about, by name."""

    def of(what: mujoco.mjtObj | None, *ids: int) -> list[str]:
        return ["none" if what is None or k < 0 else _name(model, what, int(k)) for k in ids]

    if kind == "actuator":
        return of(
            _TRANSMISSIONS.get(mujoco.mjtTrn(model.actuator_trntype[number])), *model.actuator_trnid[number]
        )
    if kind == "tendon":
        first = model.tendon_adr[number]
        path = range(first, first + model.tendon_num[number])
        return [
            f"{model.wrap_type[k]} {_text(model.wrap_prm[k])} "
            + of(_WRAPS.get(mujoco.mjtWrap(model.wrap_type[k])), model.wrap_objid[k])[0]
            for k in path
        ]
    if kind == "equality":
        return of(mujoco.mjtObj(model.eq_objtype[number]), model.eq_obj1id[number], model.eq_obj2id[number])
    if kind == "contact pair":
        return of(_OF.mjOBJ_GEOM, model.pair_geom1[number], model.pair_geom2[number])
    parent = {"body": model.body_parentid, "joint": model.jnt_bodyid, "geom": model.geom_bodyid}
    names = of(_OF.mjOBJ_BODY, parent.get(kind, model.site_bodyid)[number])
    return names


def _data(model: mujoco.MjModel, kind: str, number: int) -> Iterator[str]:
    """What acts in an element and is kept elsewhere in the model."""
    if kind == "geom" and model.geom_type[number] == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[number]
        vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
        yield _short(_text(vertices).encode())
    if kind == "geom" and model.geom_type[number] == mujoco.mjtGeom.mjGEOM_HFIELD:
        field = model.hfield(model.geom_dataid[number])
        yield f"{_text(field.size)} {_text(field.data)}"
    if kind == "actuator" and model.actuator_gaintype[number] == mujoco.mjtGain.mjGAIN_MUSCLE:
        # given, or searched for by the compiler, which is not to the last digit
        yield " ".join(f"{end:.3g}" for end in model.actuator_lengthrange[number])
    plugins = {"actuator": model.actuator_plugin, "geom": model.geom_plugin, "body": model.body_plugin}
    instance = int(plugins[kind][number]) if kind in plugins else -1
    if instance >= 0:
        ends = [*map(int, model.plugin_attradr), len(model.plugin_attr)]
        yield _text(model.plugin_attr[ends[instance] : ends[instance + 1]])


def _name(model: mujoco.MjModel, what: mujoco.mjtObj, number: int) -> str:
    """An element's name; where it has none, its number among those without."""
    name = mujoco.mj_id2name(model, what, number)
    if name:
        return str(name)
    return f"#{sum(not mujoco.mj_id2name(model, what, k) for k in range(number)) + 1} without a name"


def _text(value: object) -> str:
    """Numbers as six digits, which compile alike on any processor."""
    numbers: NDArray[np.float64] = np.ravel(np.asarray(value, dtype=float))
    return " ".join(f"{0.0 if abs(number) < 1e-12 else number:.6g}" for number in numbers)


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]
