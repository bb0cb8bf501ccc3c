"""DROPO: the distribution of parameters under which recorded transitions are likely (Tiboni et al. 2023).

    result = dropo(world, rollouts, bounds)
    result.domain.save(Path("dropo.toml"))

For a candidate (mean and standard deviation of every parameter) physics are drawn, every recorded state is
put into a simulation of each, the recorded actions of ``horizon`` steps are replayed, and a Gaussian is
fitted to the states that they lead to; the recorded next state is to be likely under it (arXiv 2201.08434,
section 3.2). ε on the diagonal of its covariance keeps it proper where physics hardly matter. CMA-ES begins
at the single physics that explains the transitions best, which costs a tenth of a candidate distribution.

Likelihood alone lets variance collapse when data are many. Three guards: the entropy of the distribution can
be rewarded (E-DROPO, arXiv 2506.10133); draws are the same for all candidates, so that none wins by luck; and
no width goes out below the standard error that the residuals imply.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_t

from sim2real.distributions import Distribution, Normal
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.identify.identifiability import at_end
from sim2real.identify.problem import RolloutProblem
from sim2real.identify.search import SearchSettings, minimize, search
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.identify.uncertainty import UNIFORM, bootstrap
from sim2real.reach import check_reach
from sim2real.recordings.rollouts import Rollouts
from sim2real.world import World

_NARROW, _WIDE = 1e-4, 0.25
"""Standard deviations that are searched, as shares of a parameter's range."""
_SEARCH = SearchSettings(generations=80)


@dataclass(frozen=True)
class DropoSettings:
    """Settings of DROPO.

    Raises:
        InvalidValue: for fewer than two samples, or an epsilon, tail or entropy below 0.
    """

    samples: int = 8
    """Physics drawn for each candidate."""
    horizon: int = 1
    """Control steps of a transition, λ in the paper; more of them tell more where measurements are noisy."""
    epsilon: float | None = None
    """Added to the diagonal of the covariance, in squared scaled units of the observation. None finds one
    for each signal: the variance of the residual around the best single physics."""
    tails: float = 4.0
    """Degrees of freedom of the likelihood, a multivariate t as contacts leave outliers; infinite for the
    paper's Gaussian."""
    entropy: float = 0.0
    """Reward for the logarithm of each standard deviation, per transition; E-DROPO's bonus."""
    search: SearchSettings = _SEARCH

    def __post_init__(self) -> None:
        """Refuse what can't be fitted."""
        check_reach(self, "whole [2, inf)", "samples")
        check_reach(self, "whole [1, inf)", "horizon")
        check_reach(self, "[0, inf)", "entropy")
        check_reach(self, "(0, inf]", "tails")
        check_reach(self, "(0, inf)", "epsilon")


@dataclass(frozen=True, eq=False)
class DropoResult:
    """What DROPO found."""

    domain: Domain
    """Independent normals within the bounds."""
    likelihood: float
    """Mean logarithm of the likelihood of a transition."""
    found_std: FloatArray
    """Standard deviations before the guard, in the parameters' units. Shape (k,)."""
    implied_std: FloatArray
    """Standard errors that the residuals imply, the least that the domain has. Shape (k,)."""
    transitions: int
    evaluations: int
    diverged: int
    """Simulations that blew up on the way, each counted against its candidate."""


