"""Sensors that are not ideal: what is read of each signal of the observation.

A reading passes, in this order unless ``[channels]`` in ``physics.toml`` gives another: the gain,
constant bias, drifting bias, noise, spikes, rounding, sampling at a lower rate, dropouts, and a delay of
control steps. Values are in the signal's unit; the filters work on what the policy sees, in scaled units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sim2real.channels.filters import Chain, Filter, FilterInputs, Noise, Rounding, rows
from sim2real.channels.magnitudes import Magnitude, longest
from sim2real.channels.own import Own, order_of
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask, Signal
from sim2real.parameters import CHANNELS, SENSOR, SENSORS
from sim2real.world import UNIT


def sensor_chain(inputs: FilterInputs, signals: Sequence[Signal], domain: Domain) -> Chain:
    """The sensors of a world as a chain for observations.

    Args:
        inputs: of the env.
        signals: of the task's observation.
        domain: of the env; the buffers of delayed readings hold what it, the ranges and variants ask for.

    Raises:
        UnknownName: for a sensor of a signal that the task does not have.
        InvalidValue: for a parameter in another unit than its signal, spikes without a size, or a channel of
            one's own that fails.
    """
    magnitudes = inputs.magnitudes
    names = [signal.name for signal in signals]
    scales = np.array([1.0 / signal.scale for signal in signals])
    sizes = np.abs(scales)
    _check_units(inputs, signals)
    filters: list[Filter] = []
    for quantity in order_of(magnitudes.world, "sensors", SENSORS, SENSOR):
        if not magnitudes.has(quantity):
            continue
        if quantity in CHANNELS:
            filters.append(Own(inputs, quantity, names, scales))
            continue
        columns = magnitudes.columns(quantity, names)
        scaled = scales[columns] if quantity in _SHIFTS else sizes[columns] if quantity in _SIZES else None
        magnitude = magnitudes.bind(quantity, names[columns], scaled)
        if quantity == "sensor_latency":
            magnitude.limits = longest(magnitudes.world, domain, quantity, names[columns])
            filters.append(_Latency(inputs, magnitude, columns))
        elif quantity == "spike":
            magnitudes.columns("spike_size", names)  # names signals that exist
            size = magnitudes.bind("spike_size", names[columns], sizes[columns])
            filters.append(_Spike(inputs, magnitude, columns, size))
        else:
            filters.append(_FILTERS[quantity](inputs, magnitude, columns))
    return Chain(inputs.arrays, filters)


_SHIFTS, _SIZES = ("bias", "bias_drift"), ("noise", "resolution")


def _check_units(inputs: FilterInputs, signals: Sequence[Signal]) -> None:
    units = {signal.name: signal.unit for signal in signals}
    for parameter in inputs.magnitudes.world.parameters.values():
        if parameter.quantity.acts == SENSOR and not parameter.quantity.units:
            for element in parameter.elements:
                if units.get(element, parameter.unit) not in (parameter.unit, UNIT):
                    raise InvalidValue(
                        f"{parameter.name} is given in {parameter.unit!r}, but {element!r} is read in "
                        f"{units[element]!r}; give the signals of each unit a parameter of their own"
                    )


class _Bias:
    """Adds the magnitude."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice) -> None:
        self.magnitude, self.columns = magnitude, columns

    def begin(self, part: Array, ids: Ids) -> None: ...

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        biased: Array = part + rows(self.magnitude, ids)
        return biased


class _Gain(_Bias):
    """Multiplies with the magnitude."""

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        scaled: Array = part * rows(self.magnitude, ids)
        return scaled


class _Walk:
    """A bias that wanders: a random walk from 0, of the magnitude's standard deviation after a second."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice) -> None:
        self._inputs, self.magnitude, self.columns = inputs, magnitude, columns
        self._step = inputs.control_dt**0.5
        self._bias = inputs.arrays.xp.zeros_like(magnitude.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._bias[ids] = 0.0

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            self._bias += (
                self._step * self.magnitude.values * self._inputs.normal("bias_drift", part.shape[1])
            )
            part = part + self._bias
        return part


class _Spike:
    """Outliers of a given size, as often up as down."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice, size: Magnitude) -> None:
        self._inputs, self.magnitude, self.columns, self._size = inputs, magnitude, columns, size

    def begin(self, part: Array, ids: Ids) -> None: ...

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        chance = rows(self.magnitude, ids) / 2.0
        u = self._inputs.uniform("spike", part.shape[1], ids)
        size = rows(self._size, ids)
        hit: Array = part + size * (u < chance) - size * (u > 1.0 - chance)
        return hit


class _Held:
    """Gives the last value again where a new one is missing."""

    def __init__(
        self,
        inputs: FilterInputs,
        magnitude: Magnitude,
        columns: slice,
        missing: Callable[[FilterInputs, Magnitude], Mask],
    ) -> None:
        self._inputs, self.magnitude, self.columns, self._missing = inputs, magnitude, columns, missing
        self._last = inputs.arrays.xp.zeros_like(magnitude.values)

    def begin(self, part: Array, ids: Ids) -> None:
        self._last[ids] = part

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        if ids is None:
            missing = self._missing(self._inputs, self.magnitude)
            self._last[:] = self._inputs.arrays.xp.where(missing, self._last, part)
            part = self._last
        return part


def _lost(inputs: FilterInputs, magnitude: Magnitude) -> Mask:
    """New values are lost with the magnitude's chance."""
    lost: Mask = inputs.uniform("dropout", magnitude.values.shape[1]) < magnitude.values
    return lost


def _between(inputs: FilterInputs, magnitude: Magnitude) -> Mask:
    """New values come every so many control steps of an episode, the first at its start."""
    steps = inputs.arrays.put(inputs.draws.steps.astype(float))
    between: Mask = steps[:, None] % magnitude.values != 0.0
    return between


class _Latency:
    """Readings that are some control steps old, from a ring of them; the first one until there are older."""

    def __init__(self, inputs: FilterInputs, magnitude: Magnitude, columns: slice) -> None:
        self.magnitude, self.columns = magnitude, columns
        arrays, shape = inputs.arrays, magnitude.values.shape
        self._xp, self._size = arrays.xp, shape[0] * shape[1]
        slots = 1 if magnitude.limits is None else int(magnitude.limits.max()) + 1
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
        ages = self._xp.astype(self._xp.reshape(self.magnitude.values, (-1,)), self._places.dtype)
        slot = (self._now - ages) % slots
        old: Array = self._xp.take(self._flat, slot * self._size + self._places, axis=0)
        shaped: Array = self._xp.reshape(old, part.shape)
        return shaped


_FILTERS: Mapping[str, Callable[[FilterInputs, Magnitude, slice], Filter]] = {
    "sensor_gain": _Gain,
    "bias": _Bias,
    "bias_drift": _Walk,
    "noise": lambda inputs, magnitude, columns: Noise(inputs, magnitude, columns, "noise"),
    "resolution": Rounding,
    "sensor_period": lambda inputs, magnitude, columns: _Held(inputs, magnitude, columns, _between),
    "dropout": lambda inputs, magnitude, columns: _Held(inputs, magnitude, columns, _lost),
}
