"""An adapter on disk: what was added to a policy and trained, without the policy, which it names by its hash.

    write(folder, contract, grown, base)           # grown: the base's network and arrays, with some more
    adapter = read(folder)
    adapter.on(base)                               # network and arrays again, low-rank layers merged exactly

The folder's files and names are those of peft: ``adapter_config.json``, and ``adapter_model.safetensors``
with ``base_model.model.<layer>.lora_A.weight`` (rank, in) and ``lora_B.weight`` (out, rank), scaled by
``lora_alpha / r``. Of bottlenecks (Houlsby et al. 2019), which peft does not have, the names are
``base_model.model.<layer>.adapter.down.weight`` and so on. The hash of the base is the ``revision``; the
contract and the grown network are in the metadata of the arrays. Exploration and critic stay the base's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from safetensors.numpy import save

from sim2real.catalog import catalog
from sim2real.documents import Section
from sim2real.errors import PolicyError, UnknownName
from sim2real.files import replace_folder
from sim2real.policy import folder as folders
from sim2real.policy.contract import Contract
from sim2real.policy.kinds import Weights
from sim2real.policy.network import Layer, Network
from sim2real.policy.tensors import read_tensors

Grown: TypeAlias = tuple[Network, Weights]
"""A network and its arrays."""

_CONFIG, _ARRAYS = "adapter_config.json", "adapter_model.safetensors"
FILES = (_CONFIG, _ARRAYS, "README.md")
"""What the folder consists of."""
_PREFIX = "base_model.model."
_PEFT = {".lora.A": ".lora_A.weight", ".lora.B": ".lora_B.weight"}
"""How arrays end here, and there."""


@dataclass(frozen=True)
class Adapter:
    """What a folder holds."""

    folder: Path
    base: str
    """Name of the policy that it was trained on."""
    revision: str
    """That policy's `digest`."""
    contract: Contract
    network: Network
    """The base's, with what was added."""
    weights: Weights
    """Of what was added."""

    def on(self, base: Grown, name: str) -> Grown:
        """Network and arrays of the base with this adapter, low-rank layers merged.

        Raises:
            PolicyError: for another base.
        """
        found = digest(*base)
        if found != self.revision:
            raise PolicyError(
                f"the adapter {self.folder} was trained on {self.base!r} with the hash {self.revision[:12]}; "
                f"{name!r} has {found[:12]}: give the policy that it belongs to, as BASE+ADAPTER"
            )
        return merged(self.network, {**base[1], **self.weights})

    def find_base(self) -> Path:
        """The folder of the base: among those beside the adapter's, and the policies of the catalogue.

        Raises:
            PolicyError: if there is none of that hash.
        """
        places = [self.folder.parent, catalog("policies")]
        paths = [path.parent for place in places for path in sorted(place.glob("*/policy.toml"))]
        for path in sorted(paths, key=lambda path: path.name != self.base):
            try:
                _, network, weights = folders.read(path)
            except PolicyError:
                continue
            if digest(network, weights) == self.revision:
                return path
        raise PolicyError(
            f"the adapter {self.folder} belongs to {self.base!r} with the hash {self.revision[:12]}, which "
            f"is neither beside it nor among the shipped policies; name it, as in BASE+{self.folder.name}"
        )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, and no policy."""
    return (folder / _CONFIG).is_file() and not (folder / "policy.toml").exists()


def digest(network: Network, weights: Weights) -> str:
    """SHA-256 of a network and all of its arrays, which tells one base from another."""
    found = hashlib.sha256(repr((network.layers, sorted(network.outputs.items()))).encode())
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], dtype="<f4")
        found.update(f"|{name} {array.shape}|".encode() + array.tobytes())
    return found.hexdigest()


def write(folder: Path, contract: Contract, grown: Grown, base: Grown, name: str) -> None:
    """Write what was added to a base, whole or not at all.

    Args:
        folder: made, or replaced.
        contract: of the grown policy.
        grown: its network and arrays.
        base: of the policy that it was added to.
        name: of that policy.

    Raises:
        PolicyError: if no low-rank layer or bottleneck was added, or more of what acts has changed.
    """
    network, weights = grown
    added = {key: array for key, array in weights.items() if key not in base[1]}
    acting = network.arrays_of(*(layer.name for layer in network.order()))
    changed = [
        key
        for key in acting
        if key not in added and not (key in base[1] and np.array_equal(base[1][key], weights[key]))
    ]
    others = [key for key in added if ".lora." not in key and ".adapter." not in key]
    if changed or others or not added:
        what = f"{', '.join(changed or others)} changed too" if added else "none was added"
        raise PolicyError(
            f"an adapter of {name!r} holds low-rank layers or bottlenecks alone, and {what}; save it whole"
        )
    config = _config(network, added, name, digest(*base))
    metadata = {"format": "pt", "contract": json.dumps(folders.to_table(contract, network), sort_keys=True)}

    def put(temporary: Path) -> None:
        (temporary / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        arrays = {_renamed(key): np.ascontiguousarray(array) for key, array in added.items()}
        (temporary / _ARRAYS).write_bytes(save(arrays, metadata))
        count = sum(array.size for array in added.values())
        text = (
            f"# {folder.name}\n\nAn adapter of the policy `{name}`: {count:,} weights.\n\n"
            f"```bash\nsim2real evaluate {name}+{folder.name}\n```\n"
        )
        (temporary / "README.md").write_text(text, encoding="utf-8")

    replace_folder(folder, put)


def read(folder: Path) -> Adapter:
    """What a folder holds.

    Raises:
        PolicyError: if it is damaged, foreign or edited; the message says where.
    """
    arrays, told = read_tensors(folder / _ARRAYS)
    table = Section(str(folder / _ARRAYS), told, PolicyError)
    config = Section.read_json(folder / _CONFIG, PolicyError)
    contract, network = folders.contract_of(table), folders.network_of(table, {})
    known = {_renamed(key): key for key in network.arrays_of(*network.by_name)}
    strange = sorted(set(arrays) - set(known))
    if strange:
        raise PolicyError(f"{folder / _ARRAYS}: {UnknownName('array', strange[0], known)}")
    weights = {known[key]: array for key, array in arrays.items()}
    base, revision = config.text("base_model_name_or_path"), config.text("revision")
    if config.values != _config(network, weights, base, revision):
        raise PolicyError(
            f"{folder / _CONFIG} was edited after its arrays were saved; restore it, or train it anew"
        )
    return Adapter(folder, base, revision, contract, network, weights)


def _renamed(key: str) -> str:
    """An array's name as peft has it."""
    end = next((end for end in _PEFT if key.endswith(end)), "")
    return _PREFIX + key.removesuffix(end) + _PEFT.get(end, "")


