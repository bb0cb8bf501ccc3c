"""Do two places visit the same states and take the same actions? Distances of samples of rows, with p-values.

Rows of one motion or episode follow each other and are no independent draws: what is drawn again is whole
groups. A p-value is the share of relabellings of the groups that look at least as different as what was
seen: where each group has a twin, such as a recording and its replay, pairs change sides; else groups are
dealt out anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import Array

Labels = NDArray[np.bool_]
"""Which of the two each group is from. Shape (groups,)."""

_ROWS = 2000  # of all groups together, for the energy distance
_RELABELLINGS, _REFITS = 999, 199
_RIDGE = 1e-3


@dataclass(frozen=True)
class Marginals:
    """How far apart two samples of rows are."""

    wasserstein: Array
    """Of each feature alone, in the standard deviations of the second sample. Shape (features,)."""
    energy: float
    """Energy distance of all features together, standardized (Székely & Rizzo 2004); 0 for equal ones."""
    energy_p: float
    """Chance of one so large if both were the same."""
    accuracy: float
    """How often a classifier tells from which of the two a row is, of a group that it hasn't seen; 0.5 is
    chance (Lopez-Paz & Oquab 2017)."""
    accuracy_p: float


def marginals(
    first: Sequence[Array], second: Sequence[Array], paired: bool = False, seed: int = 0
) -> Marginals:
    """Compare two samples of rows, group by group.

    Args:
        first: rows of each group, shape (rows, features); at least two groups.
        second: likewise, with the same features.
        paired: whether group k of both belong together.
        seed: of the relabellings and of the rows that are taken.

    Raises:
        InvalidValue: for fewer than two groups, unequal numbers of paired ones, other features, or values
            that aren't finite.
    """
    _check(first, second, paired)
    rng = np.random.default_rng(seed)
    groups = [*first, *second]
    labels = np.repeat([True, False], [len(first), len(second)])
    whole = [np.concatenate(side) for side in (first, second)]
    scale = whole[1].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    centre = whole[1].mean(axis=0)
    apart = [wasserstein_distance(a, b) for a, b in zip(whole[0].T, whole[1].T, strict=True)]
    standard = [(group - centre) / scale for group in groups]
    taken = _taken(standard, len(first) if paired else len(groups), rng)
    distances = np.array([[cdist(a, b).mean() for b in taken] for a in taken])
    weights = np.array([len(group) for group in groups], dtype=float)
    rows = [np.concatenate([np.ones((len(g), 1)), g, g**2], axis=1) for g in standard]
    others = list(_relabelled(labels, paired, rng))
    energy = _energy(distances, weights, labels)
    accuracy = _accuracy(rows, labels, paired)
    energies = [_energy(distances, weights, other) for other in others]
    accuracies = [_accuracy(rows, other, paired) for other in others[:_REFITS]]
    return Marginals(
        np.array(apart) / scale, energy, _p(energies, energy), accuracy, _p(accuracies, accuracy)
    )


def _taken(groups: Sequence[Array], apart: int, rng: np.random.Generator) -> list[Array]:
    """Some rows of each group; group k and its twin k + apart give the same, where both have them."""
    most = max(2, _ROWS // len(groups))
    order = [rng.permutation(len(group)) for group in groups[:apart]]
    found = []
    for k, group in enumerate(groups):
        rows = order[k % apart]
        found.append(group[rows[rows < len(group)][:most]])
    return found


def _check(first: Sequence[Array], second: Sequence[Array], paired: bool) -> None:
    if min(len(first), len(second)) < 2 or (paired and len(first) != len(second)):
        raise InvalidValue(
            f"{len(first)} and {len(second)} groups of rows were given; give at least two of each, and of "
            "pairs as many of both"
        )
    widths = {group.shape[1:] for group in (*first, *second)}
    if len(widths) > 1 or not all(len(group) for group in (*first, *second)):
        raise InvalidValue(
            "groups differ in their features, or one has no row; give rows of the same features"
        )
    if not all(np.isfinite(group).all() for group in (*first, *second)):
        raise InvalidValue("a group of rows has a value that is not finite; leave such rows out")


def _relabelled(labels: Labels, paired: bool, rng: np.random.Generator) -> Iterator[Labels]:
    """Other ways to label the groups, all of them if they are few; as seen is not among them."""
    half = len(labels) // 2
    if not paired:
        for _ in range(_RELABELLINGS):
            yield rng.permutation(labels)
        return
    few = 2**half <= _RELABELLINGS
    swaps = itertools.product((False, True), repeat=half) if few else rng.random((_RELABELLINGS, half)) < 0.5
    for swap in swaps:
        swapped = np.array(swap)
        if swapped.any():
            yield np.concatenate([~swapped, swapped])


def _p(others: Sequence[float], seen: float) -> float:
    """Share of relabellings, the seen one among them, that reach it."""
    return (1 + sum(other >= seen - 1e-12 for other in others)) / (1 + len(others))


def _energy(distances: Array, weights: Array, labels: Labels) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, from the mean distances between groups."""
    one, other = (np.where(side, weights, 0.0) for side in (labels, ~labels))
    one, other = one / one.sum(), other / other.sum()
    return float(2 * one @ distances @ other - one @ distances @ one - other @ distances @ other)


def _accuracy(rows: Sequence[Array], labels: Labels, paired: bool) -> float:
    """Of least squares on the labels, a group (or pair) held out at a time; each group counts alike.

    Args:
        rows: of each group, a one, the features and their squares; shape (rows, 1 + 2 features).
        labels: which of the two each group is said to be from.
        paired: whether groups k and k + half belong together.
    """
    sign = np.where(labels, 1.0, -1.0)
    products = np.array([group.T @ group / len(group) for group in rows])
    means = np.array([group.mean(axis=0) for group in rows])
    half = len(rows) // 2
    right = np.zeros(len(rows))
    for out in [[k, k + half] for k in range(half)] if paired else [[k] for k in range(len(rows))]:
        share = np.where(labels, 1.0, 0.0), np.where(labels, 0.0, 1.0)
        for side in share:
            side[out] = 0.0
        weights = sum(side / max(side.sum(), 1.0) for side in share)
        system = np.tensordot(weights, products, 1) + _RIDGE * np.eye(means.shape[1])
        line = np.linalg.solve(system, (weights * sign) @ means)
        for k in out:
            right[k] = np.mean(np.sign(rows[k] @ line) == sign[k])
    return float((right[labels].mean() + right[~labels].mean()) / 2)
