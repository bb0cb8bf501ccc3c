"""Which geoms may touch, and whose friction counts where they do.

Of two geoms the one with the higher priority gives the friction; with equal priorities the larger friction
counts, number by number (MuJoCo's manual, "Contact parameters"). An explicit ``<pair>`` has its own,
which is 1 unless the scene says another, whatever the two geoms have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.world.names import element_names

_LEVEL = 1 - 1e-9
"""Least cosine of a plane's tilt that is none."""


def possible_partners(model: mujoco.MjModel, geom: int) -> list[int]:
    """Geoms that the engine would let ``geom`` collide with."""
    mine, bodies = int(model.geom_bodyid[geom]), model.geom_bodyid
    weld, welds = int(model.body_weldid[mine]), model.body_weldid[bodies]
    may = (model.geom_contype[geom] & model.geom_conaffinity) | (
        model.geom_conaffinity[geom] & model.geom_contype
    )
    may = (may != 0) & (welds != weld)
    may &= (model.body_treeid[mine] >= 0) | (model.body_treeid[bodies] >= 0)  # two that no joint moves don't
    if model.nexclude:
        signatures = (np.minimum(bodies, mine) << 16) + np.maximum(bodies, mine)
        may &= ~np.isin(signatures, model.exclude_signature)
    if weld and not int(model.opt.disableflags) & int(mujoco.mjtDisableBit.mjDSBL_FILTERPARENT):
        above = model.body_weldid[model.body_parentid]  # what bodies welded together hang on
        may &= (welds == 0) | ((above[welds] != weld) & (welds != above[weld]))
    may[[other for _, other in pairs_of(model, geom)]] = True
    may[geom] = False
    return [int(other) for other in np.flatnonzero(may)]


def level_ground(model: mujoco.MjModel, parameters: Iterable[str] = ()) -> float:
    """Height of the horizontal planes that are all that stands still and can be touched, m.

    Args:
        model: compiled.
        parameters: of the world; none may move that ground.

    Raises:
        InvalidValue: for ground that isn't level or doesn't stay, or none.
    """
    data, heights = mujoco.MjData(model), set()
    mujoco.mj_kinematics(model, data)
    for geom in range(model.ngeom):
        if model.body_weldid[model.geom_bodyid[geom]] or not (
            model.geom_contype[geom] or model.geom_conaffinity[geom]
        ):
            continue
        name = element_names(model, "geom")[geom]
        if f"{name}.height" in parameters:
            raise InvalidValue(
                f"a height scan is computed over ground that stays where the scene has it, and {name}.height "
                "moves it; leave out one of both"
            )
        is_plane = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE
        heights.add(float(data.geom_xpos[geom, 2]))
        if not is_plane or data.geom_xmat[geom, 8] < _LEVEL or len(heights) > 1:
            raise InvalidValue(
                f"a height scan is computed over level ground alone, and geom "
                f"{name!r} is none; leave it out, or take a policy without"
            )
    if not heights:
        raise InvalidValue("a height scan needs level ground; give the scene a plane")
    return heights.pop()


def pair_of(model: mujoco.MjModel, one: int, other: int) -> int | None:
    """The explicit ``<pair>`` of two geoms."""
    return next((pair for pair, partner in pairs_of(model, one) if partner == other), None)


def pairs_of(model: mujoco.MjModel, geom: int) -> list[tuple[int, int]]:
    """Explicit ``<pair>``s that a geom is in, each with the other geom."""
    if not model.npair:
        return []
    found = np.flatnonzero((model.pair_geom1 == geom) | (model.pair_geom2 == geom))
    return [(int(k), int(model.pair_geom1[k] + model.pair_geom2[k]) - geom) for k in found]


def contact_dim(model: mujoco.MjModel, one: int, other: int) -> int:
    """Dimension of a contact of two geoms: 1 is without friction, 3 slides, 4 turns, 6 rolls."""
    pair = pair_of(model, one, other)
    if pair is not None:
        return int(model.pair_dim[pair])
    dims, priorities = model.geom_condim, model.geom_priority
    if priorities[one] != priorities[other]:
        return int(dims[one] if priorities[one] > priorities[other] else dims[other])
    return int(max(dims[one], dims[other]))


def why_no_friction(model: mujoco.MjModel, geom: int) -> Iterator[str]:
    """Why the sliding friction of a geom counts in none of its contacts, or not in all."""
    if int(model.opt.enableflags) & int(mujoco.mjtEnableBit.mjENBL_OVERRIDE):
        yield "the scene overrides the friction of all contacts"
    partners = possible_partners(model, geom)
    if not partners and not model.nflex:
        bits = f"contype {model.geom_contype[geom]}, conaffinity {model.geom_conaffinity[geom]}"
        yield f"it touches nothing: its {bits} match no other geom's"
    elif not model.nflex and all(contact_dim(model, geom, partner) == 1 for partner in partners):
        yield "all its contacts are without friction (condim 1)"
    names = element_names(model, "geom")
    for pair, other in pairs_of(model, geom):
        if model.pair_dim[pair] > 1:
            yield f"a <pair> of it and geom {names[other]!r} gives their friction"
