"""What a policy sees and does, to learn from: in the source or, counted, in a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import BudgetExhausted
from sim2real.interface import ActorLike
from sim2real.learn.vec_env import SameStepEnv
from sim2real.policy import Policy, as_actor
from sim2real.transfer.remote import Target

Floats = NDArray[np.float32]


def demonstrations(
    policy: Policy, env: SameStepEnv, steps: int, noise: float | Floats, seed: int
) -> tuple[Floats, Floats]:
    """Observations and the actions that belong there, while others are taken (DART, Laskey et al. 2017).

    Args:
        policy: whose.
        env: where.
        steps: control steps of each row, at most.
        noise: standard deviation of what is added to the actions that are taken, of all or of each.
        seed: of the noise and the episodes.

    Returns:
        Shapes (states, num_observations) and (states, num_actions).

    Raises:
        BudgetExhausted: if a target does not allow a single step.
    """
    rng, limit, rows = np.random.default_rng(seed), policy.contract.action_limit, env.num_envs
    observation, _ = env.reset(seed=seed)
    state, running = policy.start(rows), np.ones(rows, dtype=bool)
    seen: list[Floats] = []
    done: list[Floats] = []
    for _ in range(steps):
        action, state = policy.act(observation, state)
        seen.append(np.array(observation[running], dtype=np.float32))
        done.append(action[running])
        strayed = action + noise * rng.normal(size=action.shape)
        taken = np.clip(strayed, -limit, limit).astype(np.float32)
        observation, _, terminated, truncated, info = env.step(taken)
        running = ~info.get("resting", np.zeros(rows, dtype=bool))
        if not running.any():
            break
        if state is not None:
            state = policy.start(np.asarray(terminated | truncated), state)
    return np.concatenate(seen), np.concatenate(done)


def demonstrations_in_target(
    policy: Policy, target: Target, steps: int, noise: float, seed: int
) -> tuple[Floats, Floats]:
    """`demonstrations` in a target, as many as its budget still allows, after which its rows rest.

    Raises:
        BudgetExhausted: if that is none.
    """
    affordable = min(steps, target.steps_left // target.num_envs)
    if not affordable:
        raise BudgetExhausted(
            f"{target.steps_left} steps don't pay for one in each of {target.num_envs} rows; raise the budget"
        )
    found = demonstrations(policy, target, affordable, noise, seed)
    target.stop()
    return found


def returns_in_target(
    target: Target, actor: ActorLike, seed: int, steps: int | None = None
) -> NDArray[np.float64]:
    """Return of one episode in each row, or of its first steps; the same seed begins the same episodes.

    Shape (num_envs,).

    Args:
        target: where; every step is counted.
        actor: acts on all rows at once.
        seed: of the episodes.
        steps: control steps of each row, at most; by default whole episodes.
    """
    observation, _ = target.reset(seed=seed, options={"one_episode": True})
    actor, returns = as_actor(actor), np.zeros(target.num_envs)
    state = actor.start(target.num_envs)
    for _ in range(steps or target.task.max_steps):
        action, state = actor.act(observation, state)
        observation, reward, _, _, info = target.step(action)
        returns += reward
        if "resting" in info and info["resting"].all():
            break
    target.stop()
    return returns
