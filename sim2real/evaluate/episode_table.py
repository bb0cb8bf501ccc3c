"""The episode table: one row per episode, and its fold to one mean per training seed.

The table is a mapping of column name to array, as ``rollouts`` makes it and ``episodes.parquet``
keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue
from sim2real.evaluate.leakage import TARGET, TRAINED
from sim2real.evaluate.statistics import Array

Episodes: TypeAlias = Mapping[str, NDArray[np.generic]]

COLUMNS: Mapping[str, type[np.generic]] = {
    "label": np.str_,
    "lineage": np.str_,
    "policy": np.str_,
    "seed": np.int64,
    "variant": np.str_,
    "group": np.str_,
    "episode": np.int64,
    "return": np.float64,
    "length": np.int64,
    "success": np.bool_,
    "diverged": np.bool_,
}
"""Columns of the episode table and what they hold; one row per episode. Episodes of which nobody says whether
they succeeded have no column ``success``."""

LATER: Mapping[str, type[np.generic]] = {"seen": np.str_}
"""Columns that older tables lack: how the policy met that physics before, see `sim2real.evaluate.leakage`."""

_GROUPS = ("control", "interpolation", "extrapolation", "combined", "structural", "simulator")


@dataclass(frozen=True)
class Folded:
    """Episodes by run and start; policies of one seed that share a lineage are one run, averaged."""

    labels: tuple[str, ...]
    """Of methods; where two lineages have one label, with what tells them apart."""
    variants: tuple[str, ...]
    """Ordered by group: control, interpolation, extrapolation, combined, structural, simulator, any other."""
    groups: tuple[str, ...]
    """Group of each variant."""
    seeds: tuple[int, ...]
    returns: Array
    """Return of each start, shape (labels, variants, seeds, starts), NaN where there was no episode."""
    success: Array
    """Success of each start, 0 or 1, likewise; all NaN where the table has none."""
    episodes: NDArray[np.int64]
    """Number of episodes, shape (labels, variants)."""
    diverged: NDArray[np.int64]
    """Number that ended because the simulation diverged, shape (labels, variants)."""
    seen: NDArray[np.str_]
    """How a policy of the label met that physics before; empty for not. Shape (labels, variants)."""


def checked(episodes: Episodes) -> dict[str, NDArray[np.generic]]:
    """Return the table with exactly the columns of `COLUMNS` and `LATER`, in their types.

    It has ``success`` where it was given.

    Raises:
        InvalidValue: if a column is missing, lengths differ, there is no row, a return is not
            finite, or a variant is in two groups.
    """
    if "lineage" not in episodes and "label" in episodes:  # a table of before there was this column
        episodes = {**episodes, "lineage": episodes["label"]}
    if "seen" not in episodes and "label" in episodes:  # likewise
        episodes = {**episodes, "seen": np.full(len(episodes["label"]), "")}
    missing = [name for name in COLUMNS if name not in episodes and name != "success"]
    if missing:
        raise InvalidValue(
            f"the episode table has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"
        )
    known = {name: kind for name, kind in {**COLUMNS, **LATER}.items() if name in episodes}
    table = {name: np.asarray(episodes[name]).astype(kind) for name, kind in known.items()}
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1 or lengths["label"] == 0:
        raise InvalidValue(f"the columns of the episode table must have one length above 0, not {lengths}")
    bad = np.flatnonzero(~np.isfinite(table["return"].astype(np.float64)))
    if len(bad):
        row = ", ".join(f"{name} {table[name][bad[0]]}" for name in ("policy", "variant", "episode"))
        raise InvalidValue(
            f"the return of {row} is not finite; a diverged episode must end with a finite return"
        )
    pairs = np.unique(np.stack([table["variant"].astype(str), table["group"].astype(str)]), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    if counts.max() > 1:
        raise InvalidValue(f"variant {names[counts.argmax()]!r} is in more than one group; give it one")
    return table


def fold(episodes: Episodes) -> Folded:
    """Sort the episodes by label, variant, seed and start; those of one place are averaged.

    The number of an episode says how it starts: episode k starts alike for all.

    Raises:
        InvalidValue: as ``checked``.
    """
    table = checked(episodes)
    labels, label = _codes(told_apart(table["label"], table["lineage"]))
    variants, variant = _codes(table["variant"])
    seeds, seed = np.unique(table["seed"].astype(np.int64), return_inverse=True)
    starts, start = np.unique(table["episode"].astype(np.int64), return_inverse=True)
    pairs = zip(table["variant"].tolist(), table["group"].tolist(), strict=True)
    group_of: dict[str, str] = dict(pairs)
    order = sorted(range(len(variants)), key=lambda i: (_rank(group_of[variants[i]]), i))
    shape = (len(labels), len(variants), len(seeds), len(starts))
    place = np.ravel_multi_index((label, variant, seed, start), shape)
    size = int(np.prod(shape))

    def total(column: str) -> Array:
        weights = table[column].astype(np.float64)
        sums = np.bincount(place, weights, size).reshape(shape)[:, order].astype(np.float64)
        return sums

    count = np.bincount(place, minlength=size).reshape(shape)[:, order]

    def average(column: str) -> Array:
        averages: Array = np.full(count.shape, np.nan)
        np.divide(total(column), count, out=averages, where=count > 0)
        return averages

    seen = np.full(shape[:2], "", dtype=object)
    for how in (TARGET, TRAINED):
        met = table["seen"] == how
        seen[label[met], variant[met]] = how

    return Folded(
        labels=labels,
        variants=tuple(variants[i] for i in order),
        groups=tuple(group_of[variants[i]] for i in order),
        seeds=tuple(int(s) for s in seeds),
        returns=average("return"),
        success=average("success") if "success" in table else np.full(count.shape, np.nan),
        episodes=count.sum(axis=(2, 3)),
        diverged=total("diverged").sum(axis=(2, 3)).astype(np.int64),
        seen=seen[:, order].astype(str),
    )


def told_apart(label: NDArray[np.generic], lineage: NDArray[np.generic]) -> NDArray[np.generic]:
    """Labels, each of one lineage: with its last step, or all of them, where another has the same label."""
    pairs = sorted(set(zip(label.tolist(), lineage.tolist(), strict=True)))
    names = {}
    for own, chain in pairs:
        rivals = [other for given, other in pairs if given == own and other != chain]
        last = chain.rpartition(" → ")[2].rpartition(": ")[2]
        unique = all(other.rpartition(" → ")[2].rpartition(": ")[2] != last for other in rivals)
        names[own, chain] = own if not rivals else f"{own} ({last})" if unique else chain
    return np.array([names[pair] for pair in zip(label.tolist(), lineage.tolist(), strict=True)])


def _codes(column: NDArray[np.generic]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names in order of first appearance, and the index of each row's name."""
    names, first, inverse = np.unique(column.astype(str), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.argsort(order)
    return tuple(str(name) for name in names[order]), rank[inverse].astype(np.int64)


def _rank(group: str) -> tuple[int, str]:
    return (_GROUPS.index(group), "") if group in _GROUPS else (len(_GROUPS), group)
