"""Run policies on variants: all variants × episodes of a policy are one batch for each engine.

Common random numbers: episode k starts alike for every policy and in every variant, so that differences are
those of policy and physics. The unperturbed control arm is always among the variants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sim2real.audit import check_domain, check_variants
from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.env import engine_for
from sim2real.episodes import Outcomes
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.batches import VariantBatch, joined, warn_if_alike
from sim2real.evaluate.candidates import Candidate, seeds_of
from sim2real.evaluate.episode_table import Episodes
from sim2real.evaluate.fresh import FRESH, GRID, drawn_domain
from sim2real.evaluate.leakage import has_seen
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.statistics import Array
from sim2real.evaluate.variants import chosen_variants
from sim2real.interface import ActorLike
from sim2real.reach import check_reach
from sim2real.simulators import Engine
from sim2real.world import Variant, World

SEED = 1_000_003
"""Default seed of evaluation episodes, apart from those of training."""


SomePolicy = TypeVar("SomePolicy", bound=Candidate)


@dataclass(frozen=True)
class Trials:
    """How each policy is tried on each variant.

    Raises:
        InvalidValue: for less than one episode.
    """

    episodes: int = 64
    seed: int = SEED
    """Of the episodes."""
    simulator: str | Engine | None = None
    """Engine for all variants; by default each variant's own."""
    allow_dead: bool = False
    """Whether to evaluate on variants with a value that changes nothing."""

    def __post_init__(self) -> None:
        """Refuse to run nothing."""
        check_reach(self, "whole [1, inf)", "episodes")
        check_reach(self, "whole [0, inf)", "seed")


def run_policies(
    world: World,
    policies: Sequence[SomePolicy],
    variants: Sequence[str | Domain | Variant] | None = None,
    trials: Trials = Trials(),
    done: Callable[[SomePolicy], None] = lambda _: None,
) -> Episodes:
    """The episode table of some policies on some variants.

    Args:
        world: where.
        policies: ours, each with the label and training seed of its contract, and others'.
        variants: held-out variants by name; by default all whose engine is installed. A domain, or the path
            of its TOML file, such as what was identified, is one more: each episode draws from it. So is a
            `Variant`, such as `sim2real.evaluate.fresh` makes.
        trials: episodes per policy and variant, their seed, and the engine.
        done: called after each policy, to show progress.

    Raises:
        InvalidValue: if there is no policy, or two variants have one name.
        PolicyError: if a policy does not fit the world.
        UnknownName: for a variant that does not exist.
        MissingExtra: if the engine of a variant is not installed.
        DeadParameter: if a value of a variant changes nothing; see `sim2real.audit`.
    """
    if not policies:
        raise InvalidValue("no policies to evaluate; name at least one")
    chosen = chosen_variants(world, variants)
    for variant in chosen:
        world = world.for_domain(variant.domain)
    groups = _by_engine(chosen, trials)
    batches = [VariantBatch(world, group, trials.episodes, engine) for engine, group in groups.items()]
    actors = [policy.fitted(batches[0].env) for policy in policies]
    warn_if_alike(batches[0].env.task, trials.episodes)
    if not trials.allow_dead:
        _check(world, groups)
    ordered = [variant for group in groups.values() for variant in group]
    numbers = np.arange(trials.episodes)
    outcomes = []
    for policy, actor in zip(policies, actors, strict=True):
        outcomes.append(joined([batch.run(actor, trials.seed) for batch in batches]))
        done(policy)
    table = _table(world, policies, ordered, np.tile(numbers, len(ordered)), outcomes)
    if not batches[0].env.task.success:
        del table["success"]
    return _in_order(table, [variant.name for variant in chosen])


def mean_returns(
    world: World, actor: ActorLike, variants: Sequence[Variant], trials: Trials
) -> dict[str, float]:
    """Mean return of any actor on each variant."""
    found = episode_returns(world, actor, variants, trials)
    return {name: float(returns.mean()) for name, returns in found.items()}


def episode_returns(
    world: World, actor: ActorLike, variants: Sequence[Variant], trials: Trials
) -> dict[str, Array]:
    """Return of every episode of any actor on each variant, for references. Shape (episodes,)."""
    for variant in variants:
        world = world.for_domain(variant.domain)
    found: dict[str, Array] = {}
    for engine, group in _by_engine(variants, trials).items():
        outcomes = VariantBatch(world, group, trials.episodes, engine).run(actor, trials.seed)
        returns = outcomes.returns.reshape(len(group), trials.episodes)
        found |= {v.name: own for v, own in zip(group, returns, strict=True)}
    return found


