"""Why a geom's friction changes nothing: what it touches, and MuJoCo's rule for the friction of a contact.

Of two geoms the one with the higher priority gives the friction; with equal priorities the larger friction
counts, number by number (MuJoCo's manual, "Contact parameters"). An explicit ``<pair>`` overrides both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco

_SLIDING, _TORSIONAL, _ROLLING = range(3)
_NEEDS = {_SLIDING: 3, _TORSIONAL: 4, _ROLLING: 6}
_KINDS = ("sliding", "torsional", "rolling")


def why_friction_is_dead(
    model: mujoco.MjModel,
    changed: mujoco.MjModel,
    geoms: Sequence[int],
    touched: set[tuple[int, int]] | None,
) -> Iterator[str]:
    """Reasons for some geoms whose friction was changed."""
    for geom in geoms:
        partners = possible_partners(model, geom)
        name = _name(model, geom)
        if not partners:
            bits = f"contype {model.geom_contype[geom]}, conaffinity {model.geom_conaffinity[geom]}"
            yield f"geom {name} touches nothing: its {bits} match no other geom's"
            continue
        met = [p for p in partners if touched is None or (min(geom, p), max(geom, p)) in touched]
        ruled = [_ruled_out(model, changed, geom, partner) for partner in (met or partners)]
        if all(ruled):
            yield from (reason for reason in ruled[:3] if reason)
        elif not met:
            yield f"geom {name} touched nothing in this motion"


def possible_partners(model: mujoco.MjModel, geom: int) -> list[int]:
    """Geoms that the engine would let ``geom`` collide with."""
    return [other for other in range(model.ngeom) if _may_touch(model, geom, other)]


def _may_touch(model: mujoco.MjModel, one: int, other: int) -> bool:
    bodies = [int(model.body_weldid[model.geom_bodyid[g]]) for g in (one, other)]
    if bodies[0] == bodies[1]:
        return False
    if _pair(model, one, other) is not None:
        return True
    parents = [int(model.body_weldid[model.body_parentid[b]]) for b in bodies]
    filters = not int(model.opt.disableflags) & int(mujoco.mjtDisableBit.mjDSBL_FILTERPARENT)
    if filters and 0 not in bodies and (parents[0] == bodies[1] or parents[1] == bodies[0]):
        return False
    bits = model.geom_contype[one] & model.geom_conaffinity[other]
    return bool(bits | (model.geom_contype[other] & model.geom_conaffinity[one]))


def _pair(model: mujoco.MjModel, one: int, other: int) -> int | None:
    """The explicit ``<pair>`` of two geoms."""
    for pair in range(model.npair):
        if {int(model.pair_geom1[pair]), int(model.pair_geom2[pair])} == {one, other}:
            return pair
    return None


def _ruled_out(model: mujoco.MjModel, changed: mujoco.MjModel, geom: int, partner: int) -> str:
    """Why a contact does not use the changed friction; empty if it does."""
    name, other = _name(model, geom), _name(model, partner)
    if _pair(model, geom, partner) is not None:
        return f"a <pair> of {name} and {other} gives their friction"
    mine, theirs = int(model.geom_priority[geom]), int(model.geom_priority[partner])
    if theirs > mine:
        return (
            f"geom {other} has the higher priority ({theirs} to {mine}), so that {name}'s friction is unused"
        )
    condim = _condim(model, geom, partner)
    moved = [k for k in range(3) if model.geom_friction[geom, k] != changed.geom_friction[geom, k]]
    used = [k for k in moved if condim >= _NEEDS[k]]
    if not used:
        return f"contacts of {name} and {other} have condim {condim}, without {_KINDS[moved[0]]} friction"
    if mine > theirs:
        return ""
    hidden = [
        k
        for k in used
        if model.geom_friction[partner, k]
        >= max(model.geom_friction[geom, k], changed.geom_friction[geom, k])
    ]
    if len(hidden) < len(used):
        return ""
    grip, low = model.geom_friction[partner, hidden[0]], changed.geom_friction[geom, hidden[0]]
    return (
        f"geom {other} is grippier ({grip:g}) than {name} ({low:g}), and the larger friction counts; "
        f'give {name} priority="1" or {other} less friction'
    )


def _condim(model: mujoco.MjModel, one: int, other: int) -> int:
    dims, priorities = model.geom_condim, model.geom_priority
    if priorities[one] != priorities[other]:
        return int(dims[one] if priorities[one] > priorities[other] else dims[other])
    return int(max(dims[one], dims[other]))


def _name(model: mujoco.MjModel, geom: int) -> str:
    return repr(model.geom(geom).name or f"geom {geom}")
