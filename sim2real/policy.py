"""A policy: weights plus a contract that says what they expect to see and to drive.

    >>> policy = Policy.load("furuta-nominal-0")
    >>> policy.act(np.zeros((1, 6), dtype=np.float32)).shape
    (1, 1)

On disk it is a folder: ``policy.toml`` (the contract, to read), ``weights.safetensors`` (arrays, and the
contract once more, to notice an edit) and ``README.md`` (a card). Nothing in it can run code, and acting
needs numpy alone. ``check`` compares the contract with an env and says everything that differs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import tomli_w
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sim2real.catalog import entries, find
from sim2real.contents import Contents, differences
from sim2real.documents import Section
from sim2real.errors import PolicyError, UnknownName
from sim2real.files import check_folder, replace_folder
from sim2real.interface import Signal, TaskSpec
from sim2real.pages import in_markdown

_log = logging.getLogger(__name__)

Weights = Mapping[str, NDArray[np.float32]]
_FORMAT = 1

_BLOCK = 8
"""Rows that a policy acts on at a time; in larger ones kernels may round by a row's place."""

_ACTIVATIONS: Mapping[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
}


@dataclass(frozen=True)
class Step:
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
    action: tuple[Signal, ...]
    control_dt: float
    """Control period, s."""
    activation: str
    seed: int
    provenance: tuple[Step, ...]
    """Oldest first."""
    measured: Mapping[str, float]
    """What was measured when it was made, for example ``return`` and ``success`` in its source."""
    simulator: str = "mujoco"
    history: int = 1
    """Observations that the policy sees at once."""
    clip: float = 10.0
    """Normalized observations are clipped to ± this, as in training; infinite where it did not clip."""
    code_version: str = ""
    contents: Contents = field(default_factory=dict)
    """What the world consisted of; see `sim2real.contents`. Empty for a policy of before there was this."""


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


@dataclass(frozen=True)
class Policy:
    """Weights and their contract; acts deterministically."""

    contract: Contract
    weights: Weights
    """``actor.<k>.weight`` (out, in), ``actor.<k>.bias``, ``log_std``, ``normalizer.mean``,
    ``normalizer.std``, and the critic's layers, which transfer starts from."""
    name: str = "policy"

    def __post_init__(self) -> None:
        """Refuse weights that can't act."""
        _check_shapes(self.contract, self.weights)

    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean actions, clipped to [-1, 1].

        Args:
            observation: as the env gives it. Shape (n, num_observations) or (num_observations,).
        """
        weights, squash = self.weights, _ACTIVATIONS[self.contract.activation]
        normal = (observation - weights["normalizer.mean"]) / weights["normalizer.std"]
        x = _in_blocks(np.clip(normal, -self.contract.clip, self.contract.clip))
        last = num_layers(weights, "actor") - 1
        for k in range(last + 1):
            x = x @ weights[f"actor.{k}.weight"].T + weights[f"actor.{k}.bias"]
            x = squash(x) if k < last else x
        shape = (*normal.shape[:-1], x.shape[-1])
        actions = x.reshape(x.shape[0] * _BLOCK, x.shape[-1])[: math.prod(shape[:-1])]
        return np.asarray(np.clip(actions, -1.0, 1.0), dtype=np.float32).reshape(shape)

    @property
    def lineage(self) -> str:
        """Label and steps that it comes from: what two policies share if only their seeds differ."""
        return f"{self.contract.label}: " + " → ".join(map(_of_step, self.contract.provenance))

    def check(self, env: HasTask) -> None:
        """Raise a `PolicyError` that lists everything in which the env is not what the policy expects.

        Another physics is no mistake, as policies are made to be tried there: what differs between the world
        that it was made in and this one is logged as a warning. A world of the same contents may have
        another name.
        """
        mine, task = self.contract, env.task
        changed = differences(mine.contents, env.contents)
        same = mine.contents and env.contents and not changed
        pairs = (
            ("world", mine.world, mine.world if same else env.world_name),
            ("task", mine.task, task.name),
            ("task version", mine.task_version, task.version),
            ("control period (s)", mine.control_dt, task.control_dt),
        )
        wrong = [f"{what}: {a!r} against {b!r}" for what, a, b in pairs if a != b]
        wrong += _signal_differences("observation", mine.observation, task.observation)
        wrong += _signal_differences("action", mine.action, task.action)
        if wrong:
            raise PolicyError(
                f"policy {self.name!r} does not fit this env (policy against env): {'; '.join(wrong)}"
            )
        if changed:
            _log.warning(
                "policy %r was made in another %s: %s", self.name, env.world_name, "; ".join(changed)
            )

    @staticmethod
    def check_folder(folder: str | Path) -> None:
        """Refuse a folder that a policy can't be saved to, before it is learnt; see `sim2real.files`."""
        check_folder(folder, ("policy.toml", "weights.safetensors", "README.md"))

    def save(self, folder: str | Path) -> None:
        """Write the folder, whole or not at all; what else is in it is not deleted but refused."""
        table = _to_table(self.contract)

        def write(temporary: Path) -> None:
            (temporary / "policy.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
            arrays = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in self.weights.items()}
            metadata = {"contract": json.dumps(table, sort_keys=True)}
            save_file(arrays, temporary / "weights.safetensors", metadata=metadata)
            (temporary / "README.md").write_text(_card(Path(folder).name, self.contract), encoding="utf-8")

        replace_folder(folder, write)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Policy:
        """Load a policy of the catalogue, or from a folder.

        Raises:
            UnknownName: if there is no such policy.
            PolicyError: if the folder is damaged, foreign or edited; the message says where.
        """
        folder = find("policies", name_or_path)
        table = _read_contract(folder / "policy.toml")
        weights, saved = _read_weights(folder / "weights.safetensors")
        changed = _table_differences(table, saved)
        if changed:
            raise PolicyError(
                f"{folder / 'policy.toml'} was edited after its weights were saved: {'; '.join(changed)}; "
                "restore it, or save the policy anew with Policy.save"
            )
        return cls(_contract(table, folder), weights, folder.name)

    @classmethod
    def shipped(cls, world: str, label: str) -> list[Policy]:
        """The policies of the catalogue that a method made in a world, by seed."""
        names = [name for name in entries("policies") if name.startswith(f"{world}-{label}-")]
        return sorted(map(cls.load, names), key=lambda policy: policy.contract.seed)


