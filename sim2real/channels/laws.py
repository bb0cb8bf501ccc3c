"""Laws of the drives at the physics rate: dry friction that depends on speed and load, torque that on speed.

Friction is the family M1 to M6 of Duclusaud et al. 2024 ("Extended friction models for the physics
simulation of servo actuators"): the engine's dry friction is written before every physics step as

    K_c + |K_e τ_e - K_m τ_m| + exp(-|ω/ω_s|^α) (K_s + |K_es τ_e - K_ms τ_m| + Q)

of the torques of motor and load and the speed in the step before. K_c is ``frictionloss``, and viscous
friction is ``damping`` (M1); K_s is ``stribeck`` (M2); K_m and K_e are ``load_friction_motor`` and
``_external``, the same number in M3; K_ms and K_es are ``load_stribeck_…``, the same number in M4, different
ones in M5. Q (M6) acts while the torques oppose: ``load_quadratic_external`` τ_e² where the motor drives,
``load_quadratic_motor`` τ_m² where the load drives back.

The torque-speed line of a motor at full voltage: towards its speed it gives (1 - speed_loss |ω|) of its
limit, and all of it against.
"""

from __future__ import annotations

import numpy as np

from sim2real.channels.levels import Level
from sim2real.channels.stages import Kit
from sim2real.interface import Array, Ids, Simulator
from sim2real.parameters import LAW, QUANTITIES
from sim2real.world import drives, element_id, element_names, levers

_AT_REST = (
    "stribeck",
    "load_stribeck_motor",
    "load_stribeck_external",
    "load_quadratic_motor",
    "load_quadratic_external",
)
_OF_LOAD = tuple(name for name in QUANTITIES if name.startswith("load_"))


class Friction:
    """Dry friction of the joints that have one of the friction law's parameters."""

    def __init__(self, kit: Kit, simulator: Simulator) -> None:
        """Bind the levels; at neutral the engine's own friction stays as it is."""
        levels, model = kit.levels, kit.levels.world.model
        self._xp, self._simulator = kit.arrays.xp, simulator
        law = [
            p
            for p in levels.world.parameters.values()
            if p.quantity.acts == LAW and p.quantity.element == "joint"
        ]
        joints = [name for name in element_names(model, "joint") if any(name in p.elements for p in law)]
        self._dofs = simulator.dofs(joints)
        known = [name for name in (*_AT_REST, *_OF_LOAD) if levels.has(name)]
        self._levels = {name: levels.bind(name, joints) for name in known}
        resting = [any(j in p.elements and p.quantity.name in _AT_REST for p in law) for j in joints]
        self._speed = levels.bind("stribeck_velocity", joints, default=np.where(resting, np.nan, 1.0))
        self._exponent = levels.bind("stribeck_exponent", joints, default=1.0)
        self._gears = kit.arrays.put(_gears(kit, joints))
        self._friction = simulator.dry_friction()
        self._base = kit.arrays.copy(self._friction[:, self._dofs])
        self._known = kit.arrays.put(np.ones((simulator.num_envs, 1)))
        self._torques: tuple[Array, Array] | None = None
        self._read_torques()  # an engine may fill what is asked for from the next step on

    @property
    def on(self) -> bool:
        """Whether the law changes any friction."""
        return any(level.on for level in self._levels.values())

    def begin(self, env_ids: Ids) -> None:
        """Rows that begin have no torques yet."""
        self._known[env_ids] = 0.0

    def take_base(self, env_ids: Ids) -> None:
        """Take the engine's own friction of rows, after their physics was set."""
        self._base[env_ids] = self._friction[env_ids][:, self._dofs]

    def write(self) -> None:
        """Write the friction of the next physics step."""
        friction = self._base
        if self._runs(_AT_REST):
            speed = self._simulator.speed()[:, self._dofs]
            at_rest = self._xp.exp(-((self._xp.abs(speed) / self._speed.values) ** self._exponent.values))
            friction = friction + at_rest * self._value("stribeck")
        if self._runs(_OF_LOAD):
            motor, load = (known * self._known for known in self._torques or self._read_torques())
            friction = friction + self._gear("load_friction", motor, load)
            if self._runs(_AT_REST):
                friction = friction + at_rest * (
                    self._gear("load_stribeck", motor, load) + self._opposing(motor, load)
                )
        self._friction[:, self._dofs] = friction
        self._known[:], self._torques = 1.0, None

    def restore(self) -> None:
        """Give the engine its own friction back; first read the torques that its friction was part of."""
        if self._runs(_OF_LOAD):
            self._torques = self._read_torques()
        self._friction[:, self._dofs] = self._base

    def _read_torques(self) -> tuple[Array, Array]:
        """Of motor and load at each joint, in the last physics step. Both (num_envs, joints)."""
        motor = self._simulator.actuator_force() @ self._gears
        return motor, self._simulator.load_force()[:, self._dofs]

    def _runs(self, names: tuple[str, ...]) -> bool:
        return any(self._levels[name].on for name in names if name in self._levels)

    def _value(self, name: str) -> Array | float:
        return self._levels[name].values if name in self._levels else 0.0

    def _gear(self, name: str, motor: Array, load: Array) -> Array:
        """Friction per torque through the gear, from either side."""
        both: Array = self._xp.abs(
            load * self._value(f"{name}_external") - motor * self._value(f"{name}_motor")
        )
        return both

    def _opposing(self, motor: Array, load: Array) -> Array:
        """The quadratic term of M6."""
        drives = self._xp.abs(load) < self._xp.abs(motor)
        driven = self._xp.abs(load) > self._xp.abs(motor)
        term: Array = (motor * load < 0.0) * (
            drives * self._value("load_quadratic_external") * load**2
            + driven * self._value("load_quadratic_motor") * motor**2
        )
        return term


