"""Find the physics under which recorded episodes happen again, and how far the data leave it open.

    found = fit_rollouts(world, rollouts, world.training_domain)
    found.domain.save(Path("identified.toml"))

The engine and the judge are those of recordings: a global search, least squares from its end on, blocks drawn
again for the scatter. Every candidate replays all windows; an episode is a block, since residuals within one
are correlated, and a part of the episodes is held out for the widths.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from sim2real.domain import Domain
from sim2real.identify.estimates import FITTED, NOMINAL, estimates_of, gap_row
from sim2real.identify.identifiability import at_end, combinations
from sim2real.identify.least_squares import least_squares
from sim2real.identify.problem import FINEST, RolloutProblem, rmse_of
from sim2real.identify.result import Identification
from sim2real.identify.search import SearchSettings, search
from sim2real.identify.space import ParameterSpace
from sim2real.identify.uncertainty import UNIFORM, bootstrap, make_domain
from sim2real.identify.verdicts import GAIN, Verdict, judge
from sim2real.reach import check_reach
from sim2real.recordings.rollouts import Rollouts
from sim2real.world import World

_NOISES = 4.0  # noise of a measurement, and what that of the first state has become
_ROUNDS = 20
_WHITE = 5.0  # times the noise, which in a simulator is none


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit_rollouts`.

    Raises:
        InvalidValue: for a window without steps, or a share that is none.
    """

    window: int = 5
    """Control steps from one measured state to the next. Longer windows see slow effects better, but noise of
    the measured state grows in them and biases: with 15 steps and a noise of 0.02 furuta seems 3 % weak.
    """
    search: SearchSettings = field(default_factory=SearchSettings)
    held_out: float = 0.2
    """Share of the episodes that the fit does not see and the widths come from."""

    def __post_init__(self) -> None:
        """Refuse what can't be fitted."""
        check_reach(self, "whole [1, inf)", "window")
        check_reach(self, "[0, 1]", "held_out")


def fit_rollouts(
    world: World, rollouts: Rollouts, bounds: Domain, settings: FitSettings = FitSettings()
) -> Identification:
    """Fit parameters to recorded episodes.

    Args:
        world: whose nominal values hold for the other parameters.
        rollouts: recorded episodes, at least two.
        bounds: the parameters and the ranges to search in.
        settings: how.

    Returns:
        Its errors are in scaled units of the observation; whole numbers that are certain are points.

    Raises:
        RecordingError: if the rollouts are not of the world's task, or are a single episode.
        InvalidValue: if no candidate could be replayed.
    """
    space, began = ParameterSpace.of(world, bounds), time.perf_counter()
    training, held_out = rollouts.split(settings.held_out, settings.search.seed)
    problem = RolloutProblem(world, space, training, settings.window)
    begun = search(problem, np.full(len(space.free), 0.5), settings.search).point
    whole = np.flatnonzero(space.steps).tolist()
    point = least_squares(problem, begun, _ROUNDS, 1e-3, frozen=whole).point
    held, physics = problem.on(held_out), space.physics(point)
    nominal = space.units(np.array([world.nominal[name] for name in space.names]))
    errors = held.errors(np.stack((nominal, point)))
    after = [error[1] for error in errors]
    fitted, judged = problem.rmse(np.stack((nominal, point))), rmse_of(errors)
    gap = tuple(gap_row(name, fitted[k], judged[k]) for k, name in enumerate((NOMINAL, FITTED)))
    linear = at_end(problem, point)
    spread = bootstrap(linear, ranges=UNIFORM)
    # white noise is no lack of the model, nor is what it has become since the first state
    noise = held.noise
    missed = np.maximum(held.by_age(np.concatenate(after) ** 2) - _NOISES * noise**2, 0.0)
    missed = (missed / held.spreads(after) ** 2)[held.replay.age]
    seen = held.linearize(point, central=True)
    spread = spread.widened(float(missed.sum()), seen)
    estimates = estimates_of(problem, point, spread)
    findings = [
        *combinations(problem, linear.hessian, linear.loss, linear.along),
        *_lacking(space.names, gap[0].held_out, gap[1].held_out, float(noise.mean())),
    ]
    return Identification(
        world=world.name,
        domain=make_domain(space.free, point, spread.draws, {}),
        point=physics,
        estimates=estimates,
        gap=gap,
        verdicts=judge(estimates, gap, findings, "the held-out episodes", FINEST, (1.0, "scaled units")),
        fitted=(f"{len(training.episodes)} episodes",),
        held_out=(f"{len(held_out.episodes)} episodes",),
        seconds=time.perf_counter() - began,
        simulations=problem.tally.simulations,
        diverged=problem.tally.diverged,
    )


def _lacking(names: tuple[str, ...], before: float, after: float, noise: float) -> list[Verdict]:
    """What there is to say of what is left where the fit gained something."""
    times = after / max(noise, FINEST)
    if times <= _WHITE or after > before * (1 - GAIN):
        return []
    return [Verdict.lacking(names, f"{times:.0f} times the noise in it", before=before, after=after)]
