"""Short names of what a `World` does itself, for callers that still ask here: see `World.with_parameters`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim2real import world as worlds
from sim2real.domain import Domain
from sim2real.world import World


def opened(
    world: World, names: Mapping[str, tuple[str, ...]], fixed: Mapping[str, float] | None = None
) -> World:
    """`World.with_parameters`."""
    return world.with_parameters(names, fixed)


def opened_for(world: World, domain: Domain) -> World:
    """`World.for_domain`."""
    return world.for_domain(domain)


def elements_of(world: World, name: str) -> tuple[str, ...]:
    """`World.elements_of`."""
    return world.elements_of(name)


def of_joint(world: World, joint: str, quantity: str) -> str:
    """`World.of_joint`."""
    return world.of_joint(joint, quantity)


def drives(world: World) -> tuple[list[str], list[str]]:
    """`sim2real.world.drives`."""
    return worlds.drives(world.model)


def own_value(world: World, name: str, elements: Sequence[str]) -> float:
    """`World.own_value`."""
    return world.own_value(name, elements)
