"""Many simulations of one world in MuJoCo, on the engine's own threads (`mujoco.batch.Batch`).

    >>> simulator = MujocoSimulator(World.load("furuta"), num_envs=2)
    >>> simulator.qpos.shape
    (2, 2)

Bit-identical at any number of threads. Arrays are live views. Physics is always written from nominal, and
everything the engine derives from it follows (``set_const``). A latency of k physics steps is written as
(k - 0.5) physics_dt, because the engine compares time stamps in floating point and k·dt drifts to k + 1;
of RK4, which looks between steps too, as (k - 0.25) physics_dt.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.activation import filtered, settled
from sim2real.simulators.backlash import Backlash
from sim2real.simulators.named import Named
from sim2real.simulators.physics_table import FieldNumbers, PhysicsTable
from sim2real.simulators.quiet import quiet
from sim2real.world import World
from sim2real.world.scene import less_delay

_ALL = int(mujoco.mjtStage.mjSTAGE_ACC)
_DIVERGED = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


@dataclass(frozen=True)
class _Write:
    """Numbers of one field."""

    target: Array
    """Live values of all simulations, flattened."""
    places: Ids
    """Where in it each simulation has them. Shape (num_envs, numbers)."""
    numbers: slice
    """Which of the plan's numbers they are."""
    less: float
    """What delays are written shorter by, s, else 0; see the module's story."""


