"""A vector env of ours as Stable-Baselines3 wants it: no processes, no copies, infos at the ends alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from sim2real.arrays import host
from sim2real.errors import BudgetExhausted, InvalidValue, PolicyError


class SameStepEnv(Protocol):
    """A vector env with same-step autoreset: ours, or a sealed target."""

    num_envs: int
    single_observation_space: spaces.Box
    single_action_space: spaces.Box

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin all rows."""

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Advance all rows one control period."""


class SB3VecEnv(VecEnv):
    """Adapter from a same-step autoreset vector env to Stable-Baselines3's ``VecEnv``.

    What a simulator keeps in tensors is copied to numpy, which is what Stable-Baselines3 learns from.
    """

    def __init__(self, env: SameStepEnv) -> None:
        """Wrap ``env``; its seed comes from ``VecEnv.seed``."""
        self.render_mode = None  # VecEnv's constructor asks for it
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._actions = np.zeros((env.num_envs, *env.single_action_space.shape), np.float32)
        self._quiet: list[dict[str, Any]] = [{} for _ in range(env.num_envs)]

    def reset(self) -> VecEnvObs:
        """Begin all rows, the first episodes of which end one after another (Bharthulwar et al. 2025).

        Rows in step would fill each batch with the same part of their episodes, and what belongs to the other
        parts would be unlearnt meanwhile.
        """
        seed = self._seeds[0]
        self._reset_seeds()
        self._reset_options()
        observation, _ = self.env.reset(seed=None if seed is None else int(seed), options={"staggered": True})
        return host(observation)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions of the next `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all rows; a row that ended has its last observation in its info."""
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        if "resting" in info:
            raise BudgetExhausted(
                f"{int(info['resting'].sum())} of {self.num_envs} rows rest, as no other episode may begin; "
                "a learner needs all of them"
            )
        truncated, done = host(truncated), host(terminated | truncated)
        infos: list[dict[str, Any]] = self._quiet
        if done.any():
            infos = [{} for _ in range(self.num_envs)]
            for i in np.flatnonzero(done):
                infos[i] = {
                    "terminal_observation": host(info["final_obs"][i]),
                    "TimeLimit.truncated": bool(truncated[i]),
                    "is_success": bool(info["success"][i]),
                }
        return host(observation), host(reward).astype(np.float32), done, infos

    def physics(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Some parameters of every row. Shape (num_envs, len(names)).

        Raises:
            PolicyError: for an env that doesn't tell one of them, as a sealed target.
        """
        told = getattr(self.env, "physics", None)
        known = {} if told is None else told(0)
        missing = [name for name in names if name not in known]
        if told is None or missing:
            raise PolicyError(
                f"the policy's critic reads {', '.join(missing)}, which this env doesn't tell; a sealed "
                "target tells no physics, and other envs that of their parameters: take it from the critic "
                "first (sim2real.learn.privileged.hide_physics)"
            )
        rows = (told(row) for row in range(self.num_envs))
        return np.array([[physics[name] for name in names] for physics in rows], np.float32)

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The env's attribute, once for every row."""
        value = getattr(self.env, attr_name) if attr_name != "render_mode" else None
        return [value for _ in self._rows(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the env, which all rows share."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: object, indices: VecEnvIndices = None, **method_kwargs: object
    ) -> list[Any]:
        """Call a method of the env once; its result stands for every row."""
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._rows(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No row is wrapped in single-env wrappers."""
        return [False for _ in self._rows(indices)]

    def _rows(self, indices: VecEnvIndices) -> Sequence[int] | Iterable[int]:
        return self._get_indices(indices)


class SideBySide(VecEnv):
    """The rows of several vector envs as those of one; each draws from seeds of its own.

    Raises:
        InvalidValue: for envs of other observations or actions.
    """

    def __init__(self, parts: Sequence[VecEnv]) -> None:
        """Join them, in this order."""
        self.render_mode = None
        self.parts = list(parts)
        self._borders = np.cumsum([part.num_envs for part in parts])[:-1]
        shapes = [(part.observation_space.shape, part.action_space.shape) for part in parts]
        if len(set(shapes)) > 1:
            raise InvalidValue(f"envs side by side have observations and actions of other shapes: {shapes}")
        rows = sum(part.num_envs for part in parts)
        super().__init__(rows, parts[0].observation_space, parts[0].action_space)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed all of them."""
        for k, part in enumerate(self.parts):
            part.seed(None if seed is None else seed + _APART * k)
        return [seed] * self.num_envs

    def reset(self) -> VecEnvObs:
        """Begin all rows."""
        return np.concatenate([part.reset() for part in self.parts])

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions of the next `step_wait`."""
        for part, own in zip(self.parts, np.split(actions, self._borders), strict=True):
            part.step_async(own)

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all rows."""
        observations, rewards, dones, infos = zip(*(part.step_wait() for part in self.parts), strict=True)
        told = [info for own in infos for info in own]
        return np.concatenate(observations), np.concatenate(rewards), np.concatenate(dones), told

    def physics(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Some parameters of every row. Shape (num_envs, len(names))."""
        return np.concatenate([cast(Any, part).physics(names) for part in self.parts])

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Each row's."""
        if attr_name == "render_mode":
            return [None] * self.num_envs
        values = [value for part in self.parts for value in part.get_attr(attr_name)]
        return [values[row] for row in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Set it in all of them."""
        for part in self.parts:
            part.set_attr(attr_name, value)

    def env_method(
        self, method_name: str, *method_args: object, indices: VecEnvIndices = None, **method_kwargs: object
    ) -> list[Any]:
        """Call a method of all of them; each row's result."""
        calls = (partial(part.env_method, method_name, *method_args) for part in self.parts)
        values = [value for call in calls for value in call(**cast(Any, method_kwargs))]
        return [values[row] for row in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No row is wrapped in single-env wrappers."""
        return [False for _ in self._get_indices(indices)]


_APART = 104_729
"""Between seeds of envs side by side."""
