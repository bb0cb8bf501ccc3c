"""Find the physics under which recorded episodes happen again, and how far the data leave it open.

    fit = fit_rollouts(world, rollouts, world.training_domain)
    fit.domain.save(Path("identified.toml"))

The engine is that of recordings: a global search, least squares from its end on, blocks drawn again for the
scatter. Every candidate replays all windows; an episode is a block, since residuals within one are
correlated, and a part of the episodes is held out for the widths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.files import write_text
from sim2real.identify.estimates import FITTED, NOMINAL, GapRow, ParameterEstimate
from sim2real.identify.least_squares import least_squares
from sim2real.identify.noise import white_noise
from sim2real.identify.nuisance import open_scale
from sim2real.identify.problem import FINEST, RolloutProblem
from sim2real.identify.search import SearchSettings, search
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.identify.uncertainty import Spread, bootstrap, make_domain, widening_of
from sim2real.identify.verdicts import GAIN, STRUCTURE_MISSING, Verdict, judge
from sim2real.recordings.rollouts import Rollouts
from sim2real.world import World

_NOISES = 4.0  # noise of a measurement, and what that of the first state has become
_UNIFORM = 12.0  # curvature of what a range tells: a uniform has the variance 1/12
_ROUNDS = 20
_LOOSE, _AS_ONE = 0.2, 0.98  # share of the range that an interval covers; correlation
_WHITE = 5.0  # times the noise, which in a simulator is none
_SEARCH = SearchSettings()


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit_rollouts`."""

    window: int = 5
    """Control steps from one measured state to the next. Longer windows see slow effects better, but noise of
    the measured state grows in them and biases: with 15 steps and a noise of 0.02 furuta seems 3 % weak.
    """
    search: SearchSettings = _SEARCH
    held_out: float = 0.2
    """Share of the episodes that the fit does not see and the widths come from."""


@dataclass(frozen=True, eq=False)
class RolloutFit:
    """What was found."""

    domain: Domain
    """Normals around the best physics, within the bounds; whole numbers that are certain are points."""
    physics: Mapping[str, float]
    """Best physics."""
    std: Mapping[str, float]
    """Standard error of every parameter, in its unit; that of its range where the data can't tell."""
    error: float
    """Root mean square error in held-out episodes, in scaled units of the observation."""
    error_before: float
    """The same at nominal physics."""
    evaluations: int
    """Candidates of the search."""
    diverged: int
    """Simulations that blew up on the way, each counted against its candidate."""
    noise: float = 0.0
    """Root mean square of the white noise in what was seen, in scaled units."""

    def save(self, folder: Path) -> None:
        """Write ``domain.toml`` (for ``train --domain``), then ``fit.json`` with the rest."""
        self.domain.save(folder / "domain.toml")
        rest = {name: value for name, value in vars(self).items() if name != "domain"}
        write_text(folder / "fit.json", json.dumps(rest, indent=1))

    def verdicts(self, world: World, bounds: Domain) -> tuple[Verdict, ...]:
        """What `sim2real.identify.verdicts.judge` has to say.

        Args:
            world: where.
            bounds: the ranges that were searched.
        """
        space = ParameterSpace.of(world, bounds)
        point = space.units(np.array([self.physics[name] for name in space.names]))
        std = np.array([self.std[name] for name in space.names]) / space.widths(point, np.ones(len(point)))
        estimates = [ParameterEstimate.about(world, *row) for row in zip(space.free, point, std, strict=True)]
        unknown = f"is as unknown after {self.evaluations} candidates as its range was"
        advice = "record episodes that it matters in, or leave it out"
        findings = [
            Verdict.not_identifiable((e.name,), f"{e.name} {unknown}; {advice}", std=self.std[e.name])
            for e in estimates
            if e.share >= 1
        ]
        for names in _together(self.domain, [e.name for e in estimates if e.share > _LOOSE]):
            text = f"{', '.join(names)} can only be told together: one makes up for another; fix one of them"
            findings.append(Verdict.not_identifiable(names, text, std=self.std[names[0]]))
        times = self.error / max(self.noise, FINEST)
        if times > _WHITE and self.error <= self.error_before * (1 - GAIN):
            text = (
                f"what is left is {times:.0f} times the noise in it: another effect is missing, or the "
                "search ended early, so values may be off by more than their intervals"
            )
            numbers = {"before": self.error_before, "after": self.error}
            findings.append(Verdict(STRUCTURE_MISSING, "fit", text, numbers, space.names))
        gap = [GapRow(NOMINAL, np.nan, self.error_before), GapRow(FITTED, np.nan, self.error)]
        return judge(estimates, gap, findings, "the held-out episodes", FINEST, (1.0, "scaled units"))

    @classmethod
    def load(cls, folder: Path) -> RolloutFit:
        """Read what `save` wrote, to the bit."""
        rest = Section.read_json(folder / "fit.json")
        tables = (rest.section(name) for name in ("physics", "std"))
        physics, std = ({name: table.number(name) for name in table.values} for table in tables)
        return cls(
            Domain.load(folder / "domain.toml"),
            physics,
            std,
            error=rest.number("error"),
            error_before=rest.number("error_before"),
            evaluations=rest.whole("evaluations"),
            diverged=rest.whole("diverged"),
            noise=rest.number("noise"),
        )


