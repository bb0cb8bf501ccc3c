"""Parameters that change within an episode: wear, a battery that sags, physics drawn anew at intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sim2real.channels.filters import STREAMS, FilterInputs
from sim2real.distributions import Distribution, Samples
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Mask
from sim2real.parameters import Parameter


class Schedule:
    """The value of each parameter that drifts or is drawn anew, in every simulation.

    A parameter is base + drift · time, within its quantity's hard limits. The base is its own value, nominal
    or as the physics of the episode was set, until the first ``redraw``; from then on a draw from the env's
    domain, or from the training range where the domain says nothing; what the domain draws together, as
    correlated or as rows of samples, is drawn together here. A new episode begins with its own value.
    """

    def __init__(self, inputs: FilterInputs, domain: Domain) -> None:
        """Every simulation begins at nominal values.

        Raises:
            InvalidValue: for a parameter that should be drawn anew, but from nothing.
        """
        magnitudes, known = inputs.magnitudes, inputs.magnitudes.world.parameters
        moved = [p for p in known.values() if p.quantity.element == "parameter"]
        self.names = tuple(name for name in known if any(name in p.elements for p in moved))
        self._inputs = inputs
        self._drift = magnitudes.bind("drift", self.names)
        self._redraw = magnitudes.bind("redraw", self.names)
        self._drawn = {e for p in moved if p.quantity.name == "redraw" for e in p.elements}
        self.draw_from(domain)
        quantities = [known[name].quantity for name in self.names]
        self._low, self._high = np.array([q.low for q in quantities]), np.array([q.high for q in quantities])
        self._whole = [q.integer for q in quantities]
        self._own: Array = np.tile([known[name].nominal for name in self.names], (magnitudes.num_envs, 1))
        self._base, self._now = self._own.copy(), self._own.copy()

    def draw_from(self, domain: Domain) -> None:
        """Draw anew from another domain, from now on.

        Raises:
            InvalidValue: for a parameter that should be drawn anew, but from nothing, or without one that is
                drawn together with it.
        """
        known = self._inputs.magnitudes.world.parameters
        drawn = {name: _source(known[name], domain) for name in self.names if name in self._drawn}
        _check_together(known, domain, list(drawn))
        correlated = domain.correlation is not None and set(domain.correlation.names) & set(drawn)
        self._from = Domain(drawn, domain.correlation if correlated else None)
        self._columns = np.array([self.names.index(name) for name in drawn], dtype=np.intp)

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
        steps = self._inputs.draws.steps
        if self._redraw.on:
            self._draw(steps)
        values = np.clip(
            self._base + self._drift.host * (steps * self._inputs.control_dt)[:, None], self._low, self._high
        )
        values[:, self._whole] = np.round(values[:, self._whole])
        ids = np.flatnonzero((values != self._now).any(axis=1))
        if ids.size:
            self._now[ids] = values[ids]
            yield ids, self.names, values[ids]

    def _draw(self, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        every = np.maximum(np.round(self._redraw.host / self._inputs.control_dt), 1)
        due: Mask = (self._redraw.host > 0) & (steps[:, None] % every == 0) & (steps > 0)[:, None]
        if due.any():
            u = self._inputs.draws.uniform(STREAMS.index("redraw"), len(self.names))[:, self._columns]
            columns = self._columns
            self._base[:, columns] = np.where(due[:, columns], self._from.quantile(u), self._base[:, columns])


def _check_together(known: Mapping[str, Parameter], domain: Domain, drawn: Sequence[str]) -> None:
    """Refuse to draw anew only some of what a domain draws together, or at intervals of their own."""
    rows = [name for name, distribution in domain.parameters.items() if isinstance(distribution, Samples)]
    for group in (rows, [] if domain.correlation is None else list(domain.correlation.names)):
        by = {
            name: next(
                (p.name for p in known.values() if p.quantity.name == "redraw" and name in p.elements), ""
            )
            for name in group
        }
        if set(group) & set(drawn) and len(set(by.values())) > 1:
            some = next(name for name in group if name in drawn)
            other = next(name for name in group if by[name] != by[some])
            raise InvalidValue(
                f"{some} is drawn together with {other}, so that it must be drawn anew with it as well; name "
                "both in the elements of one parameter that ends in '.redraw'"
            )


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
