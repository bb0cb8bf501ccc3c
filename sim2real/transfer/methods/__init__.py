"""Every way to transfer a policy, one file a family; `sim2real methods` lists them."""

import dataclasses
import tomllib
from collections.abc import Mapping
from typing import Any, TypeAlias

from sim2real.documents import Section
from sim2real.errors import InvalidValue, UnknownName
from sim2real.registry import Registry
from sim2real.transfer.methods import fine_tuning as tuning
from sim2real.transfer.methods.additions import Progressive, Residual
from sim2real.transfer.methods.context import ContextSearch
from sim2real.transfer.methods.controls import ZeroShot
from sim2real.transfer.methods.distillation import Distill
from sim2real.transfer.methods.identify import Identify, RandomizeAgain
from sim2real.transfer.methods.method import Card, Case, Method
from sim2real.transfer.methods.normalizer import AdaptNormalizer
from sim2real.transfer.methods.off_policy import OffPolicy

MethodFactory: TypeAlias = type[Any]
"""A class of methods: settings by name make one; see `sim2real.transfer.methods.method.Method`."""


def _check(name: str, method: object) -> MethodFactory:
    """A class of methods, if it is one.

    Raises:
        InvalidValue: for what has no card, or makes nothing to call.
    """
    if not isinstance(method, type) or not isinstance(getattr(method, "card", None), Card):
        raise InvalidValue(
            f"{method!r} is no method; register {name!r} as a class of settings with an attribute card, a "
            "sim2real.transfer.methods.Card, and __call__(case), which returns a policy"
        )
    return method


METHODS: Registry[MethodFactory] = Registry(
    "method",
    "sim2real.methods",
    {
        "zero-shot": ZeroShot,
        "from-scratch": tuning.FromScratch,
        "fine-tune": tuning.FineTune,
        "rehearsal": tuning.Rehearsal,
        "anchored": tuning.Anchored,
        "weight-anchored": tuning.WeightAnchored,
        "elastic": tuning.Elastic,
        "averaged": tuning.Averaged,
        "feature-extraction": tuning.FeatureExtraction,
        "partial": tuning.Partial,
        "unfreezing": tuning.Unfreezing,
        "biases": tuning.Biases,
        "low-rank": tuning.LowRank,
        "adapters": tuning.Adapters,
        "residual": Residual,
        "progressive": Progressive,
        "normalizer": AdaptNormalizer,
        "off-policy": OffPolicy,
        "distill": Distill,
        "context": ContextSearch,
        "identify": Identify,
        "randomize-again": RandomizeAgain,
    },
    _check,
)
"""Transfer methods by name: classes of settings."""

register_method = METHODS.register


def make_method(name: str, settings: Mapping[str, object] | None = None) -> Method:
    """A method with settings by name, checked against its defaults.

    Raises:
        UnknownName: if there is no such method or setting.
        InvalidValue: for a value of another type, one that the method refuses, or one that changes nothing.
    """
    known = settings_of(name)
    given = Section(f"the method {name!r}", dict(settings or {}))
    for key in given.values:
        if key not in known:
            raise UnknownName(f"setting of the method {name!r}", key, known)
    made: Method = METHODS[name](**{key: given.value_like(key, known[key]) for key in given.values})
    idle = sorted(set(given.values) & getattr(made, "idle", set()))
    if idle:
        raise InvalidValue(
            f"{', '.join(idle)} changes nothing of the method {name!r} beside its other settings; leave it "
            f"out, or see `sim2real methods {name}`"
        )
    return made


def read_method(spec: str) -> Method:
    """A method as it is written: ``rehearsal``, or with settings ``rehearsal:average=0.1,rehearse=training``.

    Raises:
        UnknownName: if there is no such method or setting.
        InvalidValue: for a setting without a value, or with one that can't be.
    """
    name, _, rest = spec.partition(":")
    return make_method(name.strip(), dict(_setting(part, spec) for part in rest.split(",") if part.strip()))


def _setting(text: str, spec: str) -> tuple[str, object]:
    """Name and value of a setting, a value as TOML has it or a text as it stands."""
    name, _, value = (part.strip() for part in text.partition("="))
    if not name or not value:
        raise InvalidValue(
            f"{text.strip()!r} in the method {spec!r} is no setting; write it as NAME=VALUE, as in "
            "rehearsal:average=0.1,rehearse=training"
        )
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def settings_of(name: str) -> dict[str, object]:
    """Settings of a method, the fields of its class, with their defaults.

    Raises:
        UnknownName: if there is no such method.
    """
    factory = METHODS[name]
    fields = dataclasses.fields(factory) if dataclasses.is_dataclass(factory) else ()
    return {field.name: field.default for field in fields}


__all__ = [
    "METHODS",
    "Card",
    "Case",
    "Method",
    "make_method",
    "read_method",
    "register_method",
    "settings_of",
]
