"""Sensors that are not ideal: what is read of each signal of the observation.

A reading passes, in this order unless ``[channels]`` in ``physics.toml`` gives another: the encoder's offset,
gain, constant bias, drifting bias, noise, spikes, rounding, sampling at a lower rate, dropouts, and a delay
of whole control steps. Values are in the signal's unit; the stages work on what the policy sees, in scaled
units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sim2real.channels.levels import Level, longest
from sim2real.channels.stages import Chain, Kit, Noise, Rounding, Stage, rows
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask, Signal
from sim2real.parameters import SENSOR, SENSORS
from sim2real.world import UNIT, element_name, levers, reads_position


def sensor_chain(kit: Kit, signals: Sequence[Signal], domain: Domain) -> Chain:
    """The sensors of a world as a chain for observations.

    Args:
        kit: of the env.
        signals: of the task's observation.
        domain: of the env; the buffers of delayed readings hold what it, the ranges and variants ask for.

    Raises:
        UnknownName: for a sensor of a signal that the task does not have.
        InvalidValue: for a parameter in another unit than its signal, or spikes without a size.
    """
    levels = kit.levels
    names = [signal.name for signal in signals]
    scales = np.array([1.0 / signal.scale for signal in signals])
    _check_units(kit, signals)
    stages: list[Stage] = []
    if levels.has("encoder_offset"):
        stages.append(_encoder(kit, names, scales))
    for quantity in levels.world.channels.get("sensors", SENSORS):
        if not levels.has(quantity):
            continue
        columns = levels.columns(quantity, names)
        scaled = scales[columns] if quantity in _IN_UNITS else None
        level = levels.bind(quantity, names[columns], scaled)
        if quantity == "sensor_latency":
            level.limits = longest(levels.world, domain, quantity, names[columns])
            stages.append(_Latency(kit, level, columns))
        elif quantity == "spike":
            levels.columns("spike_size", names)  # names signals that exist
            size = levels.bind("spike_size", names[columns], scales[columns])
            stages.append(_Spike(kit, level, columns, size))
        else:
            stages.append(_STAGES[quantity](kit, level, columns))
    return Chain(kit.arrays, stages)


_IN_UNITS = ("bias", "bias_drift", "noise", "resolution")


def _check_units(kit: Kit, signals: Sequence[Signal]) -> None:
    units = {signal.name: signal.unit for signal in signals}
    for parameter in kit.levels.world.parameters.values():
        if parameter.quantity.acts == SENSOR and not parameter.quantity.units:
            for element in parameter.elements:
                if units.get(element, parameter.unit) not in (parameter.unit, UNIT):
                    raise InvalidValue(
                        f"{parameter.name} is given in {parameter.unit!r}, but {element!r} is read in "
                        f"{units[element]!r}; give the signals of each unit a parameter of their own"
                    )


def _encoder(kit: Kit, names: Sequence[str], scales: Array) -> Stage:
    """Offsets of encoders, where signals read them: ``<joint>_angle`` and ``<joint>_goal_error``."""
    joints, signs = [""] * len(names), np.zeros(len(names))
    for k, name in enumerate(names):
        for suffix, sign in (("_angle", 1.0), ("_goal_error", -1.0)):
            if name.endswith(suffix):
                joints[k], signs[k] = name.removesuffix(suffix), sign
    _check_encoders(kit, joints)
    level = kit.levels.bind("encoder_offset", joints, scales * signs)
    return _Bias(kit, level, slice(0, len(names)))


def _check_encoders(kit: Kit, read: Sequence[str]) -> None:
    world = kit.levels.world
    model = world.model
    served = {
        element_name(model, "joint", joint)
        for joint in range(model.njnt)
        for actuator, lever in levers(model, joint).items()
        if lever is not None and reads_position(model, actuator)
    }
    for parameter in world.parameters.values():
        if parameter.quantity.name == "encoder_offset":
            for joint in parameter.elements:
                if joint not in served and joint not in read:
                    raise InvalidValue(
                        f"{parameter.name} has no effect: no servo drives joint {joint!r}, and the task "
                        f"has no signal '{joint}_angle'; leave it out, or give a signal a bias"
                    )


class _Bias:
    """Adds the level."""

    def __init__(self, kit: Kit, level: Level, columns: slice) -> None:
        self.level, self.columns = level, columns

    def begin(self, part: Array, ids: Ids) -> None: ...

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        biased: Array = part + rows(self.level, ids)
        return biased


class _Gain(_Bias):
    """Multiplies with the level."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        scaled: Array = part * rows(self.level, ids)
        return scaled


