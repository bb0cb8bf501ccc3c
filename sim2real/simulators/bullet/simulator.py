"""Many simulations of one world in Bullet.

    >>> simulator = BulletSimulator(World.load("furuta"), num_envs=2)
    >>> simulator.qpos.shape
    (2, 2)

Bullet moves the bodies: its own dynamics of articulated bodies, collision detection, contacts with friction
and joint limits, one client for each simulation. What acts in joint space (actuators, springs, dampers, dry
friction, armature, delays) is MuJoCo's own, see `sim2real.simulators.bullet.forces`, so a parameter means
the same in both. Without contacts and limits the two engines agree to rounding. They can't agree on
contacts, which are hard and inelastic here (``solref``, ``solimp``, ``impratio`` and the cone are MuJoCo's
alone; the hull of a mesh is a millimetre thicker), nor on joint limits, which act here once they are
overstepped and push back by a fifth a step.

With worker processes each has a share of the simulations, and the live arrays are in shared memory. Results
are bit-identical for any number of workers, and a reset starts exactly as the first one did.
"""

from __future__ import annotations

import os

import numpy as np

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.bullet.check import check, check_parameters
from sim2real.simulators.bullet.contacts import touching_in
from sim2real.simulators.bullet.engine import load
from sim2real.simulators.bullet.shard import Law, Shard
from sim2real.simulators.bullet.workers import place, shapes_of
from sim2real.simulators.named import Named
from sim2real.simulators.physics_table import PhysicsTable
from sim2real.simulators.processes import Crew
from sim2real.world import World

_WORTH_A_WORKER = 4
"""Simulations for which a worker is started by itself."""


class BulletSimulator(Named):
    """Simulations of one world in Bullet; see `sim2real.interface.Simulator`."""

    def __init__(self, world: World, num_envs: int, num_threads: int = 0) -> None:
        """Make ``num_envs`` simulations at nominal physics.

        Args:
            world: which.
            num_envs: how many.
            num_threads: worker processes; 1 means none, all in this process; 0 one for each core, as long
                as each has some simulations to do.

        Raises:
            InvalidValue: for a world that Bullet can't express.
            MissingExtra: if PyBullet is not installed.
        """
        if num_threads < 0:
            raise InvalidValue(f"num_threads = {num_threads} must be 0 (a worker for each core) or more")
        load()
        check(world, touching_in(world))
        self.world = world
        self.num_envs = num_envs
        self.physics_dt = float(world.model.opt.timestep)
        count = min(num_threads or min(os.cpu_count() or 1, num_envs // _WORTH_A_WORKER), num_envs)
        self._side = Shard(world, num_envs) if count < 2 else _Workers(world, num_envs, count)
        self._table = PhysicsTable(world, num_envs)
        self._checked: set[tuple[str, ...]] = set()
        self.qpos: Array = self._side.array("qpos")
        self.qvel: Array = self._side.array("qvel")

    def close(self) -> None:
        """End the simulations; a simulator that is collected does so by itself."""
        self._side.close()

    def site(self, name: str) -> Array:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""
        self._site_id(name)
        return self._side.array("site", name)

    def actuator_bias(self) -> None:
        """None: forces of servos are computed from the state at the start of every physics step."""

    def sensor(self, name: str) -> Array:
        """Refused: Bullet reads none of a scene's sensors.

        Raises:
            InvalidValue: always.
        """
        raise InvalidValue(f"Bullet has no sensor {name!r}, which the task reads; use simulator 'mujoco'")

    def force(self, body: str) -> Array:
        """External force and torque on a body, N and N·m, world frame; live. Shape (num_envs, 6)."""
        return self._side.array("force", body)

    def actuator_force(self) -> Array:
        """Force of every actuator in the last physics step, N or N·m; live. Shape (num_envs, nu)."""
        return self._side.array("actuator_force")

    def speed(self) -> Array:
        """Speed of every degree of freedom of the engine, rad/s or m/s; live. Shape (num_envs, dofs)."""
        return self._side.array("speed")

    def load_force(self) -> Array:
        """What else acted on every degree of freedom in the last physics step; see the protocol.

        Contacts and limits count where armature, damper or dry friction of a joint resist them.
        """
        return self._side.array("load_force")

    def dry_friction(self) -> Array:
        """Dry friction of every degree of freedom, N·m or N; live, to write. Shape (num_envs, dofs)."""
        return self._side.array("dry_friction")

    def force_limit(self) -> Array:
        """Least and most that every actuator gives; live, to write. Shape (num_envs, nu, 2)."""
        return self._side.array("force_limit")

    def delay_commands(self, steps: Array) -> None:
        """Delay commands by whole physics steps until physics is set again. Shape (num_envs, nu)."""
        self._side.delay_commands(steps)

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for one that can't be set on its element, or frictions that Bullet can't give.
        """
        if names:
            if names not in self._checked:
                check_parameters(self.world, [name for name in names if name in self.world.parameters])
                self._checked.add(names)
            self._table.set(env_ids, names, values)
            self._side.set_physics(env_ids, names, values)

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""
        return self._table.row(env_id)

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """Start simulations anew, with delay lines full of ``ctrl``."""
        self._side.reset(env_ids, qpos, qvel, ctrl)

    def step(self, ctrl: Array, substeps: int, env_ids: Ids | None = None, between: Law = None) -> None:
        """Apply commands, shape (num_envs, nu), for ``substeps`` physics steps; see the protocol."""
        self._side.step(ctrl, substeps, env_ids, between)

    def diverged(self) -> Mask:
        """Simulations whose numbers blew up since their reset. Shape (num_envs,)."""
        return self._side.diverged()


class _Workers:
    """Simulations shared out among processes."""

    def __init__(self, world: World, num_envs: int, count: int) -> None:
        self._world = world
        self._crew = Crew(_DESK, shapes_of(world), num_envs, count, world)
        self._board = self._crew.arrays
        self._linked: set[tuple[str, str | None]] = set()

    def close(self) -> None:
        self._crew.close()

    def array(self, name: str, element: str | None = None) -> Array:
        if name not in ("qpos", "qvel") and (name, element) not in self._linked:
            self._crew.all("link", name, element)
            self._linked.add((name, element))
        shared = self._board[name]
        return shared if element is None else shared[:, place(self._world, name, element)]

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        self._crew.some("set_physics", env_ids, lambda rows: (names, values[rows]))

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        self._crew.some("reset", env_ids, lambda rows: (qpos[rows], qvel[rows], ctrl[rows]))

    def delay_commands(self, steps: Array) -> None:
        self._board["delay"][:] = steps
        self._crew.all("delay_commands")

    def step(self, ctrl: Array, substeps: int, env_ids: Ids | None, between: Law) -> None:
        self._board["ctrl"][:] = ctrl
        rounds, each = (1, substeps) if between is None else (substeps, 1)
        for _ in range(rounds):
            if between is not None:
                between()
            if env_ids is None:
                self._crew.all("step", None, each)
            else:
                self._crew.some("step", env_ids, lambda _: (each,))

    def diverged(self) -> Mask:
        return np.asarray(self._board["diverged"] != 0.0)


_DESK = "sim2real.simulators.bullet.workers:Desk"
