"""Many simulations of one world in MuJoCo, on the engine's own threads (`mujoco.batch.Batch`).

    >>> simulator = MujocoSimulator(World.load("furuta"), num_envs=2)
    >>> simulator.qpos.shape
    (2, 2)

Bit-identical at any number of threads. Arrays are live views. Physics is always written from nominal, and
everything the engine derives from it follows (``set_const``). A latency of k physics steps is written as
(k - 0.5) physics_dt, because the engine compares time stamps in floating point and k·dt drifts to k + 1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np
from mujoco.batch import Batch

from sim2real.errors import UnknownName
from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.fields import Entry, entries
from sim2real.world import World

_log = logging.getLogger(__name__)

_DIVERGED = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


@dataclass(frozen=True)
class _Write:
    """Numbers of one field."""

    target: Array
    """Live values of all simulations, flattened."""
    places: Ids
    """Where in it each simulation has them. Shape (num_envs, numbers)."""
    numbers: slice
    """Which of all numbers of the plan they are."""
    half_step: float
    """Half a physics step for delays, else 0; see the module's story."""


@dataclass(frozen=True)
class _Plan:
    """All numbers that a set of parameters decides: ``factors · first · second``."""

    columns: Ids
    """Columns of the parameters in the value matrix."""
    factors: Array
    first: Ids
    second: Ids
    """Columns of the two parameters of each number; the matrix's last column is 1."""
    writes: list[_Write]
    derive: bool
    """Whether the engine derives other numbers from these."""


