"""Many simulations of one world in MuJoCo Warp, on a GPU where there is one.

    >>> simulator = WarpSimulator(World.load("furuta"), num_envs=4096)  # doctest: +SKIP
    >>> simulator.qpos.device  # doctest: +SKIP
    device(type='cuda', index=0)

Arrays are float32 torch tensors on the engine's own memory. What is launched each step is one recorded graph,
on the CPU device too. Physics is kept in double precision on the host and always written from nominal. A
latency of k physics steps is written as (k - 0.5) physics_dt, as in `sim2real.simulators.mujoco`.

The engine steps every simulation; rows that rest get back the state that they had. A simulation whose numbers
blow up, or that needs more contacts than there is room for, is reported by `diverged` and stands still in the
model's reference pose until its reset, so that no NaN reaches a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
import torch

from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.fields import Entry, entries
from sim2real.simulators.warp_model import Engine
from sim2real.world import World

_log = logging.getLogger(__name__)

_HUGE = 1e10  # what MuJoCo itself calls a bad position or velocity


@dataclass(frozen=True)
class _Write:
    """Numbers of one field: ``factors · first · second - shift``."""

    target: torch.Tensor
    """Shape (num_envs, width)."""
    addresses: torch.Tensor
    """Columns of ``target``."""
    factors: Array
    pairs: Ids
    """Columns of two parameters a number; the last column of all values is 1. Shape (2, numbers)."""
    shift: float
    """Half a physics step for delays, else 0."""

    def numbers(self, physics: Array) -> Array:
        """What ``target`` gets for rows of physics."""
        values = self.factors * physics[:, self.pairs[0]] * physics[:, self.pairs[1]]
        return np.maximum(values - self.shift, 0.0) if self.shift else values


class WarpSimulator:
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
        decided = [e.field for p in world.parameters.values() for e in entries(world, p)]
        engine = self._engine = Engine(world.model, num_envs, decided)
        self.device = torch.device(engine.device)
        data, tensor = engine.data, engine.tensor
        self.qpos: torch.Tensor = tensor(data.qpos)
        self.qvel: torch.Tensor = tensor(data.qvel)
        self._ctrl: torch.Tensor = tensor(data.ctrl)
        self._history: torch.Tensor = tensor(data.history)
        self._overflow: torch.Tensor = tensor(data.overflow)
        self._reference = self.qpos.clone()
        self._motion = [self.qvel, tensor(data.qacc_warmstart), tensor(data.act)]
        self._reset_rows = engine.wp.zeros(num_envs, dtype=engine.wp.bool, device=engine.device)
        self._reset_mask: torch.Tensor = tensor(self._reset_rows)
        self._diverged = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        self._has_sites = self._told = False
        self._force_limit: torch.Tensor | None = None
        self._names = tuple(world.parameters)
        self._values: Array = np.ones((num_envs, len(self._names) + 1))
        self._values[:, :-1] = list(world.nominal.values())
        self._plan = lru_cache(maxsize=8)(self._make_plan)
        self._delayed = _command_buffers(world.model)

    def joints(self, names: Sequence[str]) -> tuple[Ids, Ids]:
        """Columns of one-dof joints in ``qpos`` and in ``qvel``."""
        model = self.world.model
        ids = [model.joint(name).id for name in names]
        return model.jnt_qposadr[ids].astype(np.intp), model.jnt_dofadr[ids].astype(np.intp)

    def limits(self, joint: str) -> tuple[float, float]:
        """Range of a joint, rad or m; infinite where it has none."""
        model, number = self.world.model, self.world.model.joint(joint).id
        low, high = model.jnt_range[number] if model.jnt_limited[number] else (-np.inf, np.inf)
        return float(low), float(high)

    def site(self, name: str) -> torch.Tensor:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""
        self._has_sites = True
        positions = self._engine.tensor(self._engine.data.site_xpos)
        return positions[:, self.world.model.site(name).id]

    def force(self, body: str) -> torch.Tensor:
        """External force and torque at a body's centre of mass, world frame; live. Shape (num_envs, 6)."""
        wrenches = self._engine.tensor(self._engine.data.xfrc_applied)
        return wrenches[:, self.world.model.body(body).id]

    def actuator_force(self) -> torch.Tensor:
        """Force of every actuator in the last physics step; live. Shape (num_envs, nu)."""
        return self._engine.tensor(self._engine.data.actuator_force)

    def dry_friction(self) -> torch.Tensor:
        """Dry friction of every degree of freedom, N·m or N; live. Shape (num_envs, nv)."""
        friction = self._engine.field("dof_frictionloss", self.world.model.nv)
        assert friction is not None
        return friction

    def force_limit(self) -> torch.Tensor:
        """Symmetric limit of every actuator's force; live in ``between``. Shape (num_envs, nu)."""
        if self._force_limit is None:
            ranges = self._force_ranges()
            limited = self._engine.tensor(self._engine.model.actuator_forcelimited)
            ranges[:, ~limited] = torch.tensor([-_HUGE, _HUGE], device=self.device)
            limited[:] = True
            self._force_limit = ranges[:, :, 1].clone()
        return self._force_limit

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for one that this engine can't vary between simulations.
        """
        if not names:
            return
        writes, derive = self._plan(names)
        columns = [self._names.index(name) for name in names]
        self._values[env_ids[:, None], columns] = values
        rows = self._rows(env_ids)[:, None]
        for write in writes:
            numbers = torch.as_tensor(write.numbers(self._values[env_ids]), dtype=torch.float32)
            write.target[rows, write.addresses] = numbers.to(self.device)
        if derive:
            engine = self._engine
            engine.launch("derive", (engine.mjw.set_const, engine.model, engine.data))

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""
        return {name: float(self._values[env_id, k]) for k, name in enumerate(self._names)}

    def reset(self, env_ids: Ids, qpos: torch.Tensor, qvel: torch.Tensor, ctrl: torch.Tensor) -> None:
        """Start simulations anew, with delay lines full of ``ctrl``."""
        engine, rows = self._engine, self._rows(env_ids)
        self._reset_mask.zero_()
        self._reset_mask[rows] = True
        engine.launch("reset", (engine.mjw.reset_data, engine.model, engine.data, self._reset_rows))
        self.qpos[rows], self.qvel[rows], self._ctrl[rows] = qpos, qvel, ctrl
        columns, actuators = self._delayed
        if len(columns):
            self._history[rows[:, None], columns] = ctrl[:, actuators]
        self._diverged[rows] = False
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
        kept = None if resting is None else (self.qpos[resting], self.qvel[resting])
        self._ctrl[:] = ctrl
        if between is None:
            self._launch_steps(substeps)
        else:
            for _ in range(substeps):
                between()
                self._write_force_limit()
                self._launch_steps(1)
        self._guard()
        if kept is not None:
            self.qpos[resting], self.qvel[resting] = kept
        self._refresh_sites()

    def diverged(self) -> Mask:
        """Simulations with a NaN, a huge number or too many contacts since their reset."""
        overflows = self._overflow & self._engine.fatal_overflows
        if not self._told and bool(overflows.any()):
            self._told = True
            _log.warning("%s", self._engine.overflow_message(overflows))
        flags: Any = self._diverged.clone()
        return flags  # type: ignore[no-any-return]

    def _launch_steps(self, count: int) -> None:
        engine = self._engine
        call = (engine.mjw.step, engine.model, engine.data)
        engine.launch(("step", count), *[call] * count)

    def _guard(self) -> None:
        """Take note of rows that blew up, and put them where no number can do harm."""
        size = torch.maximum(self.qpos.abs().amax(dim=1), self.qvel.abs().amax(dim=1))
        self._diverged |= ~(size < _HUGE)
        self._diverged |= (self._overflow & self._engine.fatal_overflows) != 0
        self.qpos.copy_(torch.where(self._diverged[:, None], self._reference, self.qpos))
        for state in self._motion:
            state.masked_fill_(self._diverged[:, None], 0.0)

    def _refresh_sites(self) -> None:
        if self._has_sites:
            engine = self._engine
            engine.launch("sites", (engine.mjw.kinematics, engine.model, engine.data))

    def _force_ranges(self) -> torch.Tensor:
        """Shape (num_envs, nu, 2)."""
        flat = self._engine.field("actuator_forcerange", self.world.model.actuator_forcerange.size)
        assert flat is not None
        return flat.view(self.num_envs, -1, 2)

    def _write_force_limit(self) -> None:
        if self._force_limit is not None:
            ranges = self._force_ranges()
            ranges[:, :, 1] = self._force_limit
            ranges[:, :, 0] = -self._force_limit

    def _resting(self, env_ids: Ids | None) -> torch.Tensor | None:
        if env_ids is None or len(env_ids) == self.num_envs:
            return None
        rests = np.ones(self.num_envs, dtype=bool)
        rests[env_ids] = False
        return self._rows(np.flatnonzero(rests))

    def _rows(self, env_ids: Ids) -> torch.Tensor:
        return torch.as_tensor(env_ids, device=self.device)

    def _make_plan(self, names: tuple[str, ...]) -> tuple[list[_Write], bool]:
        """What to write for some parameters, and whether the engine derives other numbers from it."""
        decided: dict[str, dict[int, Entry]] = {}
        for name in names:
            if name not in self.world.parameters:
                raise UnknownName(f"parameter of {self.world.name}", name, self._names)
            for entry in entries(self.world, self.world.parameters[name]):
                decided.setdefault(entry.field, {})[entry.address] = entry
        derive = not set(decided).isdisjoint(mujoco.MjModel._setconst_inputs)
        return [self._write(field, list(group.values())) for field, group in decided.items()], derive

    def _write(self, field: str, numbers: list[Entry]) -> _Write:
        owner = self.world.model.opt if field.startswith("opt.") else self.world.model
        target = self._engine.field(field, np.size(getattr(owner, field.removeprefix("opt."))))
        if target is None:
            names = sorted({name for entry in numbers for name in entry.parameters})
            raise InvalidValue(
                f"{', '.join(names)}: MuJoCo Warp shares {field} between simulations, so it can't be varied; "
                "leave it nominal, or use simulator 'mujoco'"
            )
        column = {name: k for k, name in enumerate((*self._names, ""))}
        pairs = [[column[name] for name in (*entry.parameters, "", "")[:2]] for entry in numbers]
        return _Write(
            target,
            self._rows(np.array([entry.address for entry in numbers])),
            np.array([entry.factor for entry in numbers]),
            np.array(pairs, dtype=np.intp).T,
            self.physics_dt / 2 if field == "actuator_delay" else 0.0,
        )


def _command_buffers(model: mujoco.MjModel) -> tuple[list[int], list[int]]:
    """Columns of ``history`` that hold delayed commands, and the actuator of each."""
    columns: list[int] = []
    actuators: list[int] = []
    for actuator, (samples, _) in enumerate(model.actuator_history):
        values = model.actuator_historyadr[actuator] + 2 + samples  # after user, cursor and the time stamps
        columns.extend(range(values, values + samples))
        actuators.extend([actuator] * int(samples))
    return columns, actuators
