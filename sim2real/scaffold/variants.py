"""Held-out variants of a new world: inside and outside its ranges, combined, structural, another engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import mujoco

from sim2real.parameters import Parameter
from sim2real.scaffold.parameters import heaviest
from sim2real.world import Variant, element_names

_HEAVY, _LOOSE, _MOTOR = ("mass",), ("damping", "frictionloss"), ("strength",)


def pushed(model: mujoco.MjModel) -> tuple[str, float]:
    """The body that is pushed, which is the heaviest, and how hard, N: by a fifth of the weight."""
    heavy = heaviest(model)
    weight = 9.81 * float(model.body_mass[heavy].sum())
    return element_names(model, "body")[heavy[0]] if heavy else "", float(f"{0.2 * weight:.2g}")


def structure_of(base: str) -> list[Parameter]:
    """Parameters that training leaves alone, for structural variants: pushes, and a base that isn't level."""
    source = "none in the model; assumed for the structural variants"
    slope = Parameter("world.slope_x", "rad", 0.0, 0.0, 0.0, source)
    if not base:
        return [slope]
    return [
        slope,
        Parameter(f"{base}.push", "N", 0.0, 0.0, 0.0, source, (base,)),
        Parameter(f"{base}.push_interval", "s", 2.0, 2.0, 2.0, source, (base,)),
        Parameter(f"{base}.push_duration", "s", 0.1, 0.1, 0.1, source, (base,)),
    ]


def variants_of(parameters: Mapping[str, Parameter], push: float) -> Iterator[Variant]:
    """The variants that a world with these parameters can have; values of a push in N."""
    inside = {
        "heavier": _at(parameters, _HEAVY, 0.75),
        "weaker_motors": _at(parameters, _MOTOR, 0.25),
        "late": _at(parameters, ("latency",), 0.5),
        "more_friction_in_joints": _at(parameters, _LOOSE, 0.85),
    }
    outside = {
        "much_heavier": _beyond(parameters, _HEAVY, 1.5),
        "very_weak_motors": _beyond(parameters, _MOTOR, 0.65),
        "very_late": _beyond(parameters, ("latency",), 2.0),
        "payload": _beyond(parameters, ("payload",), 2.0),
        "much_friction_in_joints": _beyond(parameters, _LOOSE, 4.0),
    }
    combined = {
        "combined_a": {**inside["heavier"], **inside["weaker_motors"], **inside["late"]},
        "combined_b": {
            name: value
            for quantities, share in ((_HEAVY, 1.0), (_MOTOR, 0.0), (("latency",), 1.0), (_LOOSE, 1.0))
            for name, value in _at(parameters, quantities, share).items()
        },
    }
    structural = {"tilted": {"world.slope_x": 0.1} if "world.slope_x" in parameters else {}}
    structural["pushed"] = {name: push for name, p in parameters.items() if p.quantity.name == "push"}
    groups = {
        "interpolation": inside,
        "extrapolation": outside,
        "combined": combined,
        "structural": structural,
    }
    for group, variants in groups.items():
        for name, physics in variants.items():
            moved = {n: value for n, value in physics.items() if value != parameters[n].nominal}
            if moved:  # a latency of few steps may be rounded to nominal
                yield Variant(name, group, moved)
    yield Variant("bullet", "simulator", {}, "bullet")


def at_share(parameters: Mapping[str, Parameter], share: float) -> dict[str, float]:
    """Values at a share of the range: 0 its lower end, 1 its upper; others lie outside."""
    return {
        name: _rounded(
            p, p.low * (p.high / p.low) ** share if p.scale == "log" else p.low + share * (p.high - p.low)
        )
        for name, p in parameters.items()
        if p.low < p.high
    }


def _at(parameters: Mapping[str, Parameter], quantities: tuple[str, ...], share: float) -> dict[str, float]:
    return at_share({n: p for n, p in parameters.items() if p.quantity.name in quantities}, share)


def _beyond(
    parameters: Mapping[str, Parameter], quantities: tuple[str, ...], factor: float
) -> dict[str, float]:
    """Values outside the range: a factor on the nominal, or on the upper end of what is nominally none."""
    return {
        name: _rounded(p, factor * (p.nominal if p.quantity.neutral is None and p.nominal else p.high))
        for name, p in parameters.items()
        if p.quantity.name in quantities and p.low < p.high
    }


def _rounded(parameter: Parameter, value: float) -> float:
    if parameter.quantity.integer:
        return float(round(value))
    return float(f"{value:.4g}") if math.isfinite(value) else value
