"""Units of logs: those that a mapping file knows, and how people write them."""

from __future__ import annotations

import math
from collections.abc import Mapping

SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Seconds per unit of a clock."""

UNITS: Mapping[str, tuple[float, str]] = {
    "rad": (1.0, "rad"),
    "deg": (math.pi / 180, "rad"),
    "rev": (2 * math.pi, "rad"),
    "m": (1.0, "m"),
    "cm": (1e-2, "m"),
    "mm": (1e-3, "m"),
}
"""Factor of a unit to rad or m, and which of the two."""

_WRITTEN = {
    "rad": ("radian", "radians", "rads"),
    "deg": ("degree", "degrees", "deg.", "degs", "dps", "°", "º"),
    "rev": ("revs", "revolution", "revolutions", "rotation", "rotations", "turn", "turns"),
    "m": ("meter", "meters", "metre", "metres"),
    "cm": ("centimeter", "centimeters", "centimetre", "centimetres"),
    "mm": ("millimeter", "millimeters", "millimetre", "millimetres"),
    "s": ("sec", "secs", "second", "seconds"),
    "ms": ("msec", "millisecond", "milliseconds"),
    "us": ("usec", "µs", "μs", "microsecond", "microseconds"),
    "ns": ("nsec", "nanosecond", "nanoseconds"),
    "%": ("percent", "pct"),
    "mrad": ("milliradian", "milliradians"),
    "ticks": ("tick", "count", "counts", "pulse", "pulses", "step", "steps", "raw"),
    "rev/min": ("rpm", "r/min"),
    "in": ("inch", "inches"),
    "gon": ("grad", "gradian", "gradians"),
    "arcmin": (),
}
_NAMED = {name: unit for unit, names in _WRITTEN.items() for name in (unit, *names)}


def unit_named(text: str) -> str:
    """The unit that people write so, per second or not; empty for what is no unit.

    >>> unit_named("[Degrees/s]"), unit_named("rpm"), unit_named("left")
    ('deg', 'rev/min', '')
    """
    whole = text.strip("[]() ").lower()
    name, _, per = whole.partition("/")
    unit, per = _NAMED.get(name.strip(), ""), per.strip()
    if whole in _NAMED or not unit:
        return _NAMED.get(whole, "")
    return unit if _NAMED.get(per, per) in ("", "s") else f"{unit}/{per}"
