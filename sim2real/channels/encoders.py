"""Encoders that read too much: what a task is told of its joints, while where they are stays true."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sim2real.channels.filters import FilterInputs
from sim2real.channels.magnitudes import Magnitude
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Simulator, Task, TaskSpec
from sim2real.world import World, element_name, levers, reads_position
from sim2real.world.refusals import out_of_reach

_OFFSET = "encoder_offset"


class Encoders:
    """The offsets of a world's encoders, which its task observes and commands by.

    The servos' half is in the engine: a servo holds what its encoder reads.
    """

    def __init__(self, inputs: FilterInputs, simulator: Simulator, task: TaskSpec) -> None:
        """Bind them; a world without costs nothing.

        Raises:
            InvalidValue: for an encoder that neither a servo nor the task reads, or that the task reads as a
                sensor of the scene, or of a gymnasium env.
        """
        world = inputs.magnitudes.world
        self._copy, self._qpos = inputs.arrays.copy, simulator.qpos
        self._magnitude: Magnitude | None = None
        names = [p.name for p in world.parameters.values() if p.quantity.name == _OFFSET]
        if not names:
            return
        if world.env is not None:
            raise InvalidValue(out_of_reach(names[0], world.name))
        _check_read(world, task)
        joints = [joint for name in names for joint in world.parameters[name].elements]
        for joint, sensor in getattr(simulator, "encoders_read", {}).items():
            if joint in joints:
                raise InvalidValue(
                    f"{joint}.{_OFFSET}: the task reads sensor {sensor!r} of the scene, which the engine "
                    "keeps true; let it read the joint's position (simulator.qpos)"
                )
        self._columns = inputs.arrays.put(simulator.joints(joints)[0])
        self._magnitude = inputs.magnitudes.bind(_OFFSET, joints)

    def seen(self, task: Task) -> Array:
        """What the task observes. Shape (num_envs, num_observations)."""
        with self.reading() as wrong:
            observed = task.observe()
            return self._copy(observed) if wrong else observed

    def placed(self, qpos: Array, rows: Ids) -> Array:
        """Where joints are that are read to be at these positions. Shape (len(rows), nq)."""
        if self._magnitude is None or not self._magnitude.on:
            return qpos
        true = self._copy(qpos)
        true[:, self._columns] = true[:, self._columns] - self._magnitude.values[rows]
        return true

    def asked(self, task: Task, action: Array) -> Array:
        """What the task commands for an action, which it may work out from where joints are read to be."""
        with self.reading() as wrong:
            command = task.command(action)
            return self._copy(command) if wrong else command

    @contextmanager
    def reading(self) -> Iterator[bool]:
        """Let the simulator show what encoders read; whether that is anything else."""
        if self._magnitude is None or not self._magnitude.on:
            yield False
            return
        qpos, columns = self._qpos, self._columns
        true = self._copy(qpos[:, columns])
        qpos[:, columns] = true + self._magnitude.values
        try:
            yield True
        finally:
            qpos[:, columns] = true


def _check_read(world: World, task: TaskSpec) -> None:
    """Refuse an encoder that neither a servo nor the task reads."""
    model, read = world.model, {joint.name for joint in task.joints}
    served = {
        element_name(model, "joint", joint)
        for joint in range(model.njnt)
        for actuator, lever in levers(model, joint).items()
        if lever is not None and reads_position(model, actuator)
    }
    for parameter in world.parameters.values():
        for joint in parameter.elements if parameter.quantity.name == _OFFSET and read else ():
            if joint not in served | read:
                raise InvalidValue(
                    f"{parameter.name} has no effect: no servo drives joint {joint!r}, and task {task.name} "
                    f"reads only {', '.join(sorted(read))}; leave it out"
                )
