"""Channels of a user's own (`sim2real.interface.Channel`) as filters, after those of the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sim2real.channels.filters import FilterInputs, rows
from sim2real.channels.magnitudes import Magnitude
from sim2real.errors import InvalidValue, told
from sim2real.interface import Array, Channel, Ids
from sim2real.parameters import CHANNELS
from sim2real.world import World


def order_of(world: World, side: str, ours: Sequence[str], acts: str) -> Iterator[str]:
    """Quantities of a chain in their order: the world's own or the package's, then what users registered."""
    order = tuple(world.channels.get(side, ours))
    own = (p.quantity for p in world.parameters.values() if p.quantity.acts == acts)
    yield from dict.fromkeys((*order, *(q.name for q in own if q.name in CHANNELS)))


class Own:
    """One channel in an env; rows at its neutral value pass it unchanged."""

    def __init__(
        self, inputs: FilterInputs, name: str, names: Sequence[str], scales: Array | None = None
    ) -> None:
        """Bind the magnitudes of a channel, and try it once.

        Args:
            inputs: of the env.
            name: of the channel.
            names: of what the chain has in its columns.
            scales: what 1 in the unit of each column is there; by default 1.

        Raises:
            UnknownName: for an element that is not among the names.
            InvalidValue: for a channel that fails, or whose arrays are not those of the simulations.
        """
        magnitudes, kind = inputs.magnitudes, CHANNELS[name]
        self.columns = magnitudes.columns(name, names)
        its = names[self.columns]
        self.magnitude = magnitudes.bind(name, its)
        shapes = {}
        for shape in kind.shapes:
            magnitudes.columns(f"{name}_{shape}", names)  # names elements that exist
            shapes[shape] = magnitudes.bind(f"{name}_{shape}", its)
        self._xp, self._neutral, self._name = inputs.arrays.xp, kind.neutral, name
        self._copy, self._on_host = inputs.arrays.copy, inputs.arrays.on_host
        scales = np.ones(len(its)) if scales is None else scales[self.columns]
        self._scales = inputs.arrays.put(np.tile(scales, (magnitudes.num_envs, 1)))
        made = _Inputs(inputs, name, self.magnitude, shapes)
        self._try(kind, made)
        self._channel = kind(made)

    def begin(self, part: Array, ids: Ids) -> None:
        """Let the channel forget."""
        self._channel.begin(part / self._scales[ids], ids)

    def apply(self, part: Array, ids: Ids | None = None) -> Array:
        """What the channel makes of it."""
        return self._applied(self._channel, part, rows(self.magnitude, ids), ids)

    def _applied(self, channel: Channel, part: Array, values: Array, ids: Ids | None) -> Array:
        which = slice(None) if ids is None else ids
        scales = self._scales[which]
        given = channel.apply(part / scales, values, which)
        if type(given) is not type(part) or given.shape != part.shape or given.dtype != part.dtype:
            what = f"{getattr(given, 'dtype', type(given).__name__)} of shape {getattr(given, 'shape', ())}"
            raise InvalidValue(
                f"channel {self._name!r} makes {what} of {part.dtype} of shape {tuple(part.shape)}; let its "
                "apply return an array of the kind that it gets"
            )
        passed: Array = self._xp.where(values == self._neutral, part, given * scales)
        return passed

    def _try(self, kind: type[Channel], inputs: _Inputs) -> None:
        """Refuse, before anything is simulated, a channel that can't run on these arrays."""
        value = kind.high if kind.high != kind.neutral else kind.low
        some, one = self._copy(self._scales), np.zeros(1, dtype=np.intp)
        values = some * 0.0 + value
        try:
            channel = kind(inputs)
            channel.begin(some[one], one)
            self._applied(channel, some[one], values[one], one)
            self._applied(channel, some, values, None)
        except InvalidValue:
            raise
        except Exception as error:  # whatever a stranger's code raises
            arrays = (
                "" if self._on_host else "; this simulator's arrays are torch tensors, reached by inputs.xp"
            )
            raise InvalidValue(f"channel {self._name!r} fails: {told(error)}{arrays}") from error


class _Inputs:
    """What a channel is made of; see `sim2real.interface.ChannelInputs`."""

    def __init__(
        self, inputs: FilterInputs, name: str, magnitude: Magnitude, shapes: dict[str, Magnitude]
    ) -> None:
        self.xp, self.control_dt = inputs.arrays.xp, inputs.control_dt
        self._inputs, self._name, self._magnitude, self._shapes = inputs, name, magnitude, shapes

    def zeros(self) -> Array:
        empty: Array = self.xp.zeros_like(self._magnitude.values)
        return empty

    def shape(self, name: str, rows: Ids | slice) -> Array:
        return self._shapes[name].values[rows]

    def normal(self, rows: Ids | slice) -> Array:
        ids = None if isinstance(rows, slice) else rows
        return self._inputs.normal(f"{self._name} normal", self._magnitude.values.shape[1], ids)

    def uniform(self, rows: Ids | slice) -> Array:
        ids = None if isinstance(rows, slice) else rows
        return self._inputs.uniform(f"{self._name} uniform", self._magnitude.values.shape[1], ids)
