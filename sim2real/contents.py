"""What a world consists of, by name, as policies and checkpoints carry it, and what differs between two.

    {"parameters": {"pole.mass": 0.024}, "scene": {"body pole": "5d41402a", "joint hinge": "bc4b2a76"}}

Elements of the scene are hashes of what acts in them: no colour, no order, no place in the file. Parameters
of the model are there once more as numbers, so that a difference can be told in words; ``effects`` are
options of the engine and what channels do, and ``files`` what else acts; ``held_out`` has a digest of the
held-out variants, which are no part of what acts and differ from nothing. An empty table is that of something
made before there were any, and differs from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

Contents = Mapping[str, Mapping[str, float | str]]

_MANY = 6
"""Differences that are told one by one."""


def differences(mine: Contents, other: Contents) -> list[str]:
    """What is not the same, in words: what it was, and what it is now."""
    if not mine or not other:
        return []
    was, now = (table.get("parameters", {}) for table in (mine, other))
    told = [_change(name, was, now) for name in sorted({*was} & {*now}) if was[name] != now[name]]
    was, now = (table.get("effects", {}) for table in (mine, other))
    told += [_change(name, was, now) for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    for part, where in (("scene", " in scene.xml"), ("files", "")):
        was, now = (table.get(part, {}) for table in (mine, other))
        changed = sorted(name for name in {*was} & {*now} if was[name] != now[name])
        gone, new = sorted({*was} - {*now}), sorted({*now} - {*was})
        for names, what in ((changed, "another"), (gone, "no more"), (new, "a new")):
            if names:
                told.append(f"{what} {_listed(names)}{where}")
    return told


def _change(name: str, was: Mapping[str, float | str], now: Mapping[str, float | str]) -> str:
    return f"{name} was {_number(was.get(name))} and is {_number(now.get(name))}"


def _number(value: float | str | None) -> str:
    return "as usual" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MANY])
    return shown if len(names) <= _MANY else f"{shown} and {len(names) - _MANY} more"
