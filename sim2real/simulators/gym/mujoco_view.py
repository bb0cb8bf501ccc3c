"""A gymnasium MuJoCo env's simulation as channels see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import mujoco
import numpy as np

from sim2real.interface import Array, Ids
from sim2real.world import element_id


class View:
    """One simulation, live; see `sim2real.interface.Simulator` for the shapes."""

    num_envs = 1

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, delay: Callable[[Array], None]) -> None:
        """Of a model and its data; ``delay`` delays each actuator's commands by whole physics steps."""
        self._model, self._data, self._delay = model, data, delay
        self.physics_dt = float(model.opt.timestep)
        self.qpos, self.qvel = data.qpos[None], data.qvel[None]

    def force(self, body: str) -> Array:
        """Live."""
        return cast(Array, self._data.xfrc_applied[None, element_id(self._model, "body", body)])

    def actuator_force(self) -> Array:
        """Live."""
        return cast(Array, self._data.actuator_force[None])

    def dofs(self, joints: Sequence[str]) -> Ids:
        """Columns of one-dof joints."""
        numbers = [element_id(self._model, "joint", name) for name in joints]
        return np.array([self._model.jnt_dofadr[number] for number in numbers], dtype=np.intp)

    def speed(self) -> Array:
        """Live."""
        speed: Array = self.qvel
        return speed

    def load_force(self) -> Array:
        """Of the last physics step."""
        data, friction = self._data, self._model.dof_frictionloss
        smooth = data.qfrc_smooth - data.qfrc_actuator - data.qfrc_damper
        load = smooth + data.qfrc_constraint - np.clip(data.qfrc_constraint, -friction, friction)
        row: Array = load[None]
        return row

    def dry_friction(self) -> Array:
        """Live, to write."""
        return cast(Array, self._model.dof_frictionloss[None])

    def force_limit(self) -> Array:
        """Live, to write."""
        return cast(Array, self._model.actuator_forcerange[None])

    def delay_commands(self, steps: Array) -> None:
        """Until physics is set again."""
        self._delay(np.asarray(steps)[0])
