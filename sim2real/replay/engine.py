"""Rows of simulations, a row for each motion and candidate, that obey commands and laws of their own.

Whole stretches of steps run inside the engine where nothing has to be decided between them; the laws of
friction by speed and load and of torque by speed want to be asked before every step. Both give the same bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim2real.channels.laws import AT_REST, OF_LOAD, UNLIMITED, extra_friction, goal_law, limits_at, rounded
from sim2real.interface import Mask
from sim2real.parameters import LAW, MODEL
from sim2real.replay.commands import controls, orders_of
from sim2real.replay.motion import FloatArray, Motion
from sim2real.replay.start import holding, start_pose
from sim2real.replay.zero_order_hold import ZeroOrderHold
from sim2real.simulators.backlash import with_backlash
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

Ids = NDArray[np.intp]
Numbers = dict[str, FloatArray]
"""Values by quantity. Shape (c, nu) or (c, nv) each."""

MARGIN = 6
"""Physics steps beyond the last stamp, for joints that are read after it."""

_STRETCH = 256  # physics steps at a time
_BEFORE = 0.5  # s of earlier commands that a filter remembers at the start of a window


class Engine:
    """Simulations of motions in a world whose backlashes are chosen."""

    def __init__(
        self, world: World, motions: Sequence[Motion], width: int, loose: frozenset[str], threads: int
    ) -> None:
        """Make them.

        Args:
            world: nominal but for its backlashes.
            motions: longest first.
            width: most candidates of a run.
            loose: backlashes that are there.
            threads: 0 means all cores.
        """
        kept = {n: p for n, p in world.parameters.items() if p.quantity.name != "backlash" or n in loose}
        self.world, self.motions, self.width = dataclasses.replace(world, parameters=kept), motions, width
        self.simulator = MujocoSimulator(with_backlash(self.world), width * len(motions), threads)
        # the replayer delays commands itself, by any fraction of a step
        self.simulator.delay_commands(np.zeros((self.simulator.num_envs, world.model.nactuator)))
        self.dt = self.simulator.physics_dt
        self.steps = [_steps(motion, self.dt) for motion in motions]
        self.columns, self.dofs = self.simulator.joints(motions[0].joints)
        model, self._orders = world.model, orders_of(world.model)
        self._signals = [
            ZeroOrderHold(np.concatenate([m.past_time, m.time]), controls(model, _commands(m)))
            for m in motions
        ]
        self._first = np.stack(
            [s.command[len(m.past_time)] for s, m in zip(self._signals, motions, strict=True)]
        )
        poses = [start_pose(model, m.joints, m.measured[0]) for m in motions]
        self._held = [holding(model, pose) if model.na else {} for pose in poses]
        self._poses = np.stack(poses)
        self._engine_dofs, self.world_has_play = self.simulator.shown_dofs(), bool(loose)
        self._driving = [d for d in self._orders if d.joint]
        self._law = any(p.quantity.acts == LAW for p in world.parameters.values())
        if self._law:
            self._friction, self._limits = self.simulator.dry_friction(), self.simulator.force_limit()
            self._tight = self._friction.copy(), self._limits.copy()
            self._motor, self._force = self.simulator.motor_force(), self.simulator.load_force
            self._force()  # the engine fills what is asked for from the next step on

    @staticmethod
    def acts_by_step(own: Numbers) -> bool:
        """Whether a law has to be asked before every step."""
        return any(own[quantity].any() for quantity in (*AT_REST, *OF_LOAD, "speed_loss"))

    def set_model(self, names: tuple[str, ...], values: FloatArray) -> None:
        """Give the candidates their physics, all other parameters of the model their nominal values.

        Args:
            names: of parameters that the engine's model has.
            values: shape (c, len(names)).
        """
        self._count = len(values)
        ids = self._ids()
        if self._law:  # the laws write over these, and not every world has a parameter that sets them again
            self._friction[ids], self._limits[ids] = (tight[ids] for tight in self._tight)
        table = {n: p for n, p in self.world.parameters.items() if not n.endswith(".latency")}
        rest = [n for n, p in table.items() if p.quantity.acts == MODEL and n not in names]
        nominal = np.tile([table[n].nominal for n in rest], (len(ids), 1))
        rows = np.hstack([nominal, np.tile(values, (len(self.motions), 1))])
        self.simulator.set_physics(ids, (*rest, *names), rows)

    def _ids(self) -> Ids:
        return (np.arange(len(self.motions))[:, None] * self.width + np.arange(self._count)).ravel()

    def run(self, own: Numbers, offsets: FloatArray) -> tuple[FloatArray, Mask]:
        """Simulate.

        Args:
            own: what the candidates of `set_model` have of the replayer's own quantities.
            offsets: what their encoders read too much, so that joints begin elsewhere. Shape (c, k).

        Returns:
            Positions of the measured joints before every physics step and after the last, a row for each
            motion and, within it, candidate, shape (rows, steps + 1, k); and which diverged, (motions, c).
        """
        ids, count, most = self._ids(), self._count, max(self.steps)
        signal, columns, earlier = self._signal(own, most)
        self._begin(ids, signal[:earlier], columns, offsets)
        signal = signal[earlier:]
        rows = {q: np.tile(numbers, (len(self.motions), 1)) for q, numbers in own.items()}
        goals = _Goals.of(rows, np.repeat(self._first, count, axis=0))
        trace = np.empty((len(ids), most + 1, len(self.columns)))
        trace[:, 0] = self.simulator.qpos[ids][:, self.columns]
        step_by_step = _Laws(self, rows) if self.acts_by_step(own) else None
        for start in range(0, most, _STRETCH):
            running = count * sum(steps > start for steps in self.steps)
            stretch = slice(start, min(start + _STRETCH, most))
            ctrl = np.moveaxis(signal[stretch].take(columns[:running], axis=1), 0, 1)
            if goals is not None:
                ctrl = goals.follow(ctrl, self.dt)
            after = slice(stretch.start + 1, stretch.stop + 1)
            if step_by_step is None:
                found = self.simulator.rollout(np.ascontiguousarray(ctrl), ids[:running])
                trace[:running, after] = found[..., self.columns]
            else:
                trace[:running, after] = step_by_step.run(ctrl, ids[:running])
        bad = self.simulator.diverged()[ids].reshape(-1, count)
        return trace, bad

    def _signal(self, own: Numbers, most: int) -> tuple[FloatArray, Ids, int]:
        """Controls of every step, a column for each different one, and whose they are.

        A step runs under the mean of what was in force during it, its actuator's delay before.

        Returns:
            Shape (earlier + steps, columns); the column of each row and control, (rows, nu); and how many
            steps before the motions begin are in it, for what filters remember.
        """
        earlier = round(_BEFORE / self.dt) if self.world.model.na else 0
        steps = range(-earlier, most)
        count, nu = own["latency"].shape
        columns = np.zeros((len(self.motions) * count, nu), dtype=np.intp)
        ways = np.stack([own["latency"] * self.dt, own["command_resolution"], own["deadband"]])
        table: list[FloatArray] = []
        for k, signal in enumerate(self._signals):
            for control in range(nu):
                different, which = np.unique(ways[:, :, control], axis=1, return_inverse=True)
                columns[k * count : (k + 1) * count, control] = len(table) + which.ravel()
                for late, step, band in different.T:
                    arrived = self._arrived(signal, control, step, band)
                    table.append(arrived.means(steps, self.dt, np.array([late]), [0])[0])
        return np.stack(table, axis=1) if table else np.zeros((len(steps), 0)), columns, earlier

    def _arrived(self, signal: ZeroOrderHold, control: int, step: float, band: float) -> ZeroOrderHold:
        """One control's signal, rounded and less its dead band."""
        command = signal.command[:, control]
        if step > 0:
            command = rounded(np, command, np.full_like(command, step))
        if band > 0:
            servo = any(d.servo for d in self._orders if d.control == control)
            command = _held_goal(command, band) if servo else command - np.clip(command, -band, band)
        return ZeroOrderHold(signal.time, command[:, None])

    def _begin(self, ids: Ids, before: FloatArray, columns: Ids, offsets: FloatArray) -> None:
        """At the measured poses, activations as the commands until then have left them."""
        count, simulator = self._count, self.simulator
        qvel = np.zeros((len(ids), simulator.qvel.shape[1]))
        qvel[:, self.dofs] = np.repeat(np.stack([m.velocity for m in self.motions]), count, axis=0)
        pose, first = (np.repeat(x, count, axis=0) for x in (self._poses, self._first))
        if offsets.any():
            model = self.world.model
            starts = ((m, m.measured[0] - offset) for m in self.motions for offset in offsets)
            pose = np.stack([start_pose(model, motion.joints, at) for motion, at in starts])
        simulator.reset(ids, pose, qvel, first)
        if simulator.activation is None:
            return
        simulator.settle(ids, before.take(columns, axis=1))
        for k, held in enumerate(self._held):
            for address, value in held.items():
                simulator.activation[ids[k * count : (k + 1) * count], address] = value


