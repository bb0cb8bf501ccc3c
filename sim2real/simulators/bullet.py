"""Many simulations of one world in Bullet.

    >>> simulator = BulletSimulator(World.load("furuta"), num_envs=2)
    >>> simulator.qpos.shape
    (2, 2)

Bullet moves the bodies: its own dynamics of articulated bodies, collision detection, contacts with friction and
joint limits, one client for each simulation. What acts in joint space (actuators, springs, dampers, dry
friction, armature, delays) is MuJoCo's own, see `sim2real.simulators.bullet_forces`, so a parameter means
the same in both. Without contact and limits the two engines agree to rounding; they differ in contacts, which
are hard and inelastic here, and in joint limits, which can't be overstepped here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim2real.interface import Array, Ids, Mask
from sim2real.simulators.bullet_shard import Shard
from sim2real.world import World


class BulletSimulator:
    """Simulations of one world in Bullet; see `sim2real.interface.Simulator`."""

    def __init__(self, world: World, num_envs: int, num_threads: int = 0) -> None:
        """Make ``num_envs`` simulations at nominal physics."""
        self.world = world
        self.num_envs = num_envs
        self.physics_dt = float(world.model.opt.timestep)
        self._shard = Shard(world, num_envs)
        self.qpos: Array = self._shard.forces.qpos
        self.qvel: Array = self._shard.forces.qvel

    def close(self) -> None:
        """End the simulations."""
        self._shard.close()

    def joints(self, names: Sequence[str]) -> tuple[Ids, Ids]:
        """Columns of one-dof joints in ``qpos`` and in ``qvel``."""
        return self._shard.forces.joints(names)

    def limits(self, joint: str) -> tuple[float, float]:
        """Range of a joint, rad or m; infinite where it has none."""
        return self._shard.forces.limits(joint)

    def site(self, name: str) -> Array:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""
        return self._shard.forces.site(name)

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values."""
        if names:
            self._shard.set_physics(env_ids, names, values)

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""
        return self._shard.forces.physics(env_id)

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """Start simulations anew, with delay lines full of ``ctrl``."""
        self._shard.reset(env_ids, qpos, qvel, ctrl)

    def step(
        self,
        ctrl: Array,
        substeps: int,
        env_ids: Ids | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        """Apply commands, shape (num_envs, nu), for ``substeps`` physics steps."""
        self._shard.step(ctrl, substeps, env_ids, between)

    def diverged(self) -> Mask:
        """Simulations whose numbers blew up since their reset. Shape (num_envs,)."""
        return self._shard.diverged()
