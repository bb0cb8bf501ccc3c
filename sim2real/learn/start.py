"""What trainings have in common, whichever library learns: their env, how they begin, and the contract."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sim2real.audit import check_domain
from sim2real.catalog import entries
from sim2real.checker import check_task
from sim2real.env import DomainLike, Sim2RealVectorEnv, task_class
from sim2real.errors import UnknownName
from sim2real.learn.weights import hidden_of
from sim2real.policy import Contract, HasTask, Policy, Step, as_feedforward
from sim2real.tasks import TASKS
from sim2real.world import World

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from sim2real.learn.ppo import PPOSettings

    Defaults = Callable[[World, bool], PPOSettings]


def begin(
    world: str | World, domain: DomainLike, seed: int, settings: PPOSettings | None, defaults: Defaults
) -> tuple[Sim2RealVectorEnv, Policy | None, PPOSettings]:
    """The env to train in, its domain audited; the policy to begin with, if any; and what settings mean here.

    Args:
        world: where.
        domain: what physics is drawn from.
        seed: of the policy to begin with, where its name asks for one.
        settings: how; None for the defaults.
        defaults: settings of a world, for a randomized policy or not.

    Raises:
        UnknownName: if the policy to start from does not exist.
        PolicyError: if it does not fit the world.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
        CheckFailed: if a task of the user's own breaks a promise; see `sim2real.checker`.
    """
    world = world if isinstance(world, World) else World.load(world)
    settings = settings or defaults(world, not world.domain(domain).is_point)
    plain: dict[str, Any] = {
        field.name: _plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)
    }
    settings = dataclasses.replace(settings, **plain)
    settings = dataclasses.replace(settings, start=settings.start.replace("{seed}", str(seed)))
    start = start_policy(settings.start)
    if start is not None:
        settings = shaped_like(start, settings)
    env = Sim2RealVectorEnv(world, settings.num_envs, domain, simulator=settings.simulator)
    if start is not None:
        start.check(env)
    _check_own_task(world, settings.simulator)
    if not settings.allow_dead:
        check_domain(env.world, env.domain, env.engine)
    return env, start, settings


def _plain(value: object) -> object:
    """Numpy's numbers as Python's, which files hold."""
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _check_own_task(world: World, simulator: str) -> None:
    """Look at a task that did not come with this package, and say what it can live with."""
    factory = task_class(world)
    if world.env is None and not TASKS.is_built_in(factory):
        for note in check_task(world, simulator=simulator):
            _log.warning("task %s: %s", factory.spec.name, note)


def start_policy(name: str) -> Policy | None:
    """The policy that training goes on from; None for an empty name.

    Raises:
        UnknownName: if there is no such policy.
    """
    try:
        return Policy.load(name) if name else None
    except UnknownName as error:
        hint = "policy to start from (train it first, or choose another start; none: --start '')"
        raise UnknownName(hint, name, entries("policies")) from error


def shaped_like(start: Policy, settings: PPOSettings) -> PPOSettings:
    """The settings with the network of a policy, and its normalizer if it has one."""
    identity = not start.weights["normalizer.mean"].any() and (start.weights["normalizer.std"] == 1).all()
    return dataclasses.replace(
        settings,
        hidden=hidden_of(start),
        activation=as_feedforward(start.network, start.weights)[0],
        normalize_observations=settings.normalize_observations or not identity,
    )


def contract_of(env: HasTask, label: str, provenance: tuple[Step, ...]) -> Contract:
    """The contract of what was learnt in an env; nothing is measured yet."""
    task = env.task
    return Contract(
        world=env.world_name,
        task=task.name,
        task_version=task.version,
        label=label,
        observation=task.observation,
        action=task.action,
        control_dt=task.control_dt,
        action_limit=task.action_limit,
        seed=provenance[-1].seed,
        provenance=provenance,
        measured={},
        simulator=env.engine.name,
        contents=env.contents,
        code_version=importlib.metadata.version("sim2real"),
    )
