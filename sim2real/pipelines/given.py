"""What calls are given by name, by folder, or as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim2real.policy import Policy
from sim2real.world import World


def given_world(world: str | Path | World) -> World:
    """The world itself, or that of a name or folder.

    Raises:
        UnknownName: for a world that does not exist.
    """
    return world if isinstance(world, World) else World.load(world)


def given_policies(policies: Sequence[str | Path | Policy]) -> list[Policy]:
    """The policies themselves, or those of names or folders.

    Raises:
        UnknownName: for a policy that does not exist.
    """
    return [policy if isinstance(policy, Policy) else Policy.load(policy) for policy in policies]