def fit_rollouts(
    world: World, rollouts: Rollouts, bounds: Domain, settings: FitSettings = FitSettings()
) -> RolloutFit:
    """Fit parameters to recorded episodes.

    Args:
        world: whose nominal values hold for the other parameters.
        rollouts: recorded episodes, at least two.
        bounds: the parameters and the ranges to search in.
        settings: how.

    Raises:
        RecordingError: if the rollouts are not of the world's task, or are a single episode.
        InvalidValue: if no candidate could be replayed.
    """
    space = ParameterSpace.of(world, bounds)
    training, held_out = rollouts.split(settings.held_out, settings.search.seed)
    problem = RolloutProblem(world, space, training, settings.window)
    found = search(problem, np.full(len(space.free), 0.5), settings.search)
    whole = np.flatnonzero(space.steps).tolist()
    point = least_squares(problem, found.point, _ROUNDS, 1e-3, frozen=whole).point
    held = problem.on(held_out)
    best = space.values(point)
    nominal = np.array([world.nominal[name] for name in space.names])
    before, after = zip(*held.errors(space.units(np.stack((nominal, best)))), strict=True)
    spread, left = scatter_of(problem, point), np.concatenate(after)
    # white noise is no lack of the model, nor is what it has become since the first state
    signals = zip(*(e.observation[1:].T for e in held_out.episodes), strict=True)
    noise = np.array([white_noise(pieces) for pieces in signals])
    missed = np.maximum(held.by_age(left**2) - _NOISES * noise**2, 0.0) / held.spreads(after) ** 2
    seen = held.linearize(point, central=True)
    widening = widening_of(float(missed[held.replay.age].sum()), spread.draws, seen)
    std = space.widths(point, np.minimum(spread.std * widening, np.sqrt(1 / 12)))
    return RolloutFit(
        domain=make_domain(space.free, point, spread.draws, widening, {}),
        physics=dict(zip(space.names, map(float, best), strict=True)),
        std=dict(zip(space.names, map(float, std), strict=True)),
        error=_rms(left),
        error_before=_rms(np.concatenate(before)),
        evaluations=found.evaluations,
        diverged=problem.diverged,
        noise=_rms(noise),
    )


def scatter_of(problem: RolloutProblem, point: FloatArray) -> Spread:
    """Scatter of the fitted point in the unit cube, the range that each number has known beforehand.

    It is as open as the range where all forces and inertias can grow together without a trace.

    Args:
        problem: recorded episodes.
        point: best point of the unit cube. Shape (p,).
    """
    spread = bootstrap(problem.linearize(point, central=True), ranges=_UNIFORM)
    along = open_scale(problem, point)
    if along is None:
        return spread
    along /= np.linalg.norm(along)
    missing = max(1 / 12 - float(((spread.draws - point) @ along).var()), 0.0)
    more = np.sqrt(missing) * np.random.default_rng(1).normal(size=(len(spread.draws), 1))
    return Spread(spread.draws + more * along, spread.independent)


def _together(domain: Domain, loose: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of parameters that are known far better as one than each alone."""
    if domain.correlation is None:
        return []
    names = domain.correlation.names
    free = np.isin(names, loose)
    near = (np.abs(np.array(domain.correlation.matrix)) > _AS_ONE) & free & free[:, None]
    count, group = connected_components(near, directed=False)
    groups = [tuple(name for name, g in zip(names, group, strict=True) if g == k) for k in range(count)]
    return [names for names in groups if len(names) > 1]


def _rms(error: FloatArray) -> float:
    return float(np.sqrt(np.mean(error**2)))
