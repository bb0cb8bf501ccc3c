"""Which geoms touch in MuJoCo, with which friction, and the numbers that make Bullet's contacts have it.

MuJoCo takes the larger friction of a pair, or that of the geom of higher priority; Bullet the product of
the two. Where no pairs form a ring (feet and a floor), each geom has one shape, and numbers whose products
are MuJoCo's frictions always exist: their logarithms solve a linear system, one row a pair. In a ring they
exist where frictions are alike. Else each geom has two shapes, an *owner* with its own friction and a
*guest* with friction 1, and of each pair the owner of the geom whose friction counts meets the other's guest.
Torsional and rolling friction are sums in Bullet, ``spin·slide' + spin'·slide``, so a second linear system
gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask
from sim2real.world import World
from sim2real.world.contacts import contact_dim, possible_partners
from sim2real.world.entries import BACKLASH

Shape = tuple[int, int]
"""A geom, and 0 for its only or owner's shape, 1 for its guest."""

_NONE = 1e-12
"""Stands for a friction of zero, which has no logarithm."""


@dataclass(frozen=True)
class Friction:
    """Bullet's numbers for one physics."""

    values: dict[Shape, Array]
    """Lateral, spinning and rolling friction of every shape."""
    meetings: list[tuple[Shape, Shape]]
    """The shapes that touch, in the order of the pairs."""
    sliding: Array
    """MuJoCo's sliding friction of every pair. Shape (pairs,)."""


@dataclass(frozen=True)
class Touching:
    """Pairs of geoms that can touch."""

    geoms: list[int]
    pairs: list[tuple[int, int]]
    shapes: list[Shape]
    names: list[str]
    """Names of the geoms of the model, to speak of."""
    ends: Ids
    """The pairs as indices into ``geoms``. Shape (pairs, 2)."""
    condim: Ids
    """Dimension of each pair's contacts: 1 frictionless, 3 sliding, 4 also torsional, 6 also rolling."""
    owner: Ids
    """By pair: 0 or 1 if that geom's friction counts, 2 if the larger."""

    def friction(self, geom_friction: Array) -> Friction:
        """What Bullet needs for MuJoCo's friction, shape (ngeom, 3).

        Raises:
            InvalidValue: if no numbers give every pair its friction.
        """
        if not self.pairs:
            return Friction({}, [], np.zeros(0))
        pair = self._pair_frictions(geom_friction)
        if len(self.shapes) == len(self.geoms):
            values = dict(zip(self.shapes, self._products(pair), strict=True))
            return Friction(values, [((a, 0), (b, 0)) for a, b in self.pairs], pair[:, 0])
        return self._owned(pair, geom_friction)

    def agrees(self, geom_friction: Array) -> bool:
        """Whether one number a geom gives all pairs their friction."""
        pair = self._pair_frictions(geom_friction)
        slide, *others = self._products(pair).T[:, self.ends]
        products = [slide.prod(axis=1), *(np.sum(other * slide[:, ::-1], axis=1) for other in others)]
        return np.allclose(np.transpose(products), pair, rtol=1e-9, atol=_NONE)

    def _products(self, pair: Array) -> Array:
        """One number for each geom. Shape (geoms, 3)."""
        incidence = np.zeros((len(self.pairs), len(self.geoms)))
        np.put_along_axis(incidence, self.ends, 1.0, axis=1)
        wanted = np.log(np.maximum(pair[:, 0], _NONE))
        slide = np.exp(np.linalg.lstsq(incidence, wanted, rcond=None)[0])
        np.put_along_axis(incidence, self.ends, slide[self.ends[:, ::-1]], axis=1)
        return np.column_stack((slide, np.linalg.lstsq(incidence, pair[:, 1:], rcond=None)[0]))

    def _owned(self, pair: Array, geom_friction: Array) -> Friction:
        """Two shapes for each geom."""
        values = {(geom, 1): np.array([1.0, 0.0, 0.0]) for geom in self.geoms}
        meetings: list[tuple[Shape, Shape]] = []
        for (a, b), rule, wanted in zip(self.pairs, self.owner, pair, strict=True):
            owner, guest = (
                (b, a) if rule == 1 or (rule == 2 and geom_friction[b, 0] > geom_friction[a, 0]) else (a, b)
            )
            if not np.allclose(values.setdefault((owner, 0), wanted), wanted, rtol=1e-9, atol=0.0):
                raise InvalidValue(
                    f"bullet can't give geom {self.names[owner]!r} one friction against "
                    f"{self.names[guest]!r} and another against its other partners; give geoms that touch "
                    "one condim, and the one of larger sliding friction also the larger others"
                )
            meetings.append(((owner, 0), (guest, 1)))
        return Friction(values, meetings, pair[:, 0])

    def _pair_frictions(self, geom_friction: Array) -> Array:
        """MuJoCo's sliding, torsional and rolling friction of every pair. Shape (pairs, 3)."""
        both = geom_friction[np.array(self.geoms)[self.ends]]
        first, second = both[:, 0], both[:, 1]
        owner = self.owner[:, None]
        chosen = np.where(owner == 0, first, np.where(owner == 1, second, np.maximum(first, second)))
        return np.asarray(chosen * (self.condim[:, None] > np.array([1, 3, 4])))