class _Walk:
    """A bias that wanders: a random walk from 0, of the level's standard deviation after a second."""

    def __init__(self, kit: Kit, level: Level, columns: slice) -> None:
        self._kit, self.level, self.columns = kit, level, columns
        self._step = kit.control_dt**0.5
        self._bias = kit.arrays.xp.zeros_like(level.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._bias[ids] = 0.0

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            self._bias += self._step * self.level.values * self._kit.normal("bias_drift", part.shape[1])
            part = part + self._bias
        return part


class _Spike:
    """Outliers of a given size, as often up as down."""

    def __init__(self, kit: Kit, level: Level, columns: slice, size: Level) -> None:
        self._kit, self.level, self.columns, self._size = kit, level, columns, size

    def begin(self, part: Array, ids: Ids) -> None: ...

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        chance = rows(self.level, ids) / 2.0
        u = self._kit.uniform("spike", part.shape[1], ids)
        size = rows(self._size, ids)
        hit: Array = part + size * (u < chance) - size * (u > 1.0 - chance)
        return hit


class _Held:
    """Gives the last value again where a new one is missing."""

    def __init__(self, kit: Kit, level: Level, columns: slice, missing: Callable[[Kit, Level], Mask]) -> None:
        self._kit, self.level, self.columns, self._missing = kit, level, columns, missing
        self._last = kit.arrays.xp.zeros_like(level.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._last[ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            missing = self._missing(self._kit, self.level)
            self._last[:] = self._kit.arrays.xp.where(missing, self._last, part)
            part = self._last
        return part


def _lost(kit: Kit, level: Level) -> Mask:
    """New values are lost with the level's chance."""
    lost: Mask = kit.uniform("dropout", level.values.shape[1]) < level.values
    return lost


def _between(kit: Kit, level: Level) -> Mask:
    """New values come every so many control steps of an episode, the first at its start."""
    steps = kit.arrays.put(kit.draws.steps.astype(float))
    between: Mask = steps[:, None] % level.values != 0.0
    return between


class _Latency:
    """Readings that are some control steps old, from a ring of them; the first one until there are older."""

    def __init__(self, kit: Kit, level: Level, columns: slice) -> None:
        self.level, self.columns = level, columns
        arrays, shape = kit.arrays, level.values.shape
        self._xp, self._size = arrays.xp, shape[0] * shape[1]
        slots = 1 if level.limits is None else int(level.limits.max()) + 1
        self._ring = arrays.put(np.zeros((slots, *shape)))
        self._flat = self._xp.reshape(self._ring, (-1,))
        self._places = arrays.put(np.arange(self._size))
        self._now = 0

    def begin(self, part: Array, ids: Ids) -> None:
        self._ring[:, ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is not None:
            return part
        slots = self._ring.shape[0]
        self._now = (self._now + 1) % slots
        self._ring[self._now] = part
        ages = self._xp.astype(self._xp.reshape(self.level.values, (-1,)), self._places.dtype)
        slot = (self._now - ages) % slots
        old: Array = self._xp.take(self._flat, slot * self._size + self._places, axis=0)
        shaped: Array = self._xp.reshape(old, part.shape)
        return shaped


_STAGES: Mapping[str, Callable[[Kit, Level, slice], Stage]] = {
    "sensor_gain": _Gain,
    "bias": _Bias,
    "bias_drift": _Walk,
    "noise": lambda kit, level, columns: Noise(kit, level, columns, "noise"),
    "resolution": Rounding,
    "sensor_period": lambda kit, level, columns: _Held(kit, level, columns, _between),
    "dropout": lambda kit, level, columns: _Held(kit, level, columns, _lost),
}
