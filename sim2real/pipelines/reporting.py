"""What a long call tells of itself: progress while it runs, and on its pages where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[str], None]]]
"""Called with what is done and how often, as it begins; what it gives is told of each that is done."""


def silent(_: str, __: int) -> AbstractContextManager[Callable[[str], None]]:
    """Shows no progress."""
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Reporting:
    """What is told of a call."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Lines of provenance for the pages, such as the command."""
    progress: Progress = silent
