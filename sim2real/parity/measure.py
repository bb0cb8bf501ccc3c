"""Compare an engine with MuJoCo on one world, step for step.

    >>> parity = measure(World.load("furuta"), "mujoco", seconds=0.1)
    >>> parity.open_loop, len(parity.effects) > 5
    (0.0, True)

Four questions, from the surest to the least sure. Does the same motion follow from the same commands where
nothing is touched? Do unit pushes give the same accelerations, which means the same mass matrix, and does the
motion have the same energy? Does each parameter have the same effect, in sign and size? And how long do the
engines agree in the world as it is, with its contacts and limits, where no two engines can for ever?
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import mujoco
import numpy as np

from sim2real.arrays import Arrays
from sim2real.env import has_task, make_task
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Simulator
from sim2real.parameters import MODEL, Parameter
from sim2real.simulators import make_simulator
from sim2real.world import World

Factory = Callable[[World, int], Simulator]
"""Makes simulations of a world."""

REFERENCE = "mujoco"
_NOTHING = 1e-12
_HOLD = 0.04  # s that a random command stays
_SHARE = 0.3  # of the command range that random commands take


@dataclass(frozen=True)
class Effect:
    """What moving one parameter does to a motion, in both engines."""

    parameter: str
    value: float
    """The end of the training range, or the value of a variant, that it was moved to."""
    reference: float
    """Root mean square of the change in position, rad and m, in MuJoCo."""
    size: float
    """The same in the other engine."""
    agreement: float
    """Cosine between both changes: 1 the same, -1 the opposite; 0 where neither changes anything."""
    touched: bool
    """Whether it was seen in the world as it is, because it shows nowhere else (a friction)."""
    refused: str = ""
    """Why the engine does not take the parameter, if it doesn't."""


@dataclass(frozen=True)
class Parity:
    """What `measure` found."""

    world: str
    simulator: str
    start: str
    """Where the motions begin, in words."""
    physics_dt: float
    reference_path: Array
    """Positions in MuJoCo, untouched. Shape (steps, nq)."""
    path: Array
    """The same in the other engine."""
    reference_contact_path: Array
    """Positions in the world as it is."""
    contact_path: Array
    inertia: float
    """Largest difference of accelerations under unit pushes, relative to the largest acceleration."""
    energy: float
    """Largest difference of the energies of the untouched motions, relative to their range."""
    effects: tuple[Effect, ...]
    blown: tuple[str, ...] = ()
    """Motions whose numbers blew up, so that their comparison means nothing."""

    @property
    def open_loop(self) -> float:
        """Largest difference of positions where nothing is touched, rad and m."""
        return float(np.abs(self.path - self.reference_path).max())

    @property
    def apart(self) -> Array:
        """Largest difference of positions after each step in the world as it is, rad and m."""
        return np.asarray(np.abs(self.contact_path - self.reference_contact_path).max(axis=1))

    def parted(self, distance: float = 1e-3) -> float:
        """Time until the engines are ``distance`` apart with contacts and limits, s; infinite if never."""
        found = np.flatnonzero(self.apart > distance)
        return float(found[0] + 1) * self.physics_dt if len(found) else np.inf


