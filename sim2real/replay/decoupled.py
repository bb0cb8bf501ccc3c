"""A fast stand-in for a robot of position servos: every joint simulated alone, all of them at once.

Gravity is taken along the measured pose, inertia as the mean of the joint's own; what one joint's motion does
to another is left out. For geared servos, whose rotors outweigh the links, that is close enough to search
with: a step of a thousand joints costs a few array operations. What is found must be polished in the
full simulation.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.channels.laws import UNLIMITED, moved_goal
from sim2real.interface import Ids
from sim2real.parameters import MODEL
from sim2real.replay.commands import controls, orders_of
from sim2real.replay.engine import MARGIN
from sim2real.replay.integral import Integral
from sim2real.replay.joint import Joint, Loose
from sim2real.replay.motion import FloatArray, Motion, is_servo_robot
from sim2real.replay.simulate import READ_DELAY, SHAPES
from sim2real.world import World

_LEAST_INERTIA = 1e-6

_NEUTRAL = {
    **SHAPES,
    "rate_limit": UNLIMITED,
    "goal_braking": UNLIMITED,
    "strength": 1.0,
}
_QUANTITIES = (
    "kp",
    "kd",
    "damping",
    "frictionloss",
    "armature",
    "latency",
    "bias_torque",
    "torque_limit",
    "stribeck",
    "stribeck_velocity",
    "stribeck_exponent",
    "load_friction_motor",
    "goal_braking",
    "rate_limit",
    "strength",
    "backlash",
    "speed_loss",
)


def can_stand_in(names: Sequence[str]) -> bool:
    """Whether joints simulated alone show what all these parameters do."""
    return all(name.rpartition(".")[2] in (*_QUANTITIES, "mass", READ_DELAY) for name in names)


def stand_alone(world: World, motions: Sequence[Motion]) -> bool:
    """Whether the joints of some motions hardly throw each other about, and are of the stand-in's kind.

    Its kind are joints with an ungeared servo each, whose command acts at once, without springs, tendons,
    equalities or limits of torque at the joint. They throw each other about where what couples two joints in
    the mass matrix is a good part of their own inertia, rotors included. Of the largest such share at every
    pose, the mean counts.
    """
    model = world.model
    if not _plain(world) or len(motions[0].joints) != model.njnt:
        return False
    columns, dofs = ([int(getattr(model.joint(j), at)[0]) for j in motions[0].joints] for at in _PLACES)
    data, full = mujoco.MjData(model), np.zeros((model.nv, model.nv))
    poses = np.concatenate([motion.measured for motion in motions])
    largest = []
    for pose in poses[:: max(1, len(poses) // _POSES)]:
        data.qpos[columns] = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_crb(model, data)
        mujoco.mj_fullM(model, data, full)
        part = full[np.ix_(dofs, dofs)]
        own = np.sqrt(np.diag(part))
        largest.append(np.abs(part / np.outer(own, own) - np.eye(len(own))).max())
    return bool(np.mean(largest) < _COUPLED)


def _plain(world: World) -> bool:
    """Whether a world has nothing that the stand-in does not know."""
    model = world.model
    others = (
        *(model.jnt_actfrclimited, model.jnt_stiffness, model.body_gravcomp, model.dof_dampingpoly),
        *(model.actuator_damping, model.actuator_armature, model.actuator_delay),
    )
    beyond = [
        p
        for p in world.parameters.values()
        if p.quantity.acts != MODEL and p.quantity.name not in _QUANTITIES and p.quantity.element in _OF_ROBOT
    ]
    return (
        is_servo_robot(world)
        and all(order.gear == 1.0 for order in orders_of(model))
        and not (model.na or model.neq or model.ntendon or any(np.any(numbers) for numbers in others))
        and all(p.quantity.neutral is None or p.nominal == p.quantity.neutral for p in beyond)
    )


_OF_ROBOT = ("joint", "actuator")
_PLACES = ("qposadr", "dofadr")
_POSES = 200
_COUPLED = 0.3
"""Of the geometric mean of two inertias: beyond it one joint's column is not its own alone."""


