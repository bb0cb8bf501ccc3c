"""Engines that step many simulations of one world: MuJoCo, Bullet and MuJoCo Warp, under one protocol.

A world that is a gymnasium env brings its own, named ``gym``. One of the user's own has a name once it is
registered (`register_simulator`, or an entry point ``sim2real.simulators``).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from sim2real.errors import InvalidValue, MissingExtra
from sim2real.interface import Simulator
from sim2real.registry import Registry
from sim2real.world import SIMULATORS, World


@dataclass(frozen=True)
class Engine:
    """Which simulator, and how."""

    name: str = "mujoco"
    threads: int = 0
    """Threads or worker processes; 0 means as many as the work is worth, at most one for each core."""
    play: bool = False
    """Whether joints with a ``backlash`` parameter get their second joint: `sim2real.simulators.backlash`."""


SimulatorFactory: TypeAlias = Callable[[World, int, int], Simulator]
"""Makes simulations of a world: how many, and in how many threads (see `Engine.threads`)."""

_PACKAGES = {"mujoco": "mujoco", "bullet": "pybullet", "warp": "mujoco_warp", "gym": "gymnasium"}


def installed(name: str) -> bool:
    """Whether an engine's package is there."""
    return name not in _PACKAGES or importlib.util.find_spec(_PACKAGES[name]) is not None


@dataclass(frozen=True)
class _Ours:
    """An engine of this package, imported when it is asked for."""

    name: str

    def __call__(self, world: World, num_envs: int, threads: int) -> Simulator:
        if not installed(self.name):
            raise MissingExtra(_PACKAGES[self.name].replace("_", "-"), self.name)
        module = importlib.import_module(f"sim2real.simulators.{self.name}")
        kind = getattr(module, f"{self.name.capitalize()}Simulator")
        return cast(Simulator, kind(world, num_envs, threads))


def _check(name: str, simulator: object) -> SimulatorFactory:
    if not callable(simulator) or (isinstance(simulator, type) and not hasattr(simulator, "set_physics")):
        raise InvalidValue(
            f"{simulator!r} is no simulator; register {name!r} as a class with the methods of "
            "sim2real.interface.Simulator, made of a world, a number of simulations and one of threads"
        )
    return cast(SimulatorFactory, simulator)


ENGINES: Registry[SimulatorFactory] = Registry(
    "simulator", "sim2real.simulators", {name: _Ours(name) for name in SIMULATORS}, _check
)
"""Simulators by name."""

register_simulator = ENGINES.register

GYM = "gym"
"""Name of the engine of worlds that are gymnasium envs."""


def engine_of(world: World, engine: str | Engine) -> Engine:
    """The engine that steps a world: its own, of a gymnasium env, or the one that is asked for.

    Raises:
        InvalidValue: for a gymnasium env in another engine than its own; ``mujoco``, the default of all
            worlds, stands for that.
    """
    engine = Engine(engine) if isinstance(engine, str) else engine
    if world.env is None:
        return engine
    if engine.name not in (GYM, "mujoco"):
        raise InvalidValue(
            f"{world.name} is a gymnasium env and brings its own engine; leave simulator {engine.name!r} out"
        )
    return replace(engine, name=GYM, play=False)


def make_simulator(engine: str | Engine, world: World, num_envs: int) -> Simulator:
    """Simulations of a world in an engine.

    Raises:
        UnknownName: for an engine that does not exist.
        MissingExtra: if its package is not installed.
        InvalidValue: for a world that the engine can't express.
    """
    engine = engine_of(world, engine)
    factory = _Ours(GYM) if world.env is not None else ENGINES[engine.name]
    if engine.play:
        from sim2real.simulators.backlash import with_backlash

        world = with_backlash(world)
    return factory(world, num_envs, engine.threads)