class _Goals:
    """Inner goals of servos that can't jump."""

    def __init__(self, speed: FloatArray, braking: FloatArray, start: FloatArray) -> None:
        self._limits, self._state = (speed, braking), (start, np.zeros_like(start))

    @classmethod
    def of(cls, rows: Numbers, start: FloatArray) -> _Goals | None:
        """None where every goal jumps."""
        speed, braking = rows["rate_limit"], rows["goal_braking"]
        if (speed >= UNLIMITED).all() and (braking >= UNLIMITED).all():
            return None
        return cls(speed, braking, start)

    def follow(self, commands: FloatArray, dt: float) -> FloatArray:
        """Goals of the first rows in some steps. Shape (rows, steps, nu)."""
        running, found = len(commands), np.empty_like(commands)
        limits = self._limits[0][:running], self._limits[1][:running]
        state = self._state[0][:running], self._state[1][:running]
        moved = goal_law(np, limits, dt)
        for step in range(commands.shape[1]):
            state = moved(state, commands[:, step])
            found[:, step] = state[0]
        self._state = state
        return found


class _Laws:
    """What is asked before every physics step."""

    def __init__(self, engine: Engine, rows: Numbers) -> None:
        self._engine, ids = engine, engine._ids()
        given = [q for q in (*AT_REST, *OF_LOAD) if rows[q].any()]
        shapes = ["stribeck_velocity"] if any(q in AT_REST for q in given) else []
        if shapes and (rows["stribeck_exponent"] != 1.0).any():
            shapes.append("stribeck_exponent")
        self._law = {q: rows[q] for q in (*given, *shapes)}
        self._turns = bool({"load_friction_external", *AT_REST[1:]} & set(given))
        self._loss = rows["speed_loss"] if rows["speed_loss"].any() else None
        self._known = False
        # of every row, if the engine steps them all: plain slices are many times faster to take
        self._every = len(ids) == engine.simulator.num_envs
        self._dofs = slice(None) if self._every and not engine.world_has_play else engine._engine_dofs
        self._coulomb = engine._friction[np.ix_(ids, engine._engine_dofs)]
        self._base = engine._limits[ids].copy()
        model, driving = engine.world.model, engine._driving
        self._actuators, self._controls = ([getattr(o, k) for o in driving] for k in ("actuator", "control"))
        self._turned = [int(model.joint(order.joint).dofadr[0]) for order in driving]
        self._ways = np.sign([order.gear for order in driving])

    def run(self, ctrl: FloatArray, ids: Ids) -> FloatArray:
        """Some steps of the first rows. Shape (rows, steps, k)."""
        simulator, engine, running = self._engine.simulator, self._engine, len(ids)
        rows = slice(0, running) if self._every else ids
        found = np.empty((running, ctrl.shape[1], len(engine.columns)))
        law = {quantity: numbers[:running] for quantity, numbers in self._law.items()}
        for step in range(ctrl.shape[1]):
            speed = simulator.speed()[rows][:, self._dofs]
            if law:
                self._rub(rows, law, speed)
            if self._loss is not None:
                engine._limits[rows] = self._limited(speed)
            simulator.advance(ctrl[:, step], ids)
            found[:, step] = simulator.qpos[rows][:, engine.columns]
            self._known = True
        return found

    def _rub(self, rows: slice | Ids, law: Numbers, speed: FloatArray) -> None:
        """Write dry friction by speed, and by the torques of the step before; at first there are none."""
        engine = self._engine
        motor = engine._motor[rows][:, self._dofs] if self._known else np.zeros_like(speed)
        load = None
        if self._turns:
            load = engine._force()[rows][:, self._dofs] if self._known else np.zeros_like(speed)
        friction = self._coulomb[: len(speed)] + extra_friction(np, law, speed, motor, load)
        places = rows if isinstance(rows, slice) else rows[:, None]
        engine._friction[places, self._dofs] = friction

    def _limited(self, speed: FloatArray) -> FloatArray:
        """Force limits at the motors' speeds."""
        assert self._loss is not None
        running = len(speed)
        turning, loss = np.zeros((2, *self._base[:running].shape[:2]))
        turning[:, self._actuators] = speed[:, self._turned] * self._ways
        loss[:, self._actuators] = self._loss[:running][:, self._controls]
        return limits_at(np, self._base[:running], loss, turning)


def _steps(motion: Motion, dt: float) -> int:
    end = max(motion.duration, float(motion.measured_at[-1]))
    return int(np.ceil(end / dt - 1e-6)) + MARGIN


def _commands(motion: Motion) -> FloatArray:
    """What is told from half a second before the start of a window on. Shape (m + n, nu)."""
    return np.vstack([motion.past_command, motion.command]) if len(motion.past_time) else motion.command


def _held_goal(command: FloatArray, band: float) -> FloatArray:
    """A goal that stays until it is moved by more than a band."""
    held = command.copy()
    for row in range(1, len(held)):
        if abs(command[row] - held[row - 1]) <= band:
            held[row] = held[row - 1]
    return held