def _config(network: Network, added: Weights, base: str, revision: str) -> dict[str, object]:
    """What ``adapter_config.json`` says; of low-rank layers as peft's ``LoraConfig`` has it."""
    told: dict[str, object] = {"base_model_name_or_path": base, "revision": revision, "inference_mode": True}
    ends = (".adapter.down.weight", ".lora.A")
    layers = sorted({key.removesuffix(end) for end in ends for key in added if key.endswith(end)})
    ranks = {name: len(added[f"{name}.lora.A"]) for name in layers if f"{name}.lora.A" in added}
    if len(ranks) < len(layers):
        return {**told, "peft_type": "BOTTLENECK", "target_modules": layers}
    alphas = {name: (network.by_name[f"{name}.lora"].number or 0.0) * rank for name, rank in ranks.items()}
    return {
        **told,
        "peft_type": "LORA",
        "target_modules": layers,
        "r": max(ranks.values()),
        "rank_pattern": ranks,
        "lora_alpha": max(alphas.values()),
        "alpha_pattern": alphas,
        "lora_dropout": 0.0,
        "bias": "none",
    }


def merged(network: Network, weights: Weights) -> Grown:
    """Network and arrays with every low-rank layer made part of the dense one beside it: W + factor · B A.

    The product is added up in double precision, so that only its last rounding differs.

    Raises:
        PolicyError: for a low-rank layer that is not added to a dense one of the same input, or a dense one
            that others read too.
    """
    weights = dict(weights)
    for lora in [layer for layer in network.layers if layer.kind == "low_rank"]:
        dense, added = _beside(network, lora)
        up, down, weight = (
            weights.pop(key) for key in (f"{lora.name}.B", f"{lora.name}.A", f"{dense}.weight")
        )
        change = (lora.number or 0.0) * up.astype(np.float64) @ down.astype(np.float64)
        weights[f"{dense}.weight"] = (weight + change).astype(np.float32)
        network = network.without(added, lora.name, instead=dense)
    return network, weights


def _beside(network: Network, lora: Layer) -> tuple[str, str]:
    """The dense layer that a low-rank one is added to, and the sum of both."""
    readers = [layer for layer in network.layers if lora.name in layer.inputs]
    if len(readers) == 1 and readers[0].kind == "sum" and len(readers[0].inputs) == 2:
        (dense,) = [network.by_name.get(name) for name in readers[0].inputs if name != lora.name] or [None]
        alone = dense is not None and sum(dense.name in layer.inputs for layer in network.layers) == 1
        if dense is not None and alone and dense.kind == "dense" and dense.inputs == lora.inputs:
            return dense.name, readers[0].name
    raise PolicyError(f"layer {lora.name!r} is not simply added to a dense layer of the same input; it stays")
