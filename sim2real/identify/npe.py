"""Neural posterior estimation: from a summary of recordings to a posterior over parameters (sbi).

    result = npe(world, rollouts, bounds, lambda seed: Excited(policy, 0.2, seed))
    result.calibration.verdict, result.predictive.verdict
    result.domain.save(Path("posterior.toml"))

A network learns the posterior from simulated recordings whose parameters are known (Papamakarios & Murray
2016; Greenberg et al. 2019; for domain randomization Ramos et al. 2019), made like the real ones: the same
actor, as many episodes, as many steps, all in one batched env. Two checks say whether to believe it.
**Calibration**: on simulated recordings that it has not seen, ranks of the truth among its samples must be
uniform (Talts et al. 2018) and its intervals cover what they promise. **Posterior-predictive**: recordings
simulated from the posterior must look like the real one, or the truth lies outside of what was simulated.
The networks live in memory alone; nothing is pickled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from sim2real.distributions import Samples
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, MissingExtra
from sim2real.gather import Imitator, MakeActor
from sim2real.identify.posterior_checks import PosteriorCheck, calibration, predictive
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.process import undisturbed
from sim2real.reach import check_reach
from sim2real.recordings.rollouts import Episode, Rollouts
from sim2real.world import World

_LAGS = 4  # actions back to three control steps ago
_RIDGE = 1e-3
_PENALTIES = np.logspace(-4, 0, 5)
_FAR = 5.0  # interquartile ranges from the median, beyond which a number says no more


@dataclass(frozen=True)
class NpeSettings:
    """Settings of `npe`.

    Raises:
        InvalidValue: for too few simulations to learn from or to check with.
    """

    simulations: int = 2000
    """Simulated recordings that the network learns from."""
    checks: int = 200
    """Simulated recordings for each of the two checks."""
    samples: int = 500
    """Physics in the domain."""
    max_epochs: int = 200
    rows: int = 512
    """Simulations at once."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't be learnt or checked."""
        check_reach(self, "whole [50, inf)", "simulations")
        check_reach(self, "whole [20, inf)", "checks", "samples")
        check_reach(self, "whole [1, inf)", "max_epochs", "rows")
        check_reach(self, "whole [0, inf)", "seed")


@dataclass(frozen=True, eq=False)
class NpeResult:
    """The posterior, and whether to believe it."""

    domain: Domain
    """Samples whose rows keep their correlation."""
    calibration: PosteriorCheck
    predictive: PosteriorCheck
    diverged: int
    """Simulated recordings that blew up and were left out."""

    @property
    def passed(self) -> bool:
        """Whether both checks passed."""
        return self.calibration.passed and self.predictive.passed


def npe(
    world: World, rollouts: Rollouts, bounds: Domain, actor: MakeActor, settings: NpeSettings = NpeSettings()
) -> NpeResult:
    """Learn a posterior and check it.

    Args:
        world: whose nominal values hold for the other parameters.
        rollouts: what was recorded.
        bounds: the parameters, and the ranges that count alike beforehand.
        actor: makes the actor that the recordings were made with.
        settings: how.

    Raises:
        MissingExtra: if sbi is not installed.
        RecordingError: if the rollouts are not of the world's task.
        InvalidValue: if most simulated recordings blew up.
    """
    if find_spec("sbi") is None:
        raise MissingExtra("sbi", "identify")
    space = ParameterSpace.of(world, bounds)
    imitator = Imitator(world, rollouts, actor, settings.rows)
    diverged = 0

    def simulated(points: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
        """The points that did not blow up, and a summary of the recording at each."""
        nonlocal diverged
        made = imitator(space.names, space.values(points), seed)
        found = {k: summarize(episodes) for k, episodes in enumerate(made) if episodes}
        diverged += len(points) - len(found)
        return points[list(found)], np.array(list(found.values()))

    every = settings.simulations + settings.checks
    points = np.random.default_rng(settings.seed).random((every, len(space.names)))
    points, summaries = simulated(points, settings.seed)
    if len(points) < settings.simulations // 2 + settings.checks:
        raise InvalidValue(f"{diverged} simulated recordings blew up; narrow the ranges")
    tests, training = slice(settings.checks), slice(settings.checks, None)
    guess, guesses = compress(summaries[training], points[training])
    posterior = _learnt(points[training], guesses, settings)
    checked = _drawn(posterior, guess(summaries[tests]), 200, settings.seed)
    observed = summarize(rollouts.episodes)
    [drawn] = _drawn(posterior, guess(observed[None]), settings.samples, settings.seed)
    _, again = simulated(drawn[np.arange(settings.checks) % len(drawn)], settings.seed + 1)
    values = space.values(drawn)
    domain = Domain({name: Samples(tuple(map(float, values[:, k]))) for k, name in enumerate(space.names)})
    return NpeResult(
        domain,
        calibration(space.names, space.values(points[tests]), space.values(checked)),
        predictive(again, observed),
        diverged,
    )


def summarize(episodes: Sequence[Episode]) -> FloatArray:
    """What episodes say about physics, as a few numbers: how observations change with state and action.

    For each signal a ridge regression of its change over a control step on the observation, the last actions
    and a constant, pooled over episodes; its coefficients are to first order what BayesSim's
    cross-correlations of state differences and actions are (Ramos et al. 2019, section 3.2), but don't depend
    on how much a policy happened to move. The lagged actions see a latency. Last, the logarithm of what the
    regression leaves. Shape (signals × (signals + 4 actions + 2),).
    """
    features = np.concatenate([_features(e.observation, e.action) for e in episodes])
    changes = np.concatenate([np.diff(e.observation, axis=0) for e in episodes])
    gram = features.T @ features / len(features) + _RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features.T @ changes / len(features))
    left = changes - features @ weights
    return np.concatenate((weights.ravel(), np.log(left.std(axis=0) + 1e-6)))