def measure(world: World, simulator: str, seconds: float = 1.0, factory: Factory | None = None) -> Parity:
    """Compare an engine with MuJoCo.

    Args:
        world: on which world; at nominal physics but for the effects.
        simulator: name of the engine.
        seconds: length of the motions.
        factory: makes the engine's simulations; by default `make_simulator` of its name.

    Raises:
        UnknownName: for an engine that does not exist.
        MissingExtra: if its package is not installed.
        InvalidValue: for a world that the engine can't express or that has no joint, a gymnasium env, or a
            motion of no step.
    """
    world.check_has_scene("no other engine can run")
    if not (math.isfinite(seconds) and round(seconds / world.model.opt.timestep) >= 1):
        raise InvalidValue(f"{seconds} s are no physics step of {world.model.opt.timestep:g} s; give more")
    steps = round(seconds / world.model.opt.timestep)
    if not world.model.nv:
        raise InvalidValue(f"world {world.name} has no joint, so nothing moves that could be compared")
    factories: tuple[Factory, Factory] = (
        lambda w, n: make_simulator(REFERENCE, w, n),
        factory or (lambda w, n: make_simulator(simulator, w, n)),
    )
    free = _untouched(world)
    start, commands = _start(world), _commands(world.model, steps)
    blown: list[str] = []
    paths = []
    for one, where in ((free, "untouched"), (world, "as it is")):
        for make, engine in zip(factories, (REFERENCE, simulator), strict=True):
            simulations = make(one, 1)
            paths.append(_path(simulations, start, commands)[:, 0])
            if bool(simulations.diverged()[0]):
                blown.append(f"{engine}, {where}")
    air, touched = paths[:2], paths[2:]
    pushed = [_pushes(make, free, start) for make in factories]
    energies = [_energies(free.model, path) for path in air]
    return Parity(
        world=world.name,
        simulator=simulator,
        start=_told(world, start),
        physics_dt=float(world.model.opt.timestep),
        reference_path=air[0],
        path=air[1],
        reference_contact_path=touched[0],
        contact_path=touched[1],
        inertia=float(np.abs(pushed[1] - pushed[0]).max() / np.abs(pushed[0]).max()),
        energy=float(np.abs(energies[1] - energies[0]).max() / (np.ptp(energies[0]) + 1e-300)),
        effects=tuple(_effects((free, world), factories, start, commands)),
        blown=tuple(blown),
    )


def _untouched(world: World) -> World:
    """The world without contacts and joint limits."""
    model = copy.copy(world.model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT)
    return replace(world, model=model)


def _start(world: World) -> tuple[Array, Array, Array]:
    """Positions, velocities and command at the start, each of one row.

    Of the task, in the middle of its draws; a world that names none starts at its first keyframe, or in the
    pose of the scene under the command nearest to zero.
    """
    model = world.model
    if not has_task(world):
        data = mujoco.MjData(model)
        if model.nkey:
            mujoco.mj_resetDataKeyframe(model, data, 0)
        ctrl = np.clip(data.ctrl, *_command_range(model))
        return data.qpos[None].copy(), data.qvel[None].copy(), ctrl[None]
    simulator = make_simulator(REFERENCE, world, 1)
    task = make_task(world, simulator, None)
    return task.start(np.arange(1), np.full((1, task.spec.num_draws), 0.4))


def _told(world: World, start: tuple[Array, Array, Array]) -> str:
    """Where motions begin, and what overlaps or is past its limit there, on which engines part at once."""
    model = world.model
    where = "the start of the task"
    if not has_task(world):
        where = f"keyframe {model.key(0).name or 0}" if model.nkey else "the pose of the scene"
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = start[0][0], start[1][0]
    mujoco.mj_forward(model, data)
    overlapping = int(np.sum(data.contact.dist < 0.0))
    limits = data.efc_id[data.efc_type == mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT]
    past = [model.joint(int(joint)).name or f"joint {joint}" for joint in limits]
    faults = [f"{overlapping} contacts overlap"] * bool(overlapping)
    faults += [f"{', '.join(past[:3])}{' and others' * (len(past) > 3)} at or past a limit"] * bool(past)
    return ", where ".join([where, " and ".join(faults)][: 1 + bool(faults)])


