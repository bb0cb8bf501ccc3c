"""What elements are called: by their own names, and unnamed ones as MuJoCo's viewer calls them, ``geom 3``.

An unnamed actuator goes by the hinge, slide or ball joint that it drives, if no other actuator can be meant
by that name; else it is ``actuator 3``. By kind and number everything may be called that nothing else is
called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import mujoco

from sim2real.errors import UnknownName

_TYPES = {
    "body": (mujoco.mjtObj.mjOBJ_BODY, "nbody", "bodies"),
    "joint": (mujoco.mjtObj.mjOBJ_JOINT, "njnt", "joints"),
    "geom": (mujoco.mjtObj.mjOBJ_GEOM, "ngeom", "geoms"),
    "tendon": (mujoco.mjtObj.mjOBJ_TENDON, "ntendon", "tendons"),
    "actuator": (mujoco.mjtObj.mjOBJ_ACTUATOR, "nactuator", "actuators"),
}
_KNOWN: WeakKeyDictionary[mujoco.MjModel, dict[str, list[str]]] = WeakKeyDictionary()
_DRIVES_JOINT = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)


def element_names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Names of all elements of a kind, each different.

    Args:
        model: compiled.
        kind: ``body``, ``joint``, ``geom``, ``tendon`` or ``actuator``.
    """
    return list(_known_names(model, kind))


def _known_names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Looked up once a model."""
    known = _KNOWN.setdefault(model, {})
    if kind not in known:
        known[kind] = _looked_up(model, kind)
    return known[kind]


def _looked_up(model: mujoco.MjModel, kind: str) -> list[str]:
    code, count, _ = _TYPES[kind]
    own = [mujoco.mj_id2name(model, code, k) or "" for k in range(getattr(model, count))]
    if kind != "actuator" or all(own):
        return _named(kind, own)
    joints = _known_names(model, "joint")
    driven = [
        joints[joint] if drives in _DRIVES_JOINT else ""
        for drives, joint in zip(model.actuator_trntype.tolist(), model.actuator_trnid[:, 0], strict=True)
    ]
    return _named(kind, _by_joint(own, driven))


def element_name(model: mujoco.MjModel, kind: str, number: int) -> str:
    """Name of one element; see `element_names`."""
    return mujoco.mj_id2name(model, _TYPES[kind][0], number) or _known_names(model, kind)[number]


def element_id(model: mujoco.MjModel, kind: str, name: str, wanted: str | None = None) -> int:
    """Number of an element in the compiled model.

    Args:
        model: compiled.
        kind: as for `element_names`.
        name: its own, or the one that an unnamed element has.
        wanted: what the message says that it should have named; by default the kind.

    Raises:
        UnknownName: if there is none.
    """
    code, count, _ = _TYPES[kind]
    found = mujoco.mj_name2id(model, code, name) if name else -1
    if found >= 0:
        return int(found)
    names = _known_names(model, kind)
    if name in names:
        return names.index(name)
    number = by_number(kind, name)
    if number is None or number >= getattr(model, count):
        raise UnknownName(wanted or kind, name, names)
    return number


def actuator_of(model: mujoco.MjModel, name: str) -> mujoco._structs._MjModelActuatorViews:
    """An actuator by its name or, as many models leave them unnamed, by the joint that it drives.

    Raises:
        UnknownName: if there is neither.
    """
    return model.actuator(element_id(model, "actuator", name))


def by_number(kind: str, name: str) -> int | None:
    """The number in a name such as ``geom 3``, if it is one."""
    number = name.removeprefix(f"{kind} ")
    return int(number) if number != name and number.isdecimal() else None


def name_elements(spec: mujoco.MjSpec) -> None:
    """Give every unnamed element of a scene the name that `element_names` gives it.

    The lists of a scene are in the order of the compiled model's numbers.
    """
    for kind, (_, _, plural) in _TYPES.items():
        elements = list(getattr(spec, plural))
        own = [element.name for element in elements]
        if kind == "actuator":
            own = _by_joint(own, [a.target if a.trntype in _DRIVES_JOINT else "" for a in elements])
        for element, name in zip(elements, _named(kind, own), strict=True):
            if not element.name:
                element.name = name


def _by_joint(own: Sequence[str], driven: Sequence[str]) -> list[str]:
    """Names of actuators, where the joint that one drives can stand for it."""
    unnamed = Counter(joint for name, joint in zip(own, driven, strict=True) if not name)
    return [
        name or (joint if unnamed[joint] == 1 and joint not in own else "")
        for name, joint in zip(own, driven, strict=True)
    ]


def _named(kind: str, own: Sequence[str]) -> list[str]:
    """A name for everyone; a default that somebody else has already gets an underscore."""
    taken, names = set(own), list(own)
    for k, name in enumerate(own):
        if not name:
            names[k] = f"{kind} {k}"
            while names[k] in taken:
                names[k] += "_"
    return names
