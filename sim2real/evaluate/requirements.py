"""What a report must show, in a line of text: ``success >= 0.9 on combined``, ``worst >= 60``.

::

    [worst|cvar] [success|score|return] [gap]  >=|>|<=|<  NUMBER[%]  [on VARIANT|GROUP|all] [for LABEL]

``success`` is a share of episodes, ``score`` the normalized one (0 random, 100 oracle), ``return`` the plain
one; ``gap`` is by how much the same falls short of the control arm's. The quantity is averaged over the
variants; ``worst`` is that of every single one of them (the least, of gaps the largest), and ``cvar`` the
mean of the worst quarter. ``worst``, ``cvar`` and ``gap`` alone are of the score, and the first two then of
all held-out variants; anything else names its variants. ``all`` is every held-out variant. Without ``for``,
each method must meet it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sim2real.errors import InvalidValue, UnknownName

ALL = "all"
"""What stands for every variant outside the control arm."""

_CONTROL = "control"
_AGGREGATES = ("worst", "cvar")
_QUANTITIES = ("success", "score", "return")
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SENTENCE = re.compile(
    r"(?P<metric>[a-z ]+?)\s*(?P<comparison>[<>]=?)\s*(?P<value>[-+\d.eE]+)\s*(?P<percent>%?)"
    r"(?:\s+on\s+(?P<where>.+?))?(?:\s+for\s+(?P<label>.+))?"
)
_FORM = "METRIC >= NUMBER [on VARIANT|GROUP|all] [for LABEL], such as 'success >= 0.9 on combined'"


@dataclass(frozen=True)
class Requirement:
    """One line, taken apart."""

    text: str
    """As it was written."""
    quantity: str
    """``success``, ``score`` or ``return``."""
    gap: bool
    """Whether it is about what is lost from the control arm."""
    aggregate: str
    """``mean``, ``worst`` or ``cvar``."""
    comparison: str
    value: float
    where: str
    """A variant, a group, or `ALL`."""
    label: str | None
    """The method that must meet it; None for each."""

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.comparison.startswith(">")

    def holds(self, value: float) -> bool:
        """Whether a number meets it."""
        return _COMPARISONS[self.comparison](value, self.value)

    def fails(self, value: float) -> bool:
        """Whether a number breaks it."""
        return not self.holds(value)

    def variants(self, groups: Mapping[str, str]) -> list[str]:
        """The variants that it is about, given the group of each.

        Raises:
            UnknownName: if it names none of them.
        """
        if self.where in groups:
            return [self.where]
        chosen = [name for name, group in groups.items() if group == self.where]
        if self.where == ALL and not chosen:
            chosen = [name for name, group in groups.items() if group != _CONTROL]
        if not chosen:
            raise UnknownName(
                f"variant or group in {self.text!r}", self.where, {*groups, *groups.values(), ALL}
            )
        return chosen


def parse(text: str) -> Requirement:
    """Take a requirement apart.

    Raises:
        InvalidValue: if it isn't one; the sentence says what is possible.
    """
    found = _SENTENCE.fullmatch(text.strip())
    if found is None:
        raise InvalidValue(f"the requirement {text!r} can't be read; write {_FORM}")
    aggregate, quantity, gap = _metric(text, found["metric"])
    where = found["where"]
    if where is None and aggregate == "mean":
        raise InvalidValue(
            f"the requirement {text!r} names no variant; end it with 'on all', 'on combined' or another "
            "group, or a variant's name"
        )
    requirement = Requirement(
        text=" ".join(text.split()),
        quantity=quantity,
        gap=gap,
        aggregate=aggregate,
        comparison=found["comparison"],
        value=_value(text, found["value"], quantity, percent=bool(found["percent"])),
        where=where or ALL,
        label=found["label"],
    )
    if aggregate != "mean" and requirement.at_least == gap:
        better = "<=" if gap else ">="
        raise InvalidValue(
            f"the requirement {text!r} bounds the worst from the wrong side; write {aggregate} … {better} …"
        )
    return requirement


def check(
    requirement: Requirement,
    groups: Mapping[str, str],
    labels: Collection[str],
    references: Collection[str],
    tells_success: bool = True,
) -> list[str]:
    """The variants of a requirement that can be decided, before anything runs.

    Args:
        requirement: to check.
        groups: the group of each variant that is evaluated.
        labels: the methods that are evaluated.
        references: the variants whose scores can be normalized.
        tells_success: whether anything says which episodes succeeded.

    Raises:
        UnknownName: if it names a variant, group or method that isn't there.
        InvalidValue: if it asks for a success or score that there is none of, or for the gap of the control
            arm itself or without one.
    """
    chosen = requirement.variants(groups)
    if requirement.quantity == "success" and not tells_success:
        raise InvalidValue(
            f"{requirement.text!r} asks for a success, of which the env tells nothing; ask for 'return' or "
            "'score'"
        )
    if requirement.label is not None and requirement.label not in labels:
        raise UnknownName(f"method in {requirement.text!r}", requirement.label, labels)
    control = [name for name, group in groups.items() if group == _CONTROL]
    if requirement.gap and (not control or control[0] in chosen):
        why = "the control arm has no gap to itself" if control else "no control arm is evaluated"
        raise InvalidValue(f"{requirement.text!r} can't be decided: {why}; name held-out variants beside it")
    needed = [*chosen, *control[:1]] if requirement.gap else chosen
    unknown = [name for name in needed if name not in references]
    if requirement.quantity == "score" and unknown:
        raise InvalidValue(
            f"{requirement.text!r} asks for a normalized score, but {unknown[0]} has no references in the "
            "world's references.toml; ask for 'return' or 'success'"
        )
    return chosen


def _metric(text: str, given: str) -> tuple[str, str, bool]:
    """Aggregate, quantity, and whether it is a gap."""
    words = given.split()
    aggregate = words.pop(0) if words and words[0] in _AGGREGATES else "mean"
    quantity = words.pop(0) if words and words[0] in _QUANTITIES else ""
    gap = bool(words) and words[0] == "gap"
    if words[gap:] or not (quantity or gap or aggregate != "mean"):
        known = [*_QUANTITIES, "gap", *_AGGREGATES]
        raise UnknownName(f"metric in the requirement {text!r}", " ".join(words[gap:]) or given, known)
    return aggregate, quantity or "score", gap


def _value(text: str, given: str, quantity: str, *, percent: bool) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidValue(f"{given!r} in the requirement {text!r} is no finite number; write {_FORM}")
    if quantity != "success":
        if percent:
            raise InvalidValue(f"the requirement {text!r} gives a {quantity} in %, which only success is")
        return value
    value = value / 100 if percent else value
    if not -1 <= value <= 1:
        raise InvalidValue(
            f"the requirement {text!r} asks for a success of {value:g}, which is a share; give 0 to 1, or "
            f"{given} %"
        )
    return value
