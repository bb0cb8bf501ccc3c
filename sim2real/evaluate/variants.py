"""Which variants an evaluation meets: held-out ones by name, and domains."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.simulators import installed
from sim2real.world import CONTROL, Variant, World

_log = logging.getLogger(__name__)


def chosen_variants(world: World, names: Sequence[str | Domain | Variant] | None) -> list[Variant]:
    """The variants that are evaluated: those given, or all whose engine is installed; always the control arm.

    Raises:
        UnknownName: for a variant that does not exist.
        InvalidValue: if two have one name.
    """
    if names is None:
        known = list(world.variants.values())
        missing = sorted({v.simulator for v in known if not installed(v.simulator)})
        for name in missing:
            _log.warning('variants in %s are left out; `pip install "sim2real[%s]"` brings it', name, name)
        return [variant for variant in known if variant.simulator not in missing]
    plain = [name for name in names if isinstance(name, str)]
    chosen = [_variant(world, name) for name in dict.fromkeys((CONTROL, *plain))]
    domains = [world.domain(given) for given in names if isinstance(given, Domain)]
    chosen += [_drawn(f"domain_{k + 1}", domain) for k, domain in enumerate(domains)]
    chosen += [given for given in names if isinstance(given, Variant) and given.name != CONTROL]
    told = [variant.name for variant in chosen]
    twice = [name for name in told if told.count(name) > 1]
    if twice:
        raise InvalidValue(f"two variants are called {twice[0]!r}; rename one, such as its file")
    return chosen


def _variant(world: World, name: str) -> Variant:
    path = Path(name)
    if name in world.variants or not path.is_file():
        return world.variant(name)
    return _drawn(path.stem, world.domain(name))


def _drawn(name: str, domain: Domain) -> Variant:
    if domain.is_point:
        return Variant(name, "combined", domain.median())
    return Variant(name, "combined", {}, drawn=domain)
