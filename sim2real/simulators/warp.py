"""Many simulations of one world in MuJoCo Warp, on a GPU where there is one.

    >>> simulator = WarpSimulator(World.load("furuta"), num_envs=4096)  # doctest: +SKIP
    >>> simulator.qpos.device  # doctest: +SKIP
    device(type='cuda', index=0)

Arrays are float32 torch tensors on the engine's own memory. What is launched each step is one recorded graph,
on the CPU device too. Physics is kept in double precision on the host and always written from nominal. A
latency of k physics steps is written a little shorter, as in `sim2real.simulators.mujoco`.

The engine steps every simulation; rows that rest get back the state that they had. A simulation whose numbers
blow up, or that needs more contacts than there is room for, is reported by `diverged` and stands still in the
model's reference pose until its reset, so that no NaN reaches a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids
from sim2real.simulators.activation import settled
from sim2real.simulators.backlash import Backlash
from sim2real.simulators.named import Named
from sim2real.simulators.physics_table import FieldNumbers, PhysicsTable, Plan, possible_entries
from sim2real.simulators.warp_model import WarpModel
from sim2real.world import World
from sim2real.world.scene import less_delay

_log = logging.getLogger(__name__)

_HUGE = 1e10  # what MuJoCo itself calls a bad position or velocity


class _Target(NamedTuple):
    """Where the numbers of one field go."""

    field: torch.Tensor
    """Shape (num_envs, width)."""
    columns: torch.Tensor
    numbers: slice
    """Which of the plan's numbers they are."""
    shift: float
    """Half a physics step for delays, else 0."""


