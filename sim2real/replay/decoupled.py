"""A fast stand-in for a robot of position servos: every joint simulated alone, all of them at once.

Gravity is taken along the measured pose, inertia as the mean of the joint's own; what one joint's motion does
to another is left out. For geared servos, whose rotors outweigh the links, that is close enough to search
with: a step of a thousand joints costs a few array operations. What is found must be polished in the
full simulation.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.channels.laws import UNLIMITED, goal_law
from sim2real.interface import Ids
from sim2real.parameters import MODEL
from sim2real.replay.commands import controls, orders_of
from sim2real.replay.engine import MARGIN
from sim2real.replay.forked import run_apart, shares
from sim2real.replay.joint import Joint, Loose
from sim2real.replay.motion import FloatArray, Motion, is_servo_robot
from sim2real.replay.simulate import READ_DELAY, SHAPES
from sim2real.replay.zero_order_hold import ZeroOrderHold
from sim2real.world import World
from sim2real.world.poses import in_poses

_Table = Callable[[int, int], FloatArray]
"""From the first step and the one after the last to a row for each. Shape (steps, columns)."""
_Along = tuple[tuple[FloatArray, FloatArray], FloatArray]
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
    poses = np.concatenate([motion.measured for motion in motions])
    matrices = mass_matrices(model, motions[0].joints, poses[:: max(1, len(poses) // _POSES)])
    own = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    shares = matrices / (own[:, :, None] * own[:, None]) - np.eye(model.njnt)
    return bool(np.abs(shares).max(axis=(1, 2)).mean() < _COUPLED)


def mass_matrices(model: mujoco.MjModel, joints: Sequence[str], poses: FloatArray) -> FloatArray:
    """Mass matrix of joints in some poses, rotors included, kg·m² or kg. Shape (n, k, k)."""
    full, dofs = np.zeros((model.nv, model.nv)), [int(model.joint(j).dofadr[0]) for j in joints]
    found = np.empty((len(poses), len(dofs), len(dofs)))
    for number, data in enumerate(in_poses(model, joints, poses)):
        mujoco.mj_comPos(model, data)
        mujoco.mj_crb(model, data)
        mujoco.mj_fullM(model, data, full)
        found[number] = full[np.ix_(dofs, dofs)]
    return found


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
        if p.quantity.name not in _QUANTITIES
        and p.quantity.element in _OF_ROBOT
        and (p.quantity.acts != MODEL or p.quantity.name == "encoder_offset")
    ]
    return (
        is_servo_robot(world)
        and all(order.gear == 1.0 for order in orders_of(model))
        and not (model.na or model.neq or model.ntendon or any(np.any(numbers) for numbers in others))
        and all(p.quantity.neutral is None or p.nominal == p.quantity.neutral for p in beyond)
    )


_OF_ROBOT = ("joint", "actuator")
_POSES, _ALONG = 200, 400
_AT_ONCE = 4096  # lines, whose arrays a processor's cache holds
_CHUNK = 512  # steps, as for that
_WORTH = 100  # simulations for each process, below which a fork costs more than it saves
_ROUNDING = 1e-9  # N·m of a kilogram
_RARE = {"goal_braking": UNLIMITED, "rate_limit": UNLIMITED, "stribeck": 0.0, "load_friction_motor": 0.0}
"""What few joints have, and where it is not there."""
_KNOWN: WeakKeyDictionary[Motion, tuple[mujoco.MjModel, _Along]] = WeakKeyDictionary()
"""What `_along` found: a fit replays the same motions under many sets of parameters."""
_COUPLED = 0.3
"""Of the geometric mean of two inertias: beyond it one joint's column is not its own alone."""


