"""What goes wrong in practice with a task of one's own, found in seconds and before it is trained.

>>> check_task("furuta")
()
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.checker.vector_env import CheckFailed
from sim2real.checker.watched import Watched
from sim2real.env import Sim2RealVectorEnv, make_task, task_class
from sim2real.errors import told
from sim2real.interface import Array, Simulator, TaskFactory, TaskSpec
from sim2real.simulators import Engine, make_simulator
from sim2real.tasks import check_factory
from sim2real.world import World

if TYPE_CHECKING:
    from sim2real.checker.tensors import Tensors

Trace = list[tuple[NDArray[Any], ...]]
_ROWS, _STEPS, _FEW = 4, 40, 8
_ENGINE = Engine("mujoco", threads=1)


def check_task(
    world: str | World, task: str | TaskFactory | None = None, simulator: str = "mujoco"
) -> tuple[str, ...]:
    """Do what training does with a task, and look at everything that it answers.

    Args:
        world: where it is done; a world, or its name or folder.
        task: its name or class; by default the world's.
        simulator: the engine that it is meant for. On ``"warp"`` a task must do without numpy.

    Returns:
        What it can live with, a sentence each: draws, actions and observations that change nothing, units
        that are missing, and code that needs numpy, which MuJoCo Warp can't run.

    Raises:
        CheckFailed: for the first thing that it can't live with: a wrong shape or type, a number that isn't
            finite, a view of the simulator's memory, state that is kept from one episode to the next, other
            rows that change with one that begins, randomness beyond its draws, a method that raises.
        UnknownName: for a world or a task that does not exist.
        InvalidValue: for a scene that lacks what the task names.
    """
    world = world if isinstance(world, World) else World.load(world)
    world = world if task is None else world.with_task(task if isinstance(task, str) else check_factory(task))
    factory = task_class(world)
    notes = [*_check_spec(factory.spec)]
    watched = world.with_task(Watched(factory))
    trace = _check_episodes(watched, factory.spec)
    notes += [*_idle(watched, factory.spec), *_still(trace, factory.spec)]
    numpy_only = _without_numpy(world)
    if numpy_only and simulator == "warp":
        raise CheckFailed(f"task {factory.spec.name}: {numpy_only}")
    return (*notes, *([numpy_only] if numpy_only else []))


def _check_spec(spec: TaskSpec) -> Iterator[str]:
    """Refuse a spec that means nothing, and tell of units that are missing."""
    for name in ("observation", "action"):
        signals = getattr(spec, name)
        if not signals:
            raise CheckFailed(f"task {spec.name} has no {name}; name at least one signal in its spec")
        for signal, count in Counter(signal.name for signal in signals).items():
            if count > 1:
                raise CheckFailed(f"task {spec.name} has {count} {name}s named {signal!r}; name each its own")
        for signal in signals:
            if not (math.isfinite(signal.scale) and signal.scale):
                raise CheckFailed(
                    f"task {spec.name}: {name} {signal.name!r} has a scale of {signal.scale}; "
                    "give a number other than 0"
                )
        if missing := [signal.name for signal in signals if not signal.unit.strip()]:
            yield f"{name} {', '.join(missing)} without a unit; give one, '1' for a number without"
    if not (math.isfinite(spec.control_dt) and spec.control_dt > 0 and spec.max_steps > 0):
        raise CheckFailed(
            f"task {spec.name}: control_dt = {spec.control_dt} s and max_steps = {spec.max_steps} must "
            "be above 0"
        )
    if spec.num_draws == 0:
        yield "no draws: every episode begins alike"


def _check_episodes(world: World, spec: TaskSpec) -> Trace:
    """Refuse what an episode has from others; a trace of some."""
    steps = min(spec.max_steps, _STEPS)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, _ROWS, len(spec.action)))

    def make() -> Sim2RealVectorEnv:
        return Sim2RealVectorEnv(world, _ROWS, None, steps, False, _ENGINE)

    env = make()
    env.reset(seed=0)
    trace = _trace(env, actions)
    other = make()
    other.reset(seed=0)
    _same(trace, _trace(other, actions), spec, "is random beyond its draws; use u of start()")
    env.reset(seed=1)
    _trace(env, -actions)
    env.reset(seed=0)
    kept = "keeps state from one episode to the next; begin it anew for env_ids in start()"
    _same(trace, _trace(env, actions), spec, kept)
    _check_rows(env, actions, trace, spec)
    return trace


def _check_rows(env: Sim2RealVectorEnv, actions: Array, trace: Trace, spec: TaskSpec) -> None:
    """Begin every other row anew in the middle, which must change no other row, and begin those as whole."""
    half, mask = len(actions) // 2, np.arange(_ROWS) % 2 == 1
    env.number_episodes(np.where(mask, np.arange(_ROWS) + _ROWS, np.arange(_ROWS)), 0)
    env.reset()
    fresh = _trace(env, actions[half:])
    env.reset(seed=0)
    _trace(env, actions[:half])
    env.reset(options={"reset_mask": mask})
    after = _trace(env, actions[half:])
    alone = "changes other rows when some begin anew; touch only env_ids in start()"
    _same(_rows(trace[half:], ~mask), _rows(after, ~mask), spec, alone)
    begun = "begins a row in the middle otherwise than all together; look at what start() does with env_ids"
    _same(_rows(fresh, mask), _rows(after, mask), spec, begun)


def _trace(env: Sim2RealVectorEnv, actions: Array) -> Trace:
    """Observations, rewards, terminations and truncations of every step."""
    return [env.step(action.astype(np.float32))[:4] for action in actions]


def _rows(trace: Trace, mask: NDArray[np.bool_]) -> Trace:
    return [tuple(array[mask] for array in step) for step in trace]


def _same(one: Trace, other: Trace, spec: TaskSpec, fault: str) -> None:
    for step, (a, b) in enumerate(zip(one, other, strict=True)):
        for name, x, y in zip(("observation", "reward", "termination", "truncation"), a, b, strict=True):
            if not np.array_equal(x, y, equal_nan=True):
                which = ""
                if name == "observation":
                    which = " " + spec.observation[int(np.argwhere((x != y).any(axis=0))[0, 0])].name
                raise CheckFailed(f"task {spec.name} {fault} ({name}{which} differs at step {step + 1})")


def _idle(world: World, spec: TaskSpec) -> Iterator[str]:
    """Draws and actions that change nothing within a few steps."""
    middle = np.full((1, spec.num_draws), 0.37)
    zero = np.zeros((1, len(spec.action)))
    edges = np.repeat([[0.0], [1.0 - 2**-53]], spec.num_draws, axis=1)
    _first_steps(world, edges, np.repeat(zero, 2, axis=0))  # may not be finite, or no rotation
    draws = np.concatenate([middle, np.where(np.eye(spec.num_draws, dtype=bool), 0.81, middle)])
    seen = _first_steps(world, draws, np.repeat(zero, len(draws), axis=0))
    if unused := [str(k) for k in range(spec.num_draws) if np.array_equal(seen[0], seen[k + 1])]:
        which = f"draws {', '.join(unused)} of {spec.num_draws}"
        yield f"{which} change nothing; use them in start(), or ask for fewer"
    actions = np.concatenate([zero, np.eye(len(spec.action))])
    seen = _first_steps(world, np.repeat(middle, len(actions), axis=0), actions)
    names = [signal.name for signal in spec.action]
    if unused := [name for k, name in enumerate(names) if np.array_equal(seen[0], seen[k + 1])]:
        yield f"actions {', '.join(unused)} change nothing within {_FEW} control steps"


def _first_steps(world: World, u: Array, actions: Array) -> Array:
    """All that a row is, and that its task says, at its start and in a few steps. Shape (rows, numbers)."""
    rows = len(u)
    simulator = make_simulator(_ENGINE, world, rows)
    task = make_task(world, simulator, None)
    start = task.start(np.arange(rows), u)
    _check_rotations(world, start[0], task.spec)
    simulator.reset(np.arange(rows), *start)
    numbers = [*start, task.observe()]
    for _ in range(_FEW):
        simulator.step(task.command(actions), max(1, round(task.spec.control_dt / simulator.physics_dt)))
        rewards, ended = task.outcome()
        outcome: Array = np.stack((rewards, ended), axis=1)
        numbers += [simulator.qpos.copy(), outcome, task.observe()]
    return np.concatenate(numbers, axis=1)


def _check_rotations(world: World, qpos: Array, spec: TaskSpec) -> None:
    for joint in range(world.model.njnt):
        kind, first = int(world.model.jnt_type[joint]), int(world.model.jnt_qposadr[joint])
        if kind in _QUATERNION:
            first += _QUATERNION[kind]
            size = np.linalg.norm(qpos[:, first : first + 4], axis=1)
            if not np.allclose(size, 1.0, atol=1e-3):
                raise CheckFailed(
                    f"task {spec.name}: start() gives joint {world.model.joint(joint).name!r} a rotation "
                    f"that is no unit quaternion (w, x, y, z), but {size[0]:g} long"
                )


_QUATERNION = {int(mujoco.mjtJoint.mjJNT_FREE): 3, int(mujoco.mjtJoint.mjJNT_BALL): 0}
"""Where the quaternion begins within a joint's positions."""


