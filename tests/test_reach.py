"""Numbers of settings within their reach, and everybody's settings beyond it."""

import dataclasses
import importlib
import math
import pkgutil
from types import SimpleNamespace

import pytest

import sim2real
from sim2real.errors import InvalidValue
from sim2real.reach import check_reach


@pytest.mark.parametrize(
    ("interval", "within", "beyond", "said"),
    [
        ("[0, 1)", (0, 0.5), (1.0, -0.1), "at least 0 and less than 1"),
        ("(0, 1]", (1, 1e-9), (0.0, 1.1), "more than 0 and at most 1"),
        ("[0, inf)", (0.0, 1e300), (-1e-9, math.inf), "at least 0"),
        ("(0, inf]", (math.inf,), (0,), "more than 0"),
        ("whole [1, 64]", (1, 64), (0, 65, 2.0), "a whole number of at least 1 and at most 64"),
    ],
)
def test_what_is_in_an_interval_passes_and_the_rest_is_named(interval, within, beyond, said):
    for value in (*within, None):
        check_reach(SimpleNamespace(share=value), interval, "share")
    for value in (*beyond, math.nan, "1"):
        with pytest.raises(InvalidValue, match=f"share = .* is out of reach; give {said}"):
            check_reach(SimpleNamespace(share=value), interval, "share")


def settings_of(package):
    """Every dataclass of the package that refuses something and can be made without an argument."""
    for module in pkgutil.walk_packages(package.__path__, "sim2real."):
        if module.name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            own = isinstance(kind, type) and kind.__module__ == module.name and dataclasses.is_dataclass(kind)
            if own and hasattr(kind, "__post_init__"):
                fields = dataclasses.fields(kind)
                empty = dataclasses.MISSING
                if all(f.default is not empty or f.default_factory is not empty for f in fields if f.init):
                    yield kind


@pytest.mark.slow
def test_no_settings_take_a_number_that_is_none_or_a_fraction_of_a_count():
    found = []
    for kind in settings_of(sim2real):
        for field in dataclasses.fields(kind):
            if field.name == "seed":  # which whatever draws with it checks
                continue
            name, *_ = str(field.type).split(" ")
            for bad in {"int": (math.nan, 2.5), "float": (math.nan,)}.get(name, ()):
                try:
                    kind(**{field.name: bad})
                except InvalidValue:
                    continue
                found.append(f"{kind.__name__}({field.name}={bad})")
    assert not found
