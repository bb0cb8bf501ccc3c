"""Episodes of policies on physics as arrays, without a table: what searches over physics ask for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim2real.audit import check_domain
from sim2real.domain import Domain
from sim2real.env import engine_for
from sim2real.errors import InvalidValue
from sim2real.evaluate.batches import VariantBatch
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.statistics import Array, Estimate, spread, wilson
from sim2real.simulators import engine_of
from sim2real.world import Variant, World


def prepared(
    world: World, policies: Sequence[Candidate], domain: str | Domain, trials: Trials
) -> tuple[World, Domain]:
    """The world with every parameter of a domain, and the domain, if there is something to try in it.

    Raises:
        InvalidValue: without policies, or for a domain of one physics.
        DeadParameter: if a parameter of it changes nothing, unless the trials allow that.
    """
    if not policies:
        raise InvalidValue("no policies to find the worst physics of; name at least one")
    chosen = world.domain(domain)
    if chosen.is_point:
        raise InvalidValue(
            f"the domain has no range to search, only {len(chosen.names)} fixed values; give 'training' or "
            "the TOML of a domain with a range"
        )
    world = world.for_domain(chosen)
    if not trials.allow_dead:
        check_domain(world, chosen, engine_of(world, engine_for(trials.simulator or "mujoco", chosen)))
    return world, chosen


def tried(
    world: World, policies: Sequence[Candidate], variants: Sequence[Variant], trials: Trials, draws: int = 0
) -> tuple[Array, Array | None]:
    """Return and success of every episode, all variants × episodes of a policy as one batch.

    Args:
        world: with the parameters of the variants.
        policies: one after the other.
        variants: of one engine.
        trials: episodes per variant, their seed, and the engine.
        draws: seed of what variants draw their physics from.

    Returns:
        Shapes (policies, variants, episodes); no success where the env tells of none.
    """
    whole = Domain({name: d for v in variants for name, d in v.domain.parameters.items()})
    engine = engine_for(trials.simulator or "mujoco", whole)
    batch = VariantBatch(world, variants, trials.episodes, engine, draws)
    outcomes = [batch.run(policy.fitted(batch.env), trials.seed) for policy in policies]
    shape = (len(policies), len(variants), trials.episodes)
    returns = np.reshape([one.returns for one in outcomes], shape)
    success = np.reshape([one.success for one in outcomes], shape).astype(float)
    return returns, success if batch.env.task.success else None


def mean_return(returns: Array) -> Estimate:
    """Mean of (policies, episodes), with Student's interval over starts, which policies share."""
    return spread(mean, returns.mean(axis=0)[:, None, None]).estimate


def success_rate(success: Array) -> Estimate:
    """Share of (policies, episodes), with Wilson's interval; each start counts once, policies share it."""
    return wilson(float(success.mean(axis=0).sum()), success.shape[1])
