"""Actuators that are not ideal, once a control step: what arrives of each command.

A command is rounded, limited in its rate of change and in its braking, swallowed by a dead band, made noisy
and corrected by a learned network, in this order unless ``[channels]`` in ``physics.toml`` gives another;
then it passes the channels of a user's own.
Then the engine delays it. What acts at the physics rate is in `sim2real.channels.physics_rate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sim2real.channels.correction import Correction
from sim2real.channels.filters import Chain, Filter, FilterInputs, Noise, Rounding
from sim2real.channels.laws import UNLIMITED, goal_law
from sim2real.channels.magnitudes import Either, Magnitude, longest
from sim2real.channels.own import Own, order_of
from sim2real.domain import Domain
from sim2real.interface import Array, Ids, Mask, Simulator
from sim2real.parameters import ACTUATOR, ACTUATORS, CHANNELS
from sim2real.world import World, commanded, element_names, reads_position


def command_names(world: World) -> list[str]:
    """The actuator of each command, by name; nameless for one of several, which no parameter can mean."""
    model = world.model
    names = element_names(model, "actuator")
    return [names[k] if model.actuator_ctrlnum[k] == 1 else "" for k in commanded(model)]


def actuator_chain(inputs: FilterInputs, simulator: Simulator) -> Chain:
    """The actuators of a world as a chain for commands.

    Raises:
        UnknownName: for an actuator that does not exist.
        InvalidValue: for a correction without a network, or a channel of one's own that fails.
    """
    magnitudes, names = inputs.magnitudes, command_names(inputs.magnitudes.world)
    filters: list[Filter] = []
    for quantity in order_of(magnitudes.world, "actuators", ACTUATORS, ACTUATOR):
        if not magnitudes.has(quantity):
            continue
        if quantity in CHANNELS:
            filters.append(Own(inputs, quantity, names))
            continue
        if quantity in _OF_GOALS and _moves_goals(inputs, names):
            if not any(isinstance(each, _Goal) for each in filters):
                filters.append(_Goal(inputs, names))
            continue
        columns = slice(0, len(names)) if quantity == "correction" else magnitudes.columns(quantity, names)
        magnitude = magnitudes.bind(quantity, names[columns])
        if quantity == "correction":
            filters.append(Correction(inputs, magnitude, simulator))
        else:
            filters.append(_FILTERS[quantity](inputs, magnitude, columns))
    return Chain(inputs.arrays, filters)


def _moves_goals(inputs: FilterInputs, names: Sequence[str]) -> bool:
    """Whether limits are those of servos' inner goals; else of commands as they come."""
    servo = _serve(inputs, inputs.magnitudes.columns("rate_limit", names))
    return inputs.magnitudes.has("goal_braking") or bool(servo.all())


def _serve(inputs: FilterInputs, columns: slice) -> Mask:
    """Whether the actuators of some commands follow goals of angle. Shape (width,)."""
    model = inputs.magnitudes.world.model
    return np.array([reads_position(model, k) for k in commanded(model)[columns]], dtype=bool)


