"""What recorded episodes say about physics, as a few numbers: how observations change with state and action.

For each signal a ridge regression of its change over a control step on the observation, the last actions and
a constant, pooled over episodes; its coefficients are to first order what BayesSim's cross-correlations of
state differences and actions are (Ramos et al. 2019, section 3.2), but don't depend on how much a policy
happened to move. The lagged actions see a latency. Last, the logarithm of what the regression leaves.

`Compression` brings such summaries down to one number a parameter, its best linear guess (semi-automatic
summaries, Fearnhead & Prangle 2012): a network that sees a few numbers needs far fewer simulations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real.identify.space import FloatArray
from sim2real.recordings.rollouts import Rollouts

_LAGS = 4  # actions back to three control steps ago
_RIDGE = 1e-3


def summarize(rollouts: Rollouts) -> FloatArray:
    """Summary of all episodes together. Shape (signals × (signals + 4 actions + 2),)."""
    features = np.concatenate([_features(e.observation, e.action) for e in rollouts.episodes])
    changes = np.concatenate([np.diff(e.observation, axis=0) for e in rollouts.episodes])
    return _regressed(features, changes)


def summarize_rows(observations: FloatArray, actions: FloatArray, alive: FloatArray) -> FloatArray:
    """The same for many groups of episodes of one length.

    Args:
        observations: shape (groups, episodes, steps + 1, signals).
        actions: shape (groups, episodes, steps, num_actions).
        alive: 1 for the steps that count, 0 after an episode's end. Shape (groups, episodes, steps).

    Returns:
        Shape (groups, numbers).
    """
    summaries = []
    for seen, done, counts in zip(observations, actions, alive, strict=True):
        features = np.concatenate([_features(o, a) for o, a in zip(seen, done, strict=True)])
        changes = np.concatenate([np.diff(o, axis=0) for o in seen])
        keep = counts.reshape(-1) > 0
        summaries.append(_regressed(features[keep], changes[keep]))
    return np.array(summaries)


def _features(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Observation, actions now and before (none before the first), a constant. Shape (steps, features)."""
    before = np.zeros((_LAGS - 1, action.shape[1]))
    held = np.concatenate((before, action))
    lagged = [held[_LAGS - 1 - lag : len(held) - lag] for lag in range(_LAGS)]
    return np.concatenate((observation[:-1], *lagged, np.ones((len(action), 1))), axis=1)


def _regressed(features: FloatArray, changes: FloatArray) -> FloatArray:
    gram = features.T @ features / len(features) + _RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features.T @ changes / len(features))
    left = changes - features @ weights
    return np.concatenate((weights.ravel(), np.log(left.std(axis=0) + 1e-6)))


@dataclass(frozen=True, eq=False)
class Compression:
    """Linear guesses of parameters from summaries."""

    middle: FloatArray
    width: FloatArray
    weights: FloatArray

    @classmethod
    def learn(cls, summaries: FloatArray, points: FloatArray) -> tuple[Compression, FloatArray]:
        """Fit a ridge regression, its penalty by cross-validation.

        Args:
            summaries: shape (n, numbers).
            points: what is guessed. Shape (n, k).

        Returns:
            The compression, and the guesses of these very summaries from fits that did not see them; from the
            last fit they would look better than those of new summaries. Shape (n, k).
        """
        middle, width = np.median(summaries, axis=0), summaries.std(axis=0) + 1e-9
        features = _inputs(summaries, middle, width)
        folds = np.arange(len(points)) % _FOLDS
        best: tuple[float, float, FloatArray] | None = None
        for penalty in _PENALTIES:
            guesses = np.empty_like(points)
            for fold in range(_FOLDS):
                out = folds == fold
                guesses[out] = features[out] @ _ridge(features[~out], points[~out], penalty)
            error = float(np.mean((guesses - points) ** 2))
            if best is None or error < best[0]:
                best = error, penalty, guesses
        assert best is not None
        return cls(middle, width, _ridge(features, points, best[1])), best[2]

    def __call__(self, summaries: FloatArray) -> FloatArray:
        """Guesses. Shape (n, k)."""
        return np.asarray(_inputs(summaries, self.middle, self.width) @ self.weights)


_FOLDS = 5
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def _inputs(summaries: FloatArray, middle: FloatArray, width: FloatArray) -> FloatArray:
    """Scaled summaries, their far outliers cut, and a constant."""
    scaled = np.clip((summaries - middle) / width, -5, 5)
    return np.concatenate((scaled, np.ones((len(scaled), 1))), axis=1)


def _ridge(features: FloatArray, points: FloatArray, penalty: float) -> FloatArray:
    gram = features.T @ features + penalty * len(features) * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(gram, features.T @ points))
