"""Numbers and names as they are typed."""

from __future__ import annotations

import argparse
import math
from typing import TypeVar

Number = TypeVar("Number", int, float)


_THOUSANDS = {"k": 1_000, "M": 1_000_000}


def positive(text: str) -> int:
    """A whole number above 0; ``50k`` is 50,000, and ``2M`` 2,000,000."""
    unit = _THOUSANDS.get(text[-1:], 1)
    value = unit * _number(text if unit == 1 else text[:-1], int, "whole number")
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def amount(text: str) -> float:
    """A finite number above 0."""
    value = _number(text, float, "number")
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


def seed(text: str) -> int:
    """What every generator of random numbers takes."""
    from sim2real.draws import LARGEST_SEED

    value = _number(text, int, "whole number")
    if not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {LARGEST_SEED}")
    return value


def counted(text: str) -> tuple[str, int]:
    """A name and a whole number above 0, as in ``pole.mass:5``."""
    name, _, number = text.rpartition(":")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no PARAMETER:N")
    return name, positive(number)


def _number(text: str, kind: type[Number], name: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {name}") from None
