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
from sim2real.domain import Correlation, Domain
from sim2real.files import write_text
from sim2real.identify.effects import OF_SCALE
from sim2real.identify.information import white_noise
from sim2real.identify.space import Loss, Search, Space, minimize
from sim2real.identify.transitions import FloatArray, Rollouts
from sim2real.identify.windows import WindowReplay
from sim2real.parameters import quantity_of
from sim2real.world import World

_ROUNDING = 1e-6  # observations are single precision
_NOISES = 4.0  # noise of a measurement, and what that of the first state has become
_FINEST = 1e-4  # of a scaled signal: what sensors round to, at 13 bits
_OUTLIER = 4.0
_GROWN, _MOSTLY = 1.01, 0.95  # factor on all forces and inertias; share of the errors that must stay
_SEARCH = Search()
_ROUNDS, _DAMPINGS = 20, np.array([1e-3, 1e-2, 1e-1, 1.0])
_TOLERANCE, _STEEP = 1e-3, 1e4  # gain and damping at which the steps end


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
    """Standard error of every parameter, in its unit; that of its range where the data can't tell."""
    error: float
    """Root mean square of the prediction errors in held-out episodes, in scaled units."""
    error_before: float
    """The same under nominal physics."""
    evaluations: int
    diverged: int
    """Simulations that blew up on the way, each counted against its candidate."""
    noise: float = 0.0
    """Root mean square of the white noise in what was seen, in scaled units."""

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
    point = _refine(replay, space, found.point, loss)
    best = space.physics(point[None])[0]
    judge = WindowReplay(world, held_out, settings.window)
    nominal = np.array([world.nominal[name] for name in space.names])
    before, after = judge.predict(space.names, np.stack((nominal, best))) - judge.observed
    covariance = _covariance(replay, space, point, deviations(judge, after))
    covariance = covariance * _widening(judge, space, (point, covariance), after) ** 2
    wide = _capped(covariance)
    std = space.widths(point, wide)
    certain = space.whole & (wide < 0.25 * space.steps)
    return WindowFit(
        domain=_domain(space, best, (std * settings.wide, covariance), certain),
        physics=dict(zip(space.names, map(float, best), strict=True)),
        std=dict(zip(space.names, map(float, std), strict=True)),
        error=_rms(after),
        error_before=_rms(before),
        evaluations=found.evaluations,
        diverged=replay.diverged,
        noise=_rms(_noise(judge)),
    )


def _refine(replay: WindowReplay, space: Space, start: FloatArray, loss: Loss) -> FloatArray:
    """The end of the valley in which a search ended, by Levenberg's steps; whole numbers stay.

    Errors weigh by the inverse of their profiled scale, large ones less (Huber 1964).

    Args:
        replay: recorded episodes.
        space: the box.
        start: point of the unit cube. Shape (k,).
        loss: what is to be small.
    """
    point, best = start, float(loss(start[None])[0])
    damping = 1.0
    for _ in range(_ROUNDS):
        error, jacobian = _linear(replay, space, point)
        scale = (_by_age(replay, np.abs(error)) + _ROUNDING)[replay.age]
        scaled, slopes = error / scale, jacobian / scale
        weight = 1.0 / np.maximum(np.abs(scaled), 1.0)
        slopes[space.whole] = 0.0
        curvature = np.einsum("ksn,lsn,sn->kl", slopes, slopes, weight)
        slope = np.einsum("ksn,sn->k", slopes, scaled * weight)
        diagonal = np.maximum(np.diag(curvature), 1e-9 * curvature.max() + 1e-30)
        steps = [np.linalg.solve(curvature + damping * d * np.diag(diagonal), -slope) for d in _DAMPINGS]
        tried = np.clip(point + np.array(steps), 0.0, 1.0)
        losses = loss(tried)
        k = int(np.nanargmin(losses))
        gain = best - float(losses[k])
        if gain > 0:
            point, best = tried[k], float(losses[k])
        damping = float(np.clip(damping * (_DAMPINGS[k] * 10 if gain > 0 else 100), 1e-8, 1e8))
        if gain < _TOLERANCE and damping > _STEEP:
            break
    return point


def _linear(
    replay: WindowReplay, space: Space, point: FloatArray, step: float = 0.002
) -> tuple[FloatArray, FloatArray]:
    """Errors, shape (steps, n), and their derivatives over the cube, (k, steps, n); 0 where diverged.

    Differences are to both sides; for a whole number, to one neighbour.
    """
    above = np.where(space.whole, space.steps, np.minimum(step, 1.0 - point))
    below = np.where(space.whole, 0.0, -np.minimum(step, point))
    above = np.where(space.whole & (point + above > 1.0), -space.steps, above)
    points = np.vstack((point, point + np.diag(above), point + np.diag(below)))
    predicted = replay.predict(space.names, space.physics(points))
    k = len(point)
    jacobian = (predicted[1 : k + 1] - predicted[k + 1 :]) / (above - below)[:, None, None]
    return np.nan_to_num(predicted[0] - replay.observed), np.nan_to_num(jacobian)


def standard_errors(replay: WindowReplay, space: Space, point: FloatArray, spread: FloatArray) -> FloatArray:
    """Standard error of every parameter, in the unit cube. Shape (k,).

    Args:
        replay: recorded episodes.
        space: the box.
        point: best point of the unit cube. Shape (k,).
        spread: standard deviation of the residual for each age and signal. Shape (window, n).
    """
    return _capped(_covariance(replay, space, point, spread))


