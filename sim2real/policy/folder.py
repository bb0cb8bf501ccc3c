"""The folder of a policy: ``policy.toml``, ``weights.safetensors`` and ``README.md``, read and written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import tomli_w
from safetensors.numpy import save

from sim2real.contents import Contents
from sim2real.documents import Section
from sim2real.errors import PolicyError, UnknownName
from sim2real.files import replace_folder
from sim2real.interface import Signal
from sim2real.policy.contract import Contract, ProvenanceStep
from sim2real.policy.kinds import KINDS, Weights
from sim2real.policy.network import Layer, Network, feedforward
from sim2real.policy.tensors import read_tensors

_FORMAT = 2
_READS = (1, 2)
"""1 had the one kind of network that `feedforward` makes, with its activation and clip in the contract."""
_WEIGHTS = "weights.safetensors"
_CONTRACT = "policy.toml"
_GROUPS = ("observation", "action", "privileged", "context")
_TEXTS = ("world", "task", "label", "simulator", "code_version")
_WHOLE = ("task_version", "seed", "history")
_NEW = {"action_limit", "privileged", "context"}
"""Of the contract, since format 2."""
FILES = (_CONTRACT, _WEIGHTS, "README.md")
"""What the folder consists of."""


def write(folder: str | Path, contract: Contract, network: Network, weights: Weights) -> None:
    """Write the folder, whole or not at all; what else is in it is not deleted but refused."""
    table = to_table(contract, network)

    def write(temporary: Path) -> None:
        (temporary / _CONTRACT).write_text(tomli_w.dumps(table), encoding="utf-8")
        arrays = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in weights.items()}
        metadata = {"contract": json.dumps(table, sort_keys=True)}
        (temporary / _WEIGHTS).write_bytes(save(arrays, metadata))
        (temporary / "README.md").write_text(_card(Path(folder).name, contract), encoding="utf-8")

    replace_folder(folder, write)


def read(folder: Path) -> tuple[Contract, Network, Weights]:
    """Contract, network and arrays of a folder.

    Raises:
        PolicyError: if the folder is damaged, foreign or edited; the message says where.
    """
    table = _read_table(folder / _CONTRACT)
    weights, saved = read_tensors(folder / _WEIGHTS)
    changed = _table_differences(table.values, saved)
    if changed:
        raise PolicyError(
            f"{folder / _CONTRACT} was edited after its weights were saved: {'; '.join(changed)}; "
            "restore it, or save the policy anew with Policy.save"
        )
    contract = contract_of(table)
    try:
        network = network_of(table, weights)
    except (PolicyError, UnknownName) as error:
        raise PolicyError(f"{table.path}: {error}") from error
    return contract, network, weights


def to_table(contract: Contract, network: Network) -> dict[str, object]:
    """Contract and network as they stand in ``policy.toml``."""
    layers: list[dict[str, object]] = []
    for layer in network.layers:
        layers.append({"name": layer.name, "kind": layer.kind, "inputs": list(layer.inputs)})
        if layer.number is not None:
            layers[-1][KINDS[layer.kind].number] = layer.number
    table: dict[str, object] = {"format": _FORMAT, **json.loads(json.dumps(asdict(contract)))}
    return {**table, "network": {"outputs": dict(network.outputs), "layer": layers}}


def contract_of(table: Section) -> Contract:
    """The contract that such a table tells; raises `PolicyError` if it is malformed."""
    first = table.whole("format") == 1
    known = {entry.name for entry in fields(Contract)} - (_NEW if first else set())
    needed = known - {"contents"} | ({"activation", "clip"} if first else {"network"})
    keys = set(table.values) - {"format", "contents"}
    if keys != needed - {"contents"}:
        raise PolicyError(
            f"{table.path} lacks {sorted(needed - keys) or 'nothing'} and has the unknown keys "
            f"{sorted(keys - needed) or 'none'}; save the policy anew with this version"
        )
    values: dict[str, Any] = {key: table.text(key) for key in _TEXTS}
    values |= {key: table.whole(key) for key in _WHOLE if key in table}
    values |= {key: tuple(map(_signal, table.entries(key))) for key in _GROUPS if key in table}
    measured, contents = table.section("measured"), table.section("contents")
    return Contract(
        **values,
        control_dt=_above_0(table, "control_dt"),
        action_limit=_above_0(table, "action_limit", 1.0),
        provenance=tuple(map(_step, table.entries("provenance"))),
        measured={key: measured.number(key) for key in measured.values},
        contents=cast(Contents, {key: part.values for key, part in contents.sections().items()}),
    )


def _above_0(table: Section, key: str, default: float | None = None) -> float:
    number = table.number(key, default)
    if number <= 0:
        raise PolicyError(f"{table.path}: {key} is {number:g}, not above 0")
    return number


def _signal(entry: Section) -> Signal:
    entry.only("name", "unit", "scale")
    return Signal(entry.text("name"), entry.text("unit"), entry.number("scale"))


def _step(entry: Section) -> ProvenanceStep:
    entry.only("method", "domain", "steps", "seed", "settings")
    tables = (entry.section("domain").values, entry.section("settings").values)
    return ProvenanceStep(
        entry.text("method"), tables[0], entry.whole("steps"), entry.whole("seed"), tables[1]
    )


def network_of(table: Section, weights: Weights) -> Network:
    """The graph that is written down, or the one that format 1 meant; raises `PolicyError` if it is none."""
    if table.whole("format") == 1:
        clip = math.inf if table.values["clip"] == math.inf else table.number("clip")
        return feedforward(weights, table.text("activation"), clip)
    described = table.section("network").only("outputs", "layer")
    outputs = described.section("outputs")
    layers = tuple(map(_layer, described.entries("layer")))
    return Network(layers, {key: outputs.text(key) for key in outputs.values})


def _layer(entry: Section) -> Layer:
    kind = KINDS.get(entry.text("kind"))
    number = kind.number if kind else ""
    entry.only("name", "kind", "inputs", *([number] if number else []))
    return Layer(
        entry.text("name"),
        entry.text("kind"),
        entry.texts("inputs"),
        entry.number(number) if number else None,
    )


def _read_table(path: Path) -> Section:
    try:
        table = Section.read_toml(path, PolicyError)
    except FileNotFoundError as error:
        raise PolicyError(f"{path.parent} is no policy: it has no {path.name}") from error
    if table.values.get("format") not in _READS:
        raise PolicyError(
            f"{path} has format {table.values.get('format')!r}; this version reads the formats 1 and 2"
        )
    return table


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
        f"{measured or '- nothing'}\n\n`policy.toml` holds the whole contract.\n\n"
        f"```sh\nsim2real evaluate {name}\n```\n"
    )


def in_markdown(text: str) -> str:
    """A text in a line of Markdown, in which nothing is markup; an underscore inside a word is none."""
    return re.sub(r"([\\`*{}\[\]<>#|!~&]|\b_|_\b)", r"\\\1", " ".join(text.split()))
