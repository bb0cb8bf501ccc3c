"""The laws of joints and drives in an env, once a physics step (`sim2real.channels.laws`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim2real.channels.filters import FilterInputs
from sim2real.channels.laws import AT_REST, OF_LOAD, extra_friction, limits_at
from sim2real.channels.magnitudes import Magnitude
from sim2real.interface import Array, Ids, Simulator
from sim2real.parameters import LAW
from sim2real.world import drives, element_id, element_names, levers
from sim2real.world.io_drives import damped_within_step


class Friction:
    """Dry friction of the joints that have one of the friction law's parameters."""

    def __init__(self, inputs: FilterInputs, simulator: Simulator) -> None:
        """Bind the magnitudes; at neutral the engine's own friction stays as it is."""
        magnitudes, model = inputs.magnitudes, inputs.magnitudes.world.model
        self._xp, self._simulator = inputs.arrays.xp, simulator
        law = [
            p
            for p in magnitudes.world.parameters.values()
            if p.quantity.acts == LAW and p.quantity.element == "joint"
        ]
        joints = [name for name in element_names(model, "joint") if any(name in p.elements for p in law)]
        self._dofs = simulator.dofs(joints)
        known = [name for name in (*AT_REST, *OF_LOAD) if magnitudes.has(name)]
        self._magnitudes = {name: magnitudes.bind(name, joints) for name in known}
        resting = [any(j in p.elements and p.quantity.name in AT_REST for p in law) for j in joints]
        self._speed = magnitudes.bind("stribeck_velocity", joints, default=np.where(resting, np.nan, 1.0))
        self._exponent = magnitudes.bind("stribeck_exponent", joints, default=1.0)
        self._gears = inputs.arrays.put(_gears(inputs, joints))
        self._friction = simulator.dry_friction()
        self._base = inputs.arrays.copy(self._friction[:, self._dofs])
        self._known = inputs.arrays.put(np.ones((simulator.num_envs, 1)))
        self._torques: tuple[Array, Array] | None = None
        self._read_torques()  # an engine may fill what is asked for from the next step on

    @property
    def on(self) -> bool:
        """Whether the law changes any friction."""
        return any(magnitude.on for magnitude in self._magnitudes.values())

    def begin(self, env_ids: Ids) -> None:
        """Rows that begin have no torques yet."""
        self._known[env_ids] = 0.0

    def take_base(self, env_ids: Ids) -> None:
        """Take the engine's own friction of rows, after their physics was set."""
        self._base[env_ids] = self._friction[env_ids][:, self._dofs]

    def write(self) -> None:
        """Write the friction of the next physics step."""
        law = {name: magnitude.values for name, magnitude in self._magnitudes.items() if magnitude.on}
        if self._runs(AT_REST):
            law["stribeck_velocity"] = self._speed.values
            law["stribeck_exponent"] = self._exponent.values
        speed = self._simulator.speed()[:, self._dofs]
        torques = self._torques or self._read_torques() if self._runs(OF_LOAD) else None
        motor, load = (self._known * 0.0, None) if torques is None else (t * self._known for t in torques)
        friction = self._base + extra_friction(self._xp, law, speed, motor, load)
        self._friction[:, self._dofs] = friction
        self._known[:], self._torques = 1.0, None

    def restore(self) -> None:
        """Give the engine its own friction back; first read the torques that its friction was part of."""
        if self._runs(OF_LOAD):
            self._torques = self._read_torques()
        self._friction[:, self._dofs] = self._base

    def _read_torques(self) -> tuple[Array, Array]:
        """Of motor and load at each joint, in the last physics step. Both (num_envs, joints)."""
        motor = self._simulator.actuator_force() @ self._gears
        return motor, self._simulator.load_force()[:, self._dofs]

    def _runs(self, names: tuple[str, ...]) -> bool:
        return any(self._magnitudes[name].on for name in names if name in self._magnitudes)


