"""Moves of a world under the excitation, with verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sim2real.audit.excitation import Excitation, excite, plays, table
from sim2real.audit.finding import DEAD, PARTLY, REFUSED, Audit, End, Finding, distinct, ranked, verdict_of
from sim2real.audit.moves import Move, rows_of, why_idle
from sim2real.audit.reasons import why_dead
from sim2real.domain import Domain
from sim2real.env import engine_for, task_class
from sim2real.errors import InvalidValue
from sim2real.interface import TaskSpec
from sim2real.parameters import ACTUATOR, MODEL, Parameter
from sim2real.simulators import Engine, make_simulator
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World, drives

NOISY = 1e-7
"""Difference of two runs of the same physics from which on an audit can overlook what changes less."""
_LOUD = 0.1  # from which on a second, longer look shows no more


@dataclass(frozen=True)
class Returns:
    """What policies got; empty where none ran."""

    nominal: Mapping[str, float] = field(default_factory=dict)
    """Mean return at nominal physics, by policy."""
    changes: Mapping[Move, Mapping[str, float]] = field(default_factory=dict)
    """Mean change of the return by each move, by policy."""


@dataclass(frozen=True)
class Where:
    """In what an audit moves a world."""

    engine: Engine
    excitation: Excitation
    domain: Domain
    """What channels draw from that redraw within an episode."""


def measured(world: World, moves: Sequence[Move], where: Where, returns: Returns = Returns()) -> Audit:
    """Audit some moves of a world.

    Args:
        world: which.
        moves: what to move.
        where: engine and excitation.
        returns: what policies lost or gained, where they ran.
    """
    refused = refusals(world, moves, where.engine)
    moves = [move for move in moves if not {move.parameter, *move.base} & set(refused)]
    ends, noise = _ends(world, moves, where, returns)
    findings = [Finding(name, *_fixed(world, name), (), REFUSED, (why,)) for name, why in refused.items()]
    for name, its in ends.items():
        found = _finding(world, name, its, where)
        if found.verdict in (DEAD, PARTLY) and noise > NOISY:
            why = (
                f"nothing beyond what two runs of the same physics differ by here, {noise:.2g} of the motion"
            )
            found = replace(found, reasons=(*found.reasons, why))
        findings.append(found)
    words = where.excitation.in_words(world)
    return Audit(world.title, where.engine.name, ranked(findings), words, returns.nominal, noise)


def refusals(world: World, moves: Sequence[Move], engine: Engine) -> dict[str, str]:
    """Parameters that the engine can't take, with what it says."""
    names = dict.fromkeys(name for move in moves for name in move.physics)
    simulator, one = make_simulator(engine, world, 1), np.zeros(1, dtype=np.intp)

    def refusal(name: str) -> Iterator[tuple[str, str]]:
        try:
            simulator.set_physics(one, (name,), np.array([[world.nominal[name]]]))
        except InvalidValue as error:
            yield name, str(error)

    return dict(found for name in names for found in refusal(name))


def _ends(
    world: World, moves: Sequence[Move], where: Where, returns: Returns
) -> tuple[dict[str, list[tuple[Move, End]]], float]:
    """Effects by parameter, and the engine's noise."""
    found, noise = _moved_ends(world, moves, where)
    seem_dead = [move for move, end in zip(moves, found, strict=True) if not end.moved and noise < _LOUD]
    whole = replace(_whole_episode(world), brief=where.excitation.brief)
    longer, _ = _moved_ends(world, seem_dead, replace(where, excitation=whole))
    second = dict(zip(map(id, seem_dead), longer, strict=True))
    ends: dict[str, list[tuple[Move, End]]] = {}
    for move, end in zip(moves, found, strict=True):
        seen, change = second.get(id(move), end), returns.changes.get(move, {})
        end = replace(seen, moved=seen.moved or any(change.values()), returns=change)
        ends.setdefault(move.parameter, []).append((move, end))
    return ends, noise


def _moved_ends(world: World, moves: Sequence[Move], where: Where) -> tuple[list[End], float]:
    """What each move does under the excitation, and the engine's noise."""
    if not moves:
        return [], 0.0
    rows, pairs = rows_of(moves)
    paths = excite(world, rows, where.domain, where.engine, where.excitation, pairs)
    noise = paths.furthest(1, 0)
    ends = [
        End(
            value=move.value,
            trajectory=paths.distance(row, base),
            moved=paths.moved(row, base, noise),
            returns={},
            diverged=bool(paths.diverged[row]),
        )
        for move, (row, base) in zip(moves, pairs, strict=True)
    ]
    return ends, noise


def _whole_episode(world: World) -> Excitation:
    """A second look at what seems dead: a push or a new draw may come late in an episode."""
    spec = task_class(world).spec
    return Excitation(spec.max_steps * spec.control_dt, starts=4, most_steps=spec.max_steps)


def _finding(world: World, name: str, ends: Sequence[tuple[Move, End]], where: Where) -> Finding:
    still = [move for move, end in ends if not end.moved]
    reasons = distinct(reason for move in still for reason in _reasons(world, move, where))
    found = tuple(end for _, end in ends)
    return Finding(name, *_fixed(world, name), found, verdict_of(found, reasons), reasons)


def _reasons(world: World, move: Move, where: Where) -> Iterator[str]:
    """Why a move changes nothing, as far as it is known."""
    parameter = world.parameters[move.parameter]
    yield from why_idle(world, move)
    unused = list(_why_unused(world, task_class(world).spec, parameter))
    yield from unused
    if parameter.quantity.acts == MODEL and not unused:
        yield from _of_model(world, move)
    if where.engine.name != "mujoco" and world.env is None:
        ends, _ = _ends(world, [move], replace(where, engine=Engine()), Returns())
        _, there = ends[move.parameter][0]
        if there.moved:
            yield (
                f"dead under {where.engine.name} only: under mujoco it moves the trajectory by "
                f"{there.trajectory:.2g}"
            )


def _why_unused(world: World, task: TaskSpec, parameter: Parameter) -> Iterator[str]:
    """That a parameter which seems dead is of what the task neither reads nor commands."""
    quantity = parameter.quantity
    if quantity.name == "encoder_offset":
        yield f"no servo reads it, and task {task.name} neither observes that joint nor commands by it"
    if task.drives and (quantity.acts == ACTUATOR or quantity.name in ("latency", "strength")):
        joints, names = drives(world.model)
        wanted = {drive.name if drive.name in names else drive.joint for drive in task.drives}
        commanded = [name for name, joint in zip(names, joints, strict=True) if {name, joint} & wanted]
        if not set(commanded) & set(parameter.elements):
            yield f"task {task.name} commands only {', '.join(commanded)}"


def _of_model(world: World, move: Move) -> Iterator[str]:
    simulator = make_simulator(engine_for("mujoco", plays([move.physics])), world, 2)
    if not isinstance(simulator, MujocoSimulator):
        return  # a gymnasium env, which is asked nothing but to step
    simulator.set_physics(np.arange(2), *table(world, [move.base, move.physics], 1))
    models = [simulator.snapshot(row)[0] for row in range(2)]
    yield from why_dead(*models)


def _fixed(world: World, name: str) -> tuple[str, float]:
    return world.parameters[name].unit, world.nominal[name]
