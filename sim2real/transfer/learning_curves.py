"""What methods reach in a target as the budget grows, read from comparisons at several budgets.

    sim2real compare furuta --targets combined_a --methods fine-tune from-scratch --budget 9000 --out runs/9k
    sim2real compare furuta --targets combined_a --methods fine-tune from-scratch --out runs/50k
    sim2real curves runs/9k runs/50k

Each point is a method that had this budget from the beginning, its schedules made for it: what is reached
*at* a budget, not on the way to a larger one. Zero-shot is every method's point at budget 0, but that of
learning from scratch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim2real.documents import Section
from sim2real.errors import InvalidValue
from sim2real.evaluate.curves import Curve
from sim2real.transfer.compare import SCRATCH, ZERO_SHOT

Curves: TypeAlias = Mapping[str, Mapping[str, Curve]]
"""Mean returns in the target, by target and method."""
_COLUMNS = ("target", "method", "seed", "variant", "return")


def read_curves(folders: Sequence[Path]) -> Curves:
    """The curves of every method in every target, in control steps of the target.

    Args:
        folders: of `sim2real compare`, each at its own budget.

    Raises:
        InvalidValue: for fewer than two budgets, two folders at one, a folder that is no comparison, or one
            without a budget in steps.
    """
    points: dict[tuple[str, str, int], dict[float, float]] = {}
    budgets: dict[float, Path] = {}
    for folder in folders:
        budget = _budget(folder)
        if budget in budgets:
            raise InvalidValue(
                f"{budgets[budget]} and {folder} both have a budget of {budget:,g} steps; give one"
            )
        budgets[budget] = folder
        for row in _rows(folder):
            target, method, seed = str(row["target"]), str(row["method"]), int(str(row["seed"]))
            if row["variant"] == target:
                places = points.setdefault((target, method, seed), {})
                places[0.0 if method == ZERO_SHOT else budget] = float(str(row["return"]))
    if len(budgets) < 2:
        raise InvalidValue("a curve needs two budgets at least; give folders of comparisons at several")
    return {
        target: {
            method: _curve(points, target, method)
            for method in dict.fromkeys(m for t, m, _ in points if t == target and m != ZERO_SHOT)
        }
        for target in dict.fromkeys(t for t, _, _ in points)
    }


def _curve(points: Mapping[tuple[str, str, int], Mapping[float, float]], target: str, method: str) -> Curve:
    """Of the seeds that were there at every budget of the method."""
    own = {seed: dict(places) for (t, m, seed), places in points.items() if (t, m) == (target, method)}
    if method != SCRATCH:
        for seed, places in own.items():
            places |= points.get((target, ZERO_SHOT, seed), {})
    budgets = sorted({budget for places in own.values() for budget in places})
    whole = {seed: places for seed, places in sorted(own.items()) if len(places) == len(budgets)}
    if not whole:
        raise InvalidValue(
            f"no seed of {method!r} in {target!r} has a result at every budget; run what is missing"
        )
    scores = [[places[budget] for budget in budgets] for places in whole.values()]
    return Curve(np.array(budgets), np.array(scores), tuple(whole))


def _budget(folder: Path) -> float:
    try:
        budget = Section.read_json(folder / "compare.json").section("budget")
    except FileNotFoundError as error:
        raise InvalidValue(
            f"{folder} holds no comparison; give a folder that sim2real compare wrote"
        ) from error
    if budget.values.get("steps") is None:
        raise InvalidValue(f"the comparison in {folder} has no budget in steps; run it with --budget")
    return budget.number("steps")


def _rows(folder: Path) -> list[dict[str, object]]:
    path = folder / "compare.parquet"
    try:
        return [dict(row) for row in pq.read_table(path, columns=list(_COLUMNS)).to_pylist()]
    except (pa.ArrowException, FileNotFoundError) as error:
        raise InvalidValue(f"{path} is no readable table of a comparison ({error}); run it again") from error
