"""Whatever acts, as an actor of the one protocol: `sim2real.interface.Actor`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, PolicyError
from sim2real.interface import Actor, ActorLike, Mask


def as_actor(given: ActorLike) -> Actor:
    """The actor itself, or one without memory that does what a function says.

    Args:
        given: an actor, or a function from a batch of observations to actions.

    Raises:
        InvalidValue: for what is neither.
    """
    if not isinstance(given, type):
        if hasattr(given, "start") and hasattr(given, "act"):
            return given
        if callable(given):
            return _Function(given)
    raise InvalidValue(
        f"{given!r} does not act; give a policy, a function from observations to actions, or an object with "
        "start(rows) -> state and act(observation, state) -> (action, state)"
    )


def real_actions(given: object) -> NDArray[np.float32]:
    """What was given as actions, in float32.

    Raises:
        PolicyError: for complex numbers, which would lose a part.
        ValueError: for what is no array of numbers.
    """
    actions = np.asarray(given)
    if np.iscomplexobj(actions):
        raise PolicyError("actions are complex numbers, which would lose a part; give real ones")
    return actions.astype(np.float32)


class _Function:
    """A function as an actor."""

    def __init__(self, function: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> None:
        self._function = function

    def start(self, rows: int | Mask, state: None = None) -> None:
        """Nothing is remembered."""

    def act(self, observation: NDArray[np.float32], state: None = None) -> tuple[NDArray[np.float32], None]:
        """What the function gives."""
        return real_actions(self._function(observation)), None