def _features(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Observation, actions now and before (none before the first), a constant. Shape (steps, features)."""
    held = np.concatenate((np.zeros((_LAGS - 1, action.shape[1])), action))
    lagged = [held[_LAGS - 1 - lag : len(held) - lag] for lag in range(_LAGS)]
    return np.concatenate((observation[:-1], *lagged, np.ones((len(action), 1))), axis=1)


def compress(
    summaries: FloatArray, points: FloatArray
) -> tuple[Callable[[FloatArray], FloatArray], FloatArray]:
    """Brings summaries down to one number a parameter, its best linear guess.

    Semi-automatic summaries (Fearnhead & Prangle 2012): a network that sees a few numbers needs far fewer
    simulations. The ridge regression is scikit-learn's, its penalty by cross-validation.

    Args:
        summaries: shape (n, numbers).
        points: what is guessed. Shape (n, k).

    Returns:
        What predicts points from summaries, and the guesses of these very summaries by fits that did not see
        them; those of the last fit would look better than those of new summaries. Shape (n, k).
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler

    cut = FunctionTransformer(np.clip, kw_args={"a_min": -_FAR, "a_max": _FAR})
    guess = make_pipeline(RobustScaler(), cut, RidgeCV(_PENALTIES * len(points)))
    unseen, fitted = cross_val_predict(guess, summaries, points), guess.fit(summaries, points)
    # of one parameter, a regression of scikit-learn's forgets the axis
    return lambda new: fitted.predict(new).reshape(len(new), -1), unseen.reshape(points.shape)


def _learnt(points: FloatArray, summaries: FloatArray, settings: NpeSettings) -> Any:  # noqa: ANN401
    """The posterior of sbi in the unit cube, all of which is alike beforehand.

    From points, shape (n, size), and what belongs to them, shape (n, numbers).
    """
    import torch
    from sbi.inference import NPE
    from sbi.utils import BoxUniform

    size = points.shape[1]
    with undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a last epoch; the calibration check says if it shows
        torch.manual_seed(settings.seed)
        torch.set_num_threads(1)
        trainer = NPE(
            BoxUniform(torch.zeros(size), torch.ones(size)), show_progress_bars=False, tracker=_Quiet()
        )
        trainer.append_simulations(*(torch.as_tensor(x, dtype=torch.float32) for x in (points, summaries)))
        trainer.train(max_num_epochs=settings.max_epochs, training_batch_size=min(200, len(points) // 4))
        return trainer.build_posterior()


def _drawn(posterior: Any, summaries: FloatArray, count: int, seed: int) -> FloatArray:  # noqa: ANN401
    """Samples for each summary. Shape (len(summaries), count, size)."""
    import torch

    seen = torch.as_tensor(summaries, dtype=torch.float32)
    with undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how many are drawn at once
        torch.manual_seed(seed)
        drawn = posterior.sample_batched((count,), x=seen, show_progress_bars=False)
    return np.moveaxis(drawn.numpy().astype(np.float64), 0, 1)


class _Quiet:
    """Keeps sbi from writing logs into the working folder: takes whatever a tracker is told."""

    log_dir = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Do nothing, by any name."""
        return lambda *_, **__: None
