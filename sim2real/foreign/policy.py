"""A policy that was made elsewhere, fitted to the env that it should drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import PolicyError, Sim2RealError, told
from sim2real.interface import Actor, Mask, State, TaskSpec
from sim2real.policy import Contract, HasTask
from sim2real.policy.actors import real_actions
from sim2real.policy.contract import check

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Bounds:
    """Least and most of each number of a vector."""

    low: NDArray[np.float64]
    """Shape (n,)."""
    high: NDArray[np.float64]

    def __eq__(self, other: object) -> bool:
        """Whether both are the same, as far as text keeps a float32."""
        return (
            isinstance(other, Bounds)
            and self.low.shape == other.low.shape
            and np.allclose(self.low, other.low, rtol=1e-6)
            and np.allclose(self.high, other.high, rtol=1e-6)
        )

    def __str__(self) -> str:
        """As a message tells them."""
        return ", ".join(f"[{low:g}, {high:g}]" for low, high in zip(self.low, self.high, strict=True))


@dataclass(frozen=True)
class ForeignPolicy:
    """A policy that was made elsewhere: it acts in its own units, on observations as its env gave them.

    policy = load_policy("sb3:ppo_hopper.zip")
    action, state = policy.act(observation, policy.start(1))
    """

    name: str
    label: str
    """The method, as plots name it; policies of one label are its seeds."""
    kind: str
    """What made it, or what runs it: ``PPO of Stable-Baselines3``."""
    actor: Actor
    seed: int | None = None
    """Of its training; None where nothing says it."""
    steps: tuple[int, ...] = ()
    """Control steps of its training, where something says it."""
    num_observations: int | None = None
    """None where nothing says it."""
    num_actions: int | None = None
    action_bounds: Bounds | None = None
    """What it was trained to act between; None where nothing says it."""
    contract: Contract | None = None
    """Of a file that `sim2real.foreign.export` wrote."""

    @property
    def lineage(self) -> str:
        """Label and kind: what two policies share if only their seeds differ."""
        return f"{self.label}: {self.kind}"

    def start(self, rows: int | Mask, state: State = None) -> State:
        """Begin episodes; see `sim2real.interface.Actor`."""
        return self.actor.start(rows, state)

    def act(self, observation: Floats, state: State = None) -> tuple[Floats, State]:
        """Actions in the policy's own units, and the state for the next call.

        Args:
            observation: as its env gave it. Shape (n, num_observations).
            state: of `start`, or of the last call.

        Raises:
            PolicyError: if the policy fails, or gives no finite numbers, or too few rows of them.
        """
        try:
            action, state = self.actor.act(observation, state)
        except Sim2RealError:
            raise
        except Exception as error:
            raise PolicyError(
                f"policy {self.name!r} can't act on observations of shape {observation.shape}: {told(error)}"
            ) from error
        action = np.asarray(action)
        if action.ndim != 2 or len(action) != len(observation):
            raise PolicyError(
                f"policy {self.name!r} gives actions of shape {action.shape} for observations of shape "
                f"{observation.shape}; a row of actions for each row of observations is meant"
            )
        if not np.isfinite(action).all():
            rows = np.flatnonzero(~np.isfinite(action).all(axis=1)).tolist()
            raise PolicyError(
                f"policy {self.name!r} gives actions that are not finite, in rows {str(rows[:5])[1:-1]}; "
                "look at what it does with observations of that size, and at its weights"
            )
        return real_actions(action), state

    def check(self, env: HasTask) -> None:
        """Refuse an env whose observations or actions are not those that the policy was made for.

        Raises:
            PolicyError: which lists everything that differs.
        """
        if self.contract is not None:
            check(self.contract, env, self.name)
        task, wrong = env.task, []
        for what, mine, theirs in (
            ("observations", self.num_observations, len(task.observation)),
            ("actions", self.num_actions, len(task.action)),
        ):
            if mine is not None and mine != theirs:
                wrong.append(f"{what}: {mine} against {theirs}")
        if not wrong and self.action_bounds is not None and self.action_bounds != _own_actions(task):
            wrong.append(f"actions between {self.action_bounds} against {_own_actions(task)}")
        if wrong:
            names = ", ".join(signal.name for signal in task.observation)
            raise PolicyError(
                f"policy {self.name!r} does not fit this env (policy against env): {'; '.join(wrong)}; the "
                f"env observes {names}"
            )

    def fitted(self, env: HasTask) -> Actor:
        """The policy with actions as the env takes them.

        Raises:
            PolicyError: as `check`.
        """
        self.check(env)
        return _Fitted(self, env.task) if self.contract is None else self


def _own_actions(task: TaskSpec) -> Bounds:
    """What a task's actions lie between in the env's own units."""
    own = task.action_bounds or ((-task.action_limit, task.action_limit),) * len(task.action)
    return Bounds(*np.array(own).T)


class _Fitted:
    """A policy with actions from its own units to those that the env takes."""

    def __init__(self, policy: ForeignPolicy, task: TaskSpec) -> None:
        self._policy, self._num_actions = policy, len(task.action)
        own = _own_actions(task)
        self._middle = ((own.high + own.low) / 2).astype(np.float32)
        self._factor = (2 * task.action_limit / (own.high - own.low)).astype(np.float32)

    def start(self, rows: int | Mask, state: State = None) -> State:
        """Begin episodes."""
        return self._policy.start(rows, state)

    def act(self, observation: Floats, state: State = None) -> tuple[Floats, State]:
        """Actions as the env takes them."""
        action, state = self._policy.act(observation, state)
        if action.shape[1] != self._num_actions:
            raise PolicyError(
                f"policy {self._policy.name!r} gives {action.shape[1]} actions where the env takes "
                f"{self._num_actions}"
            )
        return (action - self._middle) * self._factor, state
