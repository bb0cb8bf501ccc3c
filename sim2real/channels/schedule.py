"""Parameters that change within an episode: wear, a battery that sags, physics drawn anew at intervals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim2real.channels.stages import STREAMS, Kit
from sim2real.distributions import Distribution
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask
from sim2real.parameters import Parameter


class Schedule:
    """The value of each parameter that drifts or is drawn anew, in every simulation.

    A parameter is base + drift · time, within its quantity's hard limits. The base is its own value, nominal
    or as the physics of the episode was set, until the first ``redraw``; from then on a draw from the env's
    domain, or from the training range where the domain says nothing. A new episode begins with its own value.
    """

    def __init__(self, kit: Kit, domain: Domain) -> None:
        """Every simulation begins at nominal values.

        Raises:
            InvalidValue: for a parameter that should be drawn anew, but from nothing.
        """
        levels, known = kit.levels, kit.levels.world.parameters
        moved = [p for p in known.values() if p.quantity.element == "parameter"]
        self.names = tuple(name for name in known if any(name in p.elements for p in moved))
        self._kit = kit
        self._drift = levels.bind("drift", self.names)
        self._redraw = levels.bind("redraw", self.names)
        self._drawn = {e for p in moved if p.quantity.name == "redraw" for e in p.elements}
        self.draw_from(domain)
        quantities = [known[name].quantity for name in self.names]
        self._low, self._high = np.array([q.low for q in quantities]), np.array([q.high for q in quantities])
        self._whole = [q.integer for q in quantities]
        self._own: Array = np.tile([known[name].nominal for name in self.names], (levels.num_envs, 1))
        self._base, self._now = self._own.copy(), self._own.copy()

    def draw_from(self, domain: Domain) -> None:
        """Draw anew from another domain, from now on.

        Raises:
            InvalidValue: for a parameter that should be drawn anew, but from nothing.
        """
        known = self._kit.levels.world.parameters
        self._from = {k: _source(known[n], domain) for k, n in enumerate(self.names) if n in self._drawn}

    @property
    def on(self) -> bool:
        """Whether anything changes, or has still to be set back."""
        return self._drift.on or self._redraw.on or bool((self._now != self._own).any())

    def note(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Take what was set from outside as the rows' own values."""
        for k, name in enumerate(self.names):
            if name in names:
                for array in (self._own, self._base, self._now):
                    array[env_ids, k] = values[:, names.index(name)]

    def begin(self, env_ids: Ids) -> None:
        """Rows that begin have their own values again."""
        self._base[env_ids] = self._own[env_ids]

    def due(self) -> Iterator[tuple[Ids, tuple[str, ...], Array]]:
        """Rows, names and values to write before the next control step."""
        steps = self._kit.draws.steps
        if self._redraw.on:
            self._draw(steps)
        values = np.clip(
            self._base + self._drift.host * (steps * self._kit.control_dt)[:, None], self._low, self._high
        )
        values[:, self._whole] = np.round(values[:, self._whole])
        ids = np.flatnonzero((values != self._now).any(axis=1))
        if ids.size:
            self._now[ids] = values[ids]
            yield ids, self.names, values[ids]

    def _draw(self, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        every = np.maximum(np.round(self._redraw.host / self._kit.control_dt), 1)
        due: Mask = (self._redraw.host > 0) & (steps[:, None] % every == 0) & (steps > 0)[:, None]
        if due.any():
            u = self._kit.draws.uniform(STREAMS.index("redraw"), len(self.names))
            for k, source in self._from.items():
                self._base[:, k] = np.where(due[:, k], source.quantile(u[:, k]), self._base[:, k])


def _source(parameter: Parameter, domain: Domain) -> Distribution:
    """What a parameter is drawn anew from."""
    given = domain.parameters.get(parameter.name)
    if given is not None and given.support()[0] < given.support()[1]:
        return given
    if parameter.low < parameter.high:
        return Domain.box([parameter]).parameters[parameter.name]
    raise InvalidValue(
        f"{parameter.name} should be drawn anew within episodes, but from nothing; give it a range in "
        "physics.toml, or a distribution in the domain"
    )
