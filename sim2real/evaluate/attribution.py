"""What a drop comes from: the loss between source and target, shared among the parameters that differ.

Each set of parameters is a physics in which these have the target's values and the others the source's; all
sets × episodes are one batch, and episode k starts alike in all of them::

    found = attribute("furuta", [Policy.load(f"furuta-nominal-{k}") for k in range(3)], "combined_a")
    [(cause.name, cause.share.value) for cause in found.causes]

The shares are Shapley values of the loss: they add up to the drop, two parameters that only hurt together
share equally, and one that changes nothing gets 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

from sim2real.audit import check_variants
from sim2real.domain import Domain
from sim2real.env import engine_for
from sim2real.errors import InvalidValue
from sim2real.evaluate.batches import VariantBatch, warn_if_alike
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.losses import Losses, only_together
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.shapley import Game
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.variants import chosen_variants
from sim2real.parameters import ACTUATOR, LAW, quantity_of
from sim2real.simulators import engine_of
from sim2real.world import Variant, World

_TRIALS = Trials(32)

SomePolicy = TypeVar("SomePolicy", bound=Candidate)


@dataclass(frozen=True)
class Cause:
    """What one parameter costs, in mean return; below 0 it helps."""

    name: str
    kind: str
    """``sensors``, ``actuators`` or ``dynamics``."""
    source: float
    target: float
    share: Estimate
    """Shapley value: its mean cost over all orders in which parameters change."""
    alone: Estimate
    """Loss where it alone has the target's value."""
    last: Estimate
    """What is lost by it at last, when all others have the target's values: what knowing it alone wins."""
    sampling_error: float
    """Standard error of the share by the permutations; 0 where all sets were run."""


@dataclass(frozen=True)
class Interaction:
    """What two parameters cost together beyond what each costs alone; below 0 they make up for each other."""

    names: tuple[str, str]
    cost: Estimate
    only_together: bool
    """Whether this is shown to be above 0, and neither to cost anything alone."""


@dataclass(frozen=True)
class Part:
    """What all parameters of a kind cost together."""

    kind: str
    """``sensors``, ``actuators`` or ``dynamics``."""
    share: Estimate
    """Sum of their Shapley values."""
    alone: Estimate
    """Loss where they alone have the target's values."""


@dataclass(frozen=True)
class Attribution:
    """The drop from source to target and its causes, the costliest first."""

    world: str
    label: str
    policies: tuple[str, ...]
    target: str
    simulator: str
    """Engine of both ends; a drop by another engine is no part of this one."""
    score: tuple[Estimate, Estimate]
    """Mean return in source and target."""
    drop: Estimate
    """The first score less the second: the sum of the shares."""
    causes: tuple[Cause, ...]
    interactions: tuple[Interaction, ...]
    """Of all two, the strongest first."""
    parts: tuple[Part, ...]
    """Kinds of parameters."""
    by_start: Estimate | None
    """Standard deviation of the drop over the starts of episodes; None where all begin alike."""
    sets: int
    episodes: int
    exact: bool
    """Whether all sets were run; else the shares are those of sampled permutations."""
    about: str
    """What the intervals are about."""


