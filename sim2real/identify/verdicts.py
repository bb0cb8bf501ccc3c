"""What an identification has to say for itself: verdicts, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

IDENTIFIED = "IDENTIFIED"
ON_BOUND = "ON_BOUND"
STRUCTURE_MISSING = "STRUCTURE_MISSING"
NOT_IDENTIFIABLE = "NOT_IDENTIFIABLE"
NO_HELDOUT_GAIN = "NO_HELDOUT_GAIN"
BAD_DATA = "BAD_DATA"

EXIT_CODES: Mapping[str, int] = {
    IDENTIFIED: 0,
    ON_BOUND: 11,
    STRUCTURE_MISSING: 12,
    NOT_IDENTIFIABLE: 13,
    NO_HELDOUT_GAIN: 14,
    BAD_DATA: 15,
}
"""What a command ends with, by the worst verdict; the order is the severity."""


@dataclass(frozen=True)
class Verdict:
    """One finding."""

    name: str
    """A key of `EXIT_CODES`."""
    subject: str
    """The parameter, combination, joint or recording that it is about."""
    text: str
    """In one sentence, with the evidence."""
    evidence: Mapping[str, float] = field(default_factory=dict)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """The code of the worst verdict; 0 if there is nothing to complain of."""
    return max((EXIT_CODES[verdict.name] for verdict in verdicts), default=0)


def ranked(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Worst first; otherwise in the order given."""
    return sorted(verdicts, key=lambda verdict: -EXIT_CODES[verdict.name])