def _of_step(step: Step) -> str:
    """Method, and the target's name or the domain by a digest of what it says."""
    if "target" in step.settings:
        return f"{step.method} in {step.settings['target']}"
    drawn = step.domain.get("parameters")
    text = json.dumps(step.domain, sort_keys=True).encode()
    return f"{step.method} in {f'domain {hashlib.sha256(text).hexdigest()[:8]}' if drawn else 'nominal'}"


def num_layers(weights: Weights, head: str) -> int:
    """Layers of a head, ``"actor"`` or ``"critic"``."""
    return sum(1 for key in weights if key.startswith(f"{head}.") and key.endswith(".weight"))


def _to_table(contract: Contract) -> dict[str, object]:
    """The contract as a TOML table."""
    table: dict[str, object] = {"format": _FORMAT}
    table.update(json.loads(json.dumps(asdict(contract))))
    return table


def _contract(table: Mapping[str, object], folder: Path) -> Contract:
    known = {entry.name for entry in fields(Contract)}
    values = {key: value for key, value in table.items() if key != "format"}
    missing, extra = known - set(values) - {"contents"}, set(values) - known
    if missing or extra:
        raise PolicyError(
            f"{folder / 'policy.toml'} lacks {sorted(missing) or 'nothing'} and has the unknown keys "
            f"{sorted(extra) or 'none'}; save the policy anew with this version"
        )
    try:
        for key, kind in (("observation", Signal), ("action", Signal), ("provenance", Step)):
            values[key] = tuple(kind(**entry) for entry in cast(list[dict[str, Any]], values[key]))
        return Contract(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise PolicyError(f"{folder / 'policy.toml'} is malformed: {error}") from error


def _read_contract(path: Path) -> dict[str, object]:
    try:
        table = dict(Section.read_toml(path, PolicyError).values)
    except FileNotFoundError as error:
        raise PolicyError(f"{path.parent} is no policy: it has no {path.name}") from error
    if table.get("format") != _FORMAT:
        raise PolicyError(f"{path} has format {table.get('format')!r}; this version reads format {_FORMAT}")
    return table


def _read_weights(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
    if not path.is_file():
        raise PolicyError(f"{path.parent} is no policy: it has no {path.name}")
    try:
        with safe_open(path, framework="numpy") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise PolicyError(
            f"{path} is truncated or no safetensors file ({error}); copy it again from its source"
        ) from error
    if "contract" not in metadata:
        raise PolicyError(f"{path} was not written by sim2real: it carries no contract")
    try:
        return weights, dict(json.loads(metadata["contract"]))
    except (ValueError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path} carries no contract that can be read ({error}); copy it again") from error


def _in_blocks(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows in blocks of one size, the last one filled up: BLAS rounds a product by how many rows it has.

    Shape (blocks, _BLOCK, n).
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    filled = np.zeros((-(-len(flat) // _BLOCK) * _BLOCK, flat.shape[1]), dtype=flat.dtype)
    filled[: len(flat)] = flat
    return filled.reshape(len(filled) // _BLOCK, _BLOCK, flat.shape[1])


def _check_shapes(contract: Contract, weights: Weights) -> None:
    if contract.activation not in _ACTIVATIONS:
        raise UnknownName("activation", contract.activation, _ACTIVATIONS)
    for key, array in weights.items():
        if not np.isfinite(array).all():
            raise PolicyError(f"weights {key!r} are not finite; the training diverged or the file is damaged")
    size, layers = len(contract.observation), num_layers(weights, "actor")
    needed = {"normalizer.mean", "normalizer.std", "log_std"} | {f"actor.{k}.bias" for k in range(layers)}
    missing = needed - set(weights)
    if missing or not layers:
        raise PolicyError(f"weights lack {sorted(missing) or 'an actor'}")
    for k in range(layers):
        if weights[f"actor.{k}.weight"].shape[1] != size:
            raise PolicyError(
                f"layer {k} of the actor takes {weights[f'actor.{k}.weight'].shape[1]} numbers, not {size}"
            )
        size = weights[f"actor.{k}.weight"].shape[0]
    if size != len(contract.action):
        raise PolicyError(f"the actor gives {size} actions where the contract names {len(contract.action)}")
    _check_vectors(contract, weights)


def _check_vectors(contract: Contract, weights: Weights) -> None:
    lengths = dict.fromkeys(("normalizer.mean", "normalizer.std"), len(contract.observation))
    for k in range(num_layers(weights, "actor")):
        lengths[f"actor.{k}.bias"] = weights[f"actor.{k}.weight"].shape[0]
    for key, length in lengths.items():
        if weights[key].shape != (length,):
            raise PolicyError(f"weights {key!r} have shape {weights[key].shape} where {(length,)} is meant")
    if (weights["normalizer.std"] <= 0).any():
        raise PolicyError("weights 'normalizer.std' must be above 0")


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


def _table_differences(table: Mapping[str, object], saved: Mapping[str, object]) -> list[str]:
    keys = sorted(set(table) | set(saved))
    same_type = json.loads(json.dumps(table, sort_keys=True, default=str))
    return [
        f"{key} is {_short(table.get(key))}, was {_short(saved.get(key))}"
        for key in keys
        if same_type.get(key) != saved.get(key)
    ]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _card(name: str, contract: Contract) -> str:
    chain = "\n".join(
        f"{k}. {in_markdown(step.method)}: {step.steps:,} control steps, seed {step.seed}"
        for k, step in enumerate(contract.provenance, 1)
    )
    total = sum(step.steps for step in contract.provenance)
    measured = "\n".join(f"- {in_markdown(key)}: {value:g}" for key, value in contract.measured.items())
    return (
        f"# {in_markdown(name)}\n\nA *{in_markdown(contract.label)}* policy for the world "
        f"`{contract.world.replace('`', '')}` at "
        f"{1 / contract.control_dt:g} Hz, made with sim2real {contract.code_version}.\n\n"
        f"## Where it comes from\n\n{chain}\n\nIn all {total:,} control steps.\n\n"
        f"## What was measured when it was made\n\n"
        f"{measured or '- nothing'}\n\n`policy.toml` holds the whole contract.\n"
    )
