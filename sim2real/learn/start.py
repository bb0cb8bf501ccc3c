"""What trainings have in common, whichever library learns: their env, how they begin, and the contract."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.audit import check_domain
from sim2real.catalog import entries
from sim2real.checker import check_task
from sim2real.env import DomainLike, Sim2RealVectorEnv, task_class
from sim2real.errors import PolicyError, UnknownName
from sim2real.learn.settings import PPOSettings, settings_for
from sim2real.policy import (
    Contract,
    HasTask,
    History,
    Policy,
    ProvenanceStep,
    as_feedforward,
    feedforward,
    num_layers,
)
from sim2real.tasks import TASKS
from sim2real.world import World

_log = logging.getLogger(__name__)
_CLIP = 10.0
"""Standard deviations that normalized observations are clipped to."""


def begin(
    world: str | World, domain: DomainLike, seed: int, settings: PPOSettings | None
) -> tuple[Sim2RealVectorEnv, Policy, PPOSettings]:
    """The env to train in, its domain audited; the policy to begin with; and what settings mean here.

    Args:
        world: where.
        domain: what physics is drawn from.
        seed: of the policy to begin with, where its name asks for one.
        settings: how; None for `settings_for` the world.

    Raises:
        UnknownName: if the policy to start from does not exist.
        PolicyError: if it does not fit the world.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
        CheckFailed: if a task of the user's own breaks a promise; see `sim2real.checker`.
    """
    world = world if isinstance(world, World) else World.load(world)
    settings = settings or settings_for(world, not world.domain(domain).is_point)
    plain: dict[str, Any] = {
        field.name: _plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)
    }
    settings = dataclasses.replace(settings, **plain)
    settings = dataclasses.replace(settings, start=settings.start.replace("{seed}", str(seed)))
    start = _start_policy(settings.start)
    if start is not None:
        settings = shaped_like(start, settings)
    rows = settings.num_envs - settings.rehearsing
    env = Sim2RealVectorEnv(world, rows, domain, simulator=settings.simulator)
    if start is not None:
        start.check(env)
    _check_own_task(world, settings.simulator)
    if not settings.allow_dead:
        check_domain(env.world, env.domain, env.engine)
    return env, fresh_policy(env, settings, seed) if start is None else start, settings


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


def _start_policy(name: str) -> Policy | None:
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
    """The settings with the network of a policy, where it is a plain one, and its normalizer, if any."""
    try:
        activation, _ = as_feedforward(start.network, start.weights)
    except PolicyError:
        return settings
    mean, std = (start.weights[f"normalizer.{kind}"] for kind in ("mean", "std"))
    return dataclasses.replace(
        settings,
        hidden=hidden_of(start),
        activation=activation,
        normalize_observations=settings.normalize_observations or bool(mean.any() or (std != 1).any()),
    )


def hidden_of(policy: Policy) -> tuple[int, ...]:
    """Sizes of the hidden layers of a feedforward actor."""
    layers = num_layers(policy.weights, "actor")
    return tuple(policy.weights[f"actor.{k}.weight"].shape[0] for k in range(layers - 1))


def fresh_policy(env: HasTask, settings: PPOSettings, seed: int) -> Policy:
    """An untrained policy for an env: actor and critic of one shape, orthogonal weights (Saxe et al. 2014).

    As in Stable-Baselines3, gains are √2 for hidden layers, 0.01 for actions and 1 for values.
    """
    rng, actions = np.random.default_rng(seed), len(env.task.action)
    inputs = History(settings.history, len(env.task.observation), actions).size
    weights = {
        "normalizer.mean": np.zeros(inputs, np.float32),
        "normalizer.std": np.ones(inputs, np.float32),
        "log_std": np.full(actions, math.log(settings.initial_std), np.float32),
    }
    for head, outputs, gain in (("actor", actions, 0.01), ("critic", 1, 1.0)):
        sizes = (inputs, *settings.hidden, outputs)
        for k, (before, after) in enumerate(pairwise(sizes)):
            scale = gain if k == len(settings.hidden) else math.sqrt(2.0)
            weights[f"{head}.{k}.weight"] = (scale * _orthogonal(rng, after, before)).astype(np.float32)
            weights[f"{head}.{k}.bias"] = np.zeros(after, np.float32)
    clip = _CLIP if settings.normalize_observations else math.inf
    network = feedforward(weights, settings.activation, clip)
    if settings.history > 1:
        first, *others = network.layers
        first = dataclasses.replace(first, inputs=("history",))
        network = dataclasses.replace(network, layers=(first, *others))
    contract = dataclasses.replace(contract_of(env, "fresh", seed, ()), history=settings.history)
    return Policy(contract, network, weights)


def _orthogonal(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


def normalizer_of(start: Policy, settings: PPOSettings) -> str:
    """What happens to statistics of observations: those of a policy to start from go on."""
    if not settings.normalize_observations:
        return "frozen"
    return "adapted" if start.contract.provenance else "fresh"


def contract_of(
    env: HasTask,
    label: str,
    seed: int,
    provenance: tuple[ProvenanceStep, ...],
    before: Contract | None = None,
) -> Contract:
    """The contract of what was learnt in an env; nothing is measured yet.

    Args:
        env: where.
        label: the method, as plots name it.
        seed: of the training.
        provenance: where it comes from.
        before: contract of the policy that it began with, which says what its network reads.
    """
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
        seed=seed,
        provenance=provenance,
        measured={},
        simulator=env.engine.name,
        history=before.history if before else 1,
        privileged=before.privileged if before else (),
        context=before.context if before else (),
        contents=env.contents,
        code_version=importlib.metadata.version("sim2real"),
    )