class WarpSimulator(Named):
    """Simulations of one world in MuJoCo Warp; see `sim2real.interface.Simulator`."""

    def __init__(self, world: World, num_envs: int, num_threads: int = 0) -> None:
        """Make ``num_envs`` simulations at nominal physics.

        Args:
            world: what is simulated.
            num_envs: how often.
            num_threads: not used; Warp has one thread on the CPU.

        Raises:
            MissingExtra: if MuJoCo Warp is not installed.
            InvalidValue: for a world that it can't run.
        """
        self.world = world
        self.num_envs = num_envs
        self.physics_dt = float(world.model.opt.timestep)
        fields = [entry.field for entry in possible_entries(world)]
        engine = self._engine = WarpModel(world.model, num_envs, fields)
        self.device = torch.device(engine.device)
        data, tensor = engine.data, engine.tensor
        self._qpos, self._qvel, self._ctrl = tensor(data.qpos), tensor(data.qvel), tensor(data.ctrl)
        self._history, self._overflow = tensor(data.history), tensor(data.overflow)
        self._play: Any = Backlash.of(world.model)  # it serves tensors as well as arrays
        self.qpos = self._qpos if self._play is None else self._qpos[:, self._play.qpos]
        self.qvel = self._qvel if self._play is None else self._qvel[:, self._play.qvel]
        self._reference = self._qpos.clone()
        self._act = tensor(data.act)
        self._motion = (self._qvel, tensor(data.qacc_warmstart), self._act)
        self._state = (self._qpos, *self._motion, self._history, tensor(data.time))
        self._reset_rows = engine.wp.zeros(num_envs, dtype=engine.wp.bool, device=engine.device)
        self._reset_mask = tensor(self._reset_rows)
        self._diverged = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        self._has_sites = self._told = False
        self._sensors: torch.Tensor | None = None
        self._table = PhysicsTable(world, num_envs)
        self._targets: dict[tuple[str, ...], list[_Target]] = {}
        self._delayed = engine.command_buffers()
        rest = zip((data.mocap_pos, data.mocap_quat), self.mocap(), strict=True)
        self._mocap = [(tensor(live), tensor(live).new_tensor(there)) for live, there in rest]

    def site(self, name: str) -> torch.Tensor:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""
        self._has_sites = True
        positions = self._engine.tensor(self._engine.data.site_xpos)
        return positions[:, self._site_id(name)]

    def sensor(self, name: str) -> torch.Tensor:
        """What a sensor reads, as of the start of the last physics step; live. Shape (num_envs, size)."""
        self._sensors = self._engine.tensor(self._engine.data.sensordata)
        return self._sensors[:, self._sensor_columns(name)]

    def force(self, body: str) -> torch.Tensor:
        """External force and torque on a body, N and N·m, world frame; live. Shape (num_envs, 6)."""
        wrenches = self._engine.tensor(self._engine.data.xfrc_applied)
        return wrenches[:, self.world.model.body(body).id]

    def actuator_force(self) -> torch.Tensor:
        """Force of every actuator in the last physics step, N or N·m; live. Shape (num_envs, nu)."""
        return self._engine.tensor(self._engine.data.actuator_force)

    def speed(self) -> torch.Tensor:
        """Speed of every degree of freedom of the engine, rad/s or m/s; live. Shape (num_envs, dofs)."""
        return self._qvel

    def load_force(self) -> torch.Tensor:
        """What else acted on every degree of freedom in the last physics step; see the protocol."""
        data, tensor = self._engine.data, self._engine.tensor
        smooth = tensor(data.qfrc_smooth) - tensor(data.qfrc_actuator) - tensor(data.qfrc_damper)
        constraint, friction = tensor(data.qfrc_constraint), self.dry_friction()
        return smooth + constraint - torch.maximum(torch.minimum(constraint, friction), -friction)

    def dry_friction(self) -> torch.Tensor:
        """Dry friction of every degree of freedom, N·m or N; live, to write. Shape (num_envs, dofs)."""
        return self._own("dof_frictionloss")

    def force_limit(self) -> torch.Tensor:
        """Least and most that every actuator gives; live, to write. Shape (num_envs, nu, 2)."""
        return self._own("actuator_forcerange").view(self.num_envs, -1, 2)

    def actuator_bias(self) -> torch.Tensor:
        """``biasprm`` of every actuator; live, to write. Shape (num_envs, actuators, parameters)."""
        return self._own("actuator_biasprm").view(self.num_envs, self.world.model.nactuator, -1)

    def delay_commands(self, steps: torch.Tensor) -> None:
        """Delay commands by whole physics steps until physics is set again. Shape (num_envs, nu)."""
        self._own("actuator_delay")[:] = torch.clamp(
            steps * self.physics_dt - less_delay(self.world.model), min=0.0
        )

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for one that this engine can't vary between simulations.
        """
        if not names:
            return
        plan = self._table.set(env_ids, names, values)
        if names not in self._targets:
            self._targets[names] = [self._target(plan, numbers) for numbers in plan.fields]
        if not plan.fields:
            return
        rows, numbers = self._rows(env_ids)[:, None], self._table.numbers(plan, env_ids)
        for target in self._targets[names]:
            part = numbers[:, target.numbers]
            part = np.maximum(part - target.shift, 0.0) if target.shift else part
            target.field[rows, target.columns] = torch.as_tensor(part, dtype=torch.float32).to(self.device)
        if plan.derive:
            engine = self._engine
            engine.launch("derive", (engine.mjw.set_const, engine.model, engine.data))

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""
        return self._table.row(env_id)

    def reset(self, env_ids: Ids, qpos: torch.Tensor, qvel: torch.Tensor, ctrl: torch.Tensor) -> None:
        """Start simulations anew, with delay lines full of ``ctrl`` and activations settled at it."""
        engine, rows = self._engine, self._rows(env_ids)
        self._reset_mask.zero_()
        self._reset_mask[rows] = True
        engine.launch("reset", (engine.mjw.reset_data, engine.model, engine.data, self._reset_rows))
        self.qpos[rows], self.qvel[rows], self._ctrl[rows] = qpos, qvel, ctrl
        for live, there in self._mocap if self.world.model.nmocap else ():
            live[rows] = there
        if self._play is not None:
            self._play.start(self._qpos, self._qvel, env_ids, (qpos, qvel))
        if self.world.model.na:
            begun = settled(self.world.model, ctrl.cpu().numpy(), self._qpos[rows].cpu().numpy())
            self._act[rows] = torch.as_tensor(begun, dtype=self._act.dtype, device=self.device)
        columns, actuators = self._delayed
        if len(columns):
            self._history[rows[:, None], columns] = ctrl[:, actuators]
        self._diverged[rows] = False
        if self._sensors is not None:
            self._sensors[rows] = 0.0
        self._refresh_sites()

    def step(
        self,
        ctrl: torch.Tensor,
        substeps: int,
        env_ids: Ids | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        """Apply commands, shape (num_envs, nu), for ``substeps`` physics steps.

        Args:
            ctrl: commands of all rows.
            substeps: physics steps.
            env_ids: rows that move; the others rest. By default all.
            between: called before every physics step. One graph then becomes ``substeps`` of them.
        """
        resting = self._resting(env_ids)
        kept = [] if resting is None else [state[resting] for state in self._state]
        self._ctrl[:] = ctrl
        if between is None:
            self._advance(substeps)
        else:
            for _ in range(substeps):
                self._show()
                between()
                self._advance(1)
        self._guard()
        for state, before in zip(self._state if kept else (), kept, strict=True):
            state[resting] = before
        self._show()
        self._refresh_sites()

    def diverged(self) -> torch.Tensor:
        """Simulations with a NaN, a huge number or too many contacts since their reset."""
        overflows = self._overflow & self._engine.fatal_overflows
        if not self._told and bool(overflows.any()):
            self._told = True
            _log.warning("%s", self._engine.overflow_message(overflows))
        return self._diverged.clone()

    def _advance(self, count: int) -> None:
        engine = self._engine
        call = (engine.mjw.step, engine.model, engine.data)
        engine.launch(("step", count), *[call] * count)

    def _guard(self) -> None:
        """Take note of rows that blew up, and put them where no number can do harm."""
        size = torch.maximum(self._qpos.abs().amax(dim=1), self._qvel.abs().amax(dim=1))
        self._diverged |= ~(size < _HUGE)
        self._diverged |= (self._overflow & self._engine.fatal_overflows) != 0
        self._qpos.copy_(torch.where(self._diverged[:, None], self._reference, self._qpos))
        for state in self._motion:
            state.masked_fill_(self._diverged[:, None], 0.0)

    def _show(self) -> None:
        if self._play is not None:
            self._play.show(self._qpos, self._qvel, self.qpos, self.qvel)

    def _refresh_sites(self) -> None:
        if self._has_sites:
            engine = self._engine
            engine.launch("sites", (engine.mjw.kinematics, engine.model, engine.data))

    def _own(self, name: str) -> torch.Tensor:
        """A field that every simulation has of its own. Shape (num_envs, width)."""
        field = self._engine.field(name)
        assert field is not None, name
        return field

    def _target(self, plan: Plan, numbers: FieldNumbers) -> _Target:
        field = self._engine.field(numbers.field)
        if field is None:
            raise InvalidValue(
                f"{', '.join(plan.names)}: MuJoCo Warp shares {numbers.field} between simulations, so it "
                "can't be varied; leave it nominal, or use simulator 'mujoco'"
            )
        shift = less_delay(self.world.model) if numbers.field == "actuator_delay" else 0.0
        return _Target(field, self._rows(numbers.addresses), numbers.numbers, shift)

    def _resting(self, env_ids: Ids | None) -> torch.Tensor | None:
        if env_ids is None or len(env_ids) == self.num_envs:
            return None
        rests = np.ones(self.num_envs, dtype=bool)
        rests[env_ids] = False
        return self._rows(np.flatnonzero(rests))

    def _rows(self, env_ids: Ids) -> torch.Tensor:
        return torch.as_tensor(env_ids, device=self.device)
