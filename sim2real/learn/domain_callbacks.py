"""Stable-Baselines3 callbacks for the domain: log what is drawn, and change it while training goes on.

    envs = DummyVecEnv([lambda: Randomize(gym.make("Hopper-v5"), domain)] * 8)
    PPO("MlpPolicy", envs, tensorboard_log="logs").learn(
        100_000, [LogDomain(), ScheduleDomain(widening(domain, {"torso.mass": 3.67}))]
    )

Both work on our own vector env and on anyone's env under `sim2real.wrappers.Randomize`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from sim2real.distributions import Distribution, LogUniform, Normal, Point, Samples
from sim2real.domain import Domain
from sim2real.learn.vec_env import SB3VecEnv, SideBySide
from sim2real.parameters import quantity_of


class LogDomain(BaseCallback):
    """Logs mean and standard deviation, over the envs, of each parameter that the domain draws.

    Once a rollout, as ``domain/<parameter>/mean`` and ``.../std``.
    """

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        drawn = _drawn(self.training_env)
        for name in drawn[0]:
            values = [physics[name] for physics in drawn]
            self.logger.record(f"domain/{name}/mean", float(np.mean(values)))
            self.logger.record(f"domain/{name}/std", float(np.std(values)))


class ScheduleDomain(BaseCallback):
    """Sets the envs' domain at the begin of every rollout; episodes that begin from then on draw from it.

    Args:
        domain_at: the domain at a share of the training, 0 at its begin and 1 at its end.
    """

    def __init__(self, domain_at: Callable[[float], Domain]) -> None:
        super().__init__()
        self._domain_at = domain_at

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        share = min(self.num_timesteps / self.locals["total_timesteps"], 1.0)
        self.training_env.env_method("set_domain", self._domain_at(share))


def widening(domain: Domain, nominal: Mapping[str, float], until: float = 0.5) -> Callable[[float], Domain]:
    """A domain that grows from nominal physics to all of ``domain``, for `ScheduleDomain`.

    Ranges grow linearly, or in the logarithm where they are drawn from so; normals by mean and deviation.

    Args:
        domain: the widest one.
        nominal: value of each of its parameters at the begin.
        until: share of the training after which it is reached.
    """

    def at(share: float) -> Domain:
        grown = min(share / until, 1.0) if until > 0 else 1.0
        if grown >= 1.0:
            return domain
        parts = {
            name: _grown(distribution, nominal[name], grown, quantity_of(name).integer)
            for name, distribution in domain.parameters.items()
        }
        return Domain(parts)

    return at


def _grown(distribution: Distribution, start: float, share: float, whole: bool) -> Distribution:
    """A distribution on its way from a point to all of it."""
    if isinstance(distribution, Samples):
        values = (start + share * (value - start) for value in distribution.values)
        return Samples(tuple(float(round(value)) if whole else value for value in values))
    if isinstance(distribution, Normal):
        mean = start + share * (distribution.mean - start)
        std = max(share * distribution.std, 1e-9 * abs(distribution.std))
        return Normal(mean, std, min(distribution.low, start), max(distribution.high, start))
    in_logs = isinstance(distribution, LogUniform)
    ends = [_between(start, end, share, in_logs) for end in distribution.support()]
    low, high = (float(round(end)) if whole else end for end in ends)
    if low == high or isinstance(distribution, Point):
        return Point(low)
    return type(distribution)(low, high)


def _between(start: float, end: float, share: float, logarithmic: bool) -> float:
    if not logarithmic or start <= 0:
        return start + share * (end - start)
    return math.exp((1 - share) * math.log(start) + share * math.log(end))


def _drawn(envs: VecEnv) -> list[dict[str, float]]:
    """What each env drew: the parameters of its domain."""
    inner = envs.unwrapped
    if isinstance(inner, SideBySide):
        inner = inner.parts[0]  # those beside it rehearse
    if not isinstance(inner, SB3VecEnv):
        return list(inner.env_method("physics"))
    names = inner.get_attr("domain", 0)[0].names
    rows = [inner.env_method("physics", row, indices=0)[0] for row in range(inner.num_envs)]
    return [{name: row[name] for name in names} for row in rows]