class DecoupledReplayer:
    """As `sim2real.replay.Replayer`, each joint on its own.

    What is simulated are lines: a joint, a motion and one of the different physics that candidates give that
    joint. Where candidates differ in one joint's numbers, the others are simulated once.
    """

    def __init__(self, world: World, motions: Sequence[Motion], threads: int = 1) -> None:
        """Prepare gravity and inertia along the measured motions.

        Args:
            world: whose every measured joint is driven by a position servo.
            motions: what to replay.
            threads: most processes of a run, 0 for as many as there are cores.
        """
        self.world, self.motions, self.threads = world, list(motions), threads
        self.dt = float(world.model.opt.timestep)
        self.joints = motions[0].joints
        model = world.model
        by_joint = {order.joint: order for order in orders_of(model)}
        self._orders = [by_joint[joint] for joint in self.joints]
        self._actuator = [order.actuator for order in self._orders]
        self._signals = [self._told(motion) for motion in motions]
        along = [_along(model, motion) for motion in motions]
        self._loads, inertias = [loads for loads, _ in along], [inertia for _, inertia in along]
        armature = np.array([model.joint(j).armature[0] for j in self.joints])
        self._inertia = np.maximum(np.mean(inertias, axis=0) - armature, _LEAST_INERTIA)
        most = np.max([np.abs(loads).max(axis=0) for _, loads in self._loads], axis=0)
        self._carries: NDArray[np.bool_] = np.greater(most, _ROUNDING)
        """Bodies whose masses each joint feels. Shape (k, bodies)."""

    def _part(self, places: Sequence[int]) -> DecoupledReplayer:
        """Some of the motions alone, in one process, with the same results to the bit."""
        made = copy.copy(self)
        made.motions, made._signals = [self.motions[m] for m in places], [self._signals[m] for m in places]
        made._loads, made.threads = [self._loads[m] for m in places], 1
        return made

    def _told(self, motion: Motion) -> ZeroOrderHold:
        """What the servos are told within their ranges, as angles of the measured joints."""
        late = len(motion.past_time)
        told = np.vstack([motion.past_command, motion.command]) if late else motion.command
        within = controls(self.world.model, told)
        angles = [order.told_by(within[:, order.control]) for order in self._orders]
        return ZeroOrderHold(np.concatenate([motion.past_time, motion.time]), np.stack(angles, axis=1))

    def _numbers(self, names: Sequence[str], values: FloatArray) -> dict[str, FloatArray]:
        """Every quantity of every candidate and joint, and what belongs to its readings. Shapes (c, k)."""
        model, found = self.world.model, {}
        for quantity in (*_QUANTITIES, READ_DELAY):
            numbers = np.full((len(values), len(self.joints)), _NEUTRAL.get(quantity, 0.0))
            numbers[:] = _of_model(model, quantity, self.joints, self._actuator, numbers[0])
            for parameter in self.world.parameters.values():
                if parameter.quantity.name == quantity:
                    numbers[:, self._columns(parameter.elements)] = parameter.nominal
            for column, name in enumerate(names):
                element, _, its = name.rpartition(".")
                if its == quantity:
                    elements = (element,) if quantity == READ_DELAY else self.world.parameters[name].elements
                    numbers[:, self._columns(elements)] = values[:, [column]]
            found[quantity] = numbers
        return found

    def _masses(self, names: Sequence[str], values: FloatArray) -> FloatArray:
        """Of every body. Shape (c, bodies)."""
        model = self.world.model
        masses = np.tile(model.body_mass, (len(values), 1))
        for parameter in self.world.parameters.values():
            if parameter.quantity.name == "mass":
                bodies = [model.body(body).id for body in parameter.elements]
                free = parameter.name in names
                masses[:, bodies] = values[:, [names.index(parameter.name)]] if free else parameter.nominal
        return masses

    def _columns(self, elements: Sequence[str]) -> Ids:
        """Measured joints that elements (joints or their actuators) stand for."""
        model = self.world.model
        by_actuator = {model.actuator(a).name: k for k, a in enumerate(self._actuator)}
        places = [self.joints.index(e) if e in self.joints else by_actuator[e] for e in elements]
        return np.array(places, dtype=np.intp)

    def run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """Simulate every motion under every candidate; see `sim2real.replay.Replayer.run`.

        What diverges is not finite from there on.
        """
        places = shares(len(self.motions), self.threads, len(values) * len(self.motions) / _WORTH)
        if len(places) > 1:
            return run_apart([self._part(its) for its in places], places, names, values)
        return self._run(names, values)

    def _run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """The same in this process."""
        numbers, masses = self._numbers(names, values), self._masses(names, values)
        lines, places = self._lines(numbers, masses)
        loose = np.any(numbers["backlash"] > 0, axis=0)[lines[:, 1]]
        count, found = len(self.motions), []
        for block in np.array_split(np.arange(count), min(count, -(-count * len(lines) // _AT_ONCE))):
            seen = [np.empty((len(self.motions[m].time), len(lines))) for m in block]
            for some in filter(len, (np.flatnonzero(~loose), np.flatnonzero(loose))):
                for whole, part in zip(
                    seen, self._simulate(block, lines[some], numbers, masses), strict=True
                ):
                    whole[:, some] = part
            found += [np.ascontiguousarray(np.moveaxis(whole[:, places], 0, 1)) for whole in seen]
        return found

    def _lines(self, numbers: Mapping[str, FloatArray], masses: FloatArray) -> tuple[Ids, Ids]:
        """Candidate and joint of every different physics, shape (lines, 2), and whose they are, (c, k).

        Joints of the same laws are neighbours.
        """
        first: list[tuple[int, int]] = []
        places = np.empty((len(masses), len(self.joints)), dtype=np.intp)
        special = np.stack([(numbers[q] != n).any(axis=0) for q, n in _RARE.items()])
        for joint in np.lexsort(~special[::-1]):
            own = [number[:, joint] for number in numbers.values()]
            rows = np.column_stack([*own, masses[:, self._carries[joint]]])
            _, index, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
            places[:, joint] = len(first) + inverse.ravel()
            first += [(candidate, joint) for candidate in index]
        return np.array(first, dtype=np.intp), places

    def _simulate(
        self, block: Ids, lines: Ids, numbers: Mapping[str, FloatArray], masses: FloatArray
    ) -> list[FloatArray]:
        """Positions of lines at the stamps of some motions. Shapes (n, lines)."""
        candidate, joint = lines.T
        motions, count = [self.motions[m] for m in block], len(block)
        ends = [max(m.duration, float(m.measured_at[-1])) for m in motions]
        steps = int(np.ceil(max(ends) / self.dt - 1e-6)) + MARGIN
        own = {quantity: number[candidate, joint] for quantity, number in numbers.items()}
        rows = {quantity: np.tile(number, (count, 1)) for quantity, number in own.items()}
        goals, whose = self._goals(block, joint, own, steps)
        pulls, carried = self._gravity(block, lines, masses, steps)
        start = ([m.measured[0] for m in motions], [m.velocity for m in motions])
        position, velocity = (np.array(x)[:, joint] for x in start)
        alone = Joint(rows, np.tile(self._inertia[joint], (count, 1)), self.dt)
        law = Loose(alone, rows["backlash"], self.dt) if rows["backlash"].any() else alone
        trace, dt = np.empty((_CHUNK + 1, *position.shape)), np.full_like(position, self.dt)
        seen = [_Samples(m, steps, self.dt, own[READ_DELAY]) for m in motions]
        for begin in range(0, steps, _CHUNK):
            end = min(begin + _CHUNK, steps)
            trace[0] = position
            for step, (goal, pull) in enumerate(zip(goals(begin, end), pulls(begin, end), strict=True), 1):
                velocity = law.step(goal.take(whose), position, velocity, pull.take(carried))
                position = np.multiply(velocity, dt, out=trace[step])
                position += trace[step - 1]
            shown = trace[: end - begin + 1] + law.take_plays() if isinstance(law, Loose) else trace
            for k, samples in enumerate(seen):
                samples.take(begin, end, shown[:, k])
        return [samples.found for samples in seen]

    def _goals(self, block: Ids, joint: Ids, own: Mapping[str, FloatArray], steps: int) -> tuple[_Table, Ids]:
        """What servos follow: the mean command of every step, or an inner goal on its way to it.

        A column for each different one, to be asked for in order, and whose they are, (motions, lines).
        """
        kinds = (own["rate_limit"], own["goal_braking"], joint, own["latency"] * self.dt)
        ways, which = np.unique(np.column_stack(kinds), axis=0, return_inverse=True)
        told: FloatArray
        told, whose = np.unique(ways[:, 2:], axis=0, return_inverse=True)
        asked = range(steps), self.dt, told[:, 1], told[:, 0].astype(np.intp)
        means, whose = np.stack([self._signals[m].means(*asked) for m in block]), whose.ravel()
        slow = int((ways[:, :2] < UNLIMITED).any(axis=1).sum())  # they are the first
        first = np.array([self._signals[m].command[len(self.motions[m].past_time)] for m in block])
        state = first[:, ways[:slow, 2].astype(np.intp)], np.zeros((len(block), slow))
        speed, braking = np.tile(ways[:slow, :2].T[:, None], (len(block), 1))
        moved = goal_law(np, (speed, braking), self.dt)

        def goals(begin: int, end: int) -> FloatArray:
            nonlocal state
            table = np.ascontiguousarray(np.moveaxis(means[..., begin:end], 2, 0)).take(whose, axis=2)
            for goal in table if slow else ():
                state = moved(state, goal[:, :slow])
                goal[:, :slow] = state[0]
            return table.reshape(end - begin, -1)

        return goals, _rows(which, len(block))

    def _gravity(self, block: Ids, lines: Ids, masses: FloatArray, steps: int) -> tuple[_Table, Ids]:
        """Impulses of gravity at the measured poses.

        A column for each different one, and whose they are, (motions, lines).
        """
        candidate, joint = lines.T
        carried = np.where(self._carries[joint], masses[candidate], 0.0)
        kinds = np.column_stack([joint, carried])
        _, index, which = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
        when, along = np.arange(steps) * self.dt, []
        for time, loads in (self._loads[m] for m in block):
            torque = self.dt * np.einsum("rvb,vb->rv", loads[:, joint[index]], carried[index])
            row = np.clip(np.searchsorted(time, when, side="right") - 1, 0, len(time) - 2)
            part = np.clip((when - time[row]) / np.diff(time)[row], 0.0, 1.0)[:, None]
            along.append((torque, np.diff(torque, axis=0), row, part))

        def pulls(begin: int, end: int) -> FloatArray:
            table = np.empty((end - begin, len(block), len(index)))
            for place, (torque, growth, row, part) in enumerate(along):
                now = row[begin:end]
                table[:, place] = torque[now] + part[begin:end] * growth[now]
            return table.reshape(end - begin, -1)

        return pulls, _rows(which, len(block))


class _Samples:
    """Positions of lines when they were read, linear between steps, taken as a simulation goes on."""

    def __init__(self, motion: Motion, steps: int, dt: float, read: FloatArray) -> None:
        """Of as many lines as there are delays of reading, s. Shape (lines,)."""
        self.found = np.empty((len(motion.time), len(read)))
        """Shape (n, lines)."""
        self._parts: list[tuple[slice | Ids, Ids, FloatArray]] = []
        for late in np.unique(read):
            when = np.clip(motion.measured_at / dt + late / dt, 0, steps - 1e-9)
            step = when.astype(np.intp)
            its = slice(None) if (read == late).all() else np.flatnonzero(read == late)
            self._parts.append((its, step, (when - step)[:, None]))

    def take(self, begin: int, end: int, trace: FloatArray) -> None:
        """Take what was read in some steps, of the positions at their ends, (end - begin + 1, lines)."""
        for its, step, part in self._parts:
            rows = np.flatnonzero((begin <= step) & (step < end))
            now = step[rows] - begin
            before, after = trace[now][:, its], trace[now + 1][:, its]
            place = rows if isinstance(its, slice) else rows[:, None]
            self.found[place, its] = before + part[rows] * (after - before)


def _rows(which: Ids, motions: int) -> Ids:
    """Columns of a table (steps, motions, different ones) for every line of every motion."""
    which = which.ravel()
    return np.asarray(np.arange(motions)[:, None] * (which.max() + 1) + which, dtype=np.intp)


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


def _along(model: mujoco.MjModel, motion: Motion) -> _Along:
    """Some times, the torque that a kilogram of each body then puts on each joint, and the mean inertia.

    Shapes (rows,), (rows, k, bodies), (k,).
    """
    if motion in _KNOWN and _KNOWN[motion][0] is model:
        return _KNOWN[motion][1]
    full, joints = np.zeros((model.nv, model.nv)), [model.joint(j).id for j in motion.joints]
    dofs = model.jnt_dofadr[joints]
    every = max(1, len(motion.time) // _ALONG)
    rows = np.append(np.arange(0, len(motion.time) - 1, every), len(motion.time) - 1)
    axes, anchors = np.empty((2, len(rows), len(joints), 3))
    centres, inertia = np.empty((len(rows), model.nbody, 3)), np.zeros(len(joints))
    for number, data in enumerate(in_poses(model, motion.joints, motion.measured[rows])):
        mujoco.mj_comPos(model, data)
        mujoco.mj_crb(model, data)
        mujoco.mj_fullM(model, data, full)
        inertia += np.diag(full)[dofs] / len(rows)
        axes[number], anchors[number], centres[number] = data.xaxis[joints], data.xanchor[joints], data.xipos
    turns = model.jnt_type[joints] == int(mujoco.mjtJoint.mjJNT_HINGE)
    # of a hinge, gravity · (axis × arm) = (gravity × axis) · arm; of a slide, gravity · axis
    pull = np.cross(model.opt.gravity, axes)
    leans = pull @ np.swapaxes(centres, 1, 2) - (pull * anchors).sum(axis=-1, keepdims=True)
    moves = np.where(turns[:, None], leans, (axes @ model.opt.gravity)[..., None])
    loads = -moves * _carries(model, joints)
    _KNOWN[motion] = model, ((motion.time[rows], loads), inertia)
    return _KNOWN[motion][1]


def _carries(model: mujoco.MjModel, joints: Sequence[int]) -> NDArray[np.bool_]:
    """Which bodies each joint moves. Shape (k, bodies)."""
    found = np.zeros((len(joints), model.nbody), dtype=bool)
    for k, joint in enumerate(joints):
        for body in range(1, model.nbody):
            found[k, body] = found[k, model.body_parentid[body]] or body == model.jnt_bodyid[joint]
    return found
