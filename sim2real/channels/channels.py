"""All channels of an env, in order."""

from __future__ import annotations

from collections.abc import Callable

from sim2real.arrays import Arrays
from sim2real.channels.levels import Levels
from sim2real.channels.schedule import Schedule
from sim2real.channels.sensors import sensor_chain
from sim2real.channels.stages import Kit
from sim2real.domain import Domain
from sim2real.draws import StepDraws
from sim2real.interface import Array, Ids, Simulator, TaskSpec
from sim2real.world import World


class Channels:
    """The channels of one env; see the package."""

    between: Callable[[], None] | None = None
    """What must happen before every physics step; None if nothing must."""
    schedule: Schedule | None = None
    """What changes within episodes; None if nothing does."""

    def __init__(
        self, world: World, simulator: Simulator, task: TaskSpec, draws: StepDraws, domain: Domain
    ) -> None:
        """Bind the world's channels to simulations, all at their nominal values.

        Raises:
            UnknownName: for a sensor that the task does not have.
            InvalidValue: for a parameter in another unit than its signal, or that lacks a companion.
        """
        self._levels = Levels(world, Arrays(simulator.qpos), simulator.num_envs)
        kit = Kit(self._levels, draws, task.control_dt)
        self._sensors = sensor_chain(kit, task.observation, _longest(world, domain, "sensor_latency"))

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Take new values of parameters; those that no channel acts on are left to the simulator.

        Raises:
            InvalidValue: for a latency that its buffer can't hold.
        """
        self._levels.set_physics(env_ids, names, values)

    def begin(self, env_ids: Ids, command: Array) -> None:
        """Forget the past of rows that begin, with their first command."""

    def command(self, command: Array) -> Array:
        """What reaches the actuators. Shape (num_envs, nu)."""
        return command

    def observe(self, seen: Array) -> Array:
        """What the policy gets to see after a control step. Shape (num_envs, num_observations)."""
        return self._sensors.run(seen)

    def first(self, seen: Array, env_ids: Ids) -> Array:
        """The same for rows that have just begun. Shape (len(env_ids), num_observations)."""
        return self._sensors.begin(seen[env_ids], env_ids)


def _longest(world: World, domain: Domain, quantity: str) -> float:
    """The largest value of a quantity that training, a variant or the domain asks for."""
    names = [p.name for p in world.parameters.values() if p.quantity.name == quantity]
    asked = [world.parameters[name].high for name in names]
    asked += [
        variant.physics[name]
        for variant in world.variants.values()
        for name in names
        if name in variant.physics
    ]
    asked += [domain.parameters[name].support()[1] for name in names if name in domain.parameters]
    return max(asked, default=0.0)
