"""Motions simulated open-loop under many physics at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import MODEL, quantity_of
from sim2real.replay.laws import UNLIMITED, DryFriction, GoalLimits, TorqueLine
from sim2real.replay.motion import FloatArray, Integral, Motion
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.simulators.play import with_play
from sim2real.world import World
from sim2real.world.entries import PLAY

READ_DELAY = "read_delay"
"""``<joint>.read_delay``: seconds from a row's stamp to the moment at which the joint is really read."""

MARGIN = 6
"""Physics steps beyond the last stamp, for joints that are read after it."""

_OWN = (
    "latency",
    "rate_limit",
    "goal_braking",
    "speed_loss",
    "stribeck",
    "stribeck_velocity",
    "load_friction_motor",
)
_NEUTRAL = {
    "latency": 0.0,
    "rate_limit": UNLIMITED,
    "goal_braking": UNLIMITED,
    "speed_loss": 0.0,
    "stribeck": 0.0,
    "stribeck_velocity": 0.05,
    "load_friction_motor": 0.0,
}

Ids = NDArray[np.intp]


@dataclass(frozen=True)
class _Plan:
    """Where each candidate's numbers go."""

    model: tuple[int, ...]
    """Columns of the candidates that the simulator takes."""
    own: dict[str, dict[int, int]]
    """Column of the candidates by quantity and by actuator, degree of freedom or measured joint."""