class _RateLimit:
    """Lets a command change by no more than the magnitude per second, from the first command on.

    For what is no servo: the command that arrives changes once a control step.
    """

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice) -> None:
        self._xp, self._dt, self.magnitude, self.columns = (
            inputs.arrays.xp,
            inputs.control_dt,
            magnitude,
            columns,
        )
        self._last = self._xp.zeros_like(magnitude.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._last[ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            free = self.magnitude.values >= UNLIMITED
            most = self._xp.where(free, np.inf, self.magnitude.values * self._dt)
            self._last[:] = self._xp.minimum(self._xp.maximum(part, self._last - most), self._last + most)
            part = self._last
        return part


class _Goal:
    """A servo's inner goal, which moves and slows down no faster than it may: v² = 2 braking · distance.

    It speeds up at once, as the motion profile of a hobby servo does. It moves inside the servo, once a
    physics step, by the law that recordings are replayed with (`sim2real.channels.laws`). What arrives is its
    mean over the control step, so that a servo's angle at the end of one differs from a replay's by what it
    makes of half a step of the goal's motion: 4 to 5 mrad (RMS) on so101 for a servo as late as a real one
    (``tests/replay/test_same_as_env.py``), where a goal moved once a control step made it 9 to 26.
    """

    def __init__(self, inputs: FilterInputs, names: Sequence[str]) -> None:
        magnitudes, dt = inputs.magnitudes, float(inputs.magnitudes.world.model.opt.timestep)
        spans = [magnitudes.columns(quantity, names) for quantity in _OF_GOALS if magnitudes.has(quantity)]
        self.columns = slice(min(s.start for s in spans), max(s.stop for s in spans))
        self._speed, self._braking = (
            magnitudes.bind(quantity, names[self.columns]) for quantity in _OF_GOALS
        )
        self.magnitude = Either((self._speed, self._braking))
        self._xp, self._steps = inputs.arrays.xp, max(1, round(inputs.control_dt / dt))
        self._dt = inputs.control_dt / self._steps
        self._goal = self._xp.zeros_like(self._speed.values)
        self._velocity = self._xp.zeros_like(self._speed.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._goal[ids] = part
        self._velocity[ids] = 0.0

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is not None:
            return part
        limits = self._speed.values, self._braking.values
        state, total = (self._goal, self._velocity), self._xp.zeros_like(part)
        moved = goal_law(self._xp, limits, self._dt)
        for _ in range(self._steps):
            state = moved(state, part)
            total += state[0]
        self._goal[:], self._velocity[:] = state
        free = (limits[0] >= UNLIMITED) & (limits[1] >= UNLIMITED)
        mean: Array = self._xp.where(free, part, total / self._steps)
        return mean


_OF_GOALS = ("rate_limit", "goal_braking")


class _Deadband:
    """Swallows the magnitude of every command; a servo holds its goal until it is moved by more than that.

    A motor's dead zone is the usual one, without a jump (Tao and Kokotović 1996, section 2.2).
    """

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice) -> None:
        self._xp, self.magnitude, self.columns = inputs.arrays.xp, magnitude, columns
        self._goal = self._xp.zeros_like(magnitude.values)
        servo = _serve(inputs, columns)
        self._servo = inputs.arrays.put(np.tile(servo, (magnitude.values.shape[0], 1)))

    def begin(self, part: Array, ids: Ids) -> None:
        self._goal[ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            xp, size = self._xp, self.magnitude.values
            moved = xp.abs(part - self._goal) > size
            self._goal[:] = xp.where(moved, part, self._goal)
            part = xp.where(self._servo, self._goal, part - xp.minimum(xp.maximum(part, -size), size))
        return part


_FILTERS: Mapping[str, Callable[[FilterInputs, Magnitude, slice], Filter]] = {
    "command_resolution": Rounding,
    "rate_limit": _RateLimit,
    "deadband": _Deadband,
    "command_noise": lambda inputs, magnitude, columns: Noise(inputs, magnitude, columns, "command_noise"),
}


class Jitter:
    """Commands that come later by a random number of physics steps, drawn anew every control step."""

    def __init__(self, inputs: FilterInputs, simulator: Simulator, domain: Domain) -> None:
        """Latency and jitter of every actuator; the first is the engine's own while the second is neutral.

        The buffers have room for what the domain, the ranges and the variants ask for.
        """
        self._inputs, self._simulator = inputs, simulator
        model = inputs.magnitudes.world.model
        names = element_names(model, "actuator")
        compiled = np.ceil(model.actuator_delay / model.opt.timestep - 1e-9)
        self._latency = inputs.magnitudes.bind("latency", names, default=compiled)
        self._most = inputs.magnitudes.bind("latency_jitter", names)
        room = model.actuator_history[:, 0].astype(float)
        asked = longest(inputs.magnitudes.world, domain, "latency_jitter", names)
        self._most.limits = np.minimum(asked, room)
        self._latency.limits = room - self._most.limits
        self._running = False

    def run(self) -> None:
        """Delay the commands of this control step."""
        if not self._most.on and not self._running:
            return
        self._running = self._most.on
        u = self._inputs.uniform("latency_jitter", self._most.values.shape[1])
        later = self._inputs.arrays.xp.floor(u * (self._most.values + 1.0))
        self._simulator.delay_commands(self._latency.values + later)
