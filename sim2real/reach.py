"""How far numbers of settings reach, in intervals as they are written: an end in brackets belongs to it.

>>> from types import SimpleNamespace
>>> check_reach(SimpleNamespace(share=1.0), "[0, 1)", "share")
Traceback (most recent call last):
sim2real.errors.InvalidValue: share = 1 is out of reach; give at least 0 and less than 1
"""

from __future__ import annotations

import math
from numbers import Integral, Real

from sim2real.errors import InvalidValue


def check_reach(settings: object, interval: str, *names: str) -> None:
    """Refuse numbers that are not in an interval, and fractions where whole numbers are meant.

    Args:
        settings: whose attributes are looked at; None is none.
        interval: as ``"(0, 1]"``, ``"[0, inf)"`` or ``"whole [1, 64]"``.
        *names: of the attributes.

    Raises:
        InvalidValue: for such a number.
    """
    whole = interval.startswith("whole ")
    least, most = interval.removeprefix("whole ").split(", ")
    low, high = float(least[1:]), float(most[:-1])
    ends = [f"{'at least' if least[0] == '[' else 'more than'} {low:g}"]
    ends += [f"{'at most' if most[-1] == ']' else 'less than'} {high:g}"] if high < math.inf else []
    for name in names:
        value = getattr(settings, name)
        sound = isinstance(value, Integral if whole else Real)
        above = sound and (low < value or (low == value and least[0] == "["))
        below = sound and (value < high or (value == high and most[-1] == "]"))
        if value is not None and not (above and below):
            shown = f"{value:g}" if isinstance(value, Real) else repr(value)
            kind = "a whole number of " * whole
            finite = ", and finite" * (not whole and value == math.inf == high)
            raise InvalidValue(f"{name} = {shown} is out of reach; give {kind}{' and '.join(ends)}{finite}")
