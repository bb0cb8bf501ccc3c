"""What trainings have in common, whichever library learns: the policy they begin with and the contract."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import TYPE_CHECKING

from sim2real.catalog import entries
from sim2real.errors import UnknownName
from sim2real.policy import Contract, HasTask, Policy, Step
from sim2real.train.weights import hidden_of

if TYPE_CHECKING:
    from sim2real.train.ppo import PPOSettings


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
        activation=start.contract.activation,
        normalize_observations=settings.normalize_observations or not identity,
    )


def contract_of(
    env: HasTask, label: str, provenance: tuple[Step, ...], activation: str, clip: float
) -> Contract:
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
        activation=activation,
        seed=provenance[-1].seed,
        provenance=provenance,
        measured={},
        simulator=env.engine.name,
        clip=clip,
        code_version=importlib.metadata.version("sim2real"),
    )
