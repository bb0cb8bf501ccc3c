"""What held-out physics a policy has been trained on, as far as its contract tells.

A policy that was trained on a variant's physics is judged there by what it has learnt by heart, and is left
out of the verdict. One that was adapted to the variant as a sealed target did what it was for: the verdict on
that variant stands, and the one on everything held out leaves the variant out. Worlds change: where a policy
was made while other variants were held out, its report says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.errors import Sim2RealError
from sim2real.evaluate.candidates import Candidate
from sim2real.policy import Contract, ProvenanceStep
from sim2real.world import CONTROL, Variant, World

TRAINED, TARGET = "trained", "target"
"""How a policy has met a variant: as physics that it was trained in, or as a sealed target."""


def has_seen(policy: Candidate, world: World, variant: Variant) -> str:
    """How a policy has met the physics of a variant before: `TRAINED`, `TARGET`, or empty for not.

    Args:
        policy: without a contract it tells nothing.
        world: with every parameter of the variant.
        variant: the control arm is what policies are trained in, and counts as not met.
    """
    contract = getattr(policy, "contract", None)
    if not isinstance(contract, Contract) or variant.name == CONTROL:
        return ""
    if any(_trained(world, step, variant) for step in contract.provenance):
        return TRAINED
    return TARGET if any(step.settings.get("target") == variant.name for step in contract.provenance) else ""


def told_splits(policies: Sequence[Candidate], world: World) -> str:
    """The digest of what the world holds out, and which policies were made while that was something else."""
    others: dict[object, list[str]] = {}
    for policy in policies:
        contract = getattr(policy, "contract", None)
        own = contract.contents.get("held_out", {}).get("split") if isinstance(contract, Contract) else None
        if own != world.split:
            others.setdefault(own, []).append(policy.name)
    told = [world.split or "nothing is held out"]
    for split, names in others.items():
        which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        when = "when what was held out is not told" if split is None else f"when {split} was held out"
        told.append(f"{which} made {when}: what is held out now may have been met")
    return "; ".join(told)


def _trained(world: World, step: ProvenanceStep, variant: Variant) -> bool:
    """Whether a link of a policy's chain was training in one physics, and that the variant's."""
    if "target" in step.settings or variant.drawn is not None:
        return False
    try:
        domain = Domain.from_toml(step.domain)
    except Sim2RealError:  # of a world that has quantities of its own
        return False
    if not all(isinstance(distribution, Point) for distribution in domain.parameters.values()):
        return False
    if step.settings.get("simulator", "mujoco") != variant.simulator:
        return False
    own, others = ({**world.nominal, **physics} for physics in (domain.median(), variant.physics))
    return own.keys() == others.keys() and all(
        math.isclose(own[name], others[name], rel_tol=1e-6, abs_tol=1e-12) for name in own
    )
