"""Every way to transfer a policy, one file a family; `sim2real methods` lists them."""

from collections.abc import Callable
from typing import cast

from sim2real.errors import InvalidValue
from sim2real.registry import Registry
from sim2real.transfer.methods.controls import ZeroShot
from sim2real.transfer.methods.fine_tuning import FineTune, Rehearsal
from sim2real.transfer.methods.method import Card, Case, Method

MethodFactory = Callable[..., Method]
"""Makes a method from its settings by name."""


def _check(name: str, method: object) -> MethodFactory:
    """A class of methods, if it is one.

    Raises:
        InvalidValue: for what has no card, or makes nothing to call.
    """
    makes = isinstance(method, type) and callable(getattr(method, "__call__", None))  # noqa: B004
    if not makes or not isinstance(getattr(method, "card", None), Card):
        raise InvalidValue(
            f"{method!r} is no method; register {name!r} as a class of settings with an attribute card, a "
            "sim2real.transfer.methods.Card, and __call__(case), which returns a policy"
        )
    return cast(MethodFactory, method)


METHODS: Registry[MethodFactory] = Registry(
    "method",
    "sim2real.methods",
    {"zero-shot": ZeroShot, "fine-tune": FineTune, "rehearsal": Rehearsal},
    _check,
)
"""Transfer methods by name: classes of settings."""

register_method = METHODS.register

__all__ = ["METHODS", "Card", "Case", "Method", "MethodFactory", "register_method"]