def attribute(
    world: str | World,
    policies: Sequence[SomePolicy],
    target: str | Domain,
    trials: Trials = _TRIALS,
    done: Callable[[SomePolicy], None] = lambda _: None,
) -> Attribution:
    """Share the drop from nominal to a target among the parameters in which they differ.

    Args:
        world: where, or its name.
        policies: seeds of one method.
        target: a held-out variant, or the path of a domain's TOML file, or a domain, of one physics.
        trials: episodes for each set of parameters; their seed is also that of sampled permutations.
        done: called after each policy, to show progress.

    Raises:
        InvalidValue: for no policy or those of several methods, a target that is drawn from, and one that
            is nominal.
        UnknownName: for a variant that does not exist.
        PolicyError: if a policy does not fit the world.
        DeadParameter: if a value of the target changes nothing; see `sim2real.audit`.
    """
    world = world if isinstance(world, World) else World.load(world)
    labels = sorted({policy.label for policy in policies})
    if len(labels) != 1:
        given = f"policies of {len(labels)} methods ({', '.join(labels)})" if labels else "no policies"
        raise InvalidValue(f"{given} can't be attributed together; give one or more seeds of one method")
    variant = chosen_variants(world, [target])[-1]
    world = world.for_domain(variant.domain)
    names = _differing(world, variant)
    engine = engine_of(world, engine_for(trials.simulator or variant.simulator, variant.domain))
    if not trials.allow_dead:
        check_variants(world, [variant], engine)
    members = _members(names)
    game = Game.of(len(names), trials.seed, list(members.values()))
    physics = [{n: variant.physics[n] for n, on in zip(names, row, strict=True) if on} for row in game.sets]
    variants = [Variant(f"set_{k}", "combined", own) for k, own in enumerate(physics)]
    batch = VariantBatch(world, variants, trials.episodes, engine)
    warn_if_alike(batch.env.task, trials.episodes)
    actors = [policy.fitted(batch.env) for policy in policies]
    returns = []
    for policy, actor in zip(policies, actors, strict=True):
        returns.append(batch.run(actor, trials.seed).returns.reshape(len(variants), trials.episodes))
        done(policy)
    losses = Losses(game, np.array(returns), trials.seed)
    return Attribution(
        world.name, labels[0], tuple(policy.name for policy in policies), variant.name, engine.name,
        (losses.score(target=False), losses.score(target=True)), losses.drop(),
        _causes(losses, world, variant, names), _interactions(losses, names),
        tuple(Part(kind, losses.share(*m), losses.alone(*m)) for kind, m in members.items()),
        losses.by_start() if batch.env.task.num_draws else None,
        len(variants), trials.episodes, game.exact, losses.about,
    )  # fmt: skip


def kind_of(name: str) -> str:
    """What a parameter belongs to: ``sensors``, ``actuators``, or else ``dynamics``."""
    quantity = quantity_of(name)
    if quantity.element == "parameter":  # how another one drifts
        return kind_of(name.rpartition(".")[0])
    if quantity.element == "signal" or quantity.name == "encoder_offset":
        return "sensors"
    return "actuators" if quantity.element == "actuator" or quantity.acts in (ACTUATOR, LAW) else "dynamics"


def _differing(world: World, variant: Variant) -> list[str]:
    """Parameters in which a target of one physics differs from nominal."""
    if variant.drawn is not None:
        raise InvalidValue(
            f"{variant.name} draws its physics anew for each episode, and a cause is a difference of two "
            "values: give a target of one physics, such as a variant or the point.toml of an identification"
        )
    names = [name for name, value in variant.physics.items() if value != world.nominal[name]]
    if not names:
        engine = "" if variant.simulator == "mujoco" else f" in {variant.simulator} (see sim2real parity)"
        raise InvalidValue(
            f"{variant.name} has the nominal physics{engine}, so that no parameter can be a cause: give "
            f"another target, such as one of {', '.join(v for v, o in world.variants.items() if o.physics)}"
        )
    return names


def _causes(losses: Losses, world: World, variant: Variant, names: Sequence[str]) -> tuple[Cause, ...]:
    """The costliest first."""
    found = [
        Cause(
            name,
            kind_of(name),
            world.nominal[name],
            variant.physics[name],
            losses.share(k),
            losses.alone(k),
            losses.last(k),
            losses.sampling_error(k),
        )
        for k, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda cause: -cause.share.value))


def _interactions(losses: Losses, names: Sequence[str]) -> tuple[Interaction, ...]:
    """The strongest first."""
    alone = [losses.alone(k) for k in range(len(names))]
    found = []
    for j, k in combinations(range(len(names)), 2):
        cost = losses.interaction(j, k)
        found.append(Interaction((names[j], names[k]), cost, only_together((alone[j], alone[k]), cost)))
    return tuple(sorted(found, key=lambda pair: -abs(pair.cost.value)))


def _members(names: Sequence[str]) -> dict[str, list[int]]:
    """Which parameters are of each kind."""
    found: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        found.setdefault(kind_of(name), []).append(k)
    return found
