"""What an identification leaves for training and evaluation, whichever way it was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real.distributions import Point
from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.errors import UnknownName
from sim2real.identify.verdicts import EXIT_CODES, Verdict, exit_code
from sim2real.parameters import quantity_of
from sim2real.transfer.target import Spent
from sim2real.world import Variant, World

RECORDED = "recorded"
"""Variant of the best identified physics; ``recorded_1`` and so on are draws from the identified domain."""


@dataclass(frozen=True, eq=False)
class Identified:
    """The physics that were found, how sure they are, and what there is to say of them."""

    point: Domain
    """The best physics."""
    posterior: Domain
    """Their distribution."""
    verdicts: tuple[Verdict, ...]
    spent: Spent | None = None
    """In a sealed target, to learn it."""

    @classmethod
    def load(cls, folder: Path) -> Identified:
        """Read what `sim2real.identify.result.Identification.save` wrote."""
        table = Section.read_json(folder / "identification.json")
        point, posterior = (Domain.load(folder / f"{name}.toml") for name in ("point", "identified"))
        return cls(point, posterior, tuple(map(_verdict, table.entries("verdicts"))))

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst verdict."""
        return exit_code(self.verdicts)

    @property
    def values(self) -> Mapping[str, float]:
        """The best physics by parameter."""
        return self.point.median()

    def interval(self, name: str) -> tuple[float, float] | None:
        """What holds the middle 95 % of a parameter's distribution; None if it is a point."""
        distribution = self.posterior.parameters.get(name)
        if distribution is None or isinstance(distribution, Point):
            return None
        ends = distribution.quantile(np.array([0.025, 0.975]))
        low, high = np.round(ends) if quantity_of(name).integer else ends
        return float(low), float(high)


def _verdict(entry: Section) -> Verdict:
    name, evidence = entry.text("name"), entry.section("evidence")
    if name not in EXIT_CODES:
        raise UnknownName("verdict", name, EXIT_CODES)
    # a number that there was not is null
    numbers = {key: evidence.number(key) for key, value in evidence.values.items() if value is not None}
    return Verdict(name, entry.text("subject"), entry.text("text"), numbers)


def with_identified(world: World, identified: Identified, draws: int) -> World:
    """The world with what was identified as held-out variants: the best physics, and draws.

    Args:
        world: left as it is.
        identified: what was identified.
        draws: from the identified domain.
    """
    wide = world.for_domain(identified.posterior).for_domain(identified.point)
    physics = {RECORDED: dict(identified.values)}
    for k, row in enumerate(identified.posterior.sample(np.random.default_rng(0), draws)):
        drawn = dict(zip(identified.posterior.names, map(float, row), strict=True))
        physics[f"{RECORDED}_{k + 1}"] = {**identified.values, **drawn}
    variants = {name: Variant(name, "combined", values) for name, values in physics.items()}
    return dataclasses.replace(wide, variants={**wide.variants, **variants})
