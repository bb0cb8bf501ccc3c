"""Files as people and programs leave them: with or without a byte-order mark, cut off, values of any type.

    section = Section.read_toml(path)
    for name, entry in section.section("variants").sections().items():
        entry.number("oracle")              # a float, or InvalidValue with file, key and what stands there

One reader for everything in TOML and JSON: a wrong type, a NaN, a missing key and a file that is none get a
sentence here, so that no reader needs its own.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
import math
import reprlib
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, Sim2RealError, UnknownName

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_text(path: Path, error: type[Sim2RealError] = InvalidValue) -> str:
    """The text of a file in UTF-8, or in UTF-16 if a byte-order mark says so; the mark is left out.

    Raises:
        Sim2RealError: of the class given, for a file in another encoding, or one that is no text.
        OSError: as raised by the file system.
    """
    raw = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as unreadable:
        raise error(
            f"{path}: not a text file in UTF-8 ({unreadable.reason} at byte {unreadable.start}); save it as "
            "UTF-8, or copy it again if it should be"
        ) from unreadable
    if "\0" in text:
        kind = "in UTF-16 without a byte-order mark" if raw[1:4:2] == b"\0\0" or raw[:3:2] == b"\0\0" else ""
        raise error(f"{path}: {kind or 'not a text file, it holds zero bytes'}; save it as UTF-8")
    return text


def read_arrays(
    path: Path, kind: str, needed: Collection[str], others: Collection[str], error: type[Sim2RealError]
) -> dict[str, NDArray[Any]]:
    """Arrays of a ``.npz`` file: those that are needed, and others where it has them; nothing is unpickled.

    Args:
        path: the file.
        kind: what it should be, as a user would say it: ``"a recording"``.
        needed: names of arrays that it must have.
        others: names of arrays that it may have.
        error: what is raised.

    Raises:
        Sim2RealError: of the class given, for a file that is damaged or lacks an array.
        OSError: as raised by the file system.
    """
    with path.open("rb") as file:  # opened here, because np.load leaves a damaged file open
        try:
            with np.load(file, allow_pickle=False) as archive:
                held = archive.files
                found = {key: archive[key] for key in held if key in needed or key in others}
        except (
            Exception
        ) as wrong:  # zipfile, its decompressors and NumPy's headers each have classes of their own
            advice = "is it cut off? Copy it again"
            if "Object arrays" in str(wrong):
                advice = "save plain arrays, names by np.array(names, dtype=str); no object is unpickled here"
            said = (
                "it is no archive" if "allow_pickle" in str(wrong) and "Object" not in str(wrong) else wrong
            )
            raise error(f"{path}: not a readable .npz file ({said}); {advice}") from wrong
    missing = sorted(set(needed) - set(found))
    if missing:
        raise error(
            f"{path}: not {kind}, it lacks {', '.join(missing)}; it holds {', '.join(held) or 'nothing'}"
        )
    return found


def is_number(value: object) -> TypeGuard[Real]:
    """Whether something is a number of Python's or numpy's that a float can hold, and no bool."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return not isinstance(value, Integral) or abs(int(value)) < 2**1023


