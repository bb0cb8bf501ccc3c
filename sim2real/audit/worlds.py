"""The whole audit of a world: the excitation, and what each end costs trained policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim2real.audit.excitation import FULL, Excitation, plays, table
from sim2real.audit.finding import Audit
from sim2real.audit.free import FreeMotion
from sim2real.audit.measure import Returns, Where, measured, refusals
from sim2real.audit.moves import Move, rows_of, world_moves
from sim2real.catalog import entries
from sim2real.env import Sim2RealVectorEnv, engine_for, has_task
from sim2real.episodes import run_episodes
from sim2real.policy import Policy
from sim2real.reach import check_reach
from sim2real.simulators import Engine, engine_of
from sim2real.world import World, with_default_parameters

SEED = 3_000_017
"""Of the episodes, apart from those of training and evaluation."""


@dataclass(frozen=True)
class AuditSettings:
    """How a world is audited."""

    simulator: str | Engine = "mujoco"
    episodes: int = 8
    """Common episodes of every policy at every end."""
    policies: Sequence[Policy] | None = None
    """By default the nominal ones that are shipped with the world; an empty sequence for none."""
    excitation: Excitation = FULL

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_reach(self, "whole [1, inf)", "episodes")


def audit_world(world: World, settings: AuditSettings = AuditSettings()) -> Audit:
    """Move every parameter of a world to both ends.

    A world that names no task is moved by its actuators alone, and one that names no parameters is audited
    by those that `with_default_parameters` gives it.

    Args:
        world: which.
        settings: engine, policies and episodes.

    Raises:
        PolicyError: for a policy that does not fit the world.
        MissingExtra: if the engine is not installed.
        InvalidValue: for a world in which nothing can move, or policies in one that names no task.
    """
    world = with_default_parameters(world)
    policies = shipped(world) if settings.policies is None else settings.policies
    if not has_task(world) and not policies:
        world = world.with_task(FreeMotion(world))
    engine = engine_of(world, settings.simulator)
    moves = world_moves(world)
    refused = refusals(world, moves, engine)
    takes = [move for move in moves if not {move.parameter, *move.base} & set(refused)]
    changed: dict[Move, dict[str, float]] = {move: {} for move in takes}
    nominal = {}
    for policy in policies:
        changes, nominal[policy.name] = _changes(world, policy, takes, replace(settings, simulator=engine))
        for move, change in zip(takes, changes, strict=True):
            changed[move][policy.name] = change
    where = Where(engine, settings.excitation, world.training_domain)
    return measured(world, moves, where, Returns(nominal, changed))


def shipped(world: World, label: str = "nominal") -> list[Policy]:
    """Policies of the catalogue that were trained for a world, of one label."""
    return [Policy.load(name) for name in entries("policies") if name.startswith(f"{world.name}-{label}-")]


def _changes(
    world: World, policy: Policy, moves: Sequence[Move], settings: AuditSettings
) -> tuple[list[float], float]:
    """Mean change of the return by each move, and the mean at nominal physics."""
    rows, pairs = rows_of(moves)
    names, values = table(world, rows, settings.episodes)
    engine = engine_for(settings.simulator, plays(rows))
    env = Sim2RealVectorEnv(world, len(values), None, autoreset=False, simulator=engine)
    policy.check(env)
    env.set_physics(names, values)
    outcomes = run_episodes(policy, env, SEED, np.tile(np.arange(settings.episodes), len(rows)))
    means = outcomes.returns.reshape(len(rows), settings.episodes).mean(axis=1)
    return [float(means[row] - means[base]) for row, base in pairs], float(means[0])
