"""Find the physics under which recorded episodes happen again, and how far the data leave it open.

    fit = fit_windows(world, rollouts, world.training_domain)
    fit.domain.save(Path("identified.toml"))

Every candidate replays all windows (`WindowReplay`); what is minimized is the likelihood of Laplace's
distribution with its scale profiled out for each signal and each step into the window, so that neither units
nor the growth of errors within a window weigh, and a contact that is met a step too late does not outweigh a
hundred good windows. The widths come from a sandwich over episodes (Liang & Zeger 1986): residuals within an
episode are correlated, and independent ones would promise too much.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.distributions import Distribution, Normal, Point
from sim2real.domain import Domain
from sim2real.files import write_text
from sim2real.identify.space import Search, Space, minimize
from sim2real.identify.transitions import FloatArray, Rollouts
from sim2real.identify.windows import WindowReplay
from sim2real.world import World

_ROUNDING = 1e-6  # observations are single precision
_OUTLIER = 4.0
_SEARCH = Search()


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit_windows`."""

    window: int = 5
    """Control steps from one measured state to the next. Longer windows see slow effects better, but noise of
    the measured state grows in them and biases: with 15 steps and a noise of 0.02 furuta seems 3 % weak.
    """
    search: Search = _SEARCH
    held_out: float = 0.2
    """Share of the episodes that the fit does not see and the widths come from."""
    wide: float = 1.0
    """Standard deviations of the domain, in those that the data imply."""


@dataclass(frozen=True, eq=False)
class WindowFit:
    """What was found."""

    domain: Domain
    """Normals around the best physics, within the bounds; whole numbers that are certain are points."""
    physics: Mapping[str, float]
    """Best physics."""
    std: Mapping[str, float]
    """Standard error of every parameter, in its unit; infinite where the data can't tell."""
    error: float
    """Root mean square of the prediction errors in held-out episodes, in scaled units."""
    error_before: float
    """The same under nominal physics."""
    evaluations: int
    diverged: int
    """Simulations that blew up on the way, each counted against its candidate."""

    def save(self, folder: Path) -> None:
        """Write ``domain.toml`` (for ``train --domain``), then ``fit.json`` with the rest."""
        self.domain.save(folder / "domain.toml")
        rest = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "domain"}
        write_text(folder / "fit.json", json.dumps(rest, indent=1))

    @classmethod
    def load(cls, folder: Path) -> WindowFit:
        """Read what `save` wrote, to the bit."""
        rest = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        return cls(Domain.load(folder / "domain.toml"), **rest)


def fit_windows(
    world: World, rollouts: Rollouts, bounds: Domain, settings: FitSettings = FitSettings()
) -> WindowFit:
    """Fit parameters to recorded episodes.

    Args:
        world: whose nominal values hold for the other parameters.
        rollouts: recorded episodes, at least two.
        bounds: the parameters and the ranges to search in.
        settings: how.

    Raises:
        RecordingError: if the rollouts are not of the world's task, or are a single episode.
        InvalidValue: if no candidate could be replayed.
        MissingExtra: if cmaes is not installed.
    """
    space = Space.of(world, bounds)
    training, held_out = rollouts.split(settings.held_out, settings.search.seed)
    replay = WindowReplay(world, training, settings.window)

    def loss(points: FloatArray) -> FloatArray:
        errors = replay.predict(space.names, space.physics(points)) - replay.observed
        return np.array([profiled(replay, each) for each in errors])

    found = minimize(loss, np.full(len(space.names), 0.5), space.steps, settings.search)
    best = space.physics(found.point[None])[0]
    judge = WindowReplay(world, held_out, settings.window)
    nominal = np.array([world.nominal[name] for name in space.names])
    before, after = judge.predict(space.names, np.stack((nominal, best))) - judge.observed
    wide = standard_errors(replay, space, found.point, deviations(judge, after))
    std = space.widths(found.point, wide)
    certain = space.whole & (wide < 0.25 * space.steps)
    return WindowFit(
        domain=_domain(space, best, std * settings.wide, certain),
        physics=dict(zip(space.names, map(float, best), strict=True)),
        std=dict(zip(space.names, map(float, std), strict=True)),
        error=_rms(after),
        error_before=_rms(before),
        evaluations=found.evaluations,
        diverged=replay.diverged,
    )


