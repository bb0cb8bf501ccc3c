"""Some simulations in Bullet, in one process: MuJoCo's forces, Bullet's bodies and contacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple

import numpy as np

from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.bullet.check import check
from sim2real.simulators.bullet.client import Client
from sim2real.simulators.bullet.contacts import touching_in
from sim2real.simulators.bullet.forces import Forces, Prediction
from sim2real.simulators.bullet.reactions import Contact, Contacts, gathered
from sim2real.world import World

_REPEATS = 3
_TOLERANCE = 1e-2


_State = tuple[list[float], list[float]]
"""Positions and velocities of one simulation."""

Law = Callable[[], None] | None
"""What acts before every physics step, if anything."""


class Shard:
    """Simulations that are stepped one after the other."""

    def __init__(self, world: World, num_envs: int) -> None:
        """Build ``num_envs`` simulations at nominal physics."""
        pairs = touching_in(world)
        check(world, pairs)
        self.forces = Forces(world, num_envs)
        self._all = np.arange(num_envs)
        self._blown = np.zeros(num_envs, dtype=bool)
        self._numbers = [self.forces.numbers(env_id) for env_id in range(num_envs)]
        self._clients = [Client(world.model, pairs, numbers) for numbers in self._numbers]

    def close(self) -> None:
        """Give the clients back."""
        for client in self._clients:
            client.close()
        self._clients = []

    def array(self, name: str, element: str | None = None) -> Array:
        """A live array by the name of the protocol's method or attribute that gives it."""
        found = getattr(self.forces, name)
        if name not in ("qpos", "qvel"):
            found = found() if element is None else found(element)
        array: Array = found
        return array

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """As `Simulator.set_physics`."""
        self.forces.set_physics(env_ids, names, values)
        for env_id in map(int, env_ids):
            numbers, old = self.forces.numbers(env_id), self._numbers[env_id]
            if not all(map(np.array_equal, astuple(numbers), astuple(old))):
                client = self._clients[env_id]
                if client.take(numbers):
                    client.write(*(part[0] for part in self.forces.states(np.array([env_id]))))
            self._numbers[env_id] = numbers

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """As `Simulator.reset`."""
        self.forces.reset(env_ids, qpos, qvel, ctrl)
        self.forces.contact[env_ids] = 0.0
        for env_id, *state in zip(env_ids.tolist(), *self.forces.states(env_ids), strict=True):
            client = self._clients[env_id]
            client.forget(self._numbers[env_id])
            client.write(*state)
        self._blown[env_ids] = False

    def step(self, ctrl: Array, substeps: int, env_ids: Ids | None = None, between: Law = None) -> None:
        """As `Simulator.step`."""
        self.forces.command(ctrl)
        rows = self._all if env_ids is None else env_ids
        for _ in range(substeps):
            if between is not None:
                self.forces.show()
                between()
            alive = rows[~self._blown[rows]]
            if len(alive):
                self._substep(alive)
        self.forces.refresh(rows)

    def delay_commands(self, steps: Array) -> None:
        """As `Simulator.delay_commands`."""
        self.forces.delay_commands(steps)

    def diverged(self) -> Mask:
        """As `Simulator.diverged`."""
        return self._blown.copy()

    def _substep(self, rows: Ids) -> None:
        """One physics step, repeated where the forces of contacts turn out other than predicted."""
        forces = self.forces
        start = forces.keep(rows)
        before = list(zip(*forces.states(rows), strict=True))
        todo = np.arange(len(rows))
        first: Prediction | None = None
        for repeat in range(_REPEATS + 1):
            prediction = forces.predict(rows[todo], first)
            back = [before[k] for k in todo.tolist()] if repeat else None
            sane, touched = self._move(rows[todo], prediction, back)
            if not sane.all():
                self._blow(rows[todo[~sane]])
            if not prediction.coupled:
                return
            again = self._react(rows[todo], prediction, touched) & sane
            first, todo = prediction.of(again), todo[again]
            if not len(todo) or repeat == _REPEATS:
                return
            forces.rewind(rows[todo], start[todo])

    def _move(
        self, rows: Ids, prediction: Prediction, back: Sequence[_State] | None
    ) -> tuple[Mask, Contacts]:
        """Step Bullet, from other states if they are given.

        All that concerns a client is done in one visit, for its memory is cold at the next.

        Returns:
            Which simulations still have finite numbers, and what touched.
        """
        forces, push = self.forces, prediction.push
        sane = np.isfinite(push).all(axis=1) & ~forces.diverged()[rows]
        states: list[_State] = []
        found: list[Contact] = []
        chosen = np.flatnonzero(sane)
        for k, row, force in zip(chosen.tolist(), rows[chosen].tolist(), push[chosen].tolist(), strict=True):
            client = self._clients[row]
            if back is not None:
                client.write(*back[k])
            client.apply(force)
            client.step()
            states.append(client.read())
            if prediction.coupled:
                found += [(k, *contact) for contact in client.contacts()]
        if states:
            qpos, qvel = zip(*states, strict=True)
            forces.put(rows[chosen], np.array(qpos), np.array(qvel))
        return sane & forces.sane(rows), gathered(found)

    def _react(self, rows: Ids, prediction: Prediction, touched: Contacts) -> Mask:
        """Learn the forces of contacts and limits; say which steps were far from right without them."""
        error = self.forces.learn(rows, prediction, touched)
        speed = self.forces.fastest(rows)
        return np.asarray(error > _TOLERANCE * (0.1 + speed))

    def _blow(self, rows: Ids) -> None:
        """Rest simulations whose numbers blew up, until their reset."""
        self._blown[rows] = True
        for row in rows.tolist():
            self._clients[row].give_up()
        self.forces.put(rows, self.forces.world.model.qpos0, np.zeros(self.forces.world.model.nv))