@dataclass(frozen=True)
class Section:
    """A table of a TOML or JSON file, asked for its values by key and type.

    Every method raises the ``error`` of the section, with a sentence that says where, what and what is meant.
    """

    path: str
    """Of the file."""
    values: Mapping[str, object]
    error: type[Sim2RealError] = InvalidValue
    place: str = ""
    """In the file, as what its keys begin with: ``"joints.elbow."``."""

    @classmethod
    def read_toml(cls, path: Path, error: type[Sim2RealError] = InvalidValue) -> Section:
        """The whole of a TOML file.

        Raises:
            OSError: as raised by the file system.
        """
        return cls._parsed(path, error, tomllib.loads, "TOML")

    @classmethod
    def read_json(cls, path: Path, error: type[Sim2RealError] = InvalidValue) -> Section:
        """The whole of a JSON file whose outermost value is a table.

        Raises:
            OSError: as raised by the file system.
        """
        return cls._parsed(path, error, json.loads, "JSON")

    @classmethod
    def _parsed(
        cls, path: Path, error: type[Sim2RealError], parse: Callable[[str], Any], form: str
    ) -> Section:
        text = read_text(path, error)
        try:
            table = parse(text)
        except (ValueError, RecursionError) as wrong:  # a number of 5000 digits is a plain ValueError
            raise error(f"{path} is not a {form} file: {wrong}; mend it, or copy it again") from wrong
        if not isinstance(table, dict):
            raise error(f"{path}: it holds {reprlib.repr(table)} where a table is meant")
        return cls(str(path), table, error)

    def __contains__(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self.values

    def only(self, *known: str) -> Section:
        """The section itself, if it has no key but these."""
        for key in self.values:
            if key not in known:
                names = [self.place + name for name in known]
                raise self.error(f"{self.path}: {UnknownName('key', self.place + key, names)}")
        return self

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(key, default)
        if not is_number(value):
            raise self._refusal(key, value, "a number")
        number = float(value)
        if not math.isfinite(number):
            raise self._refusal(key, value, "a finite number")
        return number

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number of 64 bits."""
        value = self._value(key, default)
        if not isinstance(value, Integral) or isinstance(value, bool) or abs(int(value)) >= 2**63:
            raise self._refusal(key, value, "a whole number")
        return int(value)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that can be shown."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self._refusal(key, value, "a text")
        return value

    def texts(self, key: str, default: Iterable[str] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(key, None if default is None else list(default))
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._refusal(key, value, "a list of texts")
        return tuple(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self._value(key, None)
        if not isinstance(value, list):
            raise self._refusal(key, value, "a list of numbers")
        rows = {f"{key}[{k}]": entry for k, entry in enumerate(value)}
        return tuple(map(dataclasses.replace(self, values=rows).number, rows))

    def value_like(self, key: str, default: object) -> object:
        """What is meant by a setting that has this default.

        A flag, a text, a whole number above 0 or a row of those, or a number that is not below 0.
        """
        value = self._value(key, None)
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise self._refusal(key, value, "true or false")
            return value
        if isinstance(default, str):
            return self.text(key)
        if isinstance(default, tuple):
            if not isinstance(value, list | tuple) or not value:
                raise self._refusal(key, value, "a list of whole numbers")
            rows = {f"{key}[{k}]": entry for k, entry in enumerate(value)}
            return tuple(dataclasses.replace(self, values=rows).value_like(name, 1) for name in rows)
        whole = isinstance(default, int)
        number = self.whole(key) if whole else self.number(key)
        if number < whole:
            raise self._refusal(key, value, "above 0" if whole else "at least 0")
        return number

    def section(self, key: str) -> Section:
        """The table under a key; an empty one where there is none."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self._refusal(key, value, "a table")
        return dataclasses.replace(self, values=value, place=f"{self.place}{key}.")

    def sections(self) -> dict[str, Section]:
        """Everything in it, each a table."""
        return {key: self.section(key) for key in self.values}

    def entries(self, key: str) -> list[Section]:
        """A list of tables."""
        value = self._value(key, None)
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self._refusal(key, value, "a list of tables")
        return [
            dataclasses.replace(self, values=entry, place=f"{self.place}{key}[{k}].")
            for k, entry in enumerate(value)
        ]

    def _value(self, key: str, default: object) -> object:
        value = self.values.get(key, default)
        if value is None:
            known = ", ".join(list(self.values)[:8]) or "nothing"
            raise self.error(f"{self.path}: there is no {self.place}{key}; there is {known}")
        return value

    def _refusal(self, key: str, value: object, meant: str) -> Sim2RealError:
        return self.error(f"{self.path}: {self.place}{key} is {reprlib.repr(value)}, not {meant}")
