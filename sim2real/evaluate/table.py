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
from sim2real.evaluate.statistics import Array

Episodes: TypeAlias = Mapping[str, NDArray[np.generic]]

COLUMNS: Mapping[str, type[np.generic]] = {
    "label": np.str_,
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
"""Columns of the episode table and what they hold; one row per episode."""

_GROUPS = ("control", "interpolation", "extrapolation", "combined", "structural", "simulator")


@dataclass(frozen=True)
class Folded:
    """Episodes averaged; policies of one seed that share label and variant are one run."""

    labels: tuple[str, ...]
    variants: tuple[str, ...]
    """Ordered by group: control, interpolation, extrapolation, combined, structural, simulator, any other."""
    groups: tuple[str, ...]
    """Group of each variant."""
    seeds: tuple[int, ...]
    returns: Array
    """Mean return, shape (labels, variants, seeds), NaN where there was no episode."""
    episodes: NDArray[np.int64]
    """Number of episodes, shape (labels, variants)."""
    successes: NDArray[np.int64]
    """Number of successful ones, shape (labels, variants)."""
    diverged: NDArray[np.int64]
    """Number that ended because the simulation diverged, shape (labels, variants)."""


def checked(episodes: Episodes) -> dict[str, NDArray[np.generic]]:
    """Return the table with exactly the columns of ``COLUMNS``, in their types.

    Raises:
        InvalidValue: if a column is missing, lengths differ, there is no row, a return is not
            finite, or a variant is in two groups.
    """
    missing = [name for name in COLUMNS if name not in episodes]
    if missing:
        raise InvalidValue(
            f"the episode table has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"
        )
    table = {name: np.asarray(episodes[name]).astype(kind) for name, kind in COLUMNS.items()}
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
    """Average the episodes of every (label, variant, seed).

    Raises:
        InvalidValue: as ``checked``.
    """
    table = checked(episodes)
    labels, label = _codes(table["label"])
    variants, variant = _codes(table["variant"])
    seeds, seed = np.unique(table["seed"].astype(np.int64), return_inverse=True)
    pairs = zip(table["variant"].tolist(), table["group"].tolist(), strict=True)
    group_of: dict[str, str] = dict(pairs)
    order = sorted(range(len(variants)), key=lambda i: (_rank(group_of[variants[i]]), i))
    shape = (len(labels), len(variants), len(seeds))
    run = np.ravel_multi_index((label, variant, seed), shape)
    size = int(np.prod(shape))

    def total(column: str) -> Array:
        weights = table[column].astype(np.float64)
        sums = np.bincount(run, weights, size).reshape(shape)[:, order].astype(np.float64)
        return sums

    count = np.bincount(run, minlength=size).reshape(shape)[:, order]
    returns: Array = np.full(count.shape, np.nan)
    np.divide(total("return"), count, out=returns, where=count > 0)
    return Folded(
        labels=labels,
        variants=tuple(variants[i] for i in order),
        groups=tuple(group_of[variants[i]] for i in order),
        seeds=tuple(int(s) for s in seeds),
        returns=returns,
        episodes=count.sum(axis=2),
        successes=total("success").sum(axis=2).astype(np.int64),
        diverged=total("diverged").sum(axis=2).astype(np.int64),
    )


def _codes(column: NDArray[np.generic]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names in order of first appearance, and the index of each row's name."""
    names, first, inverse = np.unique(column.astype(str), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.argsort(order)
    return tuple(str(name) for name in names[order]), rank[inverse].astype(np.int64)


def _rank(group: str) -> tuple[int, str]:
    return (_GROUPS.index(group), "") if group in _GROUPS else (len(_GROUPS), group)
