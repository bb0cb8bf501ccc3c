"""Which geoms touch in MuJoCo, with which friction, and the numbers that make Bullet's contacts have it.

MuJoCo takes the larger friction of a pair, or that of the geom of higher priority; Bullet the product of
the two. So each geom gets the number whose product with every partner's is MuJoCo's friction of the pair: the
logarithms are the solution of a linear system, one row a pair. Two geoms with a common partner are no trouble;
frictions that no such numbers give are refused. Torsional and rolling friction are sums in Bullet
(``spin·slide' + spin'·slide``), so a second linear system gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids

_NONE = 1e-12
"""Stands for a friction of zero, which has no logarithm."""


@dataclass(frozen=True)
class Touching:
    """Pairs of geoms that can touch."""

    geoms: list[int]
    pairs: list[tuple[int, int]]
    names: list[str]
    """Names of the geoms of the model, to speak of."""
    ends: Ids
    """The pairs as indices into ``geoms``. Shape (pairs, 2)."""
    condim: Ids
    """Dimension of each pair's contacts: 1 frictionless, 3 sliding, 4 also torsional, 6 also rolling."""
    owner: Ids
    """By pair: 0 or 1 if that geom's friction counts, 2 if the larger."""

    def frictions(self, geom_friction: Array) -> tuple[Array, Array, Array]:
        """Bullet's lateral, spinning and rolling friction of every geom in ``geoms``.

        Args:
            geom_friction: MuJoCo's, shape (ngeom, 3).

        Raises:
            InvalidValue: if no numbers give every pair its friction.
        """
        zeros = np.zeros(len(self.geoms))
        if not self.pairs:
            return zeros, zeros, zeros
        pair = self.pair_frictions(geom_friction)
        incidence = np.zeros((len(self.pairs), len(self.geoms)))
        np.put_along_axis(incidence, self.ends, 1.0, axis=1)
        wanted = np.log(np.maximum(pair[:, 0], _NONE))
        slide = np.exp(np.linalg.lstsq(incidence, wanted, rcond=None)[0])
        given = slide[self.ends].prod(axis=1)
        wrong = np.abs(given - pair[:, 0]) > 1e-6 * (1 + pair[:, 0])
        if wrong.any():
            one, other = (self.names[geom] for geom in self.pairs[int(np.argmax(wrong))])
            raise InvalidValue(
                f"bullet multiplies the frictions of two geoms and can't give {one!r} against {other!r} "
                "MuJoCo's together with their other partners'; give geoms that touch each other one friction"
            )
        crossed = np.zeros_like(incidence)
        np.put_along_axis(crossed, self.ends, slide[self.ends[:, ::-1]], axis=1)
        spin, roll = (np.linalg.lstsq(crossed, pair[:, k], rcond=None)[0] for k in (1, 2))
        return slide, spin, roll

    def pair_frictions(self, geom_friction: Array) -> Array:
        """MuJoCo's sliding, torsional and rolling friction of every pair. Shape (pairs, 3)."""
        both = geom_friction[np.array(self.geoms, dtype=np.intp)[self.ends]]
        first, second = both[:, 0], both[:, 1]
        owner = self.owner[:, None]
        chosen = np.where(owner == 0, first, np.where(owner == 1, second, np.maximum(first, second)))
        return np.asarray(chosen * (self.condim[:, None] > np.array([1, 3, 4])))


def touching(model: mujoco.MjModel) -> Touching:
    """The pairs that MuJoCo lets touch: contype and conaffinity, not within a body, not parent and child."""
    excluded = {(int(s) >> 16, int(s) & 0xFFFF) for s in model.exclude_signature}
    pairs = [
        (a, b)
        for a, b in combinations(range(model.ngeom), 2)
        if (model.geom_contype[a] & model.geom_conaffinity[b])
        or (model.geom_contype[b] & model.geom_conaffinity[a])
        if not _apart(model, int(model.geom_bodyid[a]), int(model.geom_bodyid[b]), excluded)
    ]
    geoms = sorted({geom for pair in pairs for geom in pair})
    index = {geom: k for k, geom in enumerate(geoms)}
    priority = [np.sign(model.geom_priority[b] - model.geom_priority[a]) for a, b in pairs]
    owner = np.array([{0: 2, -1: 0, 1: 1}[int(sign)] for sign in priority], dtype=np.intp)
    condims = np.array([[model.geom_condim[geom] for geom in pair] for pair in pairs]).reshape(-1, 2)
    chosen = np.where(owner == 0, condims[:, 0], np.where(owner == 1, condims[:, 1], condims.max(axis=1)))
    return Touching(
        geoms=geoms,
        pairs=pairs,
        names=[model.geom(geom).name or f"geom {geom}" for geom in range(model.ngeom)],
        ends=np.array([[index[a], index[b]] for a, b in pairs], dtype=np.intp).reshape(-1, 2),
        condim=chosen.astype(np.intp),
        owner=owner,
    )


def _apart(model: mujoco.MjModel, one: int, other: int, excluded: set[tuple[int, int]]) -> bool:
    """Whether MuJoCo never lets two bodies touch."""
    a, b = int(model.body_weldid[one]), int(model.body_weldid[other])
    if a == b or (one, other) in excluded or (other, one) in excluded:
        return True
    parents = [int(model.body_weldid[model.body_parentid[weld]]) for weld in (a, b)]
    return a != 0 and b != 0 and (parents[0] == b or parents[1] == a)
