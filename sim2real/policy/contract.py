"""What a policy expects, where it comes from, and what differs between that and an env."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sim2real.contents import Contents, differences
from sim2real.errors import PolicyError
from sim2real.interface import Signal, TaskSpec
from sim2real.policy.history import History

_log = logging.getLogger(__name__)
_TRAININGS = ("train", "condition")
"""Methods of provenance that learn in a source."""


@dataclass(frozen=True)
class ProvenanceStep:
    """One link of the chain that a policy comes from."""

    method: str
    """``train``, ``fine-tune``, ..."""
    domain: Mapping[str, object]
    """Where it happened, as `Domain.to_toml`; empty for a sealed target, whose name is in ``settings``."""
    steps: int
    """Control steps spent."""
    seed: int
    settings: Mapping[str, object]


@dataclass(frozen=True)
class Contract:
    """What a policy expects and where it comes from."""

    world: str
    task: str
    task_version: int
    label: str
    """The method, as plots name it: ``nominal``, ``randomized``, ``fine-tuned``."""
    observation: tuple[Signal, ...]
    """What an env shows a policy in a control step."""
    action: tuple[Signal, ...]
    control_dt: float
    """Control period, s."""
    seed: int
    provenance: tuple[ProvenanceStep, ...]
    """Oldest first."""
    measured: Mapping[str, float]
    """What was measured when it was made, for example ``return`` and ``success`` in its source."""
    simulator: str = "mujoco"
    action_limit: float = 1.0
    """Actions are clipped to ± this."""
    history: int = 1
    """Observations that the policy sees at once, with the actions between them: `sim2real.policy.history`."""
    privileged: tuple[Signal, ...] = ()
    """What a critic or a teacher sees besides, and no env shows a policy."""
    context: tuple[Signal, ...] = ()
    """What the policy is conditioned on; the values that it acts with are its weights ``context``."""
    code_version: str = ""
    contents: Contents = field(default_factory=dict)
    """What the world consisted of; see `sim2real.contents`. Empty for a policy of before there was this."""

    @property
    def inputs(self) -> dict[str, int]:
        """How many numbers each of `sim2real.policy.network.INPUTS` has."""
        observations, actions = len(self.observation), len(self.action)
        return {
            "observation": observations,
            "history": History(self.history, observations, actions).size,
            "privileged": len(self.privileged),
            "context": len(self.context),
            "action": actions,
        }

    @property
    def trainings(self) -> tuple[ProvenanceStep, ...]:
        """What was learnt in a source, oldest first."""
        return tuple(step for step in self.provenance if step.method in _TRAININGS)

    @property
    def own_domain(self) -> Mapping[str, object] | None:
        """What physics is drawn from to rehearse: that of the last training that rehearsed none itself.

        None, nominal physics, for a policy that tells of no training.
        """
        own = [step.domain for step in self.trainings if not step.settings.get("rehearsal")]
        return own[-1] if own else None


class HasName(Protocol):
    """An engine."""

    @property
    def name(self) -> str:
        """``mujoco``, ``bullet`` or ``warp``."""


class HasTask(Protocol):
    """What `Policy.check` looks at: a vector env, a single env, a target env."""

    @property
    def task(self) -> TaskSpec:
        """The task's fixed side."""

    @property
    def world_name(self) -> str:
        """Name of the world."""

    @property
    def contents(self) -> Contents:
        """What the world consists of."""

    @property
    def engine(self) -> HasName:
        """The engine that steps it."""


def lineage(contract: Contract) -> str:
    """Label and steps that a policy comes from: what two policies share if only their seeds differ."""
    return f"{contract.label}: " + " → ".join(map(_of_step, contract.provenance))


def _of_step(step: ProvenanceStep) -> str:
    """Method, and the target's name or the domain by a digest of what it says."""
    if "target" in step.settings:
        return f"{step.method} in {step.settings['target']}"
    drawn = step.domain.get("parameters")
    text = json.dumps(step.domain, sort_keys=True).encode()
    return f"{step.method} in {f'domain {hashlib.sha256(text).hexdigest()[:8]}' if drawn else 'nominal'}"


def _signal_differences(what: str, mine: tuple[Signal, ...], other: tuple[Signal, ...]) -> list[str]:
    if mine == other:
        return []
    names, others = [s.name for s in mine], [s.name for s in other]
    if sorted(names) != sorted(others):
        return [f"{what}: {names} against {others}"]
    if names != others:
        k = next(k for k, (a, b) in enumerate(zip(names, others, strict=True)) if a != b)
        return [f"order of the {what}: entry {k} is {names[k]!r} against {others[k]!r}"]
    return [
        f"{what} {a.name!r}: {a.unit} scaled by {a.scale:g} against {b.unit} scaled by {b.scale:g}"
        for a, b in zip(mine, other, strict=True)
        if a != b
    ]


def check(contract: Contract, env: HasTask, name: str) -> None:
    """Raise a `PolicyError` that lists everything in which the env is not what the contract says.

    Another physics is no mistake, as policies are made to be tried there: what differs between the world
    that it was made in and this one is logged as a warning. A world of the same contents may have
    another name.
    """
    mine, task = contract, env.task
    changed = differences(mine.contents, env.contents)
    same = mine.contents and env.contents and not changed
    pairs = (
        ("world", mine.world, mine.world if same else env.world_name),
        ("task", mine.task, task.name),
        ("task version", mine.task_version, task.version),
        ("control period (s)", mine.control_dt, task.control_dt),
        ("limit of actions", mine.action_limit, task.action_limit),
    )
    wrong = [f"{what}: {a!r} against {b!r}" for what, a, b in pairs if a != b]
    wrong += _signal_differences("observation", mine.observation, task.observation)
    wrong += _signal_differences("action", mine.action, task.action)
    if wrong:
        raise PolicyError(f"policy {name!r} does not fit this env (policy against env): {'; '.join(wrong)}")
    if changed:
        _log.warning("policy %r was made in another %s: %s", name, env.world_name, "; ".join(changed))
