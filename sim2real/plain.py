"""Results as JSON, and read again into their dataclasses; data alone, which runs no code."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sim2real.documents import Section, is_number
from sim2real.errors import InvalidValue

T = TypeVar("T")


def as_json(found: Any) -> str:  # noqa: ANN401
    """A dataclass, or a mapping of such, as the text of a JSON file; null for a number that is undefined."""
    return json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:  # noqa: ANN401
    """Dataclasses, mappings and sequences as the values that JSON has; null for what is not finite."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_as(kind: type[T], path: Path, key: str = "") -> T:
    """A dataclass from a JSON file that has its fields, as `dataclasses.asdict` writes them.

    Args:
        kind: the dataclass.
        path: of the file.
        key: under which it stands there; the whole file by default.

    Raises:
        InvalidValue: for a file that is damaged, or that another version wrote.
        OSError: as raised by the file system.
    """
    table = Section.read_json(path)
    try:
        found = as_type(kind, (table.section(key) if key else table).values)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValue(
            f"{path} is not what this version writes ({error}); run the command again that made it"
        ) from error
    assert isinstance(found, kind)
    return found


def as_type(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """A plain value as a type: a dataclass, a union, a tuple, a mapping, a number, a text.

    Raises:
        KeyError: for a field that is missing.
        TypeError: for a value of another kind.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return as_type(next(one for one in inner if one is not type(None)), value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is no list")
        kinds = inner[:1] * len(value) if inner[-1] is ... else inner
        return tuple(as_type(one, part) for one, part in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {str(name): as_type(inner[1], part) for name, part in value.items()}
    if origin is Literal or kind in (Any, object):
        return value
    if kind is float and (value is None or is_number(value)):
        return math.nan if value is None else float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _dataclass(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """Fields that are not in the file have their defaults; others are left aside."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no table")
    hints, given = get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            given[field.name] = as_type(hints[field.name], value[field.name])
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise KeyError(f"no {field.name}")
    return kind(**given)
