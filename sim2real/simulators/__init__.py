"""Engines that step many simulations of one world: MuJoCo, Bullet and MuJoCo Warp, under one protocol."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from sim2real.errors import MissingExtra, UnknownName
from sim2real.interface import Simulator
from sim2real.world import SIMULATORS, World


@dataclass(frozen=True)
class Engine:
    """Which simulator, and how."""

    name: str = "mujoco"
    threads: int = 0
    """Threads or worker processes; 0 means as many as the work is worth, at most one for each core."""
    play: bool = False
    """Whether joints with a ``backlash`` parameter get their second joint; see `sim2real.simulators.play`."""


_PACKAGES = {"mujoco": "mujoco", "bullet": "pybullet", "warp": "mujoco_warp"}


def installed(name: str) -> bool:
    """Whether an engine's package is there."""
    return importlib.util.find_spec(_PACKAGES[name]) is not None


def make_simulator(engine: str | Engine, world: World, num_envs: int) -> Simulator:
    """Simulations of a world in an engine.

    Raises:
        UnknownName: for an engine that does not exist.
        MissingExtra: if its package is not installed.
        InvalidValue: for a world that the engine can't express.
    """
    engine = Engine(engine) if isinstance(engine, str) else engine
    if engine.name not in SIMULATORS:
        raise UnknownName("simulator", engine.name, SIMULATORS)
    if not installed(engine.name):
        raise MissingExtra(_PACKAGES[engine.name].replace("_", "-"), engine.name)
    if engine.play:
        from sim2real.simulators.play import with_play

        world = with_play(world)
    module = importlib.import_module(f"sim2real.simulators.{engine.name}")
    simulator: Simulator = getattr(module, f"{engine.name.capitalize()}Simulator")(
        world, num_envs, engine.threads
    )
    return simulator