def _capped(covariance: FloatArray) -> FloatArray:
    """Standard deviations, none larger than what the range itself tells."""
    return np.asarray(np.minimum(np.sqrt(np.diag(covariance)), np.sqrt(1 / 12)))


def _covariance(replay: WindowReplay, space: Space, point: FloatArray, spread: FloatArray) -> FloatArray:
    """Covariance of the estimate, in the unit cube. Shape (k, k).

    Linearized at the point: with the Jacobian J of the predictions over the cube, weighted by ``spread``,
    it is B M B with B = (JᵀJ)⁻¹ and M the sum over episodes of the squared scores. What the range itself
    tells (a uniform has the variance 1/12) is known too. For a whole number the step is to its neighbour.
    """
    error, jacobian = _linear(replay, space, point)
    weight = spread[replay.age]
    jacobian, residual = jacobian / weight, np.clip(error / weight, -_OUTLIER, _OUTLIER)
    information = np.einsum("ksn,lsn->kl", jacobian, jacobian)
    bread = np.linalg.inv(information + 12.0 * np.eye(len(point)))
    scores = np.einsum("ksn,sn->sk", jacobian, residual)
    by_episode = np.array([scores[replay.episode == e].sum(axis=0) for e in np.unique(replay.episode)])
    sandwich = bread @ (by_episode.T @ by_episode) @ bread
    # scores of few episodes may cancel by chance, so independent residuals are the least that is believed
    least = np.sqrt(np.maximum(np.diag(sandwich), np.diag(bread)) / np.diag(bread))
    return _open_in_scale(replay, space, point, bread * np.outer(least, least))


def _open_in_scale(
    replay: WindowReplay, space: Space, point: FloatArray, covariance: FloatArray
) -> FloatArray:
    """The covariance, as open as the range where all forces and inertias can grow together without a trace.

    No derivative shows that where feet strike the ground: slopes are rough there. So they are made to grow.
    """
    scaled = np.array([quantity_of(name).name in OF_SCALE for name in space.names])
    values = space.physics(point[None])[0]
    for factor in (_GROWN, 1 / _GROWN):
        grown = np.where(scaled, factor * values, values)
        if not scaled.any() or (grown > space.high).any() or (grown < space.low).any():
            continue
        before, after = replay.predict(space.names, np.stack((values, grown)))
        if np.nanquantile(np.abs(after - before), _MOSTLY) > _FINEST / 10:
            break
        start, end = space.points(np.stack((values, grown)))
        along = (end - start) / np.linalg.norm(end - start)
        missing = max(1 / 12 - float(along @ covariance @ along), 0.0)
        return np.asarray(covariance + missing * np.outer(along, along))
    return covariance


def _widening(
    judge: WindowReplay, space: Space, estimate: tuple[FloatArray, FloatArray], error: FloatArray
) -> float:
    """How much wider the spread must be to miss by as much as held-out predictions do, noise left out.

    A model that lacks something is certain of the wrong values; what it gets wrong says how wrong.

    Args:
        judge: held-out episodes.
        space: the box.
        estimate: point and its covariance. Shapes (k,) and (k, k).
        error: held-out errors at the point. Shape (steps, n).
    """
    point, covariance = estimate
    jacobian = _linear(judge, space, point)[1]
    scatter = np.einsum("ksn,kl,lsn->sn", jacobian, covariance, jacobian)
    weight = 1 / deviations(judge, error)[judge.age] ** 2
    missed = np.maximum(_by_age(judge, error**2) - _NOISES * _noise(judge) ** 2, 0.0)[judge.age]
    return float(np.sqrt(max(1.0, (missed * weight).sum() / max((scatter * weight).sum(), 1e-30))))


def _noise(replay: WindowReplay) -> FloatArray:
    """White noise of every signal, standard deviation. Shape (num_observations,)."""
    episodes = [replay.observed[replay.episode == e] for e in np.unique(replay.episode)]
    return np.array([white_noise([e[:, n] for e in episodes]) for n in range(replay.observed.shape[1])])


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
    """Standard deviation of errors for each age and signal, from their mean size.

    Not from the median one, which is none where a block lies still most of the time; and no less than any
    sensor rounds to, since the differences that derivatives are made of are no finer.

    Returns:
        Shape (window, num_observations).
    """
    sizes = _by_age(replay, np.abs(np.nan_to_num(error)))
    return np.asarray(np.maximum(np.sqrt(np.pi / 2) * sizes, _FINEST))


def _by_age(replay: WindowReplay, values: FloatArray) -> FloatArray:
    counts = np.bincount(replay.age)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, replay.age, values)
    return np.asarray(sums / counts[:, None])


def _rms(error: FloatArray) -> float:
    return float(np.sqrt(np.mean(error**2)))


def _domain(
    space: Space, best: FloatArray, spread: tuple[FloatArray, FloatArray], certain: NDArray[np.bool_]
) -> Domain:
    """Normals with standard deviations, in the parameters' units, that go together as a covariance says."""
    std, covariance = spread
    parameters: dict[str, Distribution] = {}
    for k, name in enumerate(space.names):
        mean, low, high = float(best[k]), float(space.low[k]), float(space.high[k])
        fixed = certain[k] or not std[k] > 0
        parameters[name] = Point(mean) if fixed else Normal(mean, float(std[k]), low, high)
    loose = [k for k, name in enumerate(space.names) if isinstance(parameters[name], Normal)]
    if len(loose) < 2:
        return Domain(parameters)
    return Domain(
        parameters, Correlation.of([space.names[k] for k in loose], covariance[np.ix_(loose, loose)])
    )