def _still(trace: Trace, spec: TaskSpec) -> Iterator[str]:
    """Observations that never change, or are out of any proportion."""
    seen = np.array([step[0] for step in trace])
    names = np.array([signal.name for signal in spec.observation])
    if still := list(names[(seen == seen[0, 0]).all(axis=(0, 1))]):
        yield f"observations {', '.join(still)} never change under random actions"
    largest = np.abs(seen).max(axis=(0, 1))
    if large := [f"{name} ({size:.3g})" for name, size in zip(names, largest, strict=True) if size > _LARGE]:
        yield f"observations {', '.join(large)} are far from 1 after scaling; give their signals a scale"


_LARGE = 100.0


def _without_numpy(world: World) -> str:
    """What keeps the task from running on a GPU's tensors, as a sentence; empty if nothing does.

    Tensors that refuse to become numpy's arrays stand for a GPU's. What they give is compared with numpy's.
    """
    from sim2real.checker.tensors import Tensors

    wanted = _answers(world, make_simulator(_ENGINE, world, _ROWS))
    try:
        given = _answers(world, Tensors(make_simulator(_ENGINE, world, _ROWS)))
    except Exception as error:  # whatever the user's code raises on tensors
        return f"it needs numpy: {told(error)}; MuJoCo Warp can't run it, the other engines can"
    for name, one, other in zip(_ANSWERS, wanted, given, strict=True):
        if one.shape != other.shape or not np.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True):
            return f"on torch tensors {name} are others than on numpy arrays; MuJoCo Warp can't run it"
    return ""


_ANSWERS = (
    *("positions", "velocities", "first commands"),
    *("commands", "rewards", "ends", "observations", "successes"),
)


def _answers(world: World, simulator: Simulator | Tensors) -> list[NDArray[Any]]:
    """One answer of every method, as numpy has it."""
    simulator = cast(Simulator, simulator)
    put, host = getattr(simulator, "put", np.asarray), getattr(simulator, "host", np.asarray)
    task, ids = make_task(world, simulator, None), np.arange(_ROWS)
    start = task.start(ids, put(np.full((_ROWS, task.spec.num_draws), 0.37)))
    answers = [host(part) for part in start]
    simulator.reset(ids, *answers)
    answers.append(host(task.command(put(np.full((_ROWS, len(task.spec.action)), 0.5)))))
    return [*answers, *map(host, (*task.outcome(), task.observe(), task.succeeded()))]