def standard_errors(replay: WindowReplay, space: Space, point: FloatArray, spread: FloatArray) -> FloatArray:
    """Standard error of every parameter, in the unit cube.

    Linearized at ``point``: with the Jacobian J of the predictions over the cube, weighted by ``spread``,
    the covariance is B M B with B = (JᵀJ)⁻¹ and M the sum over episodes of the squared scores. What the
    range itself tells (a uniform has the variance 1/12) is known too, so no error is larger than that.
    For a whole number the step is to its neighbour.

    Args:
        replay: recorded episodes.
        space: the box.
        point: best point of the unit cube. Shape (k,).
        spread: standard deviation of the residual for each age and signal. Shape (window, n).

    Returns:
        Shape (k,).
    """
    steps = np.where(space.whole, space.steps, 0.02)
    steps = np.where(point + steps > 1.0, -steps, steps)
    points = np.vstack((point, point + np.diag(steps)))
    predicted = replay.predict(space.names, space.physics(points))
    weight = spread[replay.age]
    jacobian = np.nan_to_num((predicted[1:] - predicted[0]) / weight) / steps[:, None, None]
    residual = np.nan_to_num((predicted[0] - replay.observed) / weight)
    residual = np.clip(residual, -_OUTLIER, _OUTLIER)
    information = np.einsum("ksn,lsn->kl", jacobian, jacobian)
    bread = np.linalg.inv(information + 12.0 * np.eye(len(point)))
    scores = np.einsum("ksn,sn->sk", jacobian, residual)
    by_episode = np.array([scores[replay.episode == e].sum(axis=0) for e in np.unique(replay.episode)])
    sandwich = bread @ (by_episode.T @ by_episode) @ bread
    # scores of few episodes may cancel by chance, so independent residuals are the least that is believed
    variance = np.maximum(np.diag(sandwich), np.diag(bread))
    return np.asarray(np.minimum(np.sqrt(variance), np.sqrt(1 / 12)))


def profiled(replay: WindowReplay, error: FloatArray) -> float:
    """Mean logarithm of the error's scale over ages and signals; infinite for a simulation that diverged.

    Args:
        replay: what was replayed.
        error: of one candidate. Shape (steps, num_observations).
    """
    if not np.isfinite(error).all():
        return np.inf
    return float(np.log(_by_age(replay, np.abs(error)) + _ROUNDING).mean())


def deviations(replay: WindowReplay, error: FloatArray) -> FloatArray:
    """Robust standard deviation of errors for each age and signal. Shape (window, num_observations)."""
    absolute = np.abs(np.nan_to_num(error))
    ages = range(int(replay.age.max()) + 1)
    medians = np.array([np.median(absolute[replay.age == age], axis=0) for age in ages]) / 0.6745
    return np.asarray(np.maximum(medians, _ROUNDING))


def _by_age(replay: WindowReplay, values: FloatArray) -> FloatArray:
    counts = np.bincount(replay.age)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, replay.age, values)
    return np.asarray(sums / counts[:, None])


def _rms(error: FloatArray) -> float:
    return float(np.sqrt(np.mean(error**2)))


def _domain(space: Space, best: FloatArray, std: FloatArray, certain: NDArray[np.bool_]) -> Domain:
    parameters: dict[str, Distribution] = {}
    for k, name in enumerate(space.names):
        mean, low, high = float(best[k]), float(space.low[k]), float(space.high[k])
        fixed = certain[k] or not std[k] > 0
        parameters[name] = Point(mean) if fixed else Normal(mean, float(std[k]), low, high)
    return Domain(parameters)