class TorqueSpeed:
    """Force limits that fall with speed, of the actuators that have ``speed_loss``."""

    def __init__(self, kit: Kit, simulator: Simulator) -> None:
        """Bind the level."""
        model = kit.levels.world.model
        names = element_names(model, "actuator")
        self._columns = kit.levels.columns("speed_loss", names)
        names = names[self._columns]
        self._level: Level = kit.levels.bind("speed_loss", names)
        driven = drives(model)[0][self._columns]
        some = next(filter(None, driven), "")
        driven = [
            joint or some for joint in driven
        ]  # between those with a loss may stand one without a joint
        self._xp, self._simulator = kit.arrays.xp, simulator
        self._dofs = simulator.dofs(driven)
        gears = model.actuator_gear[model.actuator_outadr, 0]
        self._signs = kit.arrays.put(np.sign(gears[self._columns]))
        self._limits = simulator.force_limit()
        self._base = kit.arrays.copy(self._limits)

    @property
    def on(self) -> bool:
        """Whether the law changes any limit."""
        return self._level.on

    def begin(self, env_ids: Ids) -> None:
        """Nothing is remembered."""

    def take_base(self, env_ids: Ids) -> None:
        """Take the engine's own limits of rows, after their physics was set."""
        self._base[env_ids] = self._limits[env_ids]

    def write(self) -> None:
        """Write the limits of the next physics step."""
        xp, base = self._xp, self._base[:, self._columns]
        lost = self._level.values * self._simulator.speed()[:, self._dofs] * self._signs
        self._limits[:, self._columns, 0] = base[..., 0] * xp.clip(1.0 + lost, 0.0, 1.0)
        self._limits[:, self._columns, 1] = base[..., 1] * xp.clip(1.0 - lost, 0.0, 1.0)

    def restore(self) -> None:
        """Give the engine its own limits back."""
        self._limits[:] = self._base


def _gears(kit: Kit, joints: list[str]) -> Array:
    """Torque on each joint per force of each actuator. Shape (nout, len(joints))."""
    model = kit.levels.world.model
    gears = np.zeros((model.nout, len(joints)))
    for column, joint in enumerate(joints):
        for actuator, lever in levers(model, element_id(model, "joint", joint)).items():
            gears[model.actuator_outadr[actuator], column] = lever or 0.0
    return gears
