"""A fixed motion of a world: open-loop commands from common starts, the same for every physics.

The motion goes through the task's commands and observations and through the channels, so that a sensor's
noise shows as well as a mass does. Nothing ends it: a fall is a motion too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real import draws
from sim2real.arrays import Arrays
from sim2real.audit.distance import Paths
from sim2real.audit.moves import Physics
from sim2real.channels import Channels
from sim2real.domain import Domain
from sim2real.env import engine_for, make_task, task_class
from sim2real.interface import Array
from sim2real.simulators import Engine, make_simulator
from sim2real.world import World

_HOLD = 5  # control steps with the same command
_SEED = 7


@dataclass(frozen=True)
class Excitation:
    """How long, and from how many starts."""

    seconds: float = 2.0
    starts: int = 2
    most_steps: int = 120
    """Control steps at most; there are at least five commands."""
    brief: bool = False
    """Whether it ends as soon as all that should differ does, which says that it does and not how far."""

    def steps(self, control_dt: float) -> int:
        """Control steps."""
        return max(min(round(self.seconds / control_dt), self.most_steps), 5 * _HOLD)

    def in_words(self, world: World) -> str:
        """The excitation as a sentence."""
        control_dt = task_class(world).spec.control_dt
        steps = self.steps(control_dt)
        return (
            f"{self.starts} start{'s' * (self.starts > 1)} of {world.task}, {steps} control steps "
            f"({steps * control_dt:g} s) of random commands that hold for {_HOLD}"
        )


FULL = Excitation()
CHEAP = Excitation(seconds=0.8, starts=1, most_steps=60, brief=True)
"""What training and evaluation can afford."""
_SURELY = 1e-5
"""Scaled difference that no rounding makes."""


def excite(
    world: World,
    rows: Sequence[Physics],
    domain: Domain,
    engine: Engine,
    excitation: Excitation,
    pairs: Sequence[tuple[int, int]] = (),
) -> Paths:
    """Move a world under each physics.

    Args:
        world: which.
        rows: values that differ from nominal; the first row is nominal.
        domain: what channels draw from that redraw within an episode.
        engine: which simulator.
        excitation: how long.
        pairs: rows of which each should differ from the other, after which a brief excitation ends.

    Raises:
        InvalidValue: for a parameter that the engine can't take.
    """
    starts = excitation.starts
    count = len(rows) * starts
    simulator = make_simulator(engine_for(engine, plays(rows)), world, count)
    arrays, task = Arrays(simulator.qpos), make_task(world, simulator, None)
    episodes, steps = np.tile(np.arange(starts), len(rows)), np.zeros(count, dtype=np.int64)
    channels = Channels(world, simulator, task.spec, draws.StepDraws(episodes, steps), domain)
    ids = np.arange(count)
    for taker in (simulator, channels):
        taker.set_physics(ids, *table(world, rows, starts))
    start = task.start(ids, arrays.put(draws.uniforms(_SEED, episodes, task.spec.num_draws, draws.START)))
    simulator.reset(ids, *start)
    channels.begin(ids, start[2])
    substeps, path = round(task.spec.control_dt / simulator.physics_dt), list[Array]()
    sizes = [simulator.qpos.shape[1], simulator.qvel.shape[1], len(task.spec.observation)]

    def paths() -> Paths:
        values = np.array(path, dtype=float).reshape(len(path), len(rows), starts, sum(sizes))
        return Paths.of(values, sizes, arrays.host(simulator.diverged()))

    shape = excitation.steps(task.spec.control_dt), starts, len(task.spec.action)
    for actions in np.tile(_actions(shape), (1, len(rows), 1)):
        for due in channels.schedule.due() if channels.schedule else ():
            simulator.set_physics(*due)
            channels.change(*due)
        command = channels.command(channels.encoders.asked(task, arrays.put(actions)))
        simulator.step(command, substeps, None, channels.between)
        task.outcome()  # some tasks count there
        steps += 1
        seen = channels.observe(channels.encoders.seen(task))
        path.append(np.concatenate([arrays.host(x) for x in (simulator.qpos, simulator.qvel, seen)], axis=1))
        if excitation.brief and len(path).bit_count() == 1 and _are_apart(paths(), pairs):
            break  # looked at in the first, second, fourth, ... step
    return paths()


def _are_apart(paths: Paths, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether each of some rows differs from its base, surely and by more than what the engine repeats by."""
    least = max(_SURELY, 10 * paths.furthest(1, 0))
    return all(paths.furthest(*pair) > least for pair in pairs)


def table(world: World, rows: Sequence[Physics], repeats: int) -> tuple[tuple[str, ...], Array]:
    """Parameters that some row moves, and their values, each row repeated. Shape (rows · repeats, names)."""
    names = tuple(sorted({name for row in rows for name in row}))
    values = [[row.get(name, world.nominal[name]) for name in names] for row in rows]
    return names, np.repeat(np.array(values).reshape(len(rows), len(names)), repeats, axis=0)


def plays(rows: Sequence[Physics]) -> Domain:
    """The backlash of some rows, which an engine must know of when it is made."""
    return Domain.point(
        {name: v for row in rows for name, v in row.items() if name.endswith(".backlash") and v}
    )


def _actions(shape: tuple[int, int, int]) -> Array:
    """The same for all rows. Shape (steps, starts, size)."""
    steps, starts, size = shape
    held = np.random.default_rng(_SEED).uniform(-1, 1, (-(-steps // _HOLD), starts, size))
    actions: Array = np.repeat(held, _HOLD, axis=0)[:steps]
    return actions
