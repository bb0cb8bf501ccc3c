"""The text of an ``io.toml``: a line for each joint and term."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

_HEAD = """\
# Written by `sim2real new` from {source}: what the policy sees and drives, in its own order.
# target = offset + scale * action (offset: the joint's default); effort = stiffness * (target - q) -
# damping * qd at every physics step. Units: rad, m, s, N, N·m.
"""
_COMMENTS = {
    "control_dt": "s, between two actions",
    "episode": "s",
    "hold": "s, of the first command before the policy is asked",
    "command": "forward and sideward speed, m/s, turning rate, rad/s; [least, most] is drawn",
    "num_obs": "numbers that the network takes",
    "base": "the free joint",
}


def io_text(table: Mapping[str, object], source: str) -> str:
    """The text for a table that `sim2real.io_table` reads."""
    lines, sections = [], []
    for key, value in table.items():
        if isinstance(value, Mapping):
            sections += [f"\n[{key}]", *(f"{name} = {_text(entry)}" for name, entry in value.items())]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"\n{key} = [", *(f"    {_text(entry)}," for entry in value), "]"]
        else:
            comment = f"  # {_COMMENTS[key]}" if key in _COMMENTS else ""
            lines.append(f"{key} = {_text(value)}{comment}")
    return _HEAD.format(source=source) + "\n".join((*lines, *sections)) + "\n"


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, float):
        single = np.float32(value)  # as short as what a network's float32 came from
        return str(float(str(single))) if float(single) == value else repr(value)
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name)
