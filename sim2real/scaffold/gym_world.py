"""A world folder of a gymnasium env: ``[env]`` in place of a scene, parameters, variants and a README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.files import write_atomically
from sim2real.parameters import ENV, Parameter, quantity_of
from sim2real.scaffold.parameters import candidates, ranged, with_parameters
from sim2real.scaffold.physics_text import physics_text, varied, without_dead
from sim2real.scaffold.variants import at_share, pushed, structure_of, variants_of
from sim2real.world import SCHEME, UNIT, Variant, World
from sim2real.world.gym.inspection import GymEnv

_CLOCKS = ("dt", "frame_skip", "tau")
"""Attributes that say how long a step is, and so are no physics."""
_FACTORS = 0.7, 1.3
_LATE = 0.02  # s
_NOISE = 0.02
_STEPS = 100
_BODIES = 8
"""Links with a mass of their own, the heaviest."""


def write_env(place: Path, folder: Path, world_name: str) -> list[str]:
    """Write a world of a gymnasium env.

    Args:
        place: the folder to write to.
        folder: what it will be.
        world_name: ``gym:ID``, or ``gym:my_module:ID``, which imports the module.

    Returns:
        What was left out and what to look at, a sentence each.

    Raises:
        UnknownName: for an id that nothing registers.
        InvalidValue: for an env that can't be a world, or has no physics.
    """
    bare = World.load(world_name)
    assert bare.env is not None
    module, _, env_id = world_name.removeprefix(SCHEME).rpartition(":")
    _check_physics(bare.env)
    world, notes = _steady(replace(with_parameters(bare, _candidates(bare)), variants={}))
    world, dead = without_dead(world)
    world = varied(world, _structure(world), lambda parameters: _variants(world, parameters))
    own = any(p.elements == (ENV,) for p in world.parameters.values())
    look = "parameters env.… are numbers that the env keeps as attributes; delete those that are no physics"
    notes = [*notes, *dead, *([look] if own else [])]
    top = {"title": f"{folder.name}: {env_id}", "env": {"id": env_id}}
    write_atomically(place / "physics.toml", physics_text(env_id, top, world))
    write_atomically(place / "README.md", _readme(folder, env_id, module, notes))
    World.load(place)
    return notes


def _check_physics(env: GymEnv) -> None:
    """Refuse an env that nothing can be changed in."""
    if not env.engine and not env.takes_physics and not _attributes(env):
        raise InvalidValue(
            f"{env.source.name} has no physics to vary: no MuJoCo model, no PyBullet client, no method "
            "set_physics, and no number that it keeps as an attribute; give it one, as self.mass = 1.0, or "
            f"go without a folder: {SCHEME}{env.source.name}"
        )


def _attributes(env: GymEnv) -> dict[str, float]:
    return {n: value for n, value in env.attributes.items() if value and n not in _CLOCKS}


def _candidates(world: World) -> Iterator[Parameter]:
    """What usually differs, whether the env can have it or not."""
    env = world.env
    assert env is not None
    if env.engine == "mujoco":
        yield from candidates(world.model)
    else:
        yield from _of_bodies(env.values) if env.engine else _of_attributes(env)
        spec = env.task.spec
        steps = max(1.0, round(_LATE / spec.control_dt))
        names = tuple(signal.name for signal in spec.action)
        source = f"assumed: up to {steps:g} control steps"
        yield Parameter("actions.latency", "physics steps", 0.0, 0.0, steps, source, names)


def _of_attributes(env: GymEnv) -> Iterator[Parameter]:
    for attribute, value in _attributes(env).items():
        name = f"{ENV}.{attribute}"
        units = quantity_of(name).units
        low, high = sorted(factor * value for factor in _FACTORS)
        source = f"assumed: {_FACTORS[0]:g} to {_FACTORS[1]:g} of the env's"
        yield Parameter(name, units[0] if units else UNIT, value, low, high, source, (ENV,))


def _of_bodies(values: Mapping[tuple[str, str], float]) -> Iterator[Parameter]:
    """The heaviest links of a PyBullet env, and friction and damping of those that have the same."""
    masses = {element: value for (quantity, element), value in values.items() if quantity == "mass" and value}
    for element in sorted(masses, key=lambda element: -masses[element])[:_BODIES]:
        yield ranged(f"{element}.mass", "kg", masses[element], (0.8, 1.2))
    for quantity, group in (("friction", "links"), ("damping", "joints")):
        known = {element: value for (kind, element), value in values.items() if kind == quantity and value}
        for k, value in enumerate(sorted(set(known.values())), 1):
            elements = tuple(element for element in known if known[element] == value)
            name = f"{group}_{k}.{quantity}" if len(set(known.values())) > 1 else f"{group}.{quantity}"
            given = ranged(name, quantity_of(name).units[0], value, (0.5, 2.0), "log")
            yield replace(given, elements=elements)


def _structure(world: World) -> list[Parameter]:
    """What training leaves alone: noise of readings, and where there is a model, pushes and a slope."""
    assert world.env is not None
    base = pushed(world.model)[0] if world.env.engine == "mujoco" else ""
    names = tuple(signal.name for signal in world.env.task.spec.observation)
    source = "none in the env; assumed for the structural variants"
    return [*structure_of(base), Parameter("readings.noise", UNIT, 0.0, 0.0, 0.0, source, names)]


def _variants(world: World, parameters: Mapping[str, Parameter]) -> Iterator[Variant]:
    """Those of a robot, where there are bodies; and others of the env's own numbers, and of readings."""
    assert world.env is not None
    own = {name: p for name, p in parameters.items() if p.elements == (ENV,)}
    others = {name: p for name, p in parameters.items() if name not in own}
    push = pushed(world.model)[1] if world.env.engine == "mujoco" else 0.0
    yield from (v for v in variants_of(others, push) if v.simulator == "mujoco")
    if own:
        yield Variant("lower", "interpolation", at_share(own, 0.25))
        yield Variant("higher", "interpolation", at_share(own, 0.75))
        for share, word in ((-0.4, "little"), (1.5, "much")):
            for name, p in own.items():
                yield Variant(f"{word}_{p.quantity.name}", "extrapolation", at_share({name: p}, share))
        ends = {n: v for k, (n, p) in enumerate(own.items()) for n, v in at_share({n: p}, k % 2).items()}
        yield Variant("combined_of_env", "combined", ends)
    yield Variant("noisy", "structural", {"readings.noise": _noise(world)})


