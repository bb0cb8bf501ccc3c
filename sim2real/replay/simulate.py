"""Motions simulated open-loop under many physics at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.channels.laws import AT_REST, OF_LOAD
from sim2real.errors import InvalidValue, RecordingError, UnknownName
from sim2real.parameters import ACTUATOR, MODEL, QUANTITIES, Parameter, quantity_of
from sim2real.replay.commands import orders_of
from sim2real.replay.engine import Engine, Ids, Numbers
from sim2real.replay.forked import run_apart, shares
from sim2real.replay.motion import FloatArray, Motion
from sim2real.world import World, element_id

READ_DELAY = "read_delay"
"""``<joint>.read_delay``: seconds from a row's stamp to the moment at which the joint is really read."""

SHAPES = {"stribeck_velocity": 0.05, "stribeck_exponent": 1.0}
"""Of friction that no parameter gives another shape."""

_OF_DRIVES = ("latency", "command_resolution", "deadband", "rate_limit", "goal_braking", "speed_loss")
_OF_JOINTS = (*dict.fromkeys((*AT_REST, *OF_LOAD)), *SHAPES)
OWN = (*_OF_DRIVES, *_OF_JOINTS)
"""Quantities that the replayer sees to; those of the engine's model are the simulator's."""


@dataclass(frozen=True)
class _Plan:
    """Where each candidate's numbers go."""

    model: tuple[int, ...]
    """Columns of the candidates that the simulator takes."""
    own: dict[str, dict[int, int]]
    """Column of the candidates by quantity and by control, degree of freedom or measured joint."""
    play: dict[str, int]
    """Column of the candidates by backlash."""
    idle: tuple[int, ...]
    """Columns of what acts in no replay, and must be neutral."""


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
        """Take the motions; what a run needs is made when it is first asked for.

        Args:
            world: whose parameters the runs are about.
            motions: what to replay, of the same joints each.
            width: most candidates of a run.
            num_threads: or, where laws are asked for before every step, processes; 0 means all cores.
            free: what the runs will name, if known, so that what can't act is refused now.

        Raises:
            RecordingError: for motions of different joints.
            UnknownName: for a name that the world does not have.
            InvalidValue: for a parameter that does not act in a replay.
        """
        for motion in motions:
            if motion.joints != motions[0].joints:
                raise RecordingError(
                    f"{motions[0].name} measures {', '.join(motions[0].joints)}, and {motion.name} "
                    f"{', '.join(motion.joints)}; replay them apart, or leave out what is not in both"
                )
        self.world, self.width, self.threads = world, width, num_threads
        # longer motions come first inside, so that finished ones cost nothing
        self.order = sorted(range(len(motions)), key=lambda k: -motions[k].duration)
        self.motions = [motions[k] for k in self.order]
        self.dt = float(world.model.opt.timestep)
        self._looks_within = world.model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
        self._orders = {order.name: order for order in orders_of(world.model)}
        self._engines: dict[tuple[frozenset[str], bool], Engine] = {}
        self._own, self._offsets = self._nominal(), self._nominal_offsets()
        self.diverged = np.zeros((len(motions), width), dtype=bool)
        """After a run: which simulations blew up, by motion as given and candidate."""
        self._plan(tuple(free))

    def _nominal(self) -> Numbers:
        """The replayer's own quantities in the world as it is. Shape (nu,) or (nv,) each."""
        model, dt = self.world.model, float(self.world.model.opt.timestep)
        found: Numbers = {}
        for quantity in OWN:
            neutral = QUANTITIES[quantity].neutral
            width = model.nu if quantity in _OF_DRIVES else model.nv
            found[quantity] = np.full(width, SHAPES.get(quantity, neutral or 0.0))
        for order in self._orders.values():
            late, between = (
                model.actuator_delay[order.actuator] / dt,
                model.actuator_history[order.actuator, 1],
            )
            if between > _LINEAR:
                raise InvalidValue(
                    f"actuator {order.name!r} of {self.world.name} interpolates its delayed commands by "
                    'cubics, which a replay can\'t; take interp out of the MJCF, or make it interp="linear"'
                )
            least = 1.0 if late > 0 else 0.0  # a step reads what the ones before it have noted
            whole = np.ceil(late - 1e-9)
            if self._looks_within and whole - late > 0.5:
                whole -= (
                    4 / 6 if whole > 2 else 0.8
                )  # as what is seen a half step earlier arrives by _arrived
            found["latency"][order.control] = max(late if between else whole, least)
        for parameter in self.world.parameters.values():
            kind = parameter.quantity
            if kind.name in OWN:
                found[kind.name][self._places(parameter)] = parameter.nominal
            elif kind.acts == ACTUATOR and parameter.nominal != kind.neutral:
                raise InvalidValue(f"{parameter.name} = {parameter.nominal:g} {_IDLE}")
        return found

    def _nominal_offsets(self) -> FloatArray:
        """What the encoders of the measured joints read too much in the world as it is. Shape (k,)."""
        found = np.zeros(len(self.motions[0].joints) if self.motions else 0)
        for parameter in self.world.parameters.values():
            if parameter.quantity.name == _OFFSET:
                found[self._encoders(parameter)] = parameter.nominal
        return found

    def _encoders(self, parameter: Parameter) -> list[int]:
        """Which measured joints' encoders a parameter is about."""
        measured = self.motions[0].joints
        return [measured.index(joint) for joint in parameter.elements if joint in measured]

    def run(self, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """Simulate every motion under every candidate.

        Args:
            names: parameters of the world, or ``<joint>.read_delay`` in seconds; latencies may be fractions.
            values: one candidate a row, in the parameters' units. Shape (c, len(names)), c at most ``width``.

        Returns:
            Per motion the positions at its stamps; NaN where a simulation diverged. Shape (c, n, k).

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for more candidates than there is room for, or a parameter that acts in no replay
                at another value than its neutral one.
        """
        count = len(values)
        if not 1 <= count <= self.width:
            raise InvalidValue(f"{count} candidates do not fit a replayer of width {self.width}")
        plan = self._plan(tuple(names))
        for column in plan.idle:
            neutral = quantity_of(names[column]).neutral
            if (values[:, column] != neutral).any():
                raise InvalidValue(f"{names[column]} {_IDLE}")
        work = count * sum(motion.duration for motion in self.motions) / self.dt / _WORTH
        places = shares(len(self.motions), self.threads, work)
        if len(places) > 1 and Engine.acts_by_step(self._numbers(plan, values)):
            theirs = [[self.motions[k] for k in its] for its in places]
            parts = [Replayer(self.world, motions, count, 1, names) for motions in theirs]
            results = run_apart(parts, places, names, values)
        else:
            results = self._run(plan, names, values)
        found: list[FloatArray] = [np.empty(0)] * len(self.motions)
        self.diverged[:] = False
        for original, result in zip(self.order, results, strict=True):
            found[original] = result
            self.diverged[original, :count] = np.isnan(result[:, 0]).any(axis=1)
        return found

    def _run(self, plan: _Plan, names: Sequence[str], values: FloatArray) -> list[FloatArray]:
        """The same for motions longest first, in this thread and the engine's own."""
        count = len(values)
        results = [np.empty((count, len(m.time), len(m.joints))) for m in self.motions]
        for loose, rows in self._groups(plan, values):
            chosen = values[rows]
            own = self._numbers(plan, chosen)
            engine = self._engine(loose, own)
            kept = tuple(k for k in plan.model if k not in plan.play.values() or names[k] in loose)
            engine.set_model(tuple(names[k] for k in kept), chosen[:, kept])
            offsets = np.tile(self._offsets, (len(chosen), 1))
            for joint, column in plan.own[_OFFSET].items():
                offsets[:, joint] = chosen[:, column]
            trace, bad = engine.run(own, offsets)
            for k, result in enumerate(results):
                read = self._sample(k, trace, chosen, plan)
                result[rows] = read + offsets[:, None] if offsets.any() else read
                result[rows[bad[k]]] = np.nan
        return results

    def _groups(self, plan: _Plan, values: FloatArray) -> list[tuple[frozenset[str], Ids]]:
        """Candidates by the backlashes that they have: joints without play are simulated as they are."""
        groups: dict[frozenset[str], list[int]] = {}
        given = {n: p.nominal for n, p in self.world.parameters.items() if p.quantity.name == "backlash"}
        for row, candidate in enumerate(values):
            widths = given | {name: candidate[column] for name, column in plan.play.items()}
            groups.setdefault(frozenset(n for n, width in widths.items() if width > 0), []).append(row)
        return [(loose, np.array(rows, dtype=np.intp)) for loose, rows in groups.items()]

    def _engine(self, loose: frozenset[str], own: Numbers) -> Engine:
        """Simulations of the world with these backlashes; one for each set of them that was asked for."""
        by_step = Engine.acts_by_step(own)
        if (loose, by_step) not in self._engines:
            # threads wake too late for single steps of a few rows; a stretch of many steps is worth them
            few = by_step and self.width * len(self.motions) < _ROWS_OF_TWO
            engine = Engine(self.world, self.motions, self.width, loose, 1 if few else self.threads)
            self._engines[loose, by_step] = engine
        return self._engines[loose, by_step]

    def _numbers(self, plan: _Plan, values: FloatArray) -> Numbers:
        """Every own quantity of every candidate. Shapes (c, nu) and (c, nv)."""
        numbers = {quantity: np.tile(base, (len(values), 1)) for quantity, base in self._own.items()}
        for quantity, places in plan.own.items():
            for place, column in places.items():
                if quantity in OWN:
                    numbers[quantity][:, place] = values[:, column]
        if self._looks_within:
            numbers["latency"] = _arrived(numbers["latency"])
        return numbers

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        own: dict[str, dict[int, int]] = {quantity: {} for quantity in (*OWN, READ_DELAY, _OFFSET)}
        model, play, idle = [], {}, []
        for column, name in enumerate(names):
            element, _, quantity = name.rpartition(".")
            if quantity == READ_DELAY:
                if element not in self.motions[0].joints:
                    raise UnknownName(f"measured joint in {name}:", element, self.motions[0].joints)
                own[quantity][self.motions[0].joints.index(element)] = column
                continue
            if name not in self.world.parameters:
                raise UnknownName(f"parameter of {self.world.name}", name, self.world.parameters)
            parameter = self.world.parameters[name]
            if quantity in OWN:
                for place in self._places(parameter):
                    own[quantity][place] = column
            elif parameter.quantity.acts == MODEL:
                model.append(column)
                if quantity == "backlash":
                    play[name] = column
            elif parameter.quantity.neutral is None:
                raise InvalidValue(f"{name} {_IDLE}")
            else:
                idle.append(column)
        own[_OFFSET] = self._misread(names)
        return _Plan(tuple(model), own, play, tuple(idle))

    def _misread(self, names: Sequence[str]) -> dict[int, int]:
        """Column of each measured joint's encoder offset."""
        columns = {n: k for k, n in enumerate(names) if n.endswith(f".{_OFFSET}")}
        return {joint: k for n, k in columns.items() for joint in self._encoders(self.world.parameters[n])}

    def _places(self, parameter: Parameter) -> list[int]:
        """Controls or degrees of freedom that one of the replayer's own parameters is about."""
        model, kind = self.world.model, parameter.quantity
        if kind.element == "joint":
            return [int(model.jnt_dofadr[element_id(model, "joint", name)]) for name in parameter.elements]
        for name in parameter.elements:
            if name not in self._orders:
                raise UnknownName(f"actuator for parameter {parameter.name}:", name, self._orders)
        return [self._orders[name].control for name in parameter.elements]

    def _sample(self, k: int, trace: FloatArray, values: FloatArray, plan: _Plan) -> FloatArray:
        """The trace at a motion's stamps, linear between physics steps. Shape (c, n, k)."""
        motion, count = self.motions[k], len(values)
        read = np.zeros((count, len(motion.joints)))
        for joint, column in plan.own[READ_DELAY].items():
            read[:, joint] = values[:, column]
        steps = trace.shape[1] - 1
        when = np.clip((motion.measured_at[None, :, None] + read[:, None, :]) / self.dt, 0, steps - 1e-9)
        step = when.astype(np.intp)
        part = when - step
        rows = np.arange(k * count, (k + 1) * count)[:, None, None]
        joints = np.arange(len(motion.joints))
        return np.asarray(trace[rows, step, joints] * (1 - part) + trace[rows, step + 1, joints] * part)


def _arrived(late: FloatArray) -> FloatArray:
    """Steps after which commands act in the mean, by how late they are: RK4 sees new ones at a step's end.

    That is a sixth of a step, of all commands that are late by two steps or more.
    """
    earlier: FloatArray = late - np.clip(late - 1.0, 0.0, 1.0) / 6
    return earlier


_OFFSET = "encoder_offset"
_LINEAR = 1  # of mjtInterp: commands between two steps are their mean, as of a delay of parts of a step
_IDLE = "does not act in a replay of recordings; leave it out"
_ROWS_OF_TWO = 64
_WORTH = 20_000  # physics steps for each process, below which a fork costs more than it saves
