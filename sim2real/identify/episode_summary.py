"""What recorded episodes say about physics, as a few numbers: how observations change with state and action.

For each signal a ridge regression of its change over a control step on the observation, the last actions and
a constant, pooled over episodes; its coefficients are to first order what BayesSim's cross-correlations of
state differences and actions are (Ramos et al. 2019, section 3.2), but don't depend on how much a policy
happened to move. The lagged actions see a latency. Last, the logarithm of what the regression leaves.

`compress` brings such summaries down to one number a parameter, its best linear guess (semi-automatic
summaries, Fearnhead & Prangle 2012): a network that sees a few numbers needs far fewer simulations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim2real.identify.space import FloatArray
from sim2real.recordings.rollouts import Episode

_LAGS = 4  # actions back to three control steps ago
_RIDGE = 1e-3
_PENALTIES = np.logspace(-4, 0, 5)
_FAR = 5.0  # interquartile ranges from the median, beyond which a number says no more


def summarize(episodes: Sequence[Episode]) -> FloatArray:
    """Summary of all episodes together. Shape (signals × (signals + 4 actions + 2),)."""
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


def compress(summaries: FloatArray, points: FloatArray) -> tuple[Any, FloatArray]:
    """A ridge regression from summaries to points, its penalty by cross-validation (scikit-learn).

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
    return guess.fit(summaries, points), cross_val_predict(guess, summaries, points)
