"""What a network reads, as the rows that a learner keeps: observations, the past, a context, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sim2real.errors import PolicyError
from sim2real.policy import History, Policy
from sim2real.policy.network import INPUTS

Floats = NDArray[np.float32]
_SHOWN = ("observation", "history", "context")
"""Inputs that an env and a policy give an actor; a critic may read ``privileged`` too, which is physics."""


class Inputs:
    """The columns of a learner's rows, by the names of the network's inputs."""

    def __init__(self, policy: Policy) -> None:
        """Find out what action and value depend on.

        Raises:
            PolicyError: for inputs that no env shows.
        """
        acting, valuing = policy.network.reads("action"), policy.network.reads("value")
        read = acting | valuing
        for name in sorted(acting - set(_SHOWN) | valuing - {*_SHOWN, "privileged"}):
            raise PolicyError(
                f"policy {policy.name!r} reads {name}, which no env shows; PPO here can't give it"
            )
        self.names = tuple(name for name in INPUTS if name in read)
        sizes = [policy.contract.inputs[name] for name in self.names]
        self.size = sum(sizes)
        ends = np.cumsum([0, *sizes]).tolist()
        self._columns = {n: slice(*ends[k : k + 2]) for k, n in enumerate(self.names)}

    def split(self, rows: Floats) -> Mapping[str, Floats]:
        """The columns of each input. Shape of ``rows``: (rows, size)."""
        if len(self.names) == 1:
            return {self.names[0]: rows}
        return {name: rows[:, part] for name, part in self._columns.items()}


class SeesInputs(VecEnvWrapper):
    """A vec env whose observations are all that a policy's network reads."""

    def __init__(self, venv: VecEnv, policy: Policy, inputs: Inputs) -> None:
        """Wrap ``venv``, whose observations are those of the policy's contract."""
        space = spaces.Box(-np.inf, np.inf, (inputs.size,), np.float32)
        super().__init__(venv, space, venv.action_space)
        contract = policy.contract
        self._names = inputs.names
        self._history = History(contract.history, len(contract.observation), len(contract.action))
        self._context = policy.weights["context"] if contract.context else np.zeros(0, np.float32)
        self._known = tuple(signal.name for signal in contract.privileged)
        self._physics = np.zeros((self.num_envs, len(self._known)), np.float32)

    def reset(self) -> VecEnvObs:
        """Begin all rows."""
        self._observation = np.asarray(self.venv.reset(), np.float32)
        self._past = self._history.start(self.num_envs)
        self._read_physics()
        return self._seen()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions of the next `step_wait`."""
        self._actions = np.asarray(actions, np.float32)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all rows; what a row saw last has its past with it."""
        observation, rewards, dones, infos = self.venv.step_wait()
        self._past = self._history.after(self._observation, self._actions, self._past)
        self._observation = np.array(observation, dtype=np.float32)
        ended = np.flatnonzero(dones)
        if len(ended):
            begun = self._observation[ended].copy()
            self._observation[ended] = [infos[row]["terminal_observation"] for row in ended]
            last = self._seen()
            infos = [{**info} for info in infos]
            for row in ended:
                infos[row]["terminal_observation"] = last[row]
            self._observation[ended] = begun
            self._past = self._history.start(dones, self._past)
            self._read_physics()
        return self._seen(), rewards, dones, infos

    def _read_physics(self) -> None:
        """See the physics of the episodes that have begun."""
        if "privileged" in self._names:
            self._physics = cast(Any, self.venv).physics(self._known)

    def _seen(self) -> Floats:
        past, self._past = self._history.seen(self._observation, self._past)
        given: dict[str, Any] = {"observation": self._observation, "history": past}
        given["privileged"] = self._physics
        given["context"] = np.broadcast_to(self._context, (self.num_envs, len(self._context)))
        return np.concatenate([given[name] for name in self._names], axis=1, dtype=np.float32)