def _commands(model: mujoco.MjModel, steps: int) -> Array:
    """Random commands, held for a while. Shape (steps, nu)."""
    low, high = _command_range(model)
    hold = max(round(_HOLD / model.opt.timestep), 1)
    drawn = np.random.default_rng(0).uniform(low, high, (steps // hold + 1, model.nu))
    return np.clip(_SHARE * np.repeat(drawn, hold, axis=0)[:steps], low, high)


def _command_range(model: mujoco.MjModel) -> tuple[Array, Array]:
    """Least and largest command of every actuator; -1 and 1 where there is no range."""
    low, high = np.where(model.actuator_ctrllimited[:, None] == 1, model.actuator_ctrlrange, [-1.0, 1.0]).T
    return low, high


def _path(simulator: Simulator, start: tuple[Array, Array, Array], commands: Array) -> Array:
    """Positions after every physics step. Shape (steps, num_envs, nq)."""
    n, arrays = simulator.num_envs, Arrays(simulator.qpos)
    simulator.reset(np.arange(n), *(arrays.put(np.repeat(part, n, axis=0)) for part in start))
    path = []
    for command in commands:
        simulator.step(arrays.put(np.tile(command, (n, 1))), 1)
        path.append(arrays.host(arrays.copy(simulator.qpos)))
    return np.array(path, dtype=np.float64)


def _pushes(make: Factory, world: World, start: tuple[Array, Array, Array]) -> Array:
    """Accelerations under a unit push on each body along and about each axis. Shape (pushes, nv)."""
    bodies = [world.model.body(b).name for b in range(1, world.model.nbody)]
    n = 7  # six pushes and none; a simulation a push would take gigabytes in Bullet
    simulator = make(world, n)
    arrays = Arrays(simulator.qpos)
    forces = [simulator.force(body) for body in bodies]
    pushes, nothing = arrays.put(np.eye(n, 6)), arrays.put(np.zeros((n, 6)))
    found = []
    for force in forces:
        simulator.reset(np.arange(n), *(arrays.put(np.repeat(part, n, axis=0)) for part in start))
        force[:] = pushes
        simulator.step(arrays.put(np.repeat(start[2], n, axis=0)), 1)
        force[:] = nothing
        speeds = np.asarray(arrays.host(simulator.qvel), dtype=np.float64)
        found.append((speeds[:-1] - speeds[-1]) / simulator.physics_dt)
    return np.concatenate(found)


def _energies(model: mujoco.MjModel, path: Array) -> Array:
    """Energy in the middle of every two steps of a path, J."""
    data, dt = mujoco.MjData(model), model.opt.timestep
    energies = []
    for before, after in pairwise(path):
        mujoco.mj_differentiatePos(model, data.qvel, dt, before, after)
        data.qpos[:] = after
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        mujoco.mj_energyPos(model, data)
        mujoco.mj_energyVel(model, data)
        energies.append(data.energy.sum())
    return np.array(energies or [0.0])


def _effects(
    worlds: tuple[World, World],
    factories: tuple[Factory, Factory],
    start: tuple[Array, Array, Array],
    commands: Array,
) -> list[Effect]:
    """Effects of all parameters where nothing is touched, and where they show none, in the world as it is."""
    free, touched = (_effects_in(world, factories, start, commands) for world in worlds)
    return [
        replace(late, touched=True) if early.reference < _NOTHING else early
        for early, late in zip(free, touched, strict=True)
    ]


def _effects_in(
    world: World, factories: tuple[Factory, Factory], start: tuple[Array, Array, Array], commands: Array
) -> list[Effect]:
    """The effect of every parameter that acts on the model, moved to the far end of its range or variants.

    Free play has none here: it needs a model with other joints.
    """
    acting = [p for p in world.parameters.values() if p.quantity.acts == MODEL]
    moved = [(p, _far_end(world, p)) for p in acting if p.quantity.name != "backlash"]
    if not moved:
        return []
    changes, refusals = [], []
    for make in factories:
        simulator = make(world, len(moved) + 1)
        refusals.append([_set(simulator, np.array([k]), p.name, value) for k, (p, value) in enumerate(moved)])
        path = _path(simulator, start, commands)
        changes.append((path[:, :-1] - path[:, -1:]).swapaxes(0, 1).reshape(len(moved), -1))
    return [
        Effect(p.name, value, _rms(one), _rms(other), _cosine(one, other), False, refused)
        for (p, value), one, other, refused in zip(moved, *changes, refusals[1], strict=True)
    ]


def _far_end(world: World, parameter: Parameter) -> float:
    """The end of the training range farther from nominal; of no range, the farthest value of a variant."""
    values = [parameter.high, parameter.low]
    if parameter.low == parameter.high:
        values += [v.physics[parameter.name] for v in world.variants.values() if parameter.name in v.physics]
    return max(values, key=lambda value: abs(value - parameter.nominal))


def _set(simulator: Simulator, env_ids: Ids, name: str, value: float) -> str:
    """Set a parameter, or say why the engine does not take it."""
    try:
        simulator.set_physics(env_ids, (name,), np.array([[value]]))
    except InvalidValue as refusal:
        return str(refusal)
    return ""


def _rms(change: Array) -> float:
    return float(np.sqrt(np.mean(change**2)))


def _cosine(one: Array, other: Array) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 0 else 0.0