def _by_engine(variants: Sequence[Variant], trials: Trials) -> dict[Engine, list[Variant]]:
    """Variants that can share one batch: the same engine, with second joints for a backlash or without."""
    groups: dict[Engine, list[Variant]] = {}
    for variant in variants:
        engine = engine_for(trials.simulator or variant.simulator, variant.domain)
        groups.setdefault(engine, []).append(variant)
    return groups


def _check(world: World, groups: Mapping[Engine, Sequence[Variant]]) -> None:
    """Refuse values that change nothing; those that were drawn, some of them near nominal, all together."""
    for engine, group in groups.items():
        drawn = [variant for variant in group if variant.group in (FRESH, GRID)]
        check_variants(world, [variant for variant in group if variant not in drawn], engine)
        check_domain(world, drawn_domain(drawn), engine)


def _in_order(table: Episodes, variants: Sequence[str]) -> Episodes:
    """The table with the variants of each policy in the world's order, whichever engine ran them."""
    place = {name: k for k, name in enumerate(variants)}
    keys = np.array([place[str(name)] for name in table["variant"]])
    policies = np.unique(table["policy"], return_inverse=True)[1]
    first = np.array([np.flatnonzero(policies == k)[0] for k in range(policies.max() + 1)])
    order = np.lexsort((keys, first[policies]))
    return {name: column[order] for name, column in table.items()}


def steps_of(policies: Sequence[Candidate]) -> str:
    """Control steps that policies of each label have had, in order: ``"nominal 900; tuned 900 + 50"``."""
    told = {p.label: [f"{steps:,}" for steps in p.steps] or ["unknown"] for p in policies}
    return "; ".join(f"{label} {' + '.join(steps)}" for label, steps in told.items())


def references(world: World) -> dict[str, Reference]:
    """Stored returns of random actions and of an oracle, by variant; empty if the world has none.

    ``scripts/make_references.py`` measures them; `sim2real.transfer.oracle` says how. Those of before there
    were standard errors have none, and an oracle that was picked among shipped policies.

    Raises:
        InvalidValue: for a ``references.toml`` that is no TOML, or whose values are not numbers.
        UnknownName: for a variant that the world does not have: the file is another world's, or older.
    """
    path = world.path / "references.toml"
    if not path.is_file():
        return {}
    known = Section.read_toml(path).section("variants").sections()
    for name in known:
        if name not in world.variants:
            raise UnknownName(f"variant in {path}", name, world.variants)
    return {name: _reference(entry) for name, entry in known.items()}


def _reference(entry: Section) -> Reference:
    errors = {key: entry.number(key, 0.0) for key in ("random_error", "oracle_error")}
    for key, error in errors.items():
        if error < 0:
            raise InvalidValue(f"{entry.path}: {entry.place}{key} is {error:g}, not at least 0")
    picked = "oracle_error" not in entry
    return Reference(entry.number("random"), entry.number("oracle"), **errors, picked=picked)


def _table(
    world: World,
    policies: Sequence[Candidate],
    variants: Sequence[Variant],
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]],
    outcomes: Sequence[Outcomes],
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]:
    rows = len(numbers)
    each = rows // len(variants)

    def per_policy(values: Sequence[object]) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        return np.repeat(np.array(values), rows)

    def per_variant(values: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        return np.tile(np.repeat(np.array(values), each), len(policies))

    return {
        "label": per_policy([p.label for p in policies]),
        "lineage": per_policy([p.lineage for p in policies]),
        "policy": per_policy([p.name for p in policies]),
        "seed": per_policy(seeds_of(policies)),
        "variant": per_variant([v.name for v in variants]),
        "group": per_variant([v.group for v in variants]),
        "seen": np.repeat([has_seen(p, world, v) for p in policies for v in variants], each),
        "episode": np.tile(numbers, len(policies)),
        "return": np.concatenate([o.returns for o in outcomes]),
        "length": np.concatenate([o.lengths for o in outcomes]),
        "success": np.concatenate([o.success for o in outcomes]),
        "diverged": np.concatenate([o.diverged for o in outcomes]),
    }