class DecoupledReplayer:
    """As `sim2real.replay.Replayer`, each joint on its own."""

    def __init__(
        self,
        world: World,
        motions: Sequence[Motion],
        width: int,
        num_threads: int = 0,
        free: Sequence[str] = (),
    ) -> None:
        """Prepare gravity and inertia along the measured motions.

        Args:
            world: whose every measured joint is driven by a position servo.
            motions: what to replay.
            width: most candidates of a run.
            num_threads: not used; here for the same call.
            free: likewise.
        """
        self.world, self.motions, self.width = world, list(motions), width
        self.dt = float(world.model.opt.timestep)
        self.joints = motions[0].joints
        model = world.model
        by_joint = {order.joint: order for order in orders_of(model)}
        self._orders = [by_joint[joint] for joint in self.joints]
        self._actuator = [order.actuator for order in self._orders]
        self._signals = [self._told(motion) for motion in motions]
        self._bodies = {name: p.elements for name, p in world.parameters.items() if p.quantity.name == "mass"}
        self.steps = max(int(np.ceil(max(m.duration, m.measured_at[-1]) / self.dt - 1e-6)) for m in motions)
        self.steps += MARGIN
        self._prepare()
        self.diverged = np.zeros((len(motions), width), dtype=bool)

    def part(self, places: Sequence[int]) -> DecoupledReplayer:
        """Some of the motions alone, with the same results to the bit."""
        made, rows = copy.copy(self), list(places)
        made.motions, made._signals = [self.motions[m] for m in rows], [self._signals[m] for m in rows]
        made._gravity = self._gravity[rows]
        made._loads = {name: load[rows] for name, load in self._loads.items()}
        made.diverged = self.diverged[rows]
        return made

    def _told(self, motion: Motion) -> Integral:
        """What the servos are told within their ranges, as angles of the measured joints."""
        late = len(motion.past_time)
        told = np.vstack([motion.past_command, motion.command]) if late else motion.command
        within = controls(self.world.model, told)
        angles = [order.told_by(within[:, order.control]) for order in self._orders]
        return Integral.of(np.concatenate([motion.past_time, motion.time]), np.stack(angles, axis=1))

    def _prepare(self) -> None:
        """Gravity at nominal masses, what each mass parameter adds to it, and the joints' own inertia."""
        grids, inertias = [], []
        loads: dict[str, list[FloatArray]] = {name: [] for name in self._bodies}
        for motion in self.motions:
            gravity, by_body, inertia = _along(self.world.model, motion)
            when = np.asarray(np.arange(self.steps) * self.dt, dtype=np.float64)
            grids.append(_on(when, motion.time, np.asarray(gravity, dtype=np.float64)))
            inertias.append(inertia)
            for name, bodies in self._bodies.items():
                ids = [self.world.model.body(body).id for body in bodies]
                load: FloatArray = np.sum(by_body[:, ids], axis=1, dtype=np.float64)
                loads[name].append(_on(when, motion.time, load))
        self._gravity = np.stack(grids)  # (motions, steps, k)
        self._loads = {name: np.stack(parts) for name, parts in loads.items()}
        armature = np.array([self.world.model.joint(j).armature[0] for j in self.joints])
        self._inertia = np.maximum(np.mean(inertias, axis=0) - armature, _LEAST_INERTIA)

    def _numbers(self, names: Sequence[str], values: FloatArray) -> dict[str, FloatArray]:
        """Every quantity of every candidate and joint. Shapes (c, k)."""
        model, found = self.world.model, {}
        for quantity in _QUANTITIES:
            numbers = np.full((len(values), len(self.joints)), _NEUTRAL.get(quantity, 0.0))
            numbers[:] = _of_model(model, quantity, self.joints, self._actuator, numbers[0])
            for parameter in self.world.parameters.values():
                if parameter.quantity.name == quantity:
                    numbers[:, self._columns(parameter.elements)] = parameter.nominal
            for column, name in enumerate(names):
                if name.endswith(f".{quantity}"):
                    elements = self.world.parameters[name].elements
                    numbers[:, self._columns(elements)] = values[:, [column]]
            found[quantity] = numbers
        return found

    def _columns(self, elements: Sequence[str]) -> Ids:
        """Measured joints that elements (joints or their actuators) stand for."""
        model = self.world.model
        by_actuator = {model.actuator(a).name: k for k, a in enumerate(self._actuator)}
        places = [self.joints.index(e) if e in self.joints else by_actuator[e] for e in elements]
        return np.array(places, dtype=np.intp)

    def run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """Simulate every motion under every candidate; see `sim2real.replay.Replayer.run`."""
        numbers = self._numbers(names, values)
        count, motions = len(values), len(self.motions)
        start = np.stack([m.measured[0] for m in self.motions])
        speed = np.stack([m.velocity for m in self.motions])
        position = np.tile(start, (count, 1))  # rows: candidate by candidate, motion by motion
        velocity = np.tile(speed, (count, 1))
        commands = self._commands(numbers["latency"] * self.dt)
        rows = {q: np.repeat(n, motions, axis=0) for q, n in numbers.items()}
        pairs = zip(self._signals, self.motions, strict=True)
        first = np.tile(np.stack([s.command[len(m.past_time)] for s, m in pairs]), (count, 1))
        limits, state = (rows["rate_limit"], rows["goal_braking"]), (first, np.zeros_like(first))
        jumps = all((limit >= UNLIMITED).all() for limit in limits)
        loads = self._load(names, values)
        trace = np.empty((self.steps + 1, count * motions, len(self.joints)))
        trace[0] = position
        law = Joint(rows, self._inertia, self.dt)
        loose = Loose(law, rows["backlash"]) if rows["backlash"].any() else None
        for step in range(self.steps):
            target = commands[step]
            state = state if jumps else moved_goal(np, state, target, limits, self.dt)
            goal = target if jumps else state[0]
            gravity = np.tile(self._gravity[:, step], (count, 1)) if loads is None else loads[step]
            if loose is None:
                velocity = law.step(goal, position, velocity, gravity)
            else:
                velocity = loose.step(goal, position, velocity, gravity)
            position = position + self.dt * velocity
            trace[step + 1] = position if loose is None else position + loose.play
        return self._sample(trace, names, values)

    def _load(self, names: Sequence[str], values: FloatArray) -> FloatArray | None:
        """Gravity by step, row and joint where masses are free. Shape (steps, rows, k)."""
        masses = [(c, n) for c, n in enumerate(names) if n in self._bodies]
        if not masses:
            return None
        total = np.repeat(self._gravity[None], len(values), axis=0)
        for column, name in masses:
            change = values[:, column] - self.world.parameters[name].nominal
            extra = values[:, column] * 0 + change
            total = total + extra[:, None, None, None] * self._loads[name][None]
        flat = total.reshape(-1, self.steps, len(self.joints))
        return np.ascontiguousarray(flat.swapaxes(0, 1))

    def _commands(self, delay: FloatArray) -> FloatArray:
        """Mean commands by step, row and joint. Shape (steps, rows, k)."""
        edges = np.arange(self.steps + 1) * self.dt
        out = np.empty((self.steps, len(delay), len(self.motions), len(self.joints)))
        for m, signal in enumerate(self._signals):
            for k in range(len(self.joints)):
                late, which = np.unique(delay[:, k], return_inverse=True)
                means = np.stack([signal.means(edges - d, k) for d in late])
                out[:, :, m, k] = means[which].T
        return out.reshape(self.steps, -1, len(self.joints))

    def _sample(self, trace: FloatArray, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        read = np.zeros((len(values), len(self.joints)))
        for column, name in enumerate(names):
            if name.endswith(f".{READ_DELAY}"):
                read[:, self.joints.index(name.rpartition(".")[0])] = values[:, column]
        by_row = trace.reshape(self.steps + 1, len(values), len(self.motions), len(self.joints))
        candidates = np.arange(len(values))[:, None, None]
        joints = np.arange(len(self.joints))
        found = []
        for m, motion in enumerate(self.motions):
            when = np.clip(
                (motion.measured_at[None, :, None] + read[:, None, :]) / self.dt, 0, self.steps - 1e-9
            )
            step = when.astype(np.intp)
            part = when - step
            before, after = (by_row[s, candidates, m, joints] for s in (step, step + 1))
            found.append(np.asarray(before * (1 - part) + after * part))
        return found


def _of_model(
    model: mujoco.MjModel, quantity: str, joints: Sequence[str], actuators: Sequence[int], default: FloatArray
) -> FloatArray:
    """What the model says of a quantity that is no parameter of the world. Shape (k,)."""
    if quantity in ("damping", "frictionloss", "armature"):
        return np.array([np.ravel(getattr(model.joint(j), quantity))[0] for j in joints])
    if quantity in ("kp", "kd"):
        return -np.asarray(model.actuator_biasprm[actuators, 1 if quantity == "kp" else 2])
    if quantity == "torque_limit":
        limited = model.actuator_forcelimited[actuators].astype(bool)
        return np.where(limited, model.actuator_forcerange[actuators, 1], UNLIMITED)
    return default


def _along(model: mujoco.MjModel, motion: Motion) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gravity torque, what a kilogram more of each body adds to it, and the mean inertia of each joint.

    Shapes (n, k), (n, bodies, k), (k,).
    """
    data = mujoco.MjData(model)
    columns = [int(model.joint(j).qposadr[0]) for j in motion.joints]
    dofs = [int(model.joint(j).dofadr[0]) for j in motion.joints]
    loads = np.zeros((len(motion.time), model.nbody, len(dofs)))
    inertia = np.zeros(len(dofs))
    jacobian, full = np.zeros((3, model.nv)), np.zeros((model.nv, model.nv))
    every = max(1, len(motion.time) // 400)
    rows = np.append(np.arange(0, len(motion.time) - 1, every), len(motion.time) - 1)
    for row in rows:
        data.qpos[columns] = motion.measured[row]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_crb(model, data)
        mujoco.mj_fullM(model, data, full)
        inertia += np.diag(full)[dofs] / len(rows)
        for body in range(1, model.nbody):
            mujoco.mj_jacBodyCom(model, data, jacobian, None, body)
            loads[row, body] = -(model.opt.gravity @ jacobian)[dofs]
    loads = _on(motion.time, motion.time[rows], loads[rows].reshape(len(rows), -1)).reshape(loads.shape)
    gravity = np.asarray(np.tensordot(loads, model.body_mass, axes=([1], [0])), dtype=np.float64)
    return gravity, loads, inertia


def _on(when: NDArray[np.floating[Any]], time: FloatArray, values: FloatArray) -> FloatArray:
    """Columns interpolated at other times. Shape (len(when), columns)."""
    return np.stack([np.interp(when, time, column) for column in values.T], axis=1)
