"""The cheap part: the excitation alone, before training or evaluation starts."""

from __future__ import annotations

from collections.abc import Sequence

from sim2real.audit.excitation import CHEAP
from sim2real.audit.measure import Where, measured
from sim2real.audit.moves import domain_moves, variant_moves
from sim2real.domain import Domain
from sim2real.simulators import Engine, engine_of
from sim2real.world import Variant, World

_INSIST = ", or insist with --allow-dead (allow_dead=True)"


def check_domain(world: World, domain: Domain, simulator: str | Engine = "mujoco") -> None:
    """Refuse a domain with a parameter that changes nothing.

    Args:
        world: where.
        domain: each of its parameters is moved to both ends.
        simulator: which engine.

    Raises:
        DeadParameter: if one changes nothing; the message names it and, where it is known, says why.
    """
    moves = domain_moves(world, domain)
    if moves:
        measured(world, moves, Where(engine_of(world, simulator), CHEAP, domain)).refuse(_INSIST)


def check_variants(world: World, variants: Sequence[Variant], simulator: str | Engine = "mujoco") -> None:
    """Refuse variants with a value that changes nothing; else as `check_domain`.

    Raises:
        DeadParameter: for a value without effect beside the others of its variant.
    """
    for variant in variants:
        if variant.drawn is not None:
            check_domain(world, variant.drawn, simulator)
    moves = variant_moves(variants)
    if moves:
        measured(world, moves, Where(engine_of(world, simulator), CHEAP, Domain({}))).refuse(_INSIST)
