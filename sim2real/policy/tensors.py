"""A policy's or an adapter's arrays on disk: a safetensors file that carries a contract in its metadata."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sim2real.errors import PolicyError


def read_tensors(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
    """Arrays of a safetensors file, and the contract that its metadata hold.

    Raises:
        PolicyError: if it is damaged or foreign; the message says what.
    """
    if not path.is_file():
        raise PolicyError(f"{path.parent} is no policy: it has no {path.name}")
    try:
        with safe_open(path, framework="numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            for name, kind in kinds.items():
                if kind != "F32":
                    raise PolicyError(f"{path}: weights {name!r} are {kind}, not F32; save the policy anew")
            weights = {name: file.get_tensor(name) for name in kinds}
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