def _noise(world: World) -> float:
    """A share of how far readings usually spread under random actions."""
    env = Sim2RealVectorEnv(world, 4)
    rng, (seen, _) = np.random.default_rng(0), env.reset(seed=0)
    path = [seen]
    for _ in range(_STEPS):
        actions = rng.uniform(-1.0, 1.0, (4, len(env.task.action))).astype(np.float32)
        path.append(env.step(actions)[0])
    return float(f"{_NOISE * float(np.median(np.concatenate(path).std(axis=0))):.2g}")


def _steady(world: World) -> tuple[World, list[str]]:
    """The world without numbers of the env's own that it fails with, each with what it says."""
    notes = []
    for parameter in [p for p in world.parameters.values() if p.elements == (ENV,)]:
        try:
            without_dead(replace(world, parameters={parameter.name: parameter}))
        except InvalidValue as error:
            notes.append(f"left out: {parameter.name}, as {error}")
            kept = {name: p for name, p in world.parameters.items() if name != parameter.name}
            world = replace(world, parameters=kept)
    return world, notes


def _readme(folder: Path, env_id: str, module: str, notes: list[str]) -> str:
    own = f" --import {module}" if module else ""
    left = "".join(f"- {note}\n" for note in notes)
    registered = f"`{module}` registers it, which `--import` says. " if module else ""
    return f"""# {folder.name}

Made by `sim2real new` from the gymnasium env `{env_id}`. {registered}`physics.toml` names it, with
parameters, assumed ranges and held-out variants.

```sh
sim2real worlds {folder}{own}
sim2real audit {folder}{own}
sim2real train {folder} --domain training{own} --out runs/{folder.name}
sim2real evaluate runs/{folder.name}{own}
```

{left}"""
