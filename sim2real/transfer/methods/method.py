"""What a transfer method is: a card to read, settings, and a call from a case to a policy.

@register_method("mine")
@dataclass(frozen=True)
class Mine:
card = Card("does what I think best", needs=("source",))
rate: float = 0.1                   # `--method mine:rate=0.2`, `transfer(..., Mine(rate=0.2))`

def __call__(self, case: Case) -> Policy: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from sim2real.errors import InvalidValue, PolicyError
from sim2real.policy import Policy
from sim2real.replay.rollouts import tells_state
from sim2real.transfer.remote import Target
from sim2real.transfer.source import Source


@dataclass(frozen=True)
class Case:
    """What a method is given."""

    policy: Policy
    """Where to start."""
    target: Target
    """Where the result must work; everything in it is counted."""
    source: Source | None
    """What is free of charge."""
    seed: int
    """Of everything that the method draws."""
    folder: Path
    """For what is kept on the way, to be read or gone on from."""
    progress: bool = False
    """Whether to show progress."""


NEEDS = {
    "source": "a source: the world without its held-out variants, and envs of it",
    "critic": "a policy with a critic, as `sim2real train` makes",
    "context": "a policy that is conditioned on physics",
    "ranges": "training ranges in the world's physics.toml, to search physics in",
    "state": "a task whose observations tell the state, so that what was recorded can be replayed",
}
"""What a method may ask for, in words."""


@dataclass(frozen=True)
class Card:
    """What to know before choosing a method.

    Raises:
        InvalidValue: for a need that isn't one of `NEEDS`.
    """

    does: str
    """In half a sentence."""
    paper: str = ""
    needs: tuple[str, ...] = ()
    """Of `NEEDS`."""
    costs: str = ""
    """Beside the budget."""
    risk: str = ""

    def __post_init__(self) -> None:
        """Refuse a need that nothing can tell."""
        unknown = [need for need in self.needs if need not in NEEDS]
        if unknown:
            raise InvalidValue(f"a method can't need {unknown}; it may need {', '.join(NEEDS)}")


class Method(Protocol):
    """A transfer method with its settings."""

    if TYPE_CHECKING:
        card: ClassVar[Card]

    def __call__(self, case: Case) -> Policy:
        """Adapt the policy of a case to its target within the budget."""


def check_needs(method: Method, case: Case, name: str) -> None:
    """Refuse, before anything is spent, a case that lacks what a method needs.

    Raises:
        PolicyError: for a policy that lacks it.
        InvalidValue: for a missing source, or one without it.
    """
    for need in lacking(method, case):
        kind = PolicyError if need in ("critic", "context") else InvalidValue
        raise kind(
            f"the method {name!r} needs {NEEDS[need]}, which is not given with {case.policy.name!r}; "
            "`sim2real methods` says what needs less"
        )


def lacking(method: Method, case: Case) -> Iterator[str]:
    """What a method needs and a case lacks, of `NEEDS`."""
    policy, source = case.policy, case.source
    has: Mapping[str, Callable[[], bool]] = {
        "source": lambda: source is not None,
        "critic": lambda: any(key.startswith("critic.") for key in policy.weights),
        "context": lambda: bool(policy.contract.context),
        "ranges": lambda: source is not None and bool(source.world.training_domain.names),
        "state": lambda: source is not None and tells_state(source.world),
    }
    return (need for need in method.card.needs if not has[need]())
