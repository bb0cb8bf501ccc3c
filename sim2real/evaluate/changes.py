"""What changed since another run of the same evaluation, and whether it is real.

Both runs met the same starts, so that they are compared start by start, and seed by seed where at least three
training seeds are the same. What is better or worse is decided for all methods and variants together (Holm).
From fewer than three seeds the starts are the units: what is said is then about these very policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.evaluate.compare import Comparison, Difference, compare, decide
from sim2real.evaluate.episode_table import Episodes, checked, told_apart
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.scores import Reference, Scores
from sim2real.evaluate.statistics import MINIMUM_RUNS, over_starts, spread
from sim2real.evaluate.verdict import number

_NEW, _OLD = "new ", "old "
_WORDS = {"helps": "better", "hurts": "worse", "undecided": "undecided"}


@dataclass(frozen=True)
class Change:
    """A method on a variant, or over everything held out that both runs have."""

    label: str
    variant: str | None
    """None for all held-out variants of both runs."""
    difference: Difference
    """New less old."""
    unit: str
    """Of the difference: points of score, or of return where not every variant has references."""
    same: bool
    """Whether every shared episode repeats to the bit."""
    about_policies: bool
    """Whether it is about these policies alone, for lack of training seeds."""


def changes(new: Episodes, old: Episodes, references: Mapping[str, Reference]) -> tuple[Change, ...]:
    """Each method as a whole, then on every variant that both runs have.

    Args:
        new: the episode table of this run.
        old: that of the other run.
        references: of this run's variants.

    Raises:
        InvalidValue: if a table is malformed, or if they share no method and variant.
    """
    scores, labels = _both(new, old, references)
    folded = scores.folded
    keys: list[tuple[str, int | None]] = [(label, None) for label in labels]
    keys += [(label, variant) for label in labels for variant in range(len(folded.variants))]
    found = [
        _compare(scores, label, scores.held_out if variant is None else [variant]) for label, variant in keys
    ]
    there = [(variant is None, pair is not None) for (_, variant), pair in zip(keys, found, strict=True)]
    weights = [1 / max(1, there.count((variant is None, True))) for _, variant in keys]
    decided = decide([pair and pair[0] for pair in found], weights)
    unit = "points" if scores.normalized else "points of return"
    known = []
    for (label, variant), pair, difference in zip(keys, found, decided, strict=True):
        if pair is not None and difference is not None:
            name = None if variant is None else folded.variants[variant]
            known.append(Change(label, name, difference, unit, *pair[1:]))
    if not known:
        raise InvalidValue("the two runs share no method on a variant, so nothing can be compared")
    return tuple(known)


def told(found: Sequence[Change]) -> list[str]:
    """A line for each method, and one for each variant on which it is decidedly better or worse."""
    lines = []
    for label in dict.fromkeys(change.label for change in found):
        own = [change for change in found if change.label == label]
        same = sum(change.same for change in own if change.variant is not None)
        count = sum(change.variant is not None for change in own)
        whole = next((change for change in own if change.variant is None), None)
        if same == count:
            lines.append(f"“{label}” repeats the other run's episodes to the bit on {_variants(count)}")
            continue
        if whole is not None:
            lines.append(_line(whole, "all held-out variants"))
        decided = [c for c in own if c.variant is not None and c.difference.verdict != "undecided"]
        lines += [_line(change, str(change.variant)) for change in decided]
        lines.append(
            f"“{label}” is decidedly better or worse on {len(decided)} of {_variants(count)}, and repeats to "
            f"the bit on {same}"
        )
    return lines


def _line(change: Change, where: str) -> str:
    difference = change.difference
    p = "" if difference.adjusted is None else f", p {max(difference.adjusted, 0.001):.3f}"
    about = "; about these policies alone, for there are fewer than 3 seeds" * change.about_policies
    size = number(difference.estimate, unit=f" {change.unit}")
    return f"“{change.label}” on {where}: {_WORDS[difference.verdict]}, new less old {size}{p}{about}"


def _variants(count: int) -> str:
    return f"{count} variant{'s' * (count != 1)}"


def _both(new: Episodes, old: Episodes, references: Mapping[str, Reference]) -> tuple[Scores, list[str]]:
    """Scores of both runs in one table, where each method is there twice; and the methods."""
    tables = [checked(new), checked(old)]
    names = [told_apart(table["label"], table["lineage"]).astype(str) for table in tables]
    labels = [name for name in dict.fromkeys(names[0].tolist()) if name in names[1]]
    variants = set(tables[0]["variant"].tolist()) & set(tables[1]["variant"].tolist())
    if not (labels and variants):
        what, which = ("method", names) if not labels else ("variant", [t["variant"] for t in tables])
        ours, theirs = (", ".join(sorted(set(column.tolist()))) for column in which)
        raise InvalidValue(
            f"the two runs share no {what}, so nothing can be compared: this one has {ours}; the other one "
            f"{theirs}"
        )
    group_of = dict(zip(tables[0]["variant"].tolist(), tables[0]["group"].tolist(), strict=True))
    parts = []
    for prefix, table, own in zip((_NEW, _OLD), tables, names, strict=True):
        kept = np.isin(own, labels) & np.isin(table["variant"], sorted(variants))
        part = {name: column[kept] for name, column in table.items()}
        part["label"] = part["lineage"] = np.char.add(prefix, own[kept])
        part["group"] = np.array([group_of[name] for name in part["variant"].tolist()])
        parts.append(part)
    shared = [name for name in parts[0] if name in parts[1]]
    both = {name: np.concatenate([part[name] for part in parts]) for name in shared}
    known = {name: reference for name, reference in references.items() if name in variants}
    return gap_report(both, known, GapOptions(baseline=_OLD + labels[0])).scores, labels


def _compare(scores: Scores, label: str, variants: Sequence[int]) -> tuple[Comparison, bool, bool] | None:
    """New less old, whether it repeats, and whether the units are starts of these policies."""
    folded = scores.folded
    which = [folded.labels.index(prefix + label) for prefix in (_NEW, _OLD)]
    shared = scores.met(which[1], scores.met(which[0], variants))
    if not shared:
        return None
    ours, theirs = (scores.values(method, shared) for method in which)
    found = compare(ours[0], theirs[0], *zip(ours[1:], theirs[1:], strict=True))
    both = ~(np.isnan(ours[0]) | np.isnan(theirs[0]))
    if found is None:
        return None
    returns = [folded.returns[method, shared] for method in which]
    same = bool(both.any() and (returns[0] == returns[1])[np.moveaxis(both, 1, 0)].all())
    if found.spread.n >= MINIMUM_RUNS or not both.any():
        return found, same, False
    starts = over_starts(np.moveaxis(np.where(both, ours[0] - theirs[0], np.nan), 0, 2))
    return Comparison(spread(mean, starts.T[:, :, None]), True), same, True
