"""Why a geom's friction changes nothing: what it touches, and whose friction counts there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from sim2real.world.contacts import contact_dim, pair_of, possible_partners

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


def _ruled_out(model: mujoco.MjModel, changed: mujoco.MjModel, geom: int, partner: int) -> str:
    """Why a contact does not use the changed friction; empty if it does."""
    name, other = _name(model, geom), _name(model, partner)
    if pair_of(model, geom, partner) is not None:
        return f"a <pair> of {name} and {other} gives their friction"
    mine, theirs = int(model.geom_priority[geom]), int(model.geom_priority[partner])
    if theirs > mine:
        return (
            f"geom {other} has the higher priority ({theirs} to {mine}), so that {name}'s friction is unused"
        )
    condim = contact_dim(model, geom, partner)
    moved = [k for k in range(3) if model.geom_friction[geom, k] != changed.geom_friction[geom, k]]
    used = [k for k in moved if condim >= _NEEDS[k]]
    if not used:
        return f"contacts of {name} and {other} have condim {condim}, without {_KINDS[moved[0]]} friction"
    if mine > theirs:
        return ""
    counts = [np.maximum(m.geom_friction[geom], m.geom_friction[partner]) for m in (model, changed)]
    if any(counts[0][k] != counts[1][k] for k in used):
        return ""
    grip, low = changed.geom_friction[partner, used[0]], changed.geom_friction[geom, used[0]]
    return (
        f"geom {other} is grippier ({grip:g}) than {name} ({low:g}), and the larger friction counts; "
        f'give {name} priority="1" or {other} less friction'
    )


def _name(model: mujoco.MjModel, geom: int) -> str:
    return repr(model.geom(geom).name or f"geom {geom}")
