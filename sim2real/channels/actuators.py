"""Actuators that are not ideal, once a control step: what arrives of each command.

A command is rounded, limited in its rate of change and in its braking, swallowed by a dead band, made noisy
and corrected by a learned network, in this order unless ``[channels]`` in ``physics.toml`` gives another.
Then the engine delays it. What acts at the physics rate is in `sim2real.channels.physics_rate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sim2real.channels.correction import Correction
from sim2real.channels.laws import UNLIMITED, moved_goal
from sim2real.channels.levels import Either, Level, longest
from sim2real.channels.stages import Chain, Kit, Noise, Rounding, Stage
from sim2real.domain import Domain
from sim2real.interface import Array, Ids, Mask, Simulator
from sim2real.parameters import ACTUATORS
from sim2real.world import World, commanded, element_names, reads_position


def command_names(world: World) -> list[str]:
    """The actuator of each command, by name; nameless for one of several, which no parameter can mean."""
    model = world.model
    names = element_names(model, "actuator")
    return [names[k] if model.actuator_ctrlnum[k] == 1 else "" for k in commanded(model)]


def actuator_chain(kit: Kit, simulator: Simulator) -> Chain:
    """The actuators of a world as a chain for commands.

    Raises:
        UnknownName: for an actuator that does not exist.
        InvalidValue: for a correction without a network.
    """
    levels, names = kit.levels, command_names(kit.levels.world)
    stages: list[Stage] = []
    for quantity in levels.world.channels.get("actuators", ACTUATORS):
        if not levels.has(quantity):
            continue
        if quantity in _OF_GOALS and _moves_goals(kit, names):
            if not any(isinstance(stage, _Goal) for stage in stages):
                stages.append(_Goal(kit, names))
            continue
        columns = slice(0, len(names)) if quantity == "correction" else levels.columns(quantity, names)
        level = levels.bind(quantity, names[columns])
        if quantity == "correction":
            stages.append(Correction(kit, level, simulator))
        else:
            stages.append(_STAGES[quantity](kit, level, columns))
    return Chain(kit.arrays, stages)


def _moves_goals(kit: Kit, names: Sequence[str]) -> bool:
    """Whether limits are those of servos' inner goals; else of commands as they come."""
    servo = _serve(kit, kit.levels.columns("rate_limit", names))
    return kit.levels.has("goal_braking") or bool(servo.all())


def _serve(kit: Kit, columns: slice) -> Mask:
    """Whether the actuators of some commands follow goals of angle. Shape (width,)."""
    model = kit.levels.world.model
    return np.array([reads_position(model, k) for k in commanded(model)[columns]], dtype=bool)


class _RateLimit:
    """Lets a command change by no more than the level per second, from the first command on.

    For what is no servo: the command that arrives changes once a control step.
    """

    def __init__(self, kit: Kit, level: Level, columns: slice) -> None:
        self._xp, self._dt, self.level, self.columns = kit.arrays.xp, kit.control_dt, level, columns
        self._last = self._xp.zeros_like(level.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._last[ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            free = self.level.values >= UNLIMITED
            most = self._xp.where(free, np.inf, self.level.values * self._dt)
            self._last[:] = self._xp.minimum(self._xp.maximum(part, self._last - most), self._last + most)
            part = self._last
        return part


class _Goal:
    """A servo's inner goal, which moves and slows down no faster than its levels: v² = 2 braking · distance.

    It speeds up at once, as the motion profile of a hobby servo does. It moves inside the servo, once a
    physics step, by the law that recordings are replayed with (`sim2real.channels.laws`). What arrives is its
    mean over the control step, so that a servo's angle at the end of one differs from a replay's by what it
    makes of half a step of the goal's motion: 4 to 5 mrad (RMS) on so101 for a servo as late as a real one
    (``tests/replay/test_same_as_env.py``), where a goal moved once a control step made it 9 to 26.
    """

    def __init__(self, kit: Kit, names: Sequence[str]) -> None:
        levels, dt = kit.levels, float(kit.levels.world.model.opt.timestep)
        spans = [levels.columns(quantity, names) for quantity in _OF_GOALS if levels.has(quantity)]
        self.columns = slice(min(s.start for s in spans), max(s.stop for s in spans))
        self._speed, self._braking = (levels.bind(quantity, names[self.columns]) for quantity in _OF_GOALS)
        self.level = Either((self._speed, self._braking))
        self._xp, self._steps = kit.arrays.xp, max(1, round(kit.control_dt / dt))
        self._dt = kit.control_dt / self._steps
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
        for _ in range(self._steps):
            state = moved_goal(self._xp, state, part, limits, self._dt)
            total += state[0]
        self._goal[:], self._velocity[:] = state
        free = (limits[0] >= UNLIMITED) & (limits[1] >= UNLIMITED)
        mean: Array = self._xp.where(free, part, total / self._steps)
        return mean


_OF_GOALS = ("rate_limit", "goal_braking")


class _Deadband:
    """Swallows the level of every command; a servo holds its goal until it is moved by more than the level.

    A motor's dead zone is the usual one, without a jump (Tao and Kokotović 1996, section 2.2).
    """

    def __init__(self, kit: Kit, level: Level, columns: slice) -> None:
        self._xp, self.level, self.columns = kit.arrays.xp, level, columns
        self._goal = self._xp.zeros_like(level.values)
        servo = _serve(kit, columns)
        self._servo = kit.arrays.put(np.tile(servo, (level.values.shape[0], 1)))

    def begin(self, part: Array, ids: Ids) -> None:
        self._goal[ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            xp, size = self._xp, self.level.values
            moved = xp.abs(part - self._goal) > size
            self._goal[:] = xp.where(moved, part, self._goal)
            part = xp.where(self._servo, self._goal, part - xp.minimum(xp.maximum(part, -size), size))
        return part


_STAGES: Mapping[str, Callable[[Kit, Level, slice], Stage]] = {
    "command_resolution": Rounding,
    "rate_limit": _RateLimit,
    "deadband": _Deadband,
    "command_noise": lambda kit, level, columns: Noise(kit, level, columns, "command_noise"),
}


class Jitter:
    """Commands that come later by a random number of physics steps, drawn anew every control step."""

    def __init__(self, kit: Kit, simulator: Simulator, domain: Domain) -> None:
        """Latency and jitter of every actuator; the first is the engine's own while the second is neutral.

        The buffers have room for what the domain, the ranges and the variants ask for.
        """
        self._kit, self._simulator = kit, simulator
        model = kit.levels.world.model
        names = element_names(model, "actuator")
        compiled = np.ceil(model.actuator_delay / model.opt.timestep - 1e-9)
        self._latency = kit.levels.bind("latency", names, default=compiled)
        self._most = kit.levels.bind("latency_jitter", names)
        room = model.actuator_history[:, 0].astype(float)
        asked = longest(kit.levels.world, domain, "latency_jitter", names)
        self._most.limits = np.minimum(asked, room)
        self._latency.limits = room - self._most.limits
        self._running = False

    def run(self) -> None:
        """Delay the commands of this control step."""
        if not self._most.on and not self._running:
            return
        self._running = self._most.on
        u = self._kit.uniform("latency_jitter", self._most.values.shape[1])
        later = self._kit.arrays.xp.floor(u * (self._most.values + 1.0))
        self._simulator.delay_commands(self._latency.values + later)