class MujocoSimulator:
    """Simulations of one world in MuJoCo; see `sim2real.interface.Simulator`."""

    def __init__(self, world: World, num_envs: int, num_threads: int = 0) -> None:
        """Make ``num_envs`` simulations at nominal physics; 0 threads means all cores."""
        self.world = world
        self.num_envs = num_envs
        self.physics_dt = float(world.model.opt.timestep)
        self._batch = Batch(world.model, num_envs, min(num_threads, num_envs))
        self.qpos: Array = self._batch.bind("qpos")
        self.qvel: Array = self._batch.bind("qvel")
        self._ctrl: Array = self._batch.bind("ctrl")
        # an engine's reset writes this row, whatever the physics; writing it ourselves is faster
        self._pristine: Array = self._batch.state[0].copy()
        self._stage = int(mujoco.mjtStage.mjSTAGE_NONE)
        self._names = tuple(world.parameters)
        ones = np.ones((num_envs, len(self._names) + 1))
        ones[:, :-1] = list(world.nominal.values())
        self._values: Array = ones
        self._plan = lru_cache(maxsize=8)(self._make_plan)
        self._history = self._batch.bind("history") if world.model.nhistory else None
        self._history_columns, self._history_actuators = _delay_lines(world.model)
        mujoco.set_mju_user_warning(_log.debug)

    def joints(self, names: Sequence[str]) -> tuple[Ids, Ids]:
        """Columns of one-dof joints in ``qpos`` and in ``qvel``."""
        joints = [self.world.model.joint(name) for name in names]
        return (
            np.array([joint.qposadr[0] for joint in joints]),
            np.array([joint.dofadr[0] for joint in joints]),
        )

    def limits(self, joint: str) -> tuple[float, float]:
        """Range of a joint, rad or m; infinite where it has none."""
        view = self.world.model.joint(joint)
        if not view.limited[0]:
            return -np.inf, np.inf
        return float(view.range[0]), float(view.range[1])

    def site(self, name: str) -> Array:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""
        self._stage = int(mujoco.mjtStage.mjSTAGE_POS)
        positions: Array = self._batch.bind("site_xpos")
        return positions[:, self.world.model.site(name).id]

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for one that this engine can't set on its element.
        """
        if not names:
            return
        plan = self._plan(names)
        self._values[env_ids[:, None], plan.columns] = values
        physics = self._values.take(env_ids, axis=0)
        numbers = plan.factors * physics.take(plan.first, axis=1) * physics.take(plan.second, axis=1)
        for write in plan.writes:
            part = numbers[:, write.numbers]
            if write.half_step:
                part = np.maximum(part - write.half_step, 0.0)
            write.target.put(write.places.take(env_ids, axis=0), part)
        if plan.derive:
            self._batch.set_const(env_ids)

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""
        return dict(zip(self._names, map(float, self._values[env_id]), strict=False))

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """Start simulations anew, with delay lines full of ``ctrl``."""
        self._batch.state[env_ids] = self._pristine
        self._batch.warning[env_ids] = 0
        self.qpos[env_ids] = qpos
        self.qvel[env_ids] = qvel
        self._ctrl[env_ids] = ctrl
        if self._history is not None:
            self._history[env_ids[:, None], self._history_columns] = ctrl[:, self._history_actuators]
        if self._stage:
            self._batch.forward(env_ids, stage=self._stage)

    def step(self, ctrl: Array, substeps: int, env_ids: Ids | None = None) -> None:
        """Apply commands, shape (num_envs, nu), for ``substeps`` physics steps."""
        self._ctrl[:] = ctrl
        self._batch.step(env_ids, nstep=substeps, stage=self._stage)

    def diverged(self) -> Mask:
        """Simulations that the engine had to reset because of a NaN or a huge number."""
        counts = self._batch.warning[:, _DIVERGED, 1]
        return np.asarray(counts.any(axis=1))

    def snapshot(self, env_id: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """One simulation as a plain model and data, to render or to inspect."""
        data = self._batch.get_data(env_id)
        model = self._batch.get_model(env_id)
        mujoco.mj_forward(model, data)
        return model, data

    def _make_plan(self, names: tuple[str, ...]) -> _Plan:
        for name in names:
            if name not in self.world.parameters:
                raise UnknownName(f"parameter of {self.world.name}", name, self._names)
        decided = {
            (entry.field, entry.address): entry
            for name in names
            for entry in entries(self.world, self.world.parameters[name])
        }
        by_field: dict[str, list[Entry]] = {}
        for entry in decided.values():
            by_field.setdefault(entry.field, []).append(entry)
        ordered = [entry for group in by_field.values() for entry in group]
        column = {name: k for k, name in enumerate((*self._names, None))}
        pairs = [(*entry.parameters, None, None)[:2] for entry in ordered]
        return _Plan(
            columns=np.array([column[name] for name in names], dtype=np.intp),
            factors=np.array([entry.factor for entry in ordered]),
            first=np.array([column[pair[0]] for pair in pairs], dtype=np.intp),
            second=np.array([column[pair[1]] for pair in pairs], dtype=np.intp),
            writes=list(self._make_writes(by_field)),
            derive=any(field in mujoco.MjModel._setconst_inputs for field in by_field),
        )

    def _make_writes(self, by_field: Mapping[str, list[Entry]]) -> Iterator[_Write]:
        start = 0
        for field, group in by_field.items():
            target = np.reshape(self._batch.expand(field), -1, copy=False)
            firsts = np.arange(self.num_envs)[:, None] * (target.size // self.num_envs)
            yield _Write(
                target=target,
                places=firsts + np.array([entry.address for entry in group]),
                numbers=slice(start, start + len(group)),
                half_step=self.physics_dt / 2 if field == "actuator_delay" else 0.0,
            )
            start += len(group)


def _delay_lines(model: mujoco.MjModel) -> tuple[Ids, Ids]:
    """Columns of the command buffers in ``history``, and the actuator that each belongs to."""
    columns: list[int] = []
    actuators: list[int] = []
    for actuator in range(model.nu):
        samples = int(model.actuator_history[actuator, 0])
        # layout: user, cursor, one time stamp a sample, one value a sample
        start = int(model.actuator_historyadr[actuator]) + 2 + samples
        columns += range(start, start + samples)
        actuators += [actuator] * samples
    return np.array(columns, dtype=np.intp), np.array(actuators, dtype=np.intp)