def touching_in(world: World) -> Touching:
    """The pairs that MuJoCo lets touch in a world, whose parameters say whether frictions change."""
    return touching(world.model, any(p.quantity.name == "friction" for p in world.parameters.values()))


def touching(model: mujoco.MjModel, varied: bool = True) -> Touching:
    """The pairs that MuJoCo lets touch.

    Args:
        model: the compiled model.
        varied: whether frictions of geoms may change.
    """
    off = mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    ones = range(0 if model.opt.disableflags & off else model.ngeom)
    pairs = [(one, other) for one in ones for other in possible_partners(model, one) if one < other]
    geoms = sorted({geom for pair in pairs for geom in pair})
    index = {geom: k for k, geom in enumerate(geoms)}
    priority = [np.sign(model.geom_priority[b] - model.geom_priority[a]) for a, b in pairs]
    found = Touching(
        geoms=geoms,
        pairs=pairs,
        shapes=[(geom, 0) for geom in geoms],
        names=[model.geom(geom).name or f"geom {geom}" for geom in range(model.ngeom)],
        ends=np.array([[index[a], index[b]] for a, b in pairs], dtype=np.intp).reshape(-1, 2),
        condim=np.array([contact_dim(model, a, b) for a, b in pairs], dtype=np.intp),
        owner=np.array([{0: 2, -1: 0, 1: 1}[int(sign)] for sign in priority], dtype=np.intp),
    )
    if _has_ring(geoms, pairs) and (varied or not found.agrees(model.geom_friction)):
        return replace(found, shapes=[(geom, role) for geom in geoms for role in (0, 1)])
    return found


def limited(model: mujoco.MjModel) -> Mask:
    """Which joints have limits in Bullet. Shape (njnt,).

    The ends of free play are left to MuJoCo's step: Bullet acts only once a joint is past its limit, by more
    than such a play is wide. So are the limits of ball joints, which Bullet lacks.
    """
    plays = [model.joint(joint).name.endswith(BACKLASH) for joint in range(model.njnt)]
    left = np.array(plays, dtype=bool) | (model.jnt_type == mujoco.mjtJoint.mjJNT_BALL)
    off = mujoco.mjtDisableBit.mjDSBL_LIMIT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    return np.asarray((model.jnt_limited == 1) & ~left & (not model.opt.disableflags & off))


def _has_ring(geoms: list[int], pairs: list[tuple[int, int]]) -> bool:
    group = {geom: geom for geom in geoms}
    for a, b in pairs:
        one, other = group[a], group[b]
        if one == other:
            return True
        group = {geom: one if label == other else label for geom, label in group.items()}
    return False