class MujocoSimulator(Named):
    """Simulations of one world in MuJoCo; see `sim2real.interface.Simulator`."""

    def __init__(self, world: World, num_envs: int, num_threads: int = 0) -> None:
        """Make ``num_envs`` simulations at nominal physics; 0 threads means as many as the work is worth.

        Raises:
            InvalidValue: for a world in which bodies may sleep, or a number of threads below 0.
        """
        if num_threads < 0:
            raise InvalidValue(
                f"num_threads = {num_threads} must be 0 (as many as the work is worth) or more"
            )
        self.world = world
        self.num_envs = num_envs
        self.physics_dt = float(world.model.opt.timestep)
        if world.model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_SLEEP:
            raise InvalidValue(
                f"world {world.name} lets bodies fall asleep, which many simulations at once can't; "
                'set <flag sleep="disable"/> in scene.xml'
            )
        threads = num_threads or _threads_for(world.model, num_envs)
        self._batch = Batch(without_islands(world.model), num_envs, min(threads, num_envs))
        self._warned = self._batch.warning[:, _DIVERGED, 1]
        self._none = np.zeros(num_envs, dtype=bool)
        self._play = Backlash.of(world.model)
        self._qpos: Array = self._batch.bind("qpos")
        self._qvel: Array = self._batch.bind("qvel")
        self.qpos: Array = self._qpos if self._play is None else self._play.shown_qpos(self._qpos)
        self.qvel: Array = self._qvel if self._play is None else self._play.shown_qvel(self._qvel)
        self._ctrl: Array = self._batch.bind("ctrl")
        self.activation: Array | None = self._batch.bind("act") if world.model.na else None
        """Of actuators that filter or integrate their command; live. Shape (num_envs, na)."""
        if world.model.nmocap:
            for name, rest in zip(("mocap_pos", "mocap_quat"), self.mocap(), strict=True):
                self._batch.bind(name)[:] = rest
        # an engine's reset writes this row, whatever the physics; writing it ourselves is faster
        self._pristine: Array = self._batch.state[0].copy()
        self._stage = int(mujoco.mjtStage.mjSTAGE_NONE)
        self._senses = False
        self._table = PhysicsTable(world, num_envs)
        self._writes: dict[tuple[str, ...], list[_Write]] = {}
        self._history = self._batch.bind("history") if world.model.nhistory else None
        self._history_columns, self._history_commands = _delay_lines(world.model)

    def site(self, name: str) -> Array:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""
        self._stage = int(mujoco.mjtStage.mjSTAGE_POS)
        positions: Array = self._batch.bind("site_xpos")
        return positions[:, self._site_id(name)]

    def sensor(self, name: str) -> Array:
        """What a sensor reads, as of the start of the last physics step; live. Shape (num_envs, size)."""
        self._senses = True
        readings: Array = self._batch.bind("sensordata")
        return readings[:, self._sensor_columns(name)]

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for one that this engine can't set on its element.
        """
        if not names:
            return
        plan = self._table.set(env_ids, names, values)
        if not plan.fields:
            return
        numbers = self._table.numbers(plan, env_ids)
        if names not in self._writes:
            self._writes[names] = [self._write(field) for field in plan.fields]
        for write in self._writes[names]:
            part = numbers[:, write.numbers]
            if write.less:
                part = np.maximum(part - write.less, 0.0)
            write.target.put(write.places.take(env_ids, axis=0), part)
        if plan.derive:
            self._batch.set_const(env_ids)

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""
        return self._table.row(env_id)

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """Start simulations anew, with delay lines full of ``ctrl`` and activations settled at it."""
        self._batch.state[env_ids] = self._pristine
        self._batch.warning[env_ids] = 0
        self.qpos[env_ids] = qpos
        self.qvel[env_ids] = qvel
        if self._play is not None:
            self._play.start(self._qpos, self._qvel, env_ids, (qpos, qvel))
        self._ctrl[env_ids] = ctrl
        if self.activation is not None:
            self.activation[env_ids] = settled(self.world.model, np.asarray(ctrl), self._qpos[env_ids])
        if self._history is not None:
            self._history[env_ids[:, None], self._history_columns] = ctrl[:, self._history_commands]
        if self._stage or self._senses:
            with quiet():
                self._batch.forward(env_ids, stage=_ALL if self._senses else self._stage)

    def step(
        self,
        ctrl: Array,
        substeps: int,
        env_ids: Ids | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        """Apply commands, shape (num_envs, nu), for ``substeps`` physics steps; see the protocol."""
        self._ctrl[:] = ctrl
        with quiet():
            if between is None:
                self._batch.step(env_ids, nstep=substeps, stage=self._stage)
            else:
                self._step_by_step(substeps, env_ids, between)
        self._show()

    def _step_by_step(self, substeps: int, env_ids: Ids | None, between: Callable[[], None]) -> None:
        for _ in range(substeps):
            self._show()
            between()
            self._batch.step(env_ids, nstep=1, stage=self._stage)

    def advance(self, ctrl: Array, env_ids: Ids) -> None:
        """One physics step of some simulations, in order, under commands of shape (len(env_ids), nu)."""
        self._ctrl[env_ids] = ctrl
        with quiet():
            self._batch.step(env_ids, nstep=1, stage=self._stage)
        self._show()

    def rollout(self, ctrl: Array, env_ids: Ids) -> Array:
        """Run simulations under commands that are known beforehand, without a stop.

        Args:
            ctrl: a command for every physics step. Shape (len(env_ids), steps, nu).
            env_ids: which simulations, in order.

        Returns:
            ``qpos`` after every step. Shape (len(env_ids), steps, nq).
        """
        with quiet():
            recorded: Array = self._batch.rollout(ctrl.shape[1], ctrl, record=("qpos",), ids=env_ids)["qpos"]
        self._show()
        return recorded if self._play is None else self._play.seen(recorded)

    def settle(self, env_ids: Ids, commands: Array) -> None:
        """Let filters remember the commands before a start. Shape (steps, len(env_ids), nu)."""
        if self.activation is not None:
            self.activation[env_ids] = filtered(self.world.model, self.activation[env_ids], commands)

    def force(self, body: str) -> Array:
        """External force and torque on a body, N and N·m, world frame; live. Shape (num_envs, 6)."""
        wrenches: Array = self._batch.bind("xfrc_applied")
        return wrenches[:, self.world.model.body(body).id]

    def actuator_force(self) -> Array:
        """Force of every actuator in the last physics step, N or N·m; live. Shape (num_envs, nu)."""
        forces: Array = self._batch.bind("actuator_force")
        return forces

    def motor_force(self) -> Array:
        """Force of all actuators on every degree of freedom of the engine in the last physics step; live.

        Within the limits of the joints. Shape (num_envs, dofs).
        """
        forces: Array = self._batch.bind("qfrc_actuator")
        return forces

    def shown_dofs(self) -> Ids:
        """Where the world's degrees of freedom are among the engine's: on the motor's side of play."""
        return np.arange(self._qvel.shape[1]) if self._play is None else self._play.qvel

    def speed(self) -> Array:
        """Speed of every degree of freedom of the engine, rad/s or m/s; live. Shape (num_envs, dofs)."""
        return self._qvel

    def load_force(self) -> Array:
        """What else acted on every degree of freedom in the last physics step; see the protocol."""
        bind = self._batch.bind
        smooth = bind("qfrc_smooth") - bind("qfrc_actuator") - bind("qfrc_damper")
        constraint, friction = bind("qfrc_constraint"), self.dry_friction()
        load: Array = smooth + constraint - np.minimum(np.maximum(constraint, -friction), friction)
        return load

    def dry_friction(self) -> Array:
        """Dry friction of every degree of freedom, N·m or N; live, to write. Shape (num_envs, dofs)."""
        friction: Array = self._batch.expand("dof_frictionloss")
        return friction

    def force_limit(self) -> Array:
        """Least and most that every actuator gives; live, to write. Shape (num_envs, nu, 2)."""
        limits: Array = self._batch.expand("actuator_forcerange")
        return limits

    def actuator_bias(self) -> Array:
        """``biasprm`` of every actuator; live, to write. Shape (num_envs, actuators, parameters)."""
        bias: Array = self._batch.expand("actuator_biasprm")
        return bias

    def delay_commands(self, steps: Array) -> None:
        """Delay commands by whole physics steps until physics is set again. Shape (num_envs, nu)."""
        self._batch.expand("actuator_delay")[:] = np.maximum(
            steps * self.physics_dt - less_delay(self.world.model), 0.0
        )

    def _show(self) -> None:
        if self._play is not None:
            self._play.show(self._qpos, self._qvel, self.qpos, self.qvel)

    def diverged(self) -> Mask:
        """Simulations that the engine had to reset because of a NaN or a huge number."""
        return np.asarray(self._warned.any(axis=1)) if np.count_nonzero(self._warned) else self._none.copy()

    def snapshot(self, env_id: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """One simulation as a plain model and data, to render or to inspect."""
        data = self._batch.get_data(env_id)
        model = self._batch.get_model(env_id)
        model.opt.disableflags = self.world.model.opt.disableflags
        with quiet():
            mujoco.mj_forward(model, data)
        return model, data

    def _write(self, field: FieldNumbers) -> _Write:
        target = np.reshape(self._batch.expand(field.field), -1, copy=False)
        firsts = np.arange(self.num_envs)[:, None] * (target.size // self.num_envs)
        return _Write(
            target=target,
            places=firsts + field.addresses,
            numbers=field.numbers,
            less=less_delay(self.world.model) if field.field == "actuator_delay" else 0.0,
        )


def without_islands(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model, of one tree, as it steps to the same bits in nine tenths of the time; else itself.

    The engine sorts constraints into islands of bodies that touch, of which one tree can have but one.
    """
    if model.ntree != 1:
        return model
    alike = copy.copy(model)
    alike.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ISLAND)
    return alike


_WORTH_A_THREAD = 5e-5
"""CPU time, s, that a physics step of all simulations must take for each thread: waking one costs as much."""


def _threads_for(model: mujoco.MjModel, num_envs: int) -> int:
    """Threads by how much work there is, and at most one for each core that the process may use."""
    if num_envs == 1:
        return 1
    data, steps, seconds = mujoco.MjData(model), 0, 0.0
    with quiet():
        mujoco.mj_step(model, data)
        start = time.thread_time()
        while steps < _TRIED and seconds < _PATIENCE:
            mujoco.mj_step(model, data)
            steps, seconds = steps + 1, time.thread_time() - start
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(int(num_envs * seconds / steps / _WORTH_A_THREAD), cores), 1)


_TRIED, _PATIENCE = 20, 0.005  # steps, and s, that the choice may cost


def _delay_lines(model: mujoco.MjModel) -> tuple[Ids, Ids]:
    """Columns of the command buffers in ``history``, and the command that each belongs to."""
    columns: list[int] = []
    commands: list[int] = []
    for actuator in range(model.nactuator):
        samples, width = int(model.actuator_history[actuator, 0]), int(model.actuator_ctrlnum[actuator])
        # layout: user, cursor, one time stamp a sample, the values of a sample side by side
        start = int(model.actuator_historyadr[actuator]) + 2 + samples
        columns += range(start, start + samples * width)
        first = int(model.actuator_ctrladr[actuator])
        commands += list(range(first, first + width)) * samples
    return np.array(columns, dtype=np.intp), np.array(commands, dtype=np.intp)
