"""Held-out physics by name, and what can be said of one."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sim2real.domain import Domain

GROUPS = ("interpolation", "extrapolation", "combined", "structural", "simulator")
"""Groups of held-out variants: inside the training range, outside it, several parameters at once, effects
that training does not have, and other engines."""

SIMULATORS = ("mujoco", "bullet", "warp")
"""Engines that a variant can ask for."""

CONTROL = "nominal"
"""Name of the unperturbed variant, the control arm of every evaluation."""


@dataclass(frozen=True)
class Variant:
    """One held-out physics."""

    name: str
    group: str
    physics: Mapping[str, float]
    """Values that differ from nominal, by parameter name."""
    simulator: str = "mujoco"
    drawn: Domain | None = None
    """What each episode draws its physics from, of a variant that is not one physics."""

    @property
    def domain(self) -> Domain:
        """The variant as a domain, of one point if it is one physics."""
        return Domain.point(self.physics) if self.drawn is None else self.drawn


def split_of(variants: Iterable[Variant]) -> str:
    """A digest of held-out physics, to tell whether two worlds hold out the same; empty for none."""
    told = sorted((v.name, v.simulator, v.domain.to_toml()) for v in variants if v.name != CONTROL)
    text = json.dumps(told, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12] if told else ""


_closed = 0


@contextlib.contextmanager
def closed() -> Iterator[None]:
    """Keep held-out variants shut, in the whole process: worlds that are loaded meanwhile have none.

    For while a transfer method runs; evaluation is outside of it.
    """
    global _closed
    _closed += 1
    try:
        yield
    finally:
        _closed -= 1


def are_closed() -> bool:
    """Whether held-out variants are shut at the moment."""
    return _closed > 0
