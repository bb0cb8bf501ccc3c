"""The folder of a policy: ``policy.toml``, ``weights.safetensors`` and ``README.md``, read and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import tomli_w
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sim2real.documents import Section
from sim2real.errors import PolicyError
from sim2real.files import replace_folder
from sim2real.interface import Signal
from sim2real.pages import in_markdown
from sim2real.policy.contract import Contract, Step
from sim2real.policy.network import Weights

_FORMAT = 1


_WEIGHTS = "weights.safetensors"
_CONTRACT = "policy.toml"
FILES = (_CONTRACT, _WEIGHTS, "README.md")
"""What the folder consists of."""


def write(folder: str | Path, contract: Contract, weights: Weights) -> None:
    """Write the folder, whole or not at all; what else is in it is not deleted but refused."""
    table = _to_table(contract)

    def write(temporary: Path) -> None:
        (temporary / _CONTRACT).write_text(tomli_w.dumps(table), encoding="utf-8")
        arrays = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in weights.items()}
        metadata = {"contract": json.dumps(table, sort_keys=True)}
        save_file(arrays, temporary / _WEIGHTS, metadata=metadata)
        (temporary / "README.md").write_text(_card(Path(folder).name, contract), encoding="utf-8")

    replace_folder(folder, write)


def read(folder: Path) -> tuple[Contract, Weights]:
    """Contract and arrays of a folder.

    Raises:
        PolicyError: if the folder is damaged, foreign or edited; the message says where.
    """
    table = _read_contract(folder / _CONTRACT)
    weights, saved = _read_weights(folder / _WEIGHTS)
    changed = _table_differences(table, saved)
    if changed:
        raise PolicyError(
            f"{folder / _CONTRACT} was edited after its weights were saved: {'; '.join(changed)}; "
            "restore it, or save the policy anew with Policy.save"
        )
    return _contract(table, folder), weights


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
            f"{folder / _CONTRACT} lacks {sorted(missing) or 'nothing'} and has the unknown keys "
            f"{sorted(extra) or 'none'}; save the policy anew with this version"
        )
    try:
        for key, kind in (("observation", Signal), ("action", Signal), ("provenance", Step)):
            values[key] = tuple(kind(**entry) for entry in cast(list[dict[str, Any]], values[key]))
        return Contract(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise PolicyError(f"{folder / _CONTRACT} is malformed: {error}") from error


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
