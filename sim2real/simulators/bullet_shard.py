"""Some simulations in Bullet, in one process: MuJoCo's forces, Bullet's bodies and contacts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np

from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.bullet_client import Client
from sim2real.simulators.bullet_contacts import touching
from sim2real.simulators.bullet_forces import Forces, Prediction
from sim2real.simulators.bullet_reactions import Reactions, solve
from sim2real.world import World


_REPEATS = 3
_TOLERANCE = 1e-2


class Shard:
    """Simulations that are stepped one after the other."""

    def __init__(self, world: World, num_envs: int) -> None:
        """Build ``num_envs`` simulations at nominal physics."""
        self.forces = Forces(world, num_envs)
        self._all = np.arange(num_envs)
        self._blown = np.zeros(num_envs, dtype=bool)
        self._numbers = [self.forces.numbers(env_id) for env_id in range(num_envs)]
        self._reactions = Reactions(world.model)
        pairs = touching(world.model)
        self._clients = [Client(world.model, pairs, numbers) for numbers in self._numbers]

    def close(self) -> None:
        """Give the clients back."""
        for client in self._clients:
            client.close()
        self._clients = []

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """As `Simulator.set_physics`."""
        self.forces.set_physics(env_ids, names, values)
        for env_id in map(int, env_ids):
            numbers, old = self.forces.numbers(env_id), self._numbers[env_id]
            client = self._clients[env_id]
            if not (_same(numbers.body_ipos, old.body_ipos) and _same(numbers.body_iquat, old.body_iquat)):
                client.build(numbers)
                client.write(self.forces.qpos[env_id], self.forces.qvel[env_id])
            elif not all(map(_same, astuple(numbers), astuple(old))):
                client.update(numbers)
            self._numbers[env_id] = numbers

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """As `Simulator.reset`."""
        self.forces.reset(env_ids, qpos, qvel, ctrl)
        self.forces.contact[env_ids] = 0.0
        for env_id in map(int, env_ids):
            client = self._clients[env_id]
            if self._blown[env_id]:
                client.build(self._numbers[env_id])
            client.write(self.forces.qpos[env_id], self.forces.qvel[env_id])
        self._blown[env_ids] = False

    def step(
        self, ctrl: Array, substeps: int, env_ids: Ids | None = None, between: Callable[[], None] | None = None
    ) -> None:
        """As `Simulator.step`."""
        self.forces.command(ctrl)
        rows = self._all if env_ids is None else env_ids
        for _ in range(substeps):
            if between is not None:
                between()
            self._substep(rows[~self._blown[rows]])
        self.forces.refresh(rows)

    def diverged(self) -> Mask:
        """As `Simulator.diverged`."""
        return self._blown.copy()

    def _substep(self, rows: Ids) -> None:
        """One physics step, repeated where the forces of contacts turn out other than predicted."""
        forces = self.forces
        start = forces.keep(rows)
        qpos, qvel = forces.qpos[rows], forces.qvel[rows]
        todo = np.arange(len(rows))
        for repeat in range(_REPEATS + 1):
            prediction = forces.predict(rows[todo])
            sane = self._move(rows[todo], prediction.push)
            if not sane.all():
                self._blow(rows[todo[~sane]])
            if not prediction.coupled:
                return
            wrong = [
                k for k in np.flatnonzero(sane).tolist() if self._react(int(rows[todo[k]]), prediction, k)
            ]
            todo = todo[wrong]
            if not len(todo) or repeat == _REPEATS:
                return
            forces.rewind(rows[todo], start[todo])
            for k in todo.tolist():
                self._clients[rows[k]].write(qpos[k], qvel[k])

    def _move(self, rows: Ids, push: Array) -> Mask:
        """Step Bullet, and say which simulations still have finite numbers."""
        forces = self.forces
        sane = np.isfinite(push).all(axis=1) & ~forces.diverged()[rows]
        for k in np.flatnonzero(sane).tolist():
            client, row = self._clients[rows[k]], rows[k]
            client.apply(push[k])
            client.step()
            client.read(forces.qpos[row], forces.qvel[row])
        return np.asarray(sane & forces.sane(rows))

    def _react(self, row: int, prediction: Prediction, k: int) -> bool:
        """Learn the forces of contacts and limits; say whether the step was far from right without them."""
        forces, inertia = self.forces, prediction.inertia[k]
        contacts = self._clients[row].contacts()
        held = self._reactions.rows(contacts, forces.motion(row), forces.qpos[row])
        old, dt = forces.contact[row].copy(), forces.physics_dt
        if not len(held[0]) and not old.any():
            return False
        new = np.zeros_like(old)
        if len(held[0]):
            free = prediction.qvel[k] - dt * np.linalg.solve(inertia, old)
            new = solve(held, inertia, free, forces.qvel[row]) / dt
        forces.contact[row] = new
        error = dt * np.linalg.solve(inertia, new - old)
        return bool(np.abs(error).max() > _TOLERANCE * (0.1 + np.abs(forces.qvel[row]).max()))

    def _blow(self, rows: Ids) -> None:
        """Rest simulations whose numbers blew up, until their reset."""
        self._blown[rows] = True
        self.forces.qpos[rows] = self.forces.world.model.qpos0
        self.forces.qvel[rows] = 0.0


def _same(one: Array, other: Array) -> bool:
    return bool(np.array_equal(one, other))