class Replayer:
    """Simulations of a few motions under up to ``width`` physics each."""

    def __init__(
        self,
        world: World,
        motions: Sequence[Motion],
        width: int,
        num_threads: int = 0,
        free: Sequence[str] = (),
    ) -> None:
        """Make them; longer motions come first inside, so that finished ones cost nothing.

        Args:
            world: whose parameters the runs are about.
            motions: what to replay.
            width: most candidates of a run.
            num_threads: 0 means all cores.
            free: what the runs will name. A backlash that is 0 in the world has to be among them: joints
                without play are simulated as they are.

        Raises:
            InvalidValue: for a backlash in a joint that others follow in its body, or a speed_loss of an
                actuator without a force limit.
        """
        self.world = world
        self.width = width
        self.order = sorted(range(len(motions)), key=lambda k: -motions[k].duration)
        self.motions = [motions[k] for k in self.order]
        self.simulator = MujocoSimulator(with_play(_loose(world, free)), width * len(motions), num_threads)
        self.dt = self.simulator.physics_dt
        self.steps = [int(np.ceil(m.duration / self.dt - 1e-6)) + MARGIN for m in self.motions]
        self.columns, self.dofs = self.simulator.joints(motions[0].joints)
        model = world.model
        self._actuators = [model.actuator(k).name or "" for k in range(model.nu)]
        self._driven = [model.joint(int(k)).name for k in model.actuator_trnid[:, 0]]
        self._driven_dofs = np.array(
            [int(model.jnt_dofadr[k]) for k in model.actuator_trnid[:, 0]], dtype=np.intp
        )
        self._signs = np.sign(model.actuator_gear[:, 0])
        self._joint_of_dof = [model.joint(int(k)).name for k in model.dof_jntid]
        self._integrals = [Integral.of(motion) for motion in self.motions]
        self._engine_dofs = self.simulator.dofs(self._joint_of_dof)
        self._friction = self.simulator.dry_friction()
        self._force = self.simulator.actuator_force()
        self._pristine_friction = self._friction.copy()
        self._limits = self._limits_to_write()
        self._pristine_limits = None if self._limits is None else self._limits.copy()
        self.diverged = np.zeros((len(motions), width), dtype=bool)
        """After a run: which simulations blew up, by motion as given and candidate."""

    def _limits_to_write(self) -> FloatArray | None:
        """Force limits of the actuators, if a parameter makes them fall with speed."""
        lossy = [p for p in self.world.parameters.values() if p.quantity.name == "speed_loss"]
        for parameter in lossy:
            places = self._places("speed_loss", parameter.elements)
            if not self.world.model.actuator_forcelimited[places].all():
                raise InvalidValue(
                    f"{parameter.name} is a share of a force limit that its actuator does not have; give it "
                    "a forcerange in scene.xml, or leave it out"
                )
        return np.asarray(self.simulator.force_limit()) if lossy else None

    def run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """Simulate every motion under every candidate.

        Args:
            names: parameters of the world, or ``<joint>.read_delay`` in seconds; latencies may be fractions.
            values: one candidate a row, in the parameters' units. Shape (c, len(names)), c at most ``width``.

        Returns:
            Per motion the positions at its stamps; NaN where a simulation diverged. Shape (c, n, k).

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for more candidates than there is room for.
        """
        count = len(values)
        if not 1 <= count <= self.width:
            raise InvalidValue(f"{count} candidates do not fit a replayer of width {self.width}")
        plan = self._plan(tuple(names))
        ids = (np.arange(len(self.motions))[:, None] * self.width + np.arange(count)).ravel()
        spread = np.tile(values, (len(self.motions), 1))
        self._set_model(ids, tuple(names), spread, plan)
        trace = self._simulate(ids, count, spread, plan)
        bad = self.simulator.diverged()[ids].reshape(-1, count)
        predicted = [
            self._sample(k, trace[:, k * count : (k + 1) * count], values, plan)
            for k in range(len(self.motions))
        ]
        self.diverged[:] = False
        results: list[FloatArray] = [np.empty(0)] * len(self.motions)
        for k, original in enumerate(self.order):
            predicted[k][bad[k]] = np.nan
            self.diverged[original, :count] = bad[k]
            results[original] = predicted[k]
        return results

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        own: dict[str, dict[int, int]] = {quantity: {} for quantity in (*_OWN, READ_DELAY)}
        model = []
        for column, name in enumerate(names):
            element, _, quantity = name.rpartition(".")
            if quantity == READ_DELAY:
                own[quantity][self.motions[0].joints.index(element)] = column
                continue
            if name not in self.world.parameters:
                raise UnknownName(f"parameter of {self.world.name}", name, self.world.parameters)
            parameter = self.world.parameters[name]
            if quantity not in _OWN:
                if parameter.quantity.acts != MODEL:
                    raise InvalidValue(f"{name} does not act in a replay of recordings; leave it out")
                model.append(column)
            if quantity == "backlash" and not self._has_play(parameter.elements):
                raise InvalidValue(f"{name} has no play to set; make the replayer with it among what is free")
            for place in self._places(quantity, parameter.elements) if quantity in _OWN else ():
                own[quantity][place] = column
        return _Plan(tuple(model), own)

    def _has_play(self, joints: Sequence[str]) -> bool:
        model = self.simulator.world.model
        known = {model.joint(k).name for k in range(model.njnt)}
        return all(joint + PLAY in known for joint in joints)

    def _places(self, quantity: str, elements: Sequence[str]) -> list[int]:
        """Actuators, or degrees of freedom for a quantity of joints."""
        if quantity_of(f"x.{quantity}").element == "joint":
            return [self._joint_of_dof.index(element) for element in elements]
        names = [name or joint for name, joint in zip(self._actuators, self._driven, strict=True)]
        return [names.index(element) for element in elements]

    def _numbers(self, quantity: str, values: FloatArray, plan: _Plan, count: int) -> FloatArray:
        """A quantity of every row and actuator (or degree of freedom). Shape (rows, count)."""
        numbers = np.full((len(values), count), _NEUTRAL[quantity])
        for parameter in self.world.parameters.values():
            if parameter.quantity.name == quantity:
                numbers[:, self._places(quantity, parameter.elements)] = parameter.nominal
        for place, column in plan.own[quantity].items():
            numbers[:, place] = values[:, column]
        return numbers

    def _set_model(self, ids: Ids, names: tuple[str, ...], values: FloatArray, plan: _Plan) -> None:
        # the laws write over these, and not every world has a parameter that sets them again
        self._friction[ids] = self._pristine_friction[ids]
        if self._limits is not None and self._pristine_limits is not None:
            self._limits[ids] = self._pristine_limits[ids]
        table = self.world.parameters
        known = self.simulator.world.parameters
        rest = [n for n, p in table.items() if p.quantity.acts == MODEL and n in known and n not in names]
        chosen = tuple(names[k] for k in plan.model)
        nominal = np.array([0.0 if n.endswith(".latency") else table[n].nominal for n in rest])
        rows = np.column_stack([np.tile(nominal, (len(ids), 1)), values[:, plan.model]])
        self.simulator.set_physics(ids, (*rest, *chosen), rows)

    def _simulate(self, ids: Ids, count: int, values: FloatArray, plan: _Plan) -> NDArray[np.float32]:
        """Positions before every physics step and after the last. Shape (steps + 1, len(ids), k)."""
        nu, nv = len(self._driven), len(self._joint_of_dof)
        simulator, dt = self.simulator, self.dt
        table, columns = self._commands(self._numbers("latency", values, plan, nu) * dt, count)
        first = np.repeat(np.stack([m.command[0] for m in self.motions]), count, axis=0)
        self._start(ids, count, first)
        speed, braking = (self._numbers(q, values, plan, nu) for q in ("rate_limit", "goal_braking"))
        limits = GoalLimits.of(speed, braking, first)
        law = DryFriction(
            self._friction[np.ix_(ids, self._engine_dofs)],
            *(self._numbers(quantity, values, plan, nv) for quantity in _OWN[4:]),
        )
        line = None
        if self._limits is not None:
            line = TorqueLine.of(self._numbers("speed_loss", values, plan, nu), self._limits[ids].copy())
        trace = np.zeros((max(self.steps) + 1, len(ids), len(self.columns)), dtype=np.float32)
        trace[0] = simulator.qpos[ids][:, self.columns]
        ctrl = np.zeros((simulator.num_envs, nu))
        torque = np.zeros((len(ids), nv))
        running = ids
        for step in range(max(self.steps)):
            rows = count * sum(steps > step for steps in self.steps)
            if rows < len(running):
                trace[step + 1 :, rows : len(running)] = trace[step, rows : len(running)]
                running = ids[:rows]
            target = table[step].take(columns[:rows])
            ctrl[running] = target if limits is None else limits.follow(target, rows, dt)
            if law.changes:
                torque[:rows, self._driven_dofs] = self._force[running]
                friction = law.at(self._speeds(running), torque[:rows], slice(0, rows))
                self._friction[np.ix_(running, self._engine_dofs)] = friction
            if line is not None and self._limits is not None:
                speed = self._speeds(running)[:, self._driven_dofs] * self._signs
                self._limits[running] = line.at(speed, slice(0, rows))
            simulator.step(ctrl, 1, running)
            trace[step + 1, :rows] = simulator.qpos[running][:, self.columns]
        return trace

    def _speeds(self, rows: Ids) -> FloatArray:
        """Of every degree of freedom, on the motor's side of a joint with play. Shape (rows, nv)."""
        return np.asarray(self.simulator.speed()[np.ix_(rows, self._engine_dofs)])

    def _start(self, ids: Ids, count: int, first: FloatArray) -> None:
        qpos = np.zeros((len(ids), self.simulator.qpos.shape[1]))
        qvel = np.zeros((len(ids), self.simulator.qvel.shape[1]))
        qpos[:, self.columns] = np.repeat(np.stack([m.measured[0] for m in self.motions]), count, axis=0)
        qvel[:, self.dofs] = np.repeat(np.stack([m.velocity for m in self.motions]), count, axis=0)
        self.simulator.reset(ids, qpos, qvel, first)

    def _commands(self, delay: FloatArray, count: int) -> tuple[FloatArray, Ids]:
        """Mean commands of every step, one column a different delay, and the column of each row and actuator.

        Args:
            delay: seconds. Shape (rows, nu).
            count: candidates; rows of a motion follow each other.
        """
        table: list[FloatArray] = []
        columns = np.zeros(delay.shape, dtype=np.intp)
        edges = np.arange(max(self.steps) + 1) * self.dt
        for k, integral in enumerate(self._integrals):
            rows = slice(k * count, (k + 1) * count)
            for actuator in range(delay.shape[1]):
                late, which = np.unique(delay[rows, actuator], return_inverse=True)
                columns[rows, actuator] = len(table) + which
                table += [integral.means(edges - d, actuator) for d in late]
        return np.stack(table, axis=1), columns

    def _sample(self, k: int, trace: NDArray[np.float32], values: FloatArray, plan: _Plan) -> FloatArray:
        """The trace at a motion's stamps, linear between physics steps. Shape (c, n, k)."""
        motion = self.motions[k]
        read = np.zeros((len(values), len(motion.joints)))
        for joint, column in plan.own[READ_DELAY].items():
            read[:, joint] = values[:, column]
        when = np.clip((motion.time[None, :, None] + read[:, None, :]) / self.dt, 0, self.steps[k] - 1e-9)
        step = when.astype(np.intp)
        part = when - step
        rows = np.arange(len(values))[:, None, None]
        joints = np.arange(len(motion.joints))
        return np.asarray(trace[step, rows, joints] * (1 - part) + trace[step + 1, rows, joints] * part)


def _loose(world: World, free: Sequence[str]) -> World:
    """The world without backlashes that are 0 and stay so."""
    kept = {
        name: p
        for name, p in world.parameters.items()
        if p.quantity.name != "backlash" or p.nominal > 0 or name in free
    }
    return world if len(kept) == len(world.parameters) else dataclasses.replace(world, parameters=kept)
