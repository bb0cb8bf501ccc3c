"""Engines that step many simulations of one world: MuJoCo, Bullet and MuJoCo Warp, under one protocol.

A world that is a gymnasium env brings its own, named ``gym``.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, replace

from sim2real.errors import InvalidValue, MissingExtra, UnknownName
from sim2real.interface import Simulator
from sim2real.world import SIMULATORS, World


@dataclass(frozen=True)
class Engine:
    """Which simulator, and how."""

    name: str = "mujoco"
    threads: int = 0
    """Threads or worker processes; 0 means as many as the work is worth, at most one for each core."""
    play: bool = False
    """Whether joints with a ``backlash`` parameter get their second joint: `sim2real.simulators.backlash`."""


_PACKAGES = {"mujoco": "mujoco", "bullet": "pybullet", "warp": "mujoco_warp", "gym": "gymnasium"}


def installed(name: str) -> bool:
    """Whether an engine's package is there."""
    return importlib.util.find_spec(_PACKAGES[name]) is not None


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
    known = SIMULATORS if world.env is None else (GYM,)
    if engine.name not in known:
        raise UnknownName("simulator", engine.name, known)
    if not installed(engine.name):
        raise MissingExtra(_PACKAGES[engine.name].replace("_", "-"), engine.name)
    if engine.play:
        from sim2real.simulators.backlash import with_backlash

        world = with_backlash(world)
    module = importlib.import_module(f"sim2real.simulators.{engine.name}")
    simulator: Simulator = getattr(module, f"{engine.name.capitalize()}Simulator")(
        world, num_envs, engine.threads
    )
    return simulator
