"""Does a vector env keep its promises? Gymnasium checks single envs only; this checks a `VectorEnv`.

check_vector_env(lambda threads: Sim2RealVectorEnv("furuta", 8, simulator=Engine("mujoco", threads)))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from sim2real.errors import Sim2RealError

Env = VectorEnv[Any, Any, Any]
Trace = list[tuple[NDArray[Any], ...]]


class CheckFailed(Sim2RealError):
    """A vector env breaks its contract; the message says which part."""


def check_vector_env(make: Callable[[int], Env], steps: int = 60) -> None:
    """Check spaces, dtypes, seeds, autoreset, aliasing and determinism.

    Args:
        make: builds the env with a number of threads (1 and 2 are tried).
        steps: to run; should cover the end of some episodes, else autoreset is not checked.

    Raises:
        CheckFailed: at the first broken promise.
    """
    env = make(1)
    _check_spaces(env)
    _check_aliasing(env)
    _check_seeds(env)
    _check_autoreset(env, steps)
    _check_threads(make, steps)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckFailed(message)


def _check_spaces(env: Env) -> None:
    observation, info = env.reset(seed=0)
    _require(isinstance(info, dict), "reset() must return (observation, dict)")
    space = env.observation_space
    _require(
        space.shape == (env.num_envs, *(env.single_observation_space.shape or ())),
        "observation_space is not the batch of single_observation_space",
    )
    _require(observation.dtype == space.dtype, f"observations are {observation.dtype}, not {space.dtype}")
    _require(space.contains(observation), "the first observation is outside observation_space")
    env.action_space.seed(0)
    observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    _require(space.contains(observation), "an observation is outside observation_space")
    for name, array in (("reward", reward), ("terminated", terminated), ("truncated", truncated)):
        _require(array.shape == (env.num_envs,), f"{name} has shape {array.shape}, not ({env.num_envs},)")
    _require(reward.dtype.kind == "f", f"rewards are {reward.dtype}, not floats")
    _require(terminated.dtype == truncated.dtype == np.bool_, "terminated and truncated must be bool")


def _check_aliasing(env: Env) -> None:
    env.reset(seed=0)
    env.action_space.seed(0)
    first = env.step(env.action_space.sample())[:4]
    copies = [np.array(array) for array in first]
    env.step(env.action_space.sample())
    for name, array, copy in zip(
        ("observations", "rewards", "terminated", "truncated"), first, copies, strict=True
    ):
        _require(
            np.array_equal(array, copy),
            f"{name} returned by one step change with the next: they alias the env's memory",
        )


def _check_seeds(env: Env) -> None:
    same, again, other = (np.array(env.reset(seed=seed)[0]) for seed in (3, 3, 4))
    _require(np.array_equal(same, again), "reset with the same seed starts differently")
    _require(not np.array_equal(same, other), "reset with another seed starts alike")
    _require(env.num_envs == 1 or len(np.unique(same, axis=0)) > 1, "all rows start alike from one seed")


def _check_autoreset(env: Env, steps: int) -> None:
    mode = env.metadata.get("autoreset_mode")
    _require(isinstance(mode, AutoresetMode), "metadata['autoreset_mode'] is not an AutoresetMode")
    if mode is not AutoresetMode.SAME_STEP:
        return
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        done = terminated | truncated
        _require(not (terminated & truncated).any(), "a row is both terminated and truncated")
        if not done.any():
            _require("final_obs" not in info, "final_obs is given although no row ended")
            continue
        _require("final_obs" in info and "_final_obs" in info, "rows ended without final_obs in info")
        _require(np.array_equal(info["_final_obs"], done), "_final_obs is not the mask of ended rows")
        for row in np.flatnonzero(done):
            final = np.asarray(info["final_obs"][row])
            _require(env.single_observation_space.contains(final), "a final_obs is outside its space")
            _require(
                not np.array_equal(final, observation[row]),
                "the observation after an end is the final one: the row was not begun again",
            )


def _check_threads(make: Callable[[int], Env], steps: int) -> None:
    one, two = (_trace(make(threads), steps) for threads in (1, 2))
    for step, (a, b) in enumerate(zip(one, two, strict=True)):
        _require(
            all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)),
            f"1 and 2 threads differ from step {step} on",
        )


def _trace(env: Env, steps: int) -> Trace:
    env.reset(seed=7)
    env.action_space.seed(7)
    return [tuple(map(np.array, env.step(env.action_space.sample())[:4])) for _ in range(steps)]
