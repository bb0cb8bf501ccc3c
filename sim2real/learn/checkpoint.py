"""Whose a checkpoint is, and what it holds: a safetensors file with a description of its run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from sim2real.contents import differences
from sim2real.env import task_class
from sim2real.errors import InvalidValue
from sim2real.world import World

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


def description(world: World, *run: object) -> str:
    """What a run is: its world, by name and content, and everything else that it was told."""
    spec = task_class(world).spec
    acts = {part: names for part, names in world.contents.items() if part != "held_out"}
    table = {"world": world.name, "task": [spec.name, spec.version], "contents": acts, "run": run}
    return json.dumps(table, sort_keys=True, default=list)


def read_checkpoint(path: Path, mine: str) -> tuple[dict[str, str], dict[str, torch.Tensor]] | None:
    """Numbers and arrays of a checkpoint of this run; None to begin anew.

    Args:
        path: of the file; a run that was not interrupted has none.
        mine: this run's `description`.

    Raises:
        InvalidValue: if it was trained in another world.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        _log.warning("checkpoint %s can't be read (%s); starting anew", path, error)
        return None
    if metadata.get("description") != mine:
        _check_world(path, _table(metadata.get("description", "")), _table(mine))
        _log.warning("checkpoint %s is of a run with other settings; starting anew", path)
        return None
    return metadata, tensors


def _check_world(path: Path, other: Mapping[str, object], mine: Mapping[str, object]) -> None:
    """Refuse to go on, or to overwrite, what was learnt in another world."""
    was, now = (table.get("contents", {}) for table in (other, mine))
    changed = differences(was, now) if isinstance(was, dict) and isinstance(now, dict) else []
    if changed:
        raise InvalidValue(
            f"{path} was trained in another world {other['world']}: {'; '.join(changed)}. To go on, put the "
            f"world back as it was; to begin anew, delete {path.parent} or give another folder"
        )


def _table(text: str) -> dict[str, object]:
    """A description; empty if an older version wrote it."""
    try:
        table = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return table if isinstance(table, dict) else {}
