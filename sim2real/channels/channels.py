"""All channels of an env, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sim2real.arrays import Arrays
from sim2real.channels.actuators import Jitter, actuator_chain
from sim2real.channels.disturbances import Pushes
from sim2real.channels.encoders import Encoders
from sim2real.channels.filters import FilterInputs
from sim2real.channels.magnitudes import Magnitudes
from sim2real.channels.physics_rate import ExplicitDamping, Friction, TorqueSpeed, explicit_damping
from sim2real.channels.schedule import Schedule
from sim2real.channels.sensors import sensor_chain
from sim2real.domain import Domain
from sim2real.draws import StepDraws
from sim2real.interface import Array, Ids, Simulator, TaskSpec
from sim2real.parameters import LAW
from sim2real.world import World

_Law = Friction | TorqueSpeed | ExplicitDamping


class Channels:
    """The channels of one env; see the package."""

    def __init__(
        self, world: World, simulator: Simulator, task: TaskSpec, draws: StepDraws, domain: Domain
    ) -> None:
        """Bind the world's channels to simulations, all at their nominal values.

        Raises:
            UnknownName: for an element that does not exist, as a sensor that the task does not have.
            InvalidValue: for a parameter in another unit than its signal, or that lacks what it needs.
        """
        magnitudes = self._magnitudes = Magnitudes(world, Arrays(simulator.qpos), simulator.num_envs)
        inputs = FilterInputs(magnitudes, draws, task.control_dt)
        self.encoders = Encoders(inputs, simulator, task)
        """Through which the task sees its joints."""
        self._sensors = sensor_chain(inputs, task.observation, domain)
        self._actuators = actuator_chain(inputs, simulator)
        self._jitter = (
            Jitter(inputs, simulator, domain) if magnitudes.has("latency", "latency_jitter") else None
        )
        self._pushes = Pushes(inputs, simulator) if magnitudes.has("push") else None
        self._schedule = Schedule(inputs, domain) if magnitudes.has("drift", "redraw") else None
        of_joints = any(
            p.quantity.acts == LAW and p.quantity.element == "joint" for p in world.parameters.values()
        )
        self._laws: list[_Law] = [Friction(inputs, simulator)] if of_joints else []
        self._laws += [TorqueSpeed(inputs, simulator)] if magnitudes.has("speed_loss") else []
        self._laws += filter(None, [explicit_damping(inputs, simulator)])
        self._obeyed: list[_Law] = []

    @property
    def between(self) -> Callable[[], None] | None:
        """What must happen before every physics step; None if nothing must."""
        return self._obey if self._obeyed else None

    @property
    def schedule(self) -> Schedule | None:
        """What changes within episodes; None if nothing does."""
        return self._schedule if self._schedule is not None and self._schedule.on else None

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Take new values of parameters, which the simulator has taken already, as the rows' own.

        Raises:
            InvalidValue: for a latency that its buffer can't hold.
        """
        self.change(env_ids, names, values)
        if self._schedule is not None:
            self._schedule.note(env_ids, names, values)
            for name in self._schedule.names:
                for magnitude in self._magnitudes.of_parameter(name):
                    magnitude.held_on = self._schedule.on

    def change(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """The same for values that last until the episode ends."""
        self._magnitudes.set_physics(env_ids, names, values)
        for law in self._laws:
            law.take_base(env_ids)

    def draw_from(self, domain: Domain) -> None:
        """Draw what is drawn anew within episodes from another domain, from now on."""
        if self._schedule is not None:
            self._schedule.draw_from(domain)

    def begin(self, env_ids: Ids, command: Array) -> None:
        """Forget the past of rows that begin, with their first command."""
        self._actuators.begin(command, env_ids)
        for law in self._laws:
            law.begin(env_ids)
        if self._pushes is not None:
            self._pushes.begin(env_ids)
        if self._schedule is not None:
            self._schedule.begin(env_ids)

    def command(self, command: Array) -> Array:
        """What reaches the actuators in this control step. Shape (num_envs, nu)."""
        if self._pushes is not None:
            self._pushes.run()
        if self._jitter is not None:
            self._jitter.run()
        self._obeyed = [law for law in self._laws if law.on]
        return self._actuators.run(command)

    @contextmanager
    def holding(self) -> Iterator[Callable[[], None] | None]:
        """What must happen before every physics step of rows that begin, before a policy is asked."""
        self._obeyed = [law for law in self._laws if law.on]
        yield self.between
        self._restore()

    def observe(self, seen: Array) -> Array:
        """What the policy gets to see after a control step. Shape (num_envs, num_observations)."""
        self._restore()
        return self._sensors.run(seen)

    def first(self, seen: Array, env_ids: Ids) -> Array:
        """The same for rows that have just begun. Shape (len(env_ids), num_observations)."""
        return self._sensors.begin(seen[env_ids], env_ids)

    def _restore(self) -> None:
        for law in self._obeyed:
            law.restore()
        self._obeyed = []

    def _obey(self) -> None:
        for law in self._obeyed:
            law.write()
