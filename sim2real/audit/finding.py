"""What an audit finds: per parameter the effect at both ends, a verdict, and reasons where they are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sim2real.errors import DeadParameter

ALIVE, PARTLY, INCONSISTENT, DEAD, REFUSED = "alive", "partly dead", "inconsistent", "dead", "refused"
"""Verdicts: something changes at every end; nothing changes at one end; a write that leaves out what belongs
to it; nothing changes at all, or a rule keeps an end from acting; the engine can't take the parameter."""

_FAULTS = (DEAD, INCONSISTENT)


@dataclass(frozen=True)
class End:
    """The effect of one value of a parameter."""

    value: float
    trajectory: float
    """Distance to the nominal trajectory: root mean square over time, starts and columns, each column divided
    by the spread of the nominal motion. 1 is as far as that motion itself spreads, 0 is the same bits."""
    moved: bool
    """Whether anything at all changed, beyond what two nominal runs differ by."""
    returns: Mapping[str, float]
    """Mean change of the return, by policy. Empty where no policy ran."""
    diverged: bool = False
    """Whether a simulation blew up there."""

    @property
    def mean_return(self) -> float:
        """Mean change of the return over the policies; 0 without any."""
        return sum(self.returns.values()) / len(self.returns) if self.returns else 0.0


@dataclass(frozen=True)
class Finding:
    """What an audit says of one parameter."""

    name: str
    unit: str
    nominal: float
    ends: tuple[End, ...]
    verdict: str
    reasons: tuple[str, ...] = ()
    """Why nothing changes, or what was left out; as far as it is known."""

    @property
    def trajectory(self) -> float:
        """The larger effect on the trajectory of its ends."""
        return max((end.trajectory for end in self.ends), default=0.0)

    @property
    def returns(self) -> float:
        """The change of the mean return that is larger in size."""
        return max((end.mean_return for end in self.ends), key=abs, default=0.0)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        still = [end for end in self.ends if not end.moved] if self.verdict != INCONSISTENT else self.ends
        at = " and ".join(f"{end.value:g}" for end in still)
        what = {
            ALIVE: "acts",
            PARTLY: f"changes nothing at {at}",
            DEAD: f"changes nothing at {at}" if at else "changes nothing",
            INCONSISTENT: "moves only a part",
            REFUSED: "is refused",
        }[self.verdict]
        blown_up = [f"{end.value:g}" for end in self.ends if end.diverged]
        notes = [
            *self.reasons,
            *([f"the simulation blows up at {' and '.join(blown_up)}"] if blown_up else []),
        ]
        return f"{self.name} {what}" + (f": {'; '.join(notes)}" if notes else "")


@dataclass(frozen=True)
class Audit:
    """All findings, those with the largest effect on the trajectory first."""

    title: str
    simulator: str
    findings: tuple[Finding, ...]
    motion: str
    """The excitation in words."""
    nominal_return: Mapping[str, float]
    """Mean return at nominal physics, by policy."""
    noise: float
    """Largest difference between two runs at nominal physics, in the units of ``End.trajectory``."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Findings that are errors."""
        return tuple(finding for finding in self.findings if finding.verdict in _FAULTS)

    def __getitem__(self, name: str) -> Finding:
        """The finding of a parameter."""
        return next(finding for finding in self.findings if finding.name == name)

    def refuse(self, insist: str = "") -> None:
        """Do nothing if every parameter acts.

        Args:
            insist: how one could go on all the same.

        Raises:
            DeadParameter: if one is dead or inconsistent; the message names all of them, with reasons.
        """
        if self.faults:
            sentences = "; ".join(finding.sentence for finding in self.faults)
            raise DeadParameter(
                f"{self.title}, under {self.simulator}: {sentences}. Take it out or put it right{insist}"
            )


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Largest effect on the trajectory first, then on the return."""
    return tuple(sorted(findings, key=lambda f: (-f.trajectory, -abs(f.returns), f.name)))


def distinct(reasons: Iterable[str]) -> tuple[str, ...]:
    """Reasons that differ in more than their numbers."""
    found: dict[str, str] = {}
    for reason in reasons:
        found.setdefault(re.sub(r"\(?[-+\d][-+.e\d]*\)?", "#", reason), reason)
    return tuple(found.values())


def verdict_of(ends: Sequence[End], reasons: Sequence[str]) -> str:
    """Dead if no end acts, or if one does not and it is known why."""
    still = [end for end in ends if not end.moved]
    if not still:
        return ALIVE
    return DEAD if len(still) == len(ends) or reasons else PARTLY