def dropo(
    world: World, rollouts: Rollouts, bounds: Domain, settings: DropoSettings = DropoSettings()
) -> DropoResult:
    """Fit a normal for each parameter to recorded transitions.

    Args:
        world: whose nominal values hold for the other parameters.
        rollouts: recorded episodes, with full states or observations that tell them.
        bounds: the parameters and the ranges to search in.
        settings: how.

    Raises:
        RecordingError: if the rollouts are not of the world's task.
        InvalidValue: for a whole number among the parameters, or if every candidate diverged.
    """
    space = ParameterSpace.of(world, bounds)
    for name in (free.name for free in space.free if free.integer):
        raise InvalidValue(f"{name} counts whole numbers and has no normal; fix it, or use fit_rollouts")
    problem = RolloutProblem(world, space, rollouts, settings.horizon)
    count = len(space.free)
    single = search(problem, np.full(count, 0.5), settings.search)
    implied = np.minimum(bootstrap(at_end(problem, single.point), ranges=UNIFORM).std, 12**-0.5)
    spreads = problem.spreads([errors[0] for errors in problem.errors(single.point[None])])
    likelihood = Likelihood(problem, settings, settings.epsilon or spreads[-1] ** 2)
    reach = np.clip(8 * implied, 0.01, 0.5)
    low, high = np.clip([single.point - reach, single.point + reach], 0.0, 1.0)

    def candidate(coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means within reach of the single physics, and standard deviations, from halves of the unit cube."""
        mean, std = np.split(coordinates, 2, axis=-1)
        return low + mean * (high - low), _NARROW * (_WIDE / _NARROW) ** std

    def loss(coordinates: FloatArray) -> FloatArray:
        mean, std = candidate(coordinates)
        return np.asarray(-likelihood(mean, std) - settings.entropy * np.log(std).sum(axis=1))

    local = dataclasses.replace(settings.search, spread=0.15, tolerance=0.02)
    start = np.concatenate(((single.point - low) / (high - low), np.full(count, 0.5)))
    found = minimize(loss, start, np.zeros(2 * count), local)
    point, wide = candidate(found.point)
    mean, std = space.values(point), space.widths(point, np.maximum(wide, implied))
    parameters: dict[str, Distribution] = {
        f.name: Normal(float(mean[k]), float(std[k]), f.low, f.high) for k, f in enumerate(space.free)
    }
    return DropoResult(
        Domain(parameters),
        likelihood=-found.cost,
        found_std=space.widths(point, wide),
        implied_std=space.widths(point, implied),
        transitions=len(likelihood.ends),
        evaluations=found.evaluations + single.evaluations,
        diverged=problem.tally.diverged,
    )


class Likelihood:
    """Mean log-likelihood of recorded transitions under normals over physics."""

    def __init__(self, problem: RolloutProblem, settings: DropoSettings, epsilon: FloatArray | float) -> None:
        """Draw the standard normal numbers that all candidates share, symmetric around 0.

        The problem's windows are those of the horizon; epsilon is that of each signal or of all.
        """
        self.problem, self.epsilon = problem, epsilon
        self.ends: NDArray[np.intp] = np.flatnonzero(problem.replay.age == settings.horizon - 1)
        self._tails = settings.tails
        rng = np.random.default_rng(settings.search.seed)
        half = rng.standard_normal((-(-settings.samples // 2), len(problem.space.free)))
        both = np.concatenate((half, -half))
        self._normals = both / np.sqrt(np.mean(both**2, axis=0))

    def __call__(self, mean: FloatArray, std: FloatArray) -> FloatArray:
        """The likelihood of candidates, -inf where a simulation diverged; means and std in the unit cube."""
        draws = mean[:, None] + std[:, None] * self._normals
        predicted = np.concatenate(self.problem.predict(draws.reshape(-1, draws.shape[2])), axis=1)
        errors = (predicted - self.problem.replay.observed)[:, self.ends]
        by_candidate = errors.reshape(*draws.shape[:2], *errors.shape[1:])
        return np.array([_log_density(each, self.epsilon, self._tails) for each in by_candidate])


def _log_density(errors: FloatArray, epsilon: FloatArray | float, tails: float) -> float:
    """Mean log-density of 0 under distributions fitted to errors of shape (samples, transitions, signals)."""
    if not np.isfinite(errors).all():
        return -np.inf
    size, mean = errors.shape[2], errors.mean(axis=0)
    centred = errors - mean
    covariance = np.einsum("stn,stm->tnm", centred, centred) / (len(errors) - 1) + epsilon * np.eye(size)
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, mean[..., None])[..., 0]
    density = multivariate_t.logpdf(whitened, shape=np.eye(size), df=tails)
    return float(np.mean(density - np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)))
