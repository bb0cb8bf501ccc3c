"""Policies that are Python: a function, an object that acts or predicts, or where to find one.

    find_callable("my_module:controller")     # or "path/to/file.py:controller"

Whatever acts on a batch of observations becomes an actor of the one protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue
from sim2real.interface import Actor, Mask
from sim2real.policy import as_actor
from sim2real.policy.actors import real_actions
from sim2real.registry import load_module


def find_callable(spec: str) -> object:
    """What a module, or a ``.py`` file, has under a name; a class is called without arguments.

    Raises:
        InvalidValue: if the module can't be imported, or has no such name.
    """
    home, _, name = spec.rpartition(":")
    module = load_module(home)
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [n for n in vars(module) if not n.startswith("_") and callable(getattr(module, n))]
            raise InvalidValue(
                f"{home} has no {name!r} to act with; it has "
                f"{', '.join(sorted(public)) or 'nothing that can be called'}"
            )
        found = getattr(found, part)
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:
        raise InvalidValue(
            f"{spec} can't be made without arguments ({type(error).__name__}: {error})"
        ) from error


def actor_of(given: object) -> Actor:
    """An actor of anything that acts: by ``start`` and ``act``, by ``act``, by ``predict``, or when called.

    ``predict(observation, state, episode_start, deterministic)`` is that of Stable-Baselines3.

    Raises:
        InvalidValue: for what does none of it.
    """
    if hasattr(given, "start") and hasattr(given, "act"):
        return as_actor(given)
    if callable(getattr(given, "predict", None)):
        return _Predicting(given.predict)  # type: ignore[attr-defined]
    for act in (getattr(given, "act", None), given):
        if callable(act) and not isinstance(act, type):
            return as_actor(act)
    raise InvalidValue(
        f"{given!r} does not act; give a function from a batch of observations to a batch of actions, or an "
        "object with act(observation) or predict(observation)"
    )


class _Predicting:
    """A model of Stable-Baselines3, recurrent ones included, that acts without exploring."""

    def __init__(self, predict: Callable[..., tuple[NDArray[np.floating], Any]]) -> None:
        self._predict = predict

    def start(self, rows: int | Mask, state: tuple[Any, Mask] | None = None) -> tuple[Any, Mask]:
        """Begin episodes: the model forgets when it is told that one starts."""
        if state is None or isinstance(rows, int | np.integer):
            return None, np.ones(int(rows) if isinstance(rows, int | np.integer) else len(rows), dtype=bool)
        return state[0], state[1] | np.asarray(rows)

    def act(
        self, observation: NDArray[np.float32], state: tuple[Any, Mask] | None = None
    ) -> tuple[NDArray[np.float32], tuple[Any, Mask]]:
        """What the model predicts."""
        memory, begins = state or self.start(len(observation))
        actions, memory = self._predict(observation, state=memory, episode_start=begins, deterministic=True)
        return real_actions(actions), (memory, np.zeros_like(begins))
