"""What is written into the ``physics.toml`` of a new world: parameters and variants that change something."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import tomli_w

from sim2real.audit import AuditSettings, audit_world, check_variants
from sim2real.audit.excitation import CHEAP
from sim2real.audit.finding import ALIVE, PARTLY, Finding
from sim2real.audit.measure import NOISY
from sim2real.env import make_task
from sim2real.errors import Sim2RealError
from sim2real.parameters import Parameter
from sim2real.scaffold.parameters import with_parameters
from sim2real.simulators import installed, make_simulator
from sim2real.world import Variant, World


def without_dead(world: World) -> tuple[World, list[str]]:
    """The world without parameters and ends of ranges that change nothing in its task's motion; and why."""
    audit = audit_world(world, AuditSettings(policies=(), excitation=CHEAP))
    notes, parameters = [], dict(world.parameters)
    if audit.noise > NOISY:
        return world, [
            f"which parameters act isn't known: two runs of the same physics differ by {audit.noise:.2g} "
            "of the motion"
        ]
    for finding in audit.findings:
        if finding.verdict == PARTLY:
            parameters[finding.name] = _up_to_nominal(parameters[finding.name], finding)
            notes.append(f"a range ends at the nominal value, as {finding.sentence}")
        elif finding.verdict != ALIVE:
            del parameters[finding.name]
            notes.append(f"left out: {finding.sentence}")
    return replace(world, parameters=parameters), notes


def _up_to_nominal(parameter: Parameter, finding: Finding) -> Parameter:
    """The parameter with a range that ends at the nominal value where going on changes nothing."""
    still = [end.value for end in finding.ends if not end.moved]
    low, high = (
        parameter.nominal if any(math.isclose(end, value) for value in still) else end
        for end in (parameter.low, parameter.high)
    )
    return replace(parameter, low=low, high=high)


def varied(
    world: World,
    structure: Iterable[Parameter],
    possible: Callable[[Mapping[str, Parameter]], Iterable[Variant]],
) -> World:
    """The world with those of some variants that change something in it.

    Args:
        world: which has none yet.
        structure: parameters that variants alone may ask for.
        possible: the variants of a world that has all these parameters.
    """
    known = with_parameters(world, structure)
    wide = known.with_variants({variant.name: variant for variant in possible(known.parameters)})
    variants = {name: variant for name, variant in wide.variants.items() if _acts(wide, variant)}
    pushed = any(name.endswith(".push") for v in variants.values() for name in v.physics)
    used = {name for v in variants.values() for name in v.physics}
    kept = {
        name: p
        for name, p in known.parameters.items()
        if name in world.parameters or name in used or (pushed and "push" in p.quantity.name)
    }
    return replace(wide, parameters=kept, variants=variants)


def physics_text(source: str, top: Mapping[str, object], world: World) -> str:
    """The file.

    Args:
        source: whose the nominal values are, as a comment says it.
        top: what stands before the parameters and variants.
        world: which has them.
    """
    groups: dict[str, dict[str, dict[str, object]]] = {}
    for variant in world.variants.values():
        engine = {"simulator": variant.simulator} if variant.simulator != "mujoco" else {}
        groups.setdefault(variant.group, {})[variant.name] = {**engine, **variant.physics}
    parameters = {p.name: _entry(p) for p in world.parameters.values()}
    table = {**top, "parameters": parameters, "variants": groups}
    return _HEAD.format(source=source) + tomli_w.dumps(table)


def _acts(world: World, variant: Variant) -> bool:
    """Whether a variant is possible, and changes something."""
    try:
        world.check(variant.domain)
        if variant.simulator == "mujoco":
            check_variants(world, [variant])
        elif not installed(variant.simulator):
            return False
        else:
            make_task(world, make_simulator(variant.simulator, world, 1), None)
    except Sim2RealError:
        return False
    return True


def _entry(parameter: Parameter) -> dict[str, object]:
    entry: dict[str, object] = {"unit": parameter.unit, "nominal": parameter.nominal}
    if parameter.low < parameter.high:
        digits = [parameter.low, parameter.high]
        entry["range"] = [float(f"{x:.6g}") for x in digits]
        if parameter.scale == "log":
            entry["scale"] = "log"
    if parameter.elements != (parameter.name.rpartition(".")[0],) and parameter.elements:
        entry["elements"] = list(parameter.elements)
    return {**entry, "source": parameter.source}


_HEAD = """\
# Written by `sim2real new`. Nominal values are those of {source}; ranges and variants are assumed. Put
# in what you know: data sheets, measurements, or `sim2real identify`, and say in `source` where a number
# comes from.
"""
