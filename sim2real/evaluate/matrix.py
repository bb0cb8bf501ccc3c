"""Trained here, run there: every method in every simulator, domain or world, with intervals.

::

    found = matrix(policies, places([world], simulators=["mujoco", "bullet"]))
    found.report.cell("nominal", "bullet").returns  # Estimate(value=571.2, interval=(565.0, 577.4), n=3)

A row is a method, told apart by the simulator and the world that it was trained in where these differ; a
column is where its policies are run. Episode k starts alike everywhere in a world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim2real.audit import check_variants
from sim2real.env import engine_for
from sim2real.errors import InvalidValue, PolicyError
from sim2real.evaluate.batches import VariantBatch
from sim2real.evaluate.candidates import Candidate, seeds_of
from sim2real.evaluate.episode_table import Episodes, told_apart
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.leakage import has_seen
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.variants import chosen_variants
from sim2real.policy import Contract
from sim2real.world import CONTROL, Variant, World

_TRIALS = Trials(32)
TRAINING = "training"
"""Name of the column where physics are drawn from the training ranges."""


@dataclass(frozen=True)
class Place:
    """Where policies are run: a column of the matrix."""

    name: str
    world: World
    variant: Variant
    """Its physics and engine."""


@dataclass(frozen=True)
class Matrix:
    """Rows are the labels of the report, columns its variants."""

    report: GapReport
    episodes: Episodes
    refused: Mapping[tuple[str, str], str]
    """Why the policies of a row can't be run in a column."""


def places(
    worlds: Sequence[World], simulators: Sequence[str] = (), domains: Sequence[str] = ()
) -> list[Place]:
    """Every combination of some worlds, engines and physics; what there is one of is not in the names.

    Args:
        worlds: at least one.
        simulators: engines; none for that of the physics.
        domains: ``nominal``, ``training``, held-out variants, or TOML files of domains; none for nominal.

    Raises:
        UnknownName: for a variant that a world does not have.
        InvalidValue: for no world, or a domain that can't be.
    """
    found = []
    for world in worlds:
        for physics in domains or (CONTROL,):
            given = world.domain(TRAINING) if physics == TRAINING else physics
            variant = replace(chosen_variants(world, [given])[-1], name=physics, group="combined")
            for engine in simulators or (variant.simulator,):
                parts = [world.path.name] * (len(worlds) > 1)
                parts += [physics] * bool(domains) + [engine] * bool(simulators)
                name = " in ".join(parts) or world.name
                found.append(Place(name, world, replace(variant, name=name, simulator=engine)))
    names = [place.name for place in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice or not found:
        told = f"two columns are called {twice[0]!r}" if twice else "no world to run policies in"
        raise InvalidValue(f"{told}; give each world, engine and physics once")
    return found


def matrix(
    policies: Sequence[Candidate],
    where: Sequence[Place],
    trials: Trials = _TRIALS,
    done: Callable[[Place], None] = lambda _: None,
) -> Matrix:
    """Run every policy in every place that it fits.

    Args:
        policies: seeds of some methods.
        where: see `places`.
        trials: episodes of each policy in each place, their seed, and whether dead values may be.
        done: called after each place, to show progress.

    Raises:
        InvalidValue: if there is no policy, or none fits any place.
        MissingExtra: if an engine is not installed.
        DeadParameter: if a value of a place changes nothing; see `sim2real.audit`.
    """
    if not policies:
        raise InvalidValue("no policies to run; name at least one")
    rows, seeds = rows_of(policies), seeds_of(policies)
    parts: list[dict[str, object]] = []
    refused: dict[tuple[str, str], str] = {}
    for place in where:
        world = place.world.for_domain(place.variant.domain)
        engine = engine_for(place.variant.simulator, place.variant.domain)
        if not trials.allow_dead:
            check_variants(world, [place.variant], engine)
        batch = VariantBatch(world, [place.variant], trials.episodes, engine)
        for policy, row, seed in zip(policies, rows, seeds, strict=True):
            try:
                actor = policy.fitted(batch.env)
            except PolicyError as error:
                refused[row, place.name] = str(error)
                continue
            seen = has_seen(policy, world, place.variant)
            outcomes = batch.run(actor, trials.seed)
            part: dict[str, object] = {
                "label": row, "lineage": row, "policy": policy.name, "seed": seed, "variant": place.name,
                "group": "combined", "seen": seen, "episode": np.arange(trials.episodes),
                "return": outcomes.returns, "length": outcomes.lengths, "diverged": outcomes.diverged,
            }  # fmt: skip
            if batch.env.task.success:
                part["success"] = outcomes.success
            parts.append(part)
        done(place)
    if not parts:
        raise InvalidValue(f"no policy fits any of these places: {next(iter(refused.values()))}")
    names = [name for name in parts[0] if all(name in part for part in parts)]
    table = {
        name: np.concatenate([np.broadcast_to(np.asarray(p[name]), trials.episodes) for p in parts])
        for name in names
    }
    first = str(parts[0]["label"])
    return Matrix(gap_report(table, {}, GapOptions(where[0].world.title, first)), table, refused)


def rows_of(policies: Sequence[Candidate]) -> list[str]:
    """The row of each policy: its method, with simulator and world of its training where these differ."""
    names = told_apart(np.array([p.label for p in policies]), np.array([p.lineage for p in policies]))
    contracts = [getattr(policy, "contract", None) for policy in policies]
    rows = [str(name) for name in names]
    for read in (_simulator, _world):
        told = [read(contract) if isinstance(contract, Contract) else "" for contract in contracts]
        if len(set(told)) > 1:
            rows = [f"{row}, {own}" if own else row for row, own in zip(rows, told, strict=True)]
    return rows


def _simulator(contract: Contract) -> str:
    return contract.simulator


def _world(contract: Contract) -> str:
    return contract.world