class TorqueSpeed:
    """Force limits that fall with speed, of the actuators that have ``speed_loss``."""

    def __init__(self, inputs: FilterInputs, simulator: Simulator) -> None:
        """Bind the magnitude."""
        model = inputs.magnitudes.world.model
        names = element_names(model, "actuator")
        self._columns = inputs.magnitudes.columns("speed_loss", names)
        names = names[self._columns]
        self._magnitude: Magnitude = inputs.magnitudes.bind("speed_loss", names)
        driven = drives(model)[0][self._columns]
        some = next(filter(None, driven), "")
        driven = [
            joint or some for joint in driven
        ]  # between those with a loss may stand one without a joint
        self._xp, self._simulator = inputs.arrays.xp, simulator
        self._dofs = simulator.dofs(driven)
        gears = model.actuator_gear[model.actuator_outadr, 0]
        self._signs = inputs.arrays.put(np.sign(gears[self._columns]))
        self._limits = simulator.force_limit()
        self._base = inputs.arrays.copy(self._limits)

    @property
    def on(self) -> bool:
        """Whether the law changes any limit."""
        return self._magnitude.on

    def begin(self, env_ids: Ids) -> None:
        """Nothing is remembered."""

    def take_base(self, env_ids: Ids) -> None:
        """Take the engine's own limits of rows, after their physics was set."""
        self._base[env_ids] = self._limits[env_ids]

    def write(self) -> None:
        """Write the limits of the next physics step."""
        speed = self._simulator.speed()[:, self._dofs] * self._signs
        base = self._base[:, self._columns]
        self._limits[:, self._columns] = limits_at(self._xp, base, self._magnitude.values, speed)

    def restore(self) -> None:
        """Give the engine its own limits back."""
        self._limits[:] = self._base


class ExplicitDamping:
    """Damping of a policy's gains (``io.toml``) from the speed at the start of each physics step.

    So it is in a loop that computes efforts by itself, where implicit integrators take a servo's within the
    step; Euler's is explicit without this. A humanoid's steps take 1.1 times as long, alone 1.5 times.
    """

    on = True

    def __init__(
        self, inputs: FilterInputs, simulator: Simulator, bias: Array, joints: Sequence[str]
    ) -> None:
        """Bind the drives of some joints; ``bias`` is that of `Simulator.actuator_bias`."""
        model = inputs.magnitudes.world.model
        driven = drives(model)[0]
        self._columns = [driven.index(joint) for joint in joints]
        self._gears = inputs.arrays.put(model.actuator_gear[model.actuator_outadr[self._columns], 0])
        self._simulator, self._dofs = simulator, simulator.dofs(joints)
        self._bias, self._base = bias, inputs.arrays.copy(bias)

    def begin(self, env_ids: Ids) -> None:
        """Nothing is remembered."""

    def take_base(self, env_ids: Ids) -> None:
        """Take the gains of rows, after their physics was set."""
        self._base[env_ids] = self._bias[env_ids]

    def write(self) -> None:
        """Write the damping of the next physics step as a constant."""
        speed = self._simulator.speed()[:, self._dofs] * self._gears
        constant, damping = (self._base[:, self._columns, k] for k in (0, 2))
        self._bias[:, self._columns, 0] = constant + damping * speed
        self._bias[:, self._columns, 2] = 0.0

    def restore(self) -> None:
        """Give the engine the gains back."""
        self._bias[:] = self._base


def explicit_damping(inputs: FilterInputs, simulator: Simulator) -> ExplicitDamping | None:
    """The law, where a table has gains whose damping the integrator would take within its step."""
    joints = damped_within_step(inputs.magnitudes.world.model, inputs.magnitudes.world.io)
    bias = simulator.actuator_bias() if joints else None
    return None if bias is None else ExplicitDamping(inputs, simulator, bias, joints)


def _gears(inputs: FilterInputs, joints: list[str]) -> Array:
    """Torque on each joint per force of each actuator. Shape (nout, len(joints))."""
    model = inputs.magnitudes.world.model
    gears = np.zeros((model.nout, len(joints)))
    for column, joint in enumerate(joints):
        for actuator, lever in levers(model, element_id(model, "joint", joint)).items():
            gears[model.actuator_outadr[actuator], column] = lever or 0.0
    return gears
